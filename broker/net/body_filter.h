// BodyFilter: a response's body without secrets, in blocks whose length tells nothing: pieces of
// what came in would be shorter by what a placeholder is shorter than its secret.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "policy/secrets/secret_filter.h"

namespace postern::broker {

class BodyFilter {
 public:
  static constexpr size_t kBlock = 4 * 1024;  // bytes

  explicit BodyFilter(std::shared_ptr<const policy::SecretIndex> secrets)
      : filter_(std::move(secrets)) {}

  // Take what came in, or its end; give how many bytes that is without secrets.
  size_t Feed(std::string_view data);
  size_t Flush();

  // Of what is filtered: whole blocks; up to the last line's end; all.
  std::string TakeBlocks();
  std::string TakeLines() { return Take(filtered_.rfind('\n') + 1); }
  std::string TakeAll() { return Take(filtered_.size()); }
  // Whether there is more of it.
  bool waits() const { return !filtered_.empty(); }

 private:
  std::string Take(size_t bytes);

  policy::SecretFilter filter_;
  std::string filtered_;  // waits for its block, or for its line's end
  size_t taken_ = 0;      // bytes, in all
};

inline size_t BodyFilter::Feed(std::string_view data) {
  const size_t before = filtered_.size();
  filter_.Feed(data, filtered_);
  return filtered_.size() - before;
}

inline size_t BodyFilter::Flush() {
  const size_t before = filtered_.size();
  filter_.Flush(filtered_);
  return filtered_.size() - before;
}

inline std::string BodyFilter::TakeBlocks() {
  const size_t total = taken_ + filtered_.size();
  const size_t end = total - total % kBlock;
  return Take(end > taken_ ? end - taken_ : 0);
}

inline std::string BodyFilter::Take(size_t bytes) {
  std::string out = filtered_.substr(0, bytes);
  filtered_.erase(0, bytes);
  taken_ += bytes;
  return out;
}

}  // namespace postern::broker
