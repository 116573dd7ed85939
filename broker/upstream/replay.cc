#include "broker/upstream/replay.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "policy/rules/url.h"

namespace postern::broker {
namespace {

constexpr size_t kCompared = 300;  // bytes of a request that are looked at for the nearest one
constexpr size_t kCandidates = 2'000;

std::string Nearest(const std::string& wanted,
                    const std::map<std::string, std::vector<size_t>>& known) {
  const std::string* nearest = nullptr;
  size_t least = std::string::npos, looked_at = 0;
  for (const auto& [key, exchanges] : known) {
    if (++looked_at > kCandidates) break;
    const size_t distance = EditDistance(std::string_view(wanted).substr(0, kCompared),
                                         std::string_view(key).substr(0, kCompared));
    if (distance < least) least = distance, nearest = &key;
  }
  return nearest == nullptr ? "it is empty"
                            : fmt::format("the nearest one is {}", nearest->substr(0, kCompared));
}

void AddSized(std::string_view text, std::string& out) {
  out.append(std::to_string(text.size())).append(1, ':').append(text);
}

// The parts of multipart/form-data, without its boundary: another one in each request.
std::string MultipartFields(std::string_view body) {
  const size_t line_end = std::min(body.find("\r\n"), body.size());
  const std::string_view dashes = body.substr(0, line_end);
  if (dashes.starts_with("--") && dashes.ends_with("--") && line_end + 2 >= body.size()) return {};
  const std::string delimiter = fmt::format("\r\n{}", dashes);
  std::string fields;
  size_t at = line_end;
  while (body.substr(at).starts_with("\r\n")) {
    at += 2;
    const size_t end = body.find(delimiter, at);
    if (end == std::string_view::npos) break;
    AddSized(body.substr(at, end - at), fields);
    at = end + delimiter.size();
  }
  const bool whole = dashes.starts_with("--") && body.substr(at).starts_with("--");
  return whole ? fields : std::string(body);
}

// The pairs of application/x-www-form-urlencoded, decoded.
std::string UrlEncodedFields(std::string body) {
  std::replace(body.begin(), body.end(), '+', ' ');
  std::string fields;
  for (size_t at = 0; at < body.size();) {
    const size_t end = std::min(body.find('&', at), body.size());
    const std::string_view pair = std::string_view(body).substr(at, end - at);
    const size_t equals = std::min(pair.find('='), pair.size());
    AddSized(PercentDecode(pair.substr(0, equals)), fields);
    AddSized(PercentDecode(pair.substr(std::min(equals + 1, pair.size()))), fields);
    at = end + 1;
  }
  return fields;
}

// A body for comparison: of a form its fields, whatever its boundary and its escapes.
std::string Comparable(const Replay::RequestBody& body) {
  const std::string type = AsciiLower(body.type);
  if (type.starts_with("multipart/form-data")) return MultipartFields(body.bytes);
  if (type.starts_with("application/x-www-form-urlencoded")) {
    return UrlEncodedFields(std::string(body.bytes));
  }
  return std::string(body.bytes);
}

}  // namespace

Result<Replay> Replay::Parse(std::string_view text, const har::Files& files) {
  auto parsed = har::Parse(text, files);
  if (!parsed) return parsed.error();
  Replay replay;
  replay.exchanges_ = *std::move(parsed);
  for (size_t i = 0; i < replay.exchanges_.size(); ++i) {
    har::HarEntry& e = replay.exchanges_[i];
    const std::string* type = channel::FindField(e.request_fields, "content-type");
    e.request_body.bytes = Comparable({type == nullptr ? "" : *type, e.request_body.bytes});
    const auto url = policy::ParseUrl(e.url);
    if (url) replay.by_request_[fmt::format("{} {}", e.method, url->ToString())].push_back(i);
  }
  return replay;
}

Result<const har::HarEntry*> Replay::Find(Cursor& cursor, const std::string& method,
                                          const std::string& url, const RequestBody& body) const {
  const std::string key = fmt::format("{} {}", method, url);
  const auto found = by_request_.find(key);
  if (found == by_request_.end()) {
    return Error{fmt::format("the recording has no {}; {}", key, Nearest(key, by_request_))};
  }
  const std::string comparable = Comparable(body);
  std::vector<size_t> same;
  std::string unknown;
  for (const size_t i : found->second) {
    const har::HarEntry& e = exchanges_[i];
    if (!e.request_body.missing.empty()) {
      unknown =
          fmt::format("the recording's {}: {}, and nothing tells whether it was this request's",
                      har::EntryName(i + 1, e), e.request_body.missing);
    } else if (e.request_body.bytes == comparable) {
      same.push_back(i);
    }
  }
  if (same.empty() && !unknown.empty()) return Error{unknown};
  if (same.empty()) return Error{fmt::format("the recording has {} with another body only", key)};
  size_t& next = cursor[same.front()];
  const har::HarEntry* e = &exchanges_[same[std::min(next, same.size() - 1)]];
  ++next;
  return e;
}

}  // namespace postern::broker
