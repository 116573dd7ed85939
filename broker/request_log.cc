// Request's events: the decision and the end for the audit log, and the HAR entry.
#include <openssl/ssl.h>
#include <sys/time.h>

#include <cstdio>
#include <ctime>

#include "broker/net_guest.h"
#include "broker/request.h"

namespace postern::broker {
namespace {

constexpr size_t kMaxLoggedUrl = 4'096;  // bytes

// RFC 3339, UTC, microseconds.
std::string Now() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char text[48];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + n, sizeof text - n, ".%06dZ", static_cast<int>(now.tv_usec));
  return text;
}

// One JSON object, written member by member: the log is on every request's way.
class JsonLine {
 public:
  JsonLine() { text_.reserve(512); }
  JsonLine& Text(std::string_view name, std::string_view value) {
    Name(name);
    Quote(value);
    return *this;
  }
  JsonLine& Number(std::string_view name, int64_t value) {
    Name(name);
    text_ += std::to_string(value);
    return *this;
  }
  JsonLine& Milliseconds(std::string_view name, double value) {
    char number[32];
    std::snprintf(number, sizeof number, "%.3f", value);
    Name(name);
    text_ += number;
    return *this;
  }
  JsonLine& Raw(std::string_view name, std::string_view json) {
    Name(name);
    text_ += json;
    return *this;
  }
  std::string Take() { return text_ + '}'; }

 private:
  void Name(std::string_view name) {
    text_ += text_.size() == 1 ? "\"" : ",\"";
    text_ += name;
    text_ += "\":";
  }
  // Bytes beyond ASCII stand as the code points of the same number: text of unknown coding.
  void Quote(std::string_view value) {
    text_ += '"';
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (byte < 0x20 || byte > 0x7e) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", byte);
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  std::string text_ = "{";
};

double Ms(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

std::string Request::LoggedUrl() const {
  if (url_.host.empty()) return {};
  std::string url = url_.ToString();
  if (guest_.policy().audit_redact_query && !url_.query.empty()) {
    url.resize(url.size() - url_.query.size());
    url += "?...";
  }
  if (url.size() > kMaxLoggedUrl) url.replace(kMaxLoggedUrl, std::string::npos, "...");
  return url;
}

void Request::LogDecision(const policy::Decision& decision, const char* verdict) {
  EventLog* log = guest_.shared().log;
  if (log == nullptr) return;
  logged_decision_ = true;
  started_text_ = Now();
  if (guest_.shared().record) recorded_ = std::make_unique<har::Exchange>();
  JsonLine line;
  line.Text("time", started_text_).Text("event", "decision").Text("run", guest_.run());
  line.Number("request", static_cast<int64_t>(number_)).Text("method", method_);
  line.Text("url", LoggedUrl()).Text("decision", verdict);
  if (decision.rule != nullptr) {
    line.Raw("rule",
             JsonLine().Text("text", decision.rule->text).Text("at", decision.rule->origin).Take());
  }
  if (!decision.allow) line.Text("reason", decision.reason);
  log->Write(line.Take());
}

// While the transfer's handle still knows.
void Request::NoteTransfer() {
  if (guest_.shared().log == nullptr) return;
  const auto since_start = [&](CURLINFO info) {
    curl_off_t us = 0;
    curl_easy_getinfo(easy_, info, &us);
    return static_cast<double>(us) / 1000;
  };
  const double connected = since_start(CURLINFO_CONNECT_TIME_T);
  const double secured = since_start(CURLINFO_APPCONNECT_TIME_T);
  const double first = since_start(CURLINFO_STARTTRANSFER_TIME_T);
  timings_.dns = Ms(resolved_ - performed_);
  if (connected > 0) timings_.connect = connected;
  if (secured > 0) timings_.tls = secured - connected;
  if (first > 0) timings_.first_byte = Ms(resolved_ - started_) + first;
}

void Request::LogEnd() {
  EventLog* log = guest_.shared().log;
  if (log == nullptr || !logged_decision_ || std::exchange(logged_end_, true)) return;
  if (phase_ != Phase::kDone && !logged_failure_) {
    logged_failure_ =
        channel::Failure{"connection_terminated", "ERR_ABORTED", "the guest ended the request"};
  }
  timings_.total = Ms(Clock::now() - started_);
  if (performed_ != Clock::time_point{}) timings_.queue = Ms(performed_ - started_);
  JsonLine times;
  times.Milliseconds("queue", timings_.queue);
  if (timings_.dns >= 0) times.Milliseconds("dns", timings_.dns);
  if (timings_.connect >= 0) times.Milliseconds("connect", timings_.connect);
  if (timings_.tls >= 0) times.Milliseconds("tls", timings_.tls);
  if (timings_.first_byte >= 0) times.Milliseconds("firstByte", timings_.first_byte);
  times.Milliseconds("total", timings_.total);
  const std::string time = Now();
  JsonLine line;
  line.Text("time", time).Text("event", "end").Text("run", guest_.run());
  line.Number("request", static_cast<int64_t>(number_)).Text("method", method_);
  line.Text("url", LoggedUrl());
  if (status_ >= 200) line.Number("status", status_);
  if (!address_.empty()) line.Text("address", address_);
  if (!tls_version_.empty()) line.Text("tls", tls_version_);
  if (!http_version_.empty()) line.Text("http", http_version_);
  line.Number("bytesIn", body_total_).Number("bytesOut", bytes_sent_);
  line.Raw("timings", times.Take());
  if (logged_failure_) {
    line.Raw("error", JsonLine()
                          .Text("error", logged_failure_->error)
                          .Text("code", logged_failure_->code)
                          .Text("message", logged_failure_->details)
                          .Take());
  }
  log->Write(line.Take());
  if (recorded_) WriteHarEntry();
}

void Request::WriteHarEntry() {
  har::Exchange& e = *recorded_;
  e.time = started_text_;
  e.method = method_;
  e.url = url_.host.empty() ? "about:invalid" : url_.ToString();
  for (const channel::Field& f : request_fields_) {
    if (!f.name.starts_with(':')) e.request_fields.push_back(f);
  }
  e.status = responded_ && status_ >= 200 ? status_ : 0;
  e.status_text = reason_;
  e.http_version = http_version_.empty() ? "HTTP/1.1" : http_version_;
  for (const channel::Field& f : response_fields_) {
    const bool length = f.name == "postern-content-length";
    e.response_fields.push_back({length ? "content-length" : f.name, f.value});
  }
  e.failure = logged_failure_;
  e.address = address_.substr(0, address_.rfind(':'));
  e.timings = timings_;
  guest_.shared().log->WriteEntry(har::FormatEntry(e));
  recorded_.reset();
}

}  // namespace postern::broker
