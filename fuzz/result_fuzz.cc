// What a guest wrote on its result pipe: an outcome, or an error; either way one line of JSON.
#include <nlohmann/json.hpp>

#include "supervisor/read_result.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  postern::run_api::Outcome outcome;
  const auto complete =
      postern::supervisor::ReadResult({reinterpret_cast<const char*>(data), size}, outcome);
  if (!complete && complete.error().message.empty()) __builtin_trap();
  const std::string line = outcome.ToJson();
  if (line.find('\n') != std::string::npos || !nlohmann::json::accept(line)) __builtin_trap();
  return 0;
}
