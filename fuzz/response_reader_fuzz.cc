// What an origin says, line by line: taken or refused, within its bounds; and what a guest would
// get of it can be sent on its channel. The first byte chooses who reads.
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "broker/net/response_reader.h"
#include "policy/secrets/secret_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  using broker::ResponseReader;
  static const policy::NetworkLimits kLimits{};
  static const std::string kSecret = "correct-horse-battery";
  static const auto secrets = std::make_shared<const policy::SecretIndex>(
      std::map<std::string, std::string>{{"KEY", kSecret}});
  if (size == 0) return 0;
  const bool filters = (data[0] & 1) != 0;
  ResponseReader reader({.host_port = "a.test:80",
                         .limits = kLimits,
                         .secrets = filters ? secrets : nullptr,
                         .raw = (data[0] & 2) != 0});
  reader.set_from_proxy((data[0] & 4) != 0);
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  bool in_body = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n') + 1);
    if (line.empty()) break;
    text.remove_prefix(line.size());
    const auto taken = reader.Take(line);
    if (taken == ResponseReader::Line::kRefused) {
      if (reader.failure().details.empty() || reader.failure().code.empty()) __builtin_trap();
      return 0;
    }
    if (taken != ResponseReader::Line::kEnd || reader.status() < 200) continue;
    if (in_body) __builtin_trap();
    in_body = true;
    reader.DropLengthOfChunks();
    if (reader.fields().size() > static_cast<size_t>(kLimits.header_count)) __builtin_trap();
    for (const channel::Field& f : reader.ForGuest(" 192.0.2.1 80")) {
      if (filters && f.value.find(kSecret) != std::string::npos) __builtin_trap();
    }
    reader.StartTrailers();
  }
  if (!channel::CheckFields(reader.TrailersForGuest())) __builtin_trap();
  return 0;
}
