// Natives for node:fs. Paths are absolute. What fails throws an Error with `code`.
#include <algorithm>
#include <cstdint>

#include "worker/engine/platform.h"
#include "worker/guest/guest.h"
#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

FileClient& Files() { return Guest::Current().modules().files(); }

// Whether it went well; else throws.
bool Check(const Args& args, const FileClient::FileReply& answer) {
  if (answer.ok) return true;
  v8::Isolate* isolate = args.GetIsolate();
  const auto error = v8::Exception::Error(Str(isolate, answer.message)).As<v8::Object>();
  error->Set(isolate->GetCurrentContext(), Str(isolate, "code"), Str(isolate, answer.code)).Check();
  isolate->ThrowException(error);
  return false;
}

// fileLook(path, false for a link itself): {kind, size, mode, accessed, modified, changed
// (milliseconds), writable, real (the path without links), target (of a link), inode, device}
void FileLook(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto answer = Files().Stat(Text(args, 0), !args[1]->IsFalse());
  if (!Check(args, answer)) return;
  const auto found = v8::Object::New(isolate);
  const auto set = [&](const char* name, v8::Local<v8::Value> value) {
    found->CreateDataProperty(isolate->GetCurrentContext(), Str(isolate, name), value).Check();
  };
  const auto number = [&](auto value) {
    return v8::Number::New(isolate, static_cast<double>(value));
  };
  const channel::FileStatus& status = answer.status;
  set("kind", Str(isolate, channel::NameOf(status.kind)));
  set("size", number(status.size));
  set("mode", number(status.mode));
  const auto time = [&](double ms) { return number(CoarseSeconds(ms / 1000) * 1000); };
  set("accessed", time(status.times.accessed));  // a file's times are clocks too
  set("modified", time(status.times.modified));
  set("changed", time(status.times.changed));
  set("writable", v8::Boolean::New(isolate, status.writable));
  set("real", Str(isolate, answer.real.empty() ? Text(args, 0) : answer.real));
  set("target", Str(isolate, answer.target));
  set("inode", number(status.inode));
  set("device", number(status.device));
  args.GetReturnValue().Set(found);
}

// fileRead(path, offset, length or -1): a Uint8Array
void FileRead(const Args& args) {
  auto answer = Files().Read(Text(args, 0), std::max<int64_t>(Int64(args, 1, 0), 0),
                             std::max<int64_t>(Int64(args, 2, -1), -1));
  if (!Check(args, answer)) return;
  v8::Local<v8::Uint8Array> bytes;
  if (AdoptBytes(args.GetIsolate(), std::move(answer.bytes)).ToLocal(&bytes))
    args.GetReturnValue().Set(bytes);
}

// fileList(path): the JSON text of [[name, kind], …]
void FileList(const Args& args) {
  const auto answer = Files().List(Text(args, 0));
  if (Check(args, answer)) args.GetReturnValue().Set(Str(args.GetIsolate(), answer.bytes));
}

// fileWrite(path, bytes, how (0 write, 1 new, 2 append, 3 update, 4 whole), offset, size to cut to
// or -1, mode of a file that is made)
void FileWrite(const Args& args) {
  const auto bytes = Bytes(args[1]);
  Check(args,
        Files().Write(
            Text(args, 0), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
            static_cast<WriteHow>(std::clamp(Int(args, 2), 0, static_cast<int>(WriteHow::kWhole))),
            std::max<int64_t>(Int64(args, 3, 0), 0), Int64(args, 4, -1), Uint32(args, 5)));
}

// fileMakeDirectory(path, with what is missing above, mode)
void FileMakeDirectory(const Args& args) {
  Check(args, Files().MakeDirectory(Text(args, 0), args[1]->IsTrue(), Uint32(args, 2)));
}
// fileRemove(path, a directory, with all beneath)
void FileRemove(const Args& args) {
  Check(args, Files().Remove(Text(args, 0), args[1]->IsTrue(), args[2]->IsTrue()));
}
// fileMove(from, to)
void FileMove(const Args& args) { Check(args, Files().Move(Text(args, 0), Text(args, 1))); }

// fileSetTimes(path, accessed, modified): in milliseconds
void FileSetTimes(const Args& args) {
  Check(args, Files().SetTimes(Text(args, 0), Number(args, 1), Number(args, 2)));
}

}  // namespace

std::span<const Native> FileNatives() {
  static constexpr Native kNatives[] = {{"fileLook", FileLook},
                                        {"fileRead", FileRead},
                                        {"fileList", FileList},
                                        {"fileWrite", FileWrite},
                                        {"fileMakeDirectory", FileMakeDirectory},
                                        {"fileRemove", FileRemove},
                                        {"fileMove", FileMove},
                                        {"fileSetTimes", FileSetTimes}};
  return kNatives;
}

}  // namespace postern::worker
