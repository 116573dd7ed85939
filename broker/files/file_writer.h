// FileWriter: a file that one request writes. What must be there whole or not at all is written
// beside it, and takes its name at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace postern::broker {

inline constexpr int64_t kMaxFileBytes = 64LL << 20;

class FileWriter {
 public:
  // Where to: `offset` in bytes, or at the end, which is at `size`. `path` is for messages.
  FileWriter(UniqueFd file, std::string path, int64_t offset);
  static FileWriter AtEnd(UniqueFd file, std::string path, int64_t size);
  // In place of `name` in `directory`: `file` stands there as `temporary`.
  FileWriter(UniqueFd file, std::string path, UniqueFd directory, std::string name,
             std::string temporary);
  // Removes what is not whole.
  ~FileWriter();
  FileWriter(FileWriter&&) = default;
  FileWriter& operator=(FileWriter&&) = delete;

  // An error is kept for Finish, and nothing is written after one.
  void Write(std::span<const uint8_t> data);
  void Fail(Error error);
  bool failed() const { return failed_.has_value(); }
  // What came of it all.
  Status Finish();

 private:
  UniqueFd file_;
  std::string path_;
  bool at_end_ = false;
  int64_t end_ = 0;  // of what was written
  std::optional<Error> failed_;
  UniqueFd directory_;
  std::string name_, temporary_;
};

}  // namespace postern::broker
