#include "broker/replay.h"

#include <algorithm>

#include "policy/text.h"
#include "policy/url.h"

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
    const size_t distance = policy::EditDistance(std::string_view(wanted).substr(0, kCompared),
                                                 std::string_view(key).substr(0, kCompared));
    if (distance < least) least = distance, nearest = &key;
  }
  return nearest == nullptr ? "it is empty" : "the nearest one is " + nearest->substr(0, kCompared);
}

}  // namespace

Result<Replay> Replay::Parse(std::string_view text) {
  auto parsed = har::Parse(text);
  if (!parsed) return Error{"the recording cannot be replayed: " + parsed.error().message};
  Replay replay;
  replay.exchanges_ = *std::move(parsed);
  for (size_t i = 0; i < replay.exchanges_.size(); ++i) {
    const har::Exchange& e = replay.exchanges_[i];
    const auto url = policy::ParseUrl(e.url);
    if (url) replay.by_request_[e.method + " " + url->ToString()].push_back(i);
  }
  return replay;
}

Result<const har::Exchange*> Replay::Find(Cursor& cursor, const std::string& method,
                                          const std::string& url, std::string_view body) const {
  const std::string key = method + " " + url;
  const auto found = by_request_.find(key);
  if (found == by_request_.end()) {
    return Error{"the recording has no " + key + "; " + Nearest(key, by_request_)};
  }
  std::vector<size_t> same;
  for (const size_t i : found->second) {
    if (exchanges_[i].request_body == body) same.push_back(i);
  }
  if (same.empty()) return Error{"the recording has " + key + " with another body only"};
  size_t& next = cursor[key + "\n" + std::string(body)];
  const har::Exchange* e = &exchanges_[same[std::min(next, same.size() - 1)]];
  ++next;
  if (e->body_omitted) {
    return Error{"the recording has " + key + " without its body, which was too large to be kept"};
  }
  return e;
}

}  // namespace postern::broker
