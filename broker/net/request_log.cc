// Request's events: the decision and the end for the audit log, and the HAR entry.
#include <openssl/ssl.h>
#include <sys/time.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

constexpr size_t kMaxLoggedUrl = 4'096;  // bytes
constexpr const char* kNotRecorded = "only HTTP requests are recorded with their bodies";

timeval Now() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  return now;
}

// RFC 3339, UTC, microseconds.
std::string TimeText(const timeval& time) {
  static time_t second = -1;  // of `text`: most events fall into a second that has its text already
  static char text[] = "YYYY-MM-DDThh:mm:ss.";
  if (time.tv_sec != std::exchange(second, time.tv_sec)) {
    tm utc{};
    ::gmtime_r(&time.tv_sec, &utc);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &utc);
  }
  return std::string(text).append(std::to_string(1'000'000 + time.tv_usec), 1).append("Z");
}

// One JSON object, written member by member: the log is on every request's way.
class JsonLine {
 public:
  explicit JsonLine(size_t reserve = 0) { text_.reserve(reserve); }
  JsonLine& Text(std::string_view name, std::string_view value) {
    Name(name);
    Quote(value);
    return *this;
  }
  JsonLine& Number(std::string_view name, int64_t value) {
    Name(name);
    char number[24];
    text_.append(number, std::to_chars(number, std::end(number), value).ptr);
    return *this;
  }
  JsonLine& Milliseconds(std::string_view name, double value) {
    const auto micros = static_cast<int64_t>(value * 1000);
    char number[32];
    char* end = std::to_chars(number, number + 24, micros / 1000).ptr;
    *end++ = '.';
    for (int64_t digit = 100; digit > 0; digit /= 10) {
      *end++ = static_cast<char>('0' + micros / digit % 10);
    }
    Name(name);
    text_.append(number, end);
    return *this;
  }
  JsonLine& Raw(std::string_view name, std::string_view json) {
    Name(name);
    text_ += json;
    return *this;
  }
  // Members of another object, without its braces.
  JsonLine& Members(std::string_view members) {
    text_ += text_.size() == 1 ? "" : ",";
    text_ += members;
    return *this;
  }
  std::string Build() {
    text_ += '}';
    return std::move(text_);
  }
  std::string TakeMembers() { return text_.substr(1); }

 private:
  void Name(std::string_view name) {
    text_ += text_.size() == 1 ? "\"" : ",\"";
    text_ += name;
    text_ += "\":";
  }
  // Bytes beyond ASCII stand as the code points of the same number: text of unknown coding.
  void Quote(std::string_view value) {
    text_ += '"';
    for (size_t at = 0;;) {
      size_t end = at;
      while (end < value.size() && Plain(value[end])) ++end;
      text_.append(value, at, end - at);
      if (end == value.size()) break;
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(value[end]));
      text_ += escape;
      at = end + 1;
    }
    text_ += '"';
  }
  static bool Plain(char c) { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\'; }
  std::string text_ = "{";
};

double Ms(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

constexpr size_t kUsualLine = 512;  // bytes

std::string LoggedUrl(const policy::Url& u, bool redact_query) {
  if (u.host.empty()) return {};
  std::string url = u.ToString();
  if (redact_query && !u.query.empty()) {
    url.resize(url.size() - u.query.size());
    url += "?...";
  }
  if (url.size() > kMaxLoggedUrl) url.replace(kMaxLoggedUrl, std::string::npos, "...");
  return url;
}

JsonLine Begin(const timeval& time, const char* event, std::string_view about) {
  JsonLine line(kUsualLine);
  line.Text("time", TimeText(time)).Text("event", event).Members(about);
  return line;
}

std::string ErrorJson(const channel::Failure& failure) {
  return JsonLine()
      .Text("error", failure.error)
      .Text("code", failure.code)
      .Text("message", failure.details)
      .Build();
}

std::string TimingsJson(const har::Timings& t) {
  JsonLine times;
  times.Milliseconds("queue", t.queue);
  if (t.dns >= 0) times.Milliseconds("dns", t.dns);
  if (t.connect >= 0) times.Milliseconds("connect", t.connect);
  if (t.tls >= 0) times.Milliseconds("tls", t.tls);
  if (t.first_byte >= 0) times.Milliseconds("firstByte", t.first_byte);
  times.Milliseconds("total", t.total);
  return times.Build();
}

}  // namespace

void Request::LogDecision(const policy::Decision& decision, const char* verdict) {
  if (!guest_.WantsEvents()) return;
  if (guest_.shared().record) recorded_ = std::make_unique<har::HarEntry>();
  if (recorded_ && kind_ != Kind::kHttp) {
    recorded_->request_body.missing = recorded_->response_body.missing = kNotRecorded;
  }
  started_at_ = Now();
  about_ = JsonLine(kUsualLine)
               .Text("run", guest_.run())
               .Number("request", static_cast<int64_t>(number_))
               .Text("method", method_)
               .Text("url", LoggedUrl(url_, guest_.policy().audit_redact_query))
               .TakeMembers();
  JsonLine line = Begin(started_at_, "decision", about_);
  line.Text("decision", verdict);
  if (const policy::Rule* rule = decision.rule; rule != nullptr) {
    line.Raw("rule", JsonLine().Text("text", rule->text).Text("at", rule->origin).Build());
  }
  if (!decision.reason.empty()) line.Text("reason", decision.reason);
  guest_.WriteEvent(line.Build());
}

// While the transfer's handle still knows.
void Request::NoteTransfer() {
  if (!guest_.WantsEvents()) return;
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
  if (about_.empty() || std::exchange(logged_end_, true)) return;
  if (phase_ != Phase::kDone && !logged_failure_) {
    logged_failure_ =
        channel::Failure{"connection_terminated", "ERR_ABORTED", "the guest ended the request"};
  }
  timings_.total = Ms(Clock::now() - started_);
  if (performed_ != Clock::time_point{}) timings_.queue = Ms(performed_ - started_);
  JsonLine line = Begin(Now(), "end", about_);
  if (status_ >= 200 || status_ == 101) line.Number("status", status_);
  if (!address_.empty()) line.Text("address", address_);
  if (!tls_version_.empty()) line.Text("tls", tls_version_);
  if (!http_version_.empty()) line.Text("http", http_version_);
  line.Number("bytesIn", body_total_).Number("bytesOut", bytes_sent_);
  line.Raw("timings", TimingsJson(timings_));
  if (logged_failure_) line.Raw("error", ErrorJson(*logged_failure_));
  guest_.WriteEvent(line.Build());
  if (recorded_) WriteHarEntry();
}

void Request::WriteHarEntry() {
  har::HarEntry& e = *recorded_;
  e.time = TimeText(started_at_);
  e.method = method_;
  e.url = url_.host.empty() ? "about:invalid" : url_.ToString();
  for (const channel::Field& f : request_fields_) {
    if (!f.name.starts_with(':') && !f.name.starts_with("postern-")) {
      e.request_fields.push_back(f);
    }
  }
  e.status = responded_ && status_ >= 200 ? status_ : 0;
  e.status_text = reason_;
  e.http_version = http_version_.empty() ? "HTTP/1.1" : http_version_;
  for (const channel::Field& f : response_fields_) {
    const bool length = f.name == channel::kContentLength;
    e.response_fields.push_back({length ? "content-length" : f.name, f.value});
  }
  e.failure = logged_failure_;
  e.address = address_.substr(0, address_.rfind(':'));
  e.timings = timings_;
  guest_.shared().log->WriteEntry(std::move(e));
  recorded_.reset();
}

}  // namespace postern::broker
