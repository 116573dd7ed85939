#include "worker/native/natives.h"

#include <vector>

#include "worker/engine/v8_values.h"

namespace postern::worker {
namespace {

std::vector<Native> All() {
  std::vector<Native> all;
  for (const auto table :
       {TextNatives(), UrlNatives(), SystemNatives(), CloneNatives(), CodecNatives(),
        CryptoNatives(), KeyNatives(), NumberNatives(), CertificateNatives(), ModuleNatives(),
        FileNatives(), BufferNatives(), TypeNatives(), NetNatives()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

}  // namespace

v8::Local<v8::Object> MakeNatives(v8::Isolate* isolate, v8::Local<v8::Context> context) {
  v8::Local<v8::Object> object = v8::Object::New(isolate);
  for (const Native& n : All()) {
    const auto name = Str(isolate, n.name);
    const auto function =
        v8::FunctionTemplate::New(isolate, n.function, {}, {}, 0, v8::ConstructorBehavior::kThrow)
            ->GetFunction(context)
            .ToLocalChecked();
    function->SetName(name);
    object->Set(context, name, function).Check();
  }
  return object;
}

const intptr_t* NativeAddresses() {
  static const std::vector<intptr_t> kAddresses = [] {
    std::vector<intptr_t> list;
    for (const Native& n : All()) list.push_back(reinterpret_cast<intptr_t>(n.function));
    list.push_back(0);
    return list;
  }();
  return kAddresses.data();
}

}  // namespace postern::worker
