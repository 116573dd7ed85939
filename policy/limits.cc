#include "policy/limits.h"

namespace postern::policy {

const std::vector<LimitName>& LimitNames() {
  using U = LimitName::Unit;
  constexpr int64_t kDay = 24LL * 3600 * 1000;
  constexpr int64_t kTiB = 1LL << 40;
  static const std::vector<LimitName> kNames = {
      {"resolve_timeout", &NetworkLimits::resolve_timeout, U::kDuration, 1, kDay},
      {"connect_timeout", &NetworkLimits::connect_timeout, U::kDuration, 1, kDay},
      {"tls_timeout", &NetworkLimits::tls_timeout, U::kDuration, 1, kDay},
      {"headers_timeout", &NetworkLimits::headers_timeout, U::kDuration, 1, kDay},
      {"idle_timeout", &NetworkLimits::idle_timeout, U::kDuration, 1, kDay},
      {"min_bytes", &NetworkLimits::min_bytes, U::kBytes, 1, kTiB},
      {"upload_timeout", &NetworkLimits::upload_timeout, U::kDuration, 1, kDay},
      {"unread_timeout", &NetworkLimits::unread_timeout, U::kDuration, 1, kDay},
      {"total_timeout", &NetworkLimits::total_timeout, U::kDuration, 1, kDay},
      {"queue_timeout", &NetworkLimits::queue_timeout, U::kDuration, 1, kDay},
      {"concurrent", &NetworkLimits::concurrent, U::kCount, 1, 1000},
      {"queue", &NetworkLimits::queue, U::kCount, 0, 1'000'000},
      {"requests", &NetworkLimits::requests, U::kCount, 0, kTiB},
      {"rate", &NetworkLimits::rate, U::kRate, 1, 1'000'000},
      {"request_bytes", &NetworkLimits::request_bytes, U::kBytes, 0, kTiB},
      {"response_bytes", &NetworkLimits::response_bytes, U::kBytes, 0, kTiB},
      {"message_bytes", &NetworkLimits::message_bytes, U::kBytes, 1, 1LL << 30},
      {"stream_idle_timeout", &NetworkLimits::stream_idle_timeout, U::kDuration, 1, kDay},
      {"total_bytes", &NetworkLimits::total_bytes, U::kBytes, 0, kTiB},
      {"header_bytes", &NetworkLimits::header_bytes, U::kBytes, 256, 64 << 10},
      {"header_count", &NetworkLimits::header_count, U::kCount, 1, 1024},
      {"redirects", &NetworkLimits::redirects, U::kCount, 0, 100},
  };
  return kNames;
}

}  // namespace postern::policy
