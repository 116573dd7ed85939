#include "worker/engine/v8_values.h"

#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "worker/engine/engine.h"

namespace postern::worker {

v8::Local<v8::String> Str(v8::Isolate* isolate, std::string_view text) {
  v8::Local<v8::String> made;
  if (text.size() <= static_cast<size_t>(std::numeric_limits<int>::max()) &&
      v8::String::NewFromUtf8(isolate, text.data(), v8::NewStringType::kNormal,
                              static_cast<int>(text.size()))
          .ToLocal(&made))
    return made;
  ThrowRange(isolate, "the text is longer than a string can be");
  return v8::String::Empty(isolate);
}

std::span<uint8_t> Bytes(v8::Local<v8::Value> value) {
  // What is copied to or from nowhere still needs an address: memcpy(3) takes no null pointer.
  static uint8_t nowhere = 0;
  const std::span<uint8_t> none(&nowhere, 0);
  const bool is_view = value->IsArrayBufferView();
  if (!is_view && !value->IsArrayBuffer()) return none;
  const auto buffer =
      is_view ? value.As<v8::ArrayBufferView>()->Buffer() : value.As<v8::ArrayBuffer>();
  auto* data = static_cast<uint8_t*>(buffer->Data());
  const size_t from = is_view ? value.As<v8::ArrayBufferView>()->ByteOffset() : 0;
  const size_t size =
      is_view ? value.As<v8::ArrayBufferView>()->ByteLength() : buffer->ByteLength();
  const size_t whole = buffer->ByteLength();
  if (data == nullptr || from > whole || size > whole - from) return none;
  return {data + from, size};
}

bool HasRoom(v8::Isolate* isolate, size_t size) {
  Engine::ExternalMemoryCharge held;
  if (held.Add(size)) return true;
  ThrowRange(isolate, "Array buffer allocation failed");
  return false;
}

v8::MaybeLocal<v8::Uint8Array> NewBytes(v8::Isolate* isolate, std::span<const uint8_t> bytes) {
  v8::Local<v8::ArrayBuffer> buffer;
  if (!v8::ArrayBuffer::MaybeNew(isolate, bytes.size(),
                                 v8::BackingStoreInitializationMode::kUninitialized)
           .ToLocal(&buffer)) {
    ThrowRange(isolate, "Array buffer allocation failed");
    return {};
  }
  if (!bytes.empty()) std::memcpy(buffer->Data(), bytes.data(), bytes.size());
  return v8::Uint8Array::New(buffer, 0, bytes.size());
}

v8::MaybeLocal<v8::Uint8Array> AdoptBytes(v8::Isolate* isolate, std::string bytes) {
  constexpr size_t kWorthIt = 4096;
  const size_t size = bytes.size();
  if (size < kWorthIt)
    return NewBytes(isolate, {reinterpret_cast<const uint8_t*>(bytes.data()), size});
  if (!Engine::CountExternal(size)) {
    ThrowRange(isolate, "Array buffer allocation failed");
    return {};
  }
  auto owner = std::make_unique<std::string>(std::move(bytes));
  void* data = owner->data();
  auto store = v8::ArrayBuffer::NewBackingStore(
      data, size,
      [](void*, size_t length, void* string) {
        Engine::UncountExternal(length);
        const std::unique_ptr<std::string> freed(static_cast<std::string*>(string));
      },
      owner.release());
  return v8::Uint8Array::New(v8::ArrayBuffer::New(isolate, std::move(store)), 0, size);
}

void ThrowType(v8::Isolate* isolate, std::string_view message) {
  isolate->ThrowException(v8::Exception::TypeError(Str(isolate, message)));
}

void ThrowRange(v8::Isolate* isolate, std::string_view message) {
  isolate->ThrowException(v8::Exception::RangeError(Str(isolate, message)));
}

}  // namespace postern::worker
