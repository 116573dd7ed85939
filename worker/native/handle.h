// Handle: a C++ object that JavaScript of the runtime holds, and that goes with it. Its class
// derives from Handle and has a `static constexpr char kKind` whose address tells it from others.
// A guest may pass any handle, and any other value, where one is expected: Unwrap alone turns a
// value into a C++ object, and nothing casts what it gives to a class derived further.
#pragma once

#include <v8.h>

#include <memory>

namespace postern::worker {

class Handle {
 public:
  virtual ~Handle() = default;

 protected:
  Handle() = default;
};

// The object for `handle`; `bytes` that it holds outside of V8 press the garbage collector.
v8::Local<v8::Object> WrapHandle(v8::Isolate* isolate, std::unique_ptr<Handle> handle,
                                 const void* kind, size_t bytes);
// nullptr where `value` is none of that kind.
Handle* UnwrapHandle(v8::Isolate* isolate, v8::Local<v8::Value> value, const void* kind);

template <class T>
v8::Local<v8::Object> Wrap(v8::Isolate* isolate, std::unique_ptr<T> handle, size_t bytes) {
  return WrapHandle(isolate, std::move(handle), &T::kKind, bytes);
}
template <class T>
T* Unwrap(v8::Isolate* isolate, v8::Local<v8::Value> value) {
  return static_cast<T*>(UnwrapHandle(isolate, value, &T::kKind));
}

}  // namespace postern::worker
