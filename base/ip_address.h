// IP addresses, and the ports that stand behind them in text.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace postern {

// An IPv4 or IPv6 address in network byte order; IPv4 uses the first four bytes.
struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};

  static std::optional<IpAddress> Parse(const std::string& text);  // inet_pton spellings only
  static std::optional<IpAddress> From(const sockaddr* address);
  std::string ToString() const;
  IpAddress Masked(int prefix) const;  // the first `prefix` bits, and zeroes
  bool operator==(const IpAddress&) const = default;
};

Result<uint16_t> ParsePort(std::string_view text);

// Splits "host:port", "[v6]:port", "v6" and "host"; the port is empty where there is none.
std::pair<std::string_view, std::string_view> SplitPort(std::string_view text);

}  // namespace postern
