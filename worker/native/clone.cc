// Natives for structuredClone and node:v8: V8's serialiser over what the language has, with a way
// out for the runtime's own objects.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

Local<v8::Private> PlatformMark(v8::Isolate* isolate) {
  static v8::Eternal<v8::Private> mark;
  if (mark.IsEmpty()) mark.Set(isolate, v8::Private::New(isolate, Str(isolate, "platform")));
  return mark.Get(isolate);
}

// markPlatform(prototype): what inherits from it is cloned by the runtime. Called in the zygote.
void MarkPlatform(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  if (!args[0]->IsObject()) return;
  args[0]
      .As<v8::Object>()
      ->SetPrivate(isolate->GetCurrentContext(), PlatformMark(isolate), v8::True(isolate))
      .Check();
}

// Knows the runtime's own objects.
class PlatformWriter : public v8::ValueSerializer::Delegate {
 public:
  explicit PlatformWriter(v8::Isolate* isolate) : isolate_(isolate) {}
  v8::ValueSerializer* serializer = nullptr;

  void ThrowDataCloneError(Local<v8::String> message) override {
    isolate_->ThrowException(v8::Exception::Error(message));
  }
  bool HasCustomHostObject(v8::Isolate*) override { return true; }
  v8::Maybe<bool> IsHostObject(v8::Isolate* isolate, Local<v8::Object> object) override {
    const auto context = isolate->GetCurrentContext();
    // A proxy's chain is its handler's to make up; V8 refuses proxies itself.
    for (Local<Value> at = object; at->IsObject() && !at->IsProxy();
         at = at.As<v8::Object>()->GetPrototypeV2()) {
      bool marked = false;
      if (!at.As<v8::Object>()->HasPrivate(context, PlatformMark(isolate)).To(&marked))
        return v8::Nothing<bool>();
      if (marked) return v8::Just(true);
    }
    return v8::Just(false);
  }

 protected:
  v8::Isolate* isolate_;
};

class CloneWriter : public PlatformWriter {
 public:
  CloneWriter(v8::Isolate* isolate, Local<Value> host) : PlatformWriter(isolate), host_(host) {}

  v8::Maybe<bool> WriteHostObject(v8::Isolate* isolate, Local<v8::Object> object) override {
    Local<v8::Object> clone;
    if (!CloneOf(isolate, object, false).ToLocal(&clone)) return v8::Nothing<bool>();
    serializer->WriteUint32(static_cast<uint32_t>(clones_.size()));
    clones_.push_back({{isolate, object}, {isolate, clone}});
    return v8::Just(true);
  }
  // Memory that is shared is the same in the clone.
  v8::Maybe<uint32_t> GetSharedArrayBufferId(v8::Isolate*,
                                             Local<v8::SharedArrayBuffer> buffer) override {
    shared_.push_back(buffer->GetBackingStore());
    return v8::Just(static_cast<uint32_t>(shared_.size() - 1));
  }
  v8::MaybeLocal<v8::SharedArrayBuffer> Shared(uint32_t index) const {
    if (index >= shared_.size()) return {};
    return v8::SharedArrayBuffer::New(isolate_, shared_[index]);
  }
  // What is transferred leaves once nothing else can fail; false with an exception pending.
  bool Transfer(v8::Isolate* isolate) {
    for (auto& [object, clone] : clones_) {
      if (clone != object) continue;
      Local<v8::Object> moved;
      if (!CloneOf(isolate, object.Get(isolate), true).ToLocal(&moved)) return false;
      clone.Reset(isolate, moved);
    }
    return true;
  }
  v8::MaybeLocal<v8::Object> Made(uint32_t index) const {
    if (index >= clones_.size()) return {};
    return clones_[index].clone.Get(isolate_);
  }

 private:
  struct Pair {
    v8::Global<v8::Object> object, clone;
  };
  v8::MaybeLocal<v8::Object> CloneOf(v8::Isolate* isolate, Local<v8::Object> object,
                                     bool transfer) {
    Local<Value> args[] = {object, v8::Boolean::New(isolate, transfer)};
    Local<Value> made;
    if (!host_->IsFunction() ||
        !host_.As<v8::Function>()
             ->Call(isolate->GetCurrentContext(), v8::Undefined(isolate), 2, args)
             .ToLocal(&made) ||
        !made->IsObject())
      return {};
    return made.As<v8::Object>();
  }

  Local<Value> host_;
  std::vector<Pair> clones_;
  std::vector<std::shared_ptr<v8::BackingStore>> shared_;
};

// V8 lets no JavaScript run while it reads: what it meets was made before.
class CloneReader : public v8::ValueDeserializer::Delegate {
 public:
  explicit CloneReader(const CloneWriter& writer) : writer_(writer) {}
  v8::ValueDeserializer* deserializer = nullptr;

  v8::MaybeLocal<v8::Object> ReadHostObject(v8::Isolate*) override {
    uint32_t index = 0;
    if (!deserializer->ReadUint32(&index)) return {};
    return writer_.Made(index);
  }
  v8::MaybeLocal<v8::SharedArrayBuffer> GetSharedArrayBufferFromId(v8::Isolate*,
                                                                   uint32_t id) override {
    return writer_.Shared(id);
  }

 private:
  const CloneWriter& writer_;
};

// clone(value, array of ArrayBuffers to transfer, host): a structured clone; throws an Error with
// V8's words. For an object of the runtime's own, host(object, false) gives its clone, or the
// object itself where that is to be transferred: then host(object, true) does so, and gives what
// takes its place.
void Clone(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto context = isolate->GetCurrentContext();
  const auto transfer = Elements(args, 1);
  if (!transfer) return;
  CloneWriter writer(isolate, args[2]);
  v8::ValueSerializer serializer(isolate, &writer);
  writer.serializer = &serializer;
  std::vector<std::shared_ptr<v8::BackingStore>> stores;
  std::vector<Local<v8::ArrayBuffer>> buffers;
  for (const auto& buffer : *transfer) {
    if (!buffer->IsArrayBuffer()) return ThrowType(isolate, "only an ArrayBuffer is transferred");
    buffers.push_back(buffer.As<v8::ArrayBuffer>());
    serializer.TransferArrayBuffer(static_cast<uint32_t>(buffers.size() - 1), buffers.back());
  }
  serializer.WriteHeader();
  if (!serializer.WriteValue(context, args[0]).FromMaybe(false)) return;
  // A getter may have detached one meanwhile, and the memory of a WebAssembly instance stays where
  // it is.
  const auto all_there = [&] {
    for (const auto& buffer : buffers) {
      if (!buffer->WasDetached() && buffer->IsDetachable()) continue;
      writer.ThrowDataCloneError(
          Str(isolate, "An ArrayBuffer is detached and could not be cloned."));
      return false;
    }
    return true;
  };
  if (!all_there() || !writer.Transfer(isolate) || !all_there()) return;  // Transfer may detach too
  for (const auto& buffer : buffers) {
    stores.push_back(buffer->GetBackingStore());
    if (buffer->Detach({}).IsNothing()) return;
  }
  const auto [data, size] = serializer.Release();
  const std::unique_ptr<uint8_t, decltype(&std::free)> owned(data, std::free);
  CloneReader reader(writer);
  v8::ValueDeserializer deserializer(isolate, data, size, &reader);
  reader.deserializer = &deserializer;
  for (uint32_t i = 0; i < stores.size(); ++i)
    deserializer.TransferArrayBuffer(i, v8::ArrayBuffer::New(isolate, stores[i]));
  Local<Value> result;
  if (deserializer.ReadHeader(context).FromMaybe(false) &&
      deserializer.ReadValue(context).ToLocal(&result)) {
    args.GetReturnValue().Set(result);
  }
}

// ---- V8's format as bytes, in which Node writes views in a way of its own: kind, length, bytes

struct ViewKind {
  uint32_t number;
  size_t element;  // bytes
  bool (Value::*is)() const;
  Local<v8::Object> (*make)(Local<v8::ArrayBuffer>, size_t length);
};
template <class T>
Local<v8::Object> MakeView(Local<v8::ArrayBuffer> buffer, size_t length) {
  return T::New(buffer, 0, length);
}
constexpr uint32_t kNodeBuffer = 10;
constexpr ViewKind kViewKinds[] = {
    {0, 1, &Value::IsInt8Array, MakeView<v8::Int8Array>},
    {1, 1, &Value::IsUint8Array, MakeView<v8::Uint8Array>},
    {2, 1, &Value::IsUint8ClampedArray, MakeView<v8::Uint8ClampedArray>},
    {3, 2, &Value::IsInt16Array, MakeView<v8::Int16Array>},
    {4, 2, &Value::IsUint16Array, MakeView<v8::Uint16Array>},
    {5, 4, &Value::IsInt32Array, MakeView<v8::Int32Array>},
    {6, 4, &Value::IsUint32Array, MakeView<v8::Uint32Array>},
    {7, 4, &Value::IsFloat32Array, MakeView<v8::Float32Array>},
    {8, 8, &Value::IsFloat64Array, MakeView<v8::Float64Array>},
    {9, 1, &Value::IsDataView, MakeView<v8::DataView>},
    {kNodeBuffer, 1, &Value::IsUint8Array, MakeView<v8::Uint8Array>},
    {11, 8, &Value::IsBigInt64Array, MakeView<v8::BigInt64Array>},
    {12, 8, &Value::IsBigUint64Array, MakeView<v8::BigUint64Array>},
    {13, 2, &Value::IsFloat16Array, MakeView<v8::Float16Array>},
};

class BytesWriter : public PlatformWriter {
 public:
  BytesWriter(v8::Isolate* isolate, Local<Value> node_buffer)
      : PlatformWriter(isolate), node_buffer_(node_buffer) {}

  v8::Maybe<bool> WriteHostObject(v8::Isolate* isolate, Local<v8::Object> object) override {
    for (const ViewKind& kind : kViewKinds) {
      if (!((**object).*kind.is)()) continue;
      const bool is_buffer = object->GetPrototypeV2()->StrictEquals(node_buffer_);
      const auto bytes = Bytes(object);
      serializer->WriteUint32(is_buffer ? kNodeBuffer : kind.number);
      serializer->WriteUint32(static_cast<uint32_t>(bytes.size()));
      serializer->WriteRawBytes(bytes.data(), bytes.size());
      return v8::Just(true);
    }
    ThrowDataCloneError(v8::String::Concat(isolate, object->GetConstructorName(),
                                           Str(isolate, " object could not be cloned.")));
    return v8::Nothing<bool>();
  }

 private:
  Local<Value> node_buffer_;
};

class BytesReader : public v8::ValueDeserializer::Delegate {
 public:
  explicit BytesReader(Local<Value> node_buffer) : node_buffer_(node_buffer) {}
  v8::ValueDeserializer* deserializer = nullptr;

  v8::MaybeLocal<v8::Object> ReadHostObject(v8::Isolate* isolate) override {
    uint32_t number = 0, size = 0;
    const void* bytes = nullptr;
    if (!deserializer->ReadUint32(&number) || !deserializer->ReadUint32(&size) ||
        number >= std::size(kViewKinds) || size % kViewKinds[number].element != 0 ||
        !deserializer->ReadRawBytes(size, &bytes))
      return {};
    Local<v8::ArrayBuffer> buffer;
    if (!v8::ArrayBuffer::MaybeNew(isolate, size).ToLocal(&buffer)) return {};
    if (size > 0) std::memcpy(buffer->Data(), bytes, size);
    const ViewKind& kind = kViewKinds[number];
    const Local<v8::Object> view = kind.make(buffer, size / kind.element);
    if (number == kNodeBuffer &&
        view->SetPrototypeV2(isolate->GetCurrentContext(), node_buffer_).IsNothing())
      return {};
    return view;
  }

 private:
  Local<Value> node_buffer_;
};

// serialize(value, Buffer.prototype): bytes; throws an Error with V8's words
void Serialize(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  BytesWriter writer(isolate, args[1]);
  v8::ValueSerializer serializer(isolate, &writer);
  writer.serializer = &serializer;
  serializer.SetTreatArrayBufferViewsAsHostObjects(true);
  serializer.WriteHeader();
  if (!serializer.WriteValue(isolate->GetCurrentContext(), args[0]).FromMaybe(false)) return;
  const auto [data, size] = serializer.Release();
  const std::unique_ptr<uint8_t, decltype(&std::free)> owned(data, std::free);
  Local<v8::Uint8Array> bytes;
  if (NewBytes(isolate, {data, size}).ToLocal(&bytes)) args.GetReturnValue().Set(bytes);
}

// deserialize(bytes, Buffer.prototype): the value; throws an Error where they are none
void Deserialize(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto context = isolate->GetCurrentContext();
  const auto given = Bytes(args[0]);
  const std::vector<uint8_t> bytes(given.begin(), given.end());  // the guest keeps its own
  BytesReader reader(args[1]);
  v8::ValueDeserializer deserializer(isolate, bytes.data(), bytes.size(), &reader);
  reader.deserializer = &deserializer;
  Local<Value> result;
  if (deserializer.ReadHeader(context).FromMaybe(false) &&
      deserializer.ReadValue(context).ToLocal(&result))
    args.GetReturnValue().Set(result);
}

}  // namespace

std::span<const Native> CloneNatives() {
  static constexpr Native kNatives[] = {{"markPlatform", MarkPlatform},
                                        {"clone", Clone},
                                        {"serialize", Serialize},
                                        {"deserialize", Deserialize}};
  return kNatives;
}

}  // namespace postern::worker
