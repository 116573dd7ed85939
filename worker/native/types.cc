// Natives for node:util: what a value is inside of V8, whatever its prototype says.
#include <gnu/libc-version.h>
#include <node_version.h>

#include <algorithm>
#include <cstdint>

#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

template <bool (Value::*is)() const>
void Is(const Args& args) {
  args.GetReturnValue().Set((*args[0]->*is)());
}
void IsAnyArrayBuffer(const Args& args) {
  args.GetReturnValue().Set(args[0]->IsArrayBuffer() || args[0]->IsSharedArrayBuffer());
}
void IsBoxedPrimitive(const Args& args) {
  const auto v = args[0];
  args.GetReturnValue().Set(v->IsNumberObject() || v->IsStringObject() || v->IsBooleanObject() ||
                            v->IsBigIntObject() || v->IsSymbolObject());
}

constexpr uint32_t kAllFilters = v8::ONLY_WRITABLE | v8::ONLY_ENUMERABLE | v8::ONLY_CONFIGURABLE |
                                 v8::SKIP_STRINGS | v8::SKIP_SYMBOLS;
constexpr int kMostFrames = 200;  // as Node has it

// ownNonIndexProperties(object, 2 for the enumerable ones only)
void OwnNonIndexProperties(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  if (!args[0]->IsObject()) return;
  const auto filter = static_cast<v8::PropertyFilter>(Uint32(args, 1) & kAllFilters);
  Local<v8::Array> names;
  if (args[0]
          .As<v8::Object>()
          ->GetPropertyNames(isolate->GetCurrentContext(), v8::KeyCollectionMode::kOwnOnly, filter,
                             v8::IndexFilter::kSkipIndices)
          .ToLocal(&names))
    args.GetReturnValue().Set(names);
}
void ConstructorName(const Args& args) {
  if (args[0]->IsObject())
    args.GetReturnValue().Set(args[0].As<v8::Object>()->GetConstructorName());
}
void IsConstructor(const Args& args) {
  args.GetReturnValue().Set(args[0]->IsFunction() && args[0].As<v8::Object>()->IsConstructor());
}
void MarkHandled(const Args& args) {
  if (args[0]->IsPromise()) args[0].As<v8::Promise>()->MarkAsHandled();
}

// What goes along with promises and what they call: one value, which async_hooks.js keeps.
void GetContinuationData(const Args& args) {
  args.GetReturnValue().Set(
      args.GetIsolate()->GetContinuationPreservedEmbedderDataV2().As<Value>());
}
void SetContinuationData(const Args& args) {
  args.GetIsolate()->SetContinuationPreservedEmbedderDataV2(args[0]);
}

// nodeVersion(), v8Version(): of the executable that this runs in
void NodeVersion(const Args& args) {
  args.GetReturnValue().Set(Str(args.GetIsolate(), NODE_VERSION_STRING));
}
void V8Version(const Args& args) {
  args.GetReturnValue().Set(Str(args.GetIsolate(), v8::V8::GetVersion()));
}

// libcVersion(): of the C library that this runs on
void LibcVersion(const Args& args) {
  args.GetReturnValue().Set(Str(args.GetIsolate(), ::gnu_get_libc_version()));
}

// callSites(most): [[function, script, line, column], …] of who called the caller
void CallSites(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const int most = std::clamp(args[0]->IsNumber() ? Int(args, 0) : 10, 0, kMostFrames);
  const auto stack = v8::StackTrace::CurrentStackTrace(isolate, most);
  std::vector<Local<Value>> sites;
  for (int i = 0; i < stack->GetFrameCount(); ++i) {
    const auto frame = stack->GetFrame(isolate, static_cast<uint32_t>(i));
    const auto name = frame->GetFunctionName();
    const auto script = frame->GetScriptNameOrSourceURL();
    if (!script.IsEmpty() && Utf8(isolate, script).starts_with("postern:")) continue;
    Local<Value> site[] = {name.IsEmpty() ? Str(isolate, "") : name,
                           script.IsEmpty() ? Str(isolate, "") : script,
                           v8::Integer::New(isolate, frame->GetLineNumber()),
                           v8::Integer::New(isolate, frame->GetColumn())};
    sites.push_back(v8::Array::New(isolate, site, std::size(site)));
  }
  args.GetReturnValue().Set(v8::Array::New(isolate, sites.data(), sites.size()));
}

// heapUse(): [used, total, outside of V8, limit] in bytes
void HeapUse(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  v8::HeapStatistics heap;
  isolate->GetHeapStatistics(&heap);
  Local<Value> all[] = {v8::Number::New(isolate, static_cast<double>(heap.used_heap_size())),
                        v8::Number::New(isolate, static_cast<double>(heap.total_heap_size())),
                        v8::Number::New(isolate, static_cast<double>(heap.external_memory())),
                        v8::Number::New(isolate, static_cast<double>(heap.heap_size_limit()))};
  args.GetReturnValue().Set(v8::Array::New(isolate, all, std::size(all)));
}

}  // namespace

std::span<const Native> TypeNatives() {
  static constexpr Native kNatives[] = {
      {"isExternal", Is<&Value::IsExternal>},
      {"isDate", Is<&Value::IsDate>},
      {"isArgumentsObject", Is<&Value::IsArgumentsObject>},
      {"isBigIntObject", Is<&Value::IsBigIntObject>},
      {"isBooleanObject", Is<&Value::IsBooleanObject>},
      {"isNumberObject", Is<&Value::IsNumberObject>},
      {"isStringObject", Is<&Value::IsStringObject>},
      {"isSymbolObject", Is<&Value::IsSymbolObject>},
      {"isBoxedPrimitive", IsBoxedPrimitive},
      {"isNativeError", Is<&Value::IsNativeError>},
      {"isRegExp", Is<&Value::IsRegExp>},
      {"isAsyncFunction", Is<&Value::IsAsyncFunction>},
      {"isGeneratorFunction", Is<&Value::IsGeneratorFunction>},
      {"isGeneratorObject", Is<&Value::IsGeneratorObject>},
      {"isPromise", Is<&Value::IsPromise>},
      {"isMap", Is<&Value::IsMap>},
      {"isSet", Is<&Value::IsSet>},
      {"isMapIterator", Is<&Value::IsMapIterator>},
      {"isSetIterator", Is<&Value::IsSetIterator>},
      {"isWeakMap", Is<&Value::IsWeakMap>},
      {"isWeakSet", Is<&Value::IsWeakSet>},
      {"isArrayBuffer", Is<&Value::IsArrayBuffer>},
      {"isDataView", Is<&Value::IsDataView>},
      {"isSharedArrayBuffer", Is<&Value::IsSharedArrayBuffer>},
      {"isProxy", Is<&Value::IsProxy>},
      {"isModuleNamespaceObject", Is<&Value::IsModuleNamespaceObject>},
      {"isAnyArrayBuffer", IsAnyArrayBuffer},
      {"ownNonIndexProperties", OwnNonIndexProperties},
      {"constructorName", ConstructorName},
      {"isConstructor", IsConstructor},
      {"markHandled", MarkHandled},
      {"getContinuationData", GetContinuationData},
      {"setContinuationData", SetContinuationData},
      {"nodeVersion", NodeVersion},
      {"libcVersion", LibcVersion},
      {"v8Version", V8Version},
      {"callSites", CallSites},
      {"heapUse", HeapUse}};
  return kNatives;
}

}  // namespace postern::worker
