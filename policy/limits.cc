#include "policy/limits.h"

namespace postern::policy {

const std::vector<LimitName>& LimitNames() {
  using U = LimitName::Unit;
  constexpr int64_t kDay = 24LL * 3600 * 1000;
  constexpr int64_t kTiB = 1LL << 40;
  static const std::vector<LimitName> kNames = {
      {"resolve_timeout", &Limits::resolve_timeout, U::kDuration, 1, kDay},
      {"connect_timeout", &Limits::connect_timeout, U::kDuration, 1, kDay},
      {"tls_timeout", &Limits::tls_timeout, U::kDuration, 1, kDay},
      {"headers_timeout", &Limits::headers_timeout, U::kDuration, 1, kDay},
      {"idle_timeout", &Limits::idle_timeout, U::kDuration, 1, kDay},
      {"min_bytes", &Limits::min_bytes, U::kBytes, 1, kTiB},
      {"upload_timeout", &Limits::upload_timeout, U::kDuration, 1, kDay},
      {"unread_timeout", &Limits::unread_timeout, U::kDuration, 1, kDay},
      {"total_timeout", &Limits::total_timeout, U::kDuration, 1, kDay},
      {"queue_timeout", &Limits::queue_timeout, U::kDuration, 1, kDay},
      {"concurrent", &Limits::concurrent, U::kCount, 1, 1000},
      {"queue", &Limits::queue, U::kCount, 0, 1'000'000},
      {"requests", &Limits::requests, U::kCount, 0, kTiB},
      {"rate", &Limits::rate, U::kRate, 1, 1'000'000},
      {"request_bytes", &Limits::request_bytes, U::kBytes, 0, kTiB},
      {"response_bytes", &Limits::response_bytes, U::kBytes, 0, kTiB},
      {"message_bytes", &Limits::message_bytes, U::kBytes, 1, 1LL << 30},
      {"stream_idle_timeout", &Limits::stream_idle_timeout, U::kDuration, 1, kDay},
      {"total_bytes", &Limits::total_bytes, U::kBytes, 0, kTiB},
      {"header_bytes", &Limits::header_bytes, U::kBytes, 256, 64 << 10},
      {"header_count", &Limits::header_count, U::kCount, 1, 1024},
      {"redirects", &Limits::redirects, U::kCount, 0, 100},
  };
  return kNames;
}

}  // namespace postern::policy
