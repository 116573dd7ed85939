#include "broker/net/request_record.h"

#include <ctime>
#include <utility>

#include "base/format.h"
#include "broker/net/json_line.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

constexpr size_t kMaxLoggedUrl = 4'096;  // bytes
constexpr size_t kUsualLine = 512;       // bytes
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
  return fmt::format("{}{:06}Z", text, time.tv_usec);
}

double Ms(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

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

RequestRecord::RequestRecord(RecordSink& sink, Options options)
    : sink_(sink), options_(std::move(options)), started_(Clock::now()) {}

void RequestRecord::WriteDecision(const RequestTarget& target, const policy::Decision& decision,
                                  const char* verdict) {
  if (!options_.events) return;
  if (options_.har) entry_ = std::make_unique<har::HarEntry>();
  if (entry_ && target.kind != RequestKind::kHttp)
    entry_->request_body.missing = entry_->response_body.missing = kNotRecorded;
  started_at_ = Now();
  about_ = JsonLine(kUsualLine)
               .Text("run", options_.run)
               .Number("request", static_cast<int64_t>(options_.number))
               .Text("method", target.method)
               .Text("url", LoggedUrl(target.url, options_.redact_query))
               .BuildMembers();
  JsonLine line = Begin(started_at_, "decision", about_);
  line.Text("decision", verdict);
  if (const policy::Rule* rule = decision.rule; rule != nullptr)
    line.Raw("rule", JsonLine().Text("text", rule->text).Text("at", rule->origin).Build());
  if (!decision.reason.empty()) line.Text("reason", decision.reason);
  sink_.WriteEvent(line.Build());
}

void RequestRecord::SetTransferTimes(double connected, double secured, double first_byte) {
  timings_.dns = Ms(resolved_ - performed_);
  if (connected > 0) timings_.connect = connected;
  if (secured > 0) timings_.tls = secured - connected;
  if (first_byte > 0) timings_.first_byte = Ms(resolved_ - started_) + first_byte;
}

void RequestRecord::SetPeer(std::string address, std::string tls_version) {
  address_ = std::move(address);
  if (!tls_version.empty()) tls_version_ = std::move(tls_version);
}

void RequestRecord::SetFailure(const channel::Failure& failure) {
  if (!failure_) failure_ = failure;
}

void RequestRecord::KeepRequestBody(std::string_view bytes) {
  if (entry_) KeepBody(entry_->request_body, bytes);
}

void RequestRecord::KeepResponseBody(std::string_view bytes) {
  if (entry_) KeepBody(entry_->response_body, bytes);
}

void RequestRecord::KeepBody(har::Body& kept, std::string_view bytes) {
  kept.size += static_cast<int64_t>(bytes.size());
  if (!kept.missing.empty() || bytes.empty()) return;
  const bool room =
      kept.bytes.size() + bytes.size() <= har::kMaxKeptBody && sink_.ReserveRecording(bytes.size());
  if (room) {
    kept.bytes.append(bytes);
    return;
  }
  sink_.ReleaseRecording(kept.bytes.size());
  kept.bytes = {};
  kept.missing = har::kTooLarge;
}

void RequestRecord::WriteEnd(const RequestTarget& target, const End& end) {
  if (about_.empty() || std::exchange(ended_, true)) return;
  if (!end.over) SetFailure({channel::kErrAborted, "the guest ended the request"});
  timings_.total = Ms(Clock::now() - started_);
  if (performed_ != Clock::time_point{}) timings_.queue = Ms(performed_ - started_);
  JsonLine line = Begin(Now(), "end", about_);
  if (end.status >= 200 || end.status == 101) line.Number("status", end.status);
  if (!address_.empty()) line.Text("address", address_);
  if (!tls_version_.empty()) line.Text("tls", tls_version_);
  if (!end.http_version.empty()) line.Text("http", end.http_version);
  line.Number("bytesIn", end.bytes_in).Number("bytesOut", bytes_sent_);
  line.Raw("timings", TimingsJson(timings_));
  if (failure_) line.Raw("error", ErrorJson(*failure_));
  sink_.WriteEvent(line.Build());
  if (entry_) WriteHarEntry(target, end);
}

void RequestRecord::WriteHarEntry(const RequestTarget& target, const End& end) {
  har::HarEntry& e = *entry_;
  e.time = TimeText(started_at_);
  e.method = target.method;
  e.url = target.url.host.empty() ? "about:invalid" : target.url.ToString();
  for (const channel::Field& f : end.request_fields) {
    if (!f.name.starts_with(':') && !f.name.starts_with("postern-")) e.request_fields.push_back(f);
  }
  e.status = end.responded && end.status >= 200 ? end.status : 0;
  e.status_text = end.reason;
  e.http_version = end.http_version.empty() ? "HTTP/1.1" : end.http_version;
  for (const channel::Field& f : end.response_fields) {
    const bool length = f.name == channel::kContentLength;
    e.response_fields.push_back({length ? "content-length" : f.name, f.value});
  }
  e.failure = failure_;
  e.address = address_.substr(0, address_.rfind(':'));
  e.timings = timings_;
  sink_.WriteEntry(std::move(e));
  entry_.reset();
}

}  // namespace postern::broker
