// Natives for fetch: what the runtime's fetch.js asks of the channel.
#include "worker/guest.h"
#include "worker/natives.h"

namespace postern::worker {
namespace {

uint32_t Id(const Args& args) { return args[0].As<v8::Uint32>()->Value(); }

// A header value's bytes: its units are all below 256 (isomorphic encode of the Infra standard).
std::string Latin1(v8::Isolate* isolate, v8::Local<v8::Value> value) {
  const auto text = value.As<v8::String>();
  std::string out(static_cast<size_t>(text->Length()), '\0');
  text->WriteOneByteV2(isolate, 0, static_cast<uint32_t>(text->Length()),
                       reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

// netFetch(id, fields [name, value, …], body: undefined | bytes | true for a stream that is written
// later, endless: boolean)
void NetFetch(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto context = isolate->GetCurrentContext();
  NetClient::Outgoing out;
  const auto flat = args[1].As<v8::Array>();
  for (uint32_t i = 0; i + 1 < flat->Length(); i += 2) {
    out.fields.push_back({Latin1(isolate, flat->Get(context, i).ToLocalChecked()),
                          Latin1(isolate, flat->Get(context, i + 1).ToLocalChecked())});
  }
  out.has_body = !args[2]->IsUndefined();
  out.streaming = args[2]->IsTrue();
  out.endless = args[3]->IsTrue();
  if (out.has_body && !out.streaming) {
    const auto bytes = Bytes(args[2]);
    out.body.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  Guest::Current().net().Fetch(Id(args), std::move(out));
}

// netWrite(id, bytes, all): bytes that wait; where more than 0, netWritable comes when they are
// gone
void NetWrite(const Args& args) {
  args.GetReturnValue().Set(static_cast<double>(
      Guest::Current().net().Write(Id(args), Bytes(args[1]), args[2]->IsTrue())));
}

// netStream(id): the stream's number on the channel
void NetStream(const Args& args) {
  args.GetReturnValue().Set(Guest::Current().net().StreamOf(Id(args)));
}

void NetEndWrite(const Args& args) { Guest::Current().net().EndWrite(Id(args)); }

// netRead(id): bytes; null where netReadable comes later; undefined at the end
void NetRead(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::string piece;
  switch (Guest::Current().net().Read(Id(args), &piece)) {
    case NetClient::ReadState::kData: {
      v8::Local<v8::Uint8Array> bytes;
      if (AdoptBytes(isolate, std::move(piece)).ToLocal(&bytes)) args.GetReturnValue().Set(bytes);
      return;
    }
    case NetClient::ReadState::kWait:
      return args.GetReturnValue().SetNull();
    case NetClient::ReadState::kEnd:
      return;
  }
}

void NetCollect(const Args& args) { Guest::Current().net().Collect(Id(args)); }
void NetCancel(const Args& args) { Guest::Current().net().Cancel(Id(args)); }

}  // namespace

std::span<const Native> NetNatives() {
  static constexpr Native kNatives[] = {{"netFetch", NetFetch},       {"netWrite", NetWrite},
                                        {"netEndWrite", NetEndWrite}, {"netStream", NetStream},
                                        {"netRead", NetRead},         {"netCollect", NetCollect},
                                        {"netCancel", NetCancel}};
  return kNatives;
}

}  // namespace postern::worker
