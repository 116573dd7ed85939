// A policy file of any bytes: parsed, or refused with a place; and what was parsed survives its way
// to the broker.
#include <cstdlib>

#include "policy/file/policy_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::policy;
  const auto file = ParsePolicyFile({reinterpret_cast<const char*>(data), size}, "f.yaml");
  if (!file) {
    if (file.error().message.rfind("f.yaml:", 0) != 0) std::abort();
    return 0;
  }
  const std::string json = ToJson(file->network);
  const auto back = FromJson(json);
  if (!back || ToJson(*back) != json) std::abort();
  return 0;
}
