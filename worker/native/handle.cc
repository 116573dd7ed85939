#include "worker/native/handle.h"

#include <cstdint>

#include "worker/engine/v8_values.h"

namespace postern::worker {
namespace {

constexpr v8::EmbedderDataTypeTag kTag = 1;

// What one object of JavaScript's owns.
struct Owned {
  std::unique_ptr<Handle> handle;
  alignas(8) const void* kind;
  size_t bytes;
  v8::Global<v8::Object> object;
};

// What all handles are instances of. JavaScript reaches it as their constructor, by which it could
// make one that owns nothing.
v8::Local<v8::FunctionTemplate> Template(v8::Isolate* isolate) {
  static v8::Eternal<v8::FunctionTemplate> made;
  if (made.IsEmpty()) {
    const auto fresh = v8::FunctionTemplate::New(
        isolate, [](const Args& args) { ThrowType(args.GetIsolate(), "Illegal constructor"); });
    fresh->InstanceTemplate()->SetInternalFieldCount(1);
    made.Set(isolate, fresh);
  }
  return made.Get(isolate);
}

}  // namespace

v8::Local<v8::Object> WrapHandle(v8::Isolate* isolate, std::unique_ptr<Handle> handle,
                                 const void* kind, size_t bytes) {
  const auto object = Template(isolate)
                          ->InstanceTemplate()
                          ->NewInstance(isolate->GetCurrentContext())
                          .ToLocalChecked();
  auto owned = std::make_unique<Owned>();
  owned->handle = std::move(handle);
  owned->kind = kind;
  owned->bytes = bytes;
  isolate->AdjustAmountOfExternalAllocatedMemory(static_cast<int64_t>(bytes));
  owned->object.Reset(isolate, object);
  Owned* raw = owned.release();
  object->SetAlignedPointerInInternalField(0, raw, kTag);
  raw->object.SetWeak(
      raw,
      [](const v8::WeakCallbackInfo<Owned>& info) {
        const std::unique_ptr<Owned> gone(info.GetParameter());
        gone->object.Reset();
        info.GetIsolate()->AdjustAmountOfExternalAllocatedMemory(
            -static_cast<int64_t>(gone->bytes));
      },
      v8::WeakCallbackType::kParameter);
  return object;
}

Handle* UnwrapHandle(v8::Isolate* isolate, v8::Local<v8::Value> value, const void* kind) {
  if (!Template(isolate)->HasInstance(value)) return nullptr;
  const auto object = value.As<v8::Object>();
  const auto* owned = static_cast<Owned*>(object->GetAlignedPointerFromInternalField(0, kTag));
  return owned != nullptr && owned->kind == kind ? owned->handle.get() : nullptr;
}

}  // namespace postern::worker
