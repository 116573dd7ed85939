#include "report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "report_page.h"

namespace postern::report {
namespace {

using nlohmann::json;

constexpr size_t kMaxRequests = 100'000;     // that a page shows
constexpr size_t kMaxBodyBytes = 16 * 1024;  // of a body that a page shows
constexpr size_t kMaxBodies = 32UL << 20;    // of all of them

std::string Text(const json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double Number(const json& object, const char* name, double otherwise = 0) {
  if (!object.is_object()) return otherwise;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return otherwise;
  const double value = found->get<double>();
  return std::isfinite(value) ? value : otherwise;
}

const json& Member(const json& object, const char* name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

// Milliseconds since 1970 of an RFC 3339 time in UTC; 0 for anything else.
double Milliseconds(const std::string& time) {
  tm utc{};
  double seconds = 0;
  if (std::sscanf(time.c_str(), "%4d-%2d-%2dT%2d:%2d:%lf", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
                  &utc.tm_hour, &utc.tm_min, &seconds) != 6)
    return 0;
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  const time_t whole = ::timegm(&utc);
  return static_cast<double>(whole) * 1000 + seconds * 1000;
}

json Request() {
  return {{"at", 0.0},
          {"ms", 0.0},
          {"method", ""},
          {"url", ""},
          {"run", ""},
          {"decision", ""},
          {"rule", ""},
          {"reason", ""},
          {"status", 0},
          {"code", ""},
          {"message", ""},
          {"address", ""},
          {"protocol", ""},
          {"in", 0.0},
          {"out", 0.0},
          {"timings", json::object()},
          {"sent", json::array()},
          {"received", json::array()},
          {"upload", ""},
          {"body", ""}};
}

// Phases that follow each other, from the audit log's points in time.
json PhasesOfLog(const json& t) {
  json out = json::object();
  double at = 0;
  for (const char* name : {"queue", "dns", "connect", "tls"}) {
    if (!Member(t, name).is_number()) continue;
    out[name] = Number(t, name);
    at += Number(t, name);
  }
  const double total = Number(t, "total");
  if (Member(t, "firstByte").is_number()) {
    out["wait"] = std::max(0.0, Number(t, "firstByte") - (at - Number(t, "queue")));
    out["receive"] = std::max(0.0, total - at - Number(out, "wait"));
  }
  return out;
}

class LogReader {
 public:
  Status Line(const json& event) {
    if (!event.is_object()) return Error{"is no JSON object"};
    const std::string kind = Text(event, "event");
    has_event_ = has_event_ || !kind.empty();
    has_lines_ = true;
    if (kind == "lost") lost_ += Number(event, "count", Number(event, "lost"));
    if (kind != "decision" && kind != "end") return Ok{};
    const auto key = fmt::format("{} {}", Text(event, "run"), Text(event, "request"));
    auto found = at_.find(key);
    if (found == at_.end()) {
      if (requests_.size() >= kMaxRequests) {
        if (kind == "decision") ++left_;
        return Ok{};
      }
      found = at_.emplace(key, requests_.size()).first;
      requests_.push_back(Request());
      requests_.back()["at"] = Milliseconds(Text(event, "time"));
    }
    json& r = requests_[found->second];
    for (const char* name : {"run", "method", "url"}) r[name] = Text(event, name);
    if (kind == "decision") {
      r["decision"] = Text(event, "decision");
      const json& rule = Member(event, "rule");
      const std::string at = Text(rule, "at");
      r["rule"] = at.empty() ? Text(rule, "text") : fmt::format("{} ({})", Text(rule, "text"), at);
      r["reason"] = Text(event, "reason");
      return Ok{};
    }
    const json& timings = Member(event, "timings");
    r["ms"] = Number(timings, "total");
    r["timings"] = PhasesOfLog(timings);
    r["status"] = Number(event, "status");
    r["address"] = Text(event, "address");
    r["protocol"] = Text(event, "http");
    r["in"] = Number(event, "bytesIn");
    r["out"] = Number(event, "bytesOut");
    const json& error = Member(event, "error");
    r["code"] = Text(error, "code");
    r["message"] = Text(error, "message");
    return Ok{};
  }
  // Of another kind of file than a log, which may be empty.
  bool IsOther() const { return has_lines_ && !has_event_; }
  json Result() { return {{"requests", std::move(requests_)}, {"lost", lost_}, {"left", left_}}; }

 private:
  json requests_ = json::array();
  std::map<std::string, size_t> at_;
  double lost_ = 0, left_ = 0;
  bool has_event_ = false, has_lines_ = false;
};

Result<json> ReadLog(std::string_view text) {
  LogReader reader;
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const json event = json::parse(line, nullptr, false);
    if (event.is_discarded() && end == text.size() && number > 1) break;  // still being written
    const Status read = event.is_discarded() ? Status(Error{"is no JSON"}) : reader.Line(event);
    if (!read) return Error{fmt::format("line {} {}", number, read.error().message)};
  }
  if (reader.IsOther())
    return Error{
        "it is neither a HAR file (--record), which has log.entries, nor an audit log "
        "(--audit-log), whose lines have an event"};
  return reader.Result();
}

std::string Bytes(double size) { return fmt::format("{:.0f} bytes", size); }

json FieldPairs(const json& list) {
  json out = json::array();
  if (!list.is_array()) return out;
  for (const json& f : list) out.push_back({Text(f, "name"), Text(f, "value")});
  return out;
}

// `size`: what the recording says of a body; what it does not have is never shown as an empty one.
std::string Body(const json& content, double size, size_t& left) {
  std::string text = Text(content, "text");
  if (Text(content, "encoding") == "base64" && !text.empty())
    return fmt::format("(binary, {})", Bytes(size));
  if (text.empty() && size > 0) {
    const std::string comment = Text(content, "comment");
    return fmt::format("(not in the recording, {}{})", Bytes(size),
                       comment.empty() ? "" : fmt::format(": {}", comment));
  }
  if (text.size() > kMaxBodyBytes) {
    text.resize(kMaxBodyBytes);
    text += "…";
  }
  if (text.size() > left) return "(not shown: the page would be too large)";
  left -= text.size();
  return text;
}

json EntryOfHar(const json& e, size_t& bodies_left) {
  json r = Request();
  const json& request = Member(e, "request");
  const json& response = Member(e, "response");
  const json& own = Member(e, "_postern");
  const json& t = Member(e, "timings");
  r["at"] = Milliseconds(Text(e, "startedDateTime"));
  r["ms"] = std::max(0.0, Number(e, "time"));
  r["method"] = Text(request, "method");
  r["url"] = Text(request, "url");
  r["protocol"] = Text(response, "httpVersion");
  r["status"] = Number(response, "status");
  r["address"] = Text(e, "serverIPAddress");
  const json& content = Member(response, "content");
  const double size = std::max(0.0, Number(content, "size"));
  const double received = Number(response, "bodySize", -1);  // -1 where a tool does not know it
  const double sent = std::max(0.0, Number(request, "bodySize"));
  r["in"] = received < 0 ? size : received;
  r["out"] = sent;
  r["sent"] = FieldPairs(Member(request, "headers"));
  r["received"] = FieldPairs(Member(response, "headers"));
  r["upload"] = own.contains("requestBody") ? fmt::format("(binary, {})", Bytes(sent))
                                            : Body(Member(request, "postData"), sent, bodies_left);
  r["body"] = Body(content, size, bodies_left);
  const json& failure = Member(own, "failure");
  r["code"] = Text(failure, "code");
  r["message"] = Text(failure, "details");
  r["decision"] =
      r["code"] == "ERR_NETWORK_DENIED" || r["code"] == "ERR_STREAM_DENIED" ? "deny" : "allow";
  constexpr std::pair<const char*, const char*> kPhases[] = {
      {"blocked", "queue"}, {"dns", "dns"},   {"connect", "connect"},
      {"ssl", "tls"},       {"wait", "wait"}, {"receive", "receive"}};
  for (const auto& [theirs, ours] : kPhases) {
    if (const double ms = Number(t, theirs, -1); ms >= 0) r["timings"][ours] = ms;
  }
  return r;
}

Result<json> ReadHar(const json& har) {
  const json& entries = Member(Member(har, "log"), "entries");
  if (!entries.is_array()) return Error{"it has no log.entries, as a HAR file has"};
  json out = {{"requests", json::array()}, {"lost", 0}, {"left", 0}};
  size_t bodies_left = kMaxBodies;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == kMaxRequests) {
      out["left"] = entries.size() - i;
      break;
    }
    if (!entries[i].is_object()) return Error{fmt::format("entry {} is no object", i + 1)};
    out["requests"].push_back(EntryOfHar(entries[i], bodies_left));
  }
  return out;
}

// Inside a script element nothing may look like markup.
std::string ForScript(const json& data) {
  const std::string text = data.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else if (c == '&') {
      out += "\\u0026";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Result<std::string> Page(std::string_view text, const std::string& name) {
  // A HAR file is one object with a "log"; a line of an audit log is an object of its own.
  const json whole = json::parse(text, nullptr, false);
  auto read = whole.is_object() && whole.contains("log") ? ReadHar(whole) : ReadLog(text);
  if (!read) return read.error();
  json& data = *read;
  data["name"] = name;
  return kBefore + ForScript(data) + kAfter;
}

}  // namespace postern::report
