// A URL of any bytes against a policy that allows one path and denies another: whatever is allowed
// is at the allowed host and reads as beneath the allowed path in every way.
#include <cstdlib>

#include "policy/decision.h"
#include "policy/file/policy_file.h"

namespace {

postern::policy::Policy MakePolicy() {
  const auto file = postern::policy::ParsePolicyFile(
      "version: 1\nnetwork: {permission: allow, rules: [{allow: 'https://a.test/v1/**', methods: "
      "[GET]}, {deny: 'https://a.test/v1/admin/**'}]}",
      "f.yaml");
  if (!file) std::abort();
  return file->network;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::policy;
  static const Policy kPolicy = MakePolicy();
  static const Decider kDecider(kPolicy);
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const std::string& spelled : {text, "https://a.test/" + text, "https://a.test/v1/" + text}) {
    const auto url = ParseUrl(spelled);
    if (!url) continue;
    const auto again = ParseUrl(url->ToString());
    if (!again || again->ToString() != url->ToString()) std::abort();
    const Decision d = kDecider.Decide({*url, "GET", {}});
    if (!d.allow) {
      if (d.reason.empty()) std::abort();
      continue;
    }
    if (url->host != "a.test" || url->port != 443) std::abort();
    for (const Segments& path : ReadPath(url->path).all) {
      if (path.empty() || path[0] != "v1" || (path.size() > 1 && path[1] == "admin")) std::abort();
    }
  }
  return 0;
}
