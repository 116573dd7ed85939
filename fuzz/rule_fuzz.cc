// A rule's target and a path pattern of any bytes: parsed or refused, and a parsed target is a
// fixed point.
#include <cstdlib>

#include "policy/rules/path.h"
#include "policy/rules/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::policy;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto target = Target::Parse(text); target && !target->host.empty()) {
    const auto again = CanonicalHost(target->host);
    if (!again || *again != target->host) std::abort();
  }
  const auto pattern = PathPattern::Parse(text);
  if (pattern) {
    const auto again = PathPattern::Parse(pattern->text());
    if (!again) std::abort();
  }
  return 0;
}
