// Natives for time, random numbers, output, parts, inspection and the run's end.
#include <sys/random.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "worker/engine/runtime_parts.h"
#include "worker/guest/guest.h"
#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

// clock(): monotonic milliseconds as a guest may know them
void Clock(const Args& args) {
  args.GetReturnValue().Set(CoarseSeconds(MonotonicSeconds()) * 1000);
}

// now(): monotonic milliseconds, for the runtime's own timers
void Now(const Args& args) { args.GetReturnValue().Set(MonotonicSeconds() * 1000); }

// setTimer(due in monotonic milliseconds, keeps the run going): runTimers is called then
void SetTimer(const Args& args) {
  if (Guest::Running()) Guest::Current().loop().SetTimer(Number(args, 0) / 1000, args[1]->IsTrue());
}

// microtasks(): runs them, between two timers
void Microtasks(const Args&) {
  Guest::Current().loop().RunMicrotasks();
  Guest::Current().loop().after_microtasks();
}

// wantTicks(): runTicks is called before the next microtask that is not yet queued
void WantTicks(const Args&) {
  if (Guest::Running()) Guest::Current().loop().WantTicks();
}

// random(bytes): fills them from the kernel's CSPRNG
void Random(const Args& args) {
  auto bytes = Bytes(args[0]);
  while (!bytes.empty()) {
    const ssize_t n = Uninterrupted([&] { return ::getrandom(bytes.data(), bytes.size(), 0); });
    if (n < 0) return ThrowType(args.GetIsolate(), "no random numbers");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// write(1 or 2, string or bytes): to stdout or stderr, in order, waiting while the reader is slow;
// the run is over when there is none any more
void Write(const Args& args) {
  const int fd = Int(args, 0) == 2 ? 2 : 1;
  if (Guest::Running()) Guest::Current().NoteOutput();
  std::string text;
  std::span<const uint8_t> bytes;
  if (args[1]->IsArrayBufferView()) {
    bytes = Bytes(args[1]);
  } else {
    text = Text(args, 1);
    bytes = {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  while (!bytes.empty()) {
    const ssize_t n = Uninterrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0) ::_exit(kExitNobodyReads);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// stdinWant(bytes at most, 0 for none; whether that keeps the run going): stdinPiece is called then
void StdinWant(const Args& args) {
  Guest::Current().input().Request(Size(args, 0), args[1]->IsTrue());
}

// stdinRead(most): a Uint8Array, empty at the end; waits for it
void StdinRead(const Args& args) {
  v8::Local<v8::Uint8Array> bytes;
  if (AdoptBytes(args.GetIsolate(), Guest::Current().input().ReadNow(Size(args, 0)))
          .ToLocal(&bytes))
    args.GetReturnValue().Set(bytes);
}

// hearSignal(number): processSignal is called for it from now on
void HearSignal(const Args& args) {
  if (Guest::Running()) Guest::Current().signals().Listen(Int(args, 0));
}

void Exit(const Args& args) { Guest::Current().Exit(Int(args, 0)); }

// die(error, code = 1): as if nobody had caught it
void Die(const Args& args) {
  const int code = static_cast<int>(Int64(args, 1, 1));
  Guest::Current().ExitWithError(args[0], v8::Exception::CreateMessage(args.GetIsolate(), args[0]),
                                 code);
}

// setReturnValue(json)
void SetReturnValue(const Args& args) { Guest::Current().SetReturnValue(Text(args, 0)); }

// What is put into an environment becomes text, as in Node.
v8::Intercepted SetVariable(Local<v8::Name> name, Local<Value> value,
                            const v8::PropertyCallbackInfo<void>& info) {
  v8::Isolate* isolate = info.GetIsolate();
  const auto context = isolate->GetCurrentContext();
  if (value->IsString()) return v8::Intercepted::kNo;
  Local<v8::String> text;
  if (value->ToString(context).ToLocal(&text))  // which throws for a symbol
    (void)info.HolderV2()->CreateDataProperty(context, name, text);
  return v8::Intercepted::kYes;
}
v8::Intercepted DefineVariable(Local<v8::Name> name, const v8::PropertyDescriptor& descriptor,
                               const v8::PropertyCallbackInfo<void>& info) {
  if (descriptor.has_value()) return SetVariable(name, descriptor.value(), info);
  if (!descriptor.has_get() && !descriptor.has_set()) return v8::Intercepted::kNo;
  ThrowType(info.GetIsolate(), "a variable of the environment has no accessors");
  return v8::Intercepted::kYes;
}

// environment(object of strings): an object of the same properties, and of strings only
void Environment(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto context = isolate->GetCurrentContext();
  if (!args[0]->IsObject()) return;
  const auto shape = v8::ObjectTemplate::New(isolate);
  shape->SetHandler(v8::NamedPropertyHandlerConfiguration(
      nullptr, SetVariable, nullptr, nullptr, nullptr, DefineVariable, nullptr, {},
      v8::PropertyHandlerFlags::kOnlyInterceptStrings));
  Local<v8::Object> made;
  Local<v8::Array> names;
  const auto given = args[0].As<v8::Object>();
  if (!shape->NewInstance(context).ToLocal(&made) ||
      !given->GetOwnPropertyNames(context).ToLocal(&names))
    return;
  for (uint32_t i = 0; i < names->Length(); ++i) {
    Local<Value> name, value;
    if (!names->Get(context, i).ToLocal(&name) || !given->Get(context, name).ToLocal(&value) ||
        made->Set(context, name, value).IsNothing())
      return;
  }
  args.GetReturnValue().Set(made);
}

// promiseState(promise): [0 pending, 1 fulfilled or 2 rejected, result]
void PromiseState(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  if (!args[0]->IsPromise()) return;
  const auto promise = args[0].As<v8::Promise>();
  Local<Value> pair[] = {v8::Integer::New(isolate, promise->State()),
                         promise->State() == v8::Promise::kPending
                             ? Local<Value>(v8::Undefined(isolate))
                             : promise->Result()};
  args.GetReturnValue().Set(v8::Array::New(isolate, pair, 2));
}

// previewEntries(object): [entries, are they key and value pairs]
void PreviewEntries(const Args& args) {
  if (!args[0]->IsObject()) return;
  bool pairs = false;
  Local<v8::Array> entries;
  if (!args[0].As<v8::Object>()->PreviewEntries(&pairs).ToLocal(&entries)) return;
  Local<Value> both[] = {entries, v8::Boolean::New(args.GetIsolate(), pairs)};
  args.GetReturnValue().Set(v8::Array::New(args.GetIsolate(), both, 2));
}

// proxyDetails(value): [target, handler], or undefined where it is no proxy
void ProxyDetails(const Args& args) {
  if (!args[0]->IsProxy()) return;
  const auto proxy = args[0].As<v8::Proxy>();
  Local<Value> both[] = {proxy->GetTarget(), proxy->GetHandler()};
  args.GetReturnValue().Set(v8::Array::New(args.GetIsolate(), both, 2));
}

// part(name, …names): the part's text as a function of parameters with these names
// (runtime/core/lazy_part.js)
void Part(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::vector<Local<v8::String>> parameters;
  for (int i = 1; i < args.Length(); ++i) parameters.push_back(StringOf(args, i));
  Local<v8::Function> compiled;
  if (CompilePart(isolate, isolate->GetCurrentContext(), Text(args, 0), parameters)
          .ToLocal(&compiled))
    args.GetReturnValue().Set(compiled);
}

}  // namespace

std::span<const Native> SystemNatives() {
  static constexpr Native kNatives[] = {{"clock", Clock},
                                        {"now", Now},
                                        {"setTimer", SetTimer},
                                        {"microtasks", Microtasks},
                                        {"wantTicks", WantTicks},
                                        {"random", Random},
                                        {"write", Write},
                                        {"stdinWant", StdinWant},
                                        {"stdinRead", StdinRead},
                                        {"hearSignal", HearSignal},
                                        {"exit", Exit},
                                        {"die", Die},
                                        {"setReturnValue", SetReturnValue},
                                        {"part", Part},
                                        {"environment", Environment},
                                        {"promiseState", PromiseState},
                                        {"previewEntries", PreviewEntries},
                                        {"proxyDetails", ProxyDetails}};
  return kNatives;
}

}  // namespace postern::worker
