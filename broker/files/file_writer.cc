#include "broker/files/file_writer.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "base/eintr.h"
#include "broker/files/file_error.h"

namespace postern::broker {

FileWriter::FileWriter(UniqueFd file, std::string path, int64_t offset)
    : file_(std::move(file)), path_(std::move(path)), end_(offset) {}

FileWriter FileWriter::AtEnd(UniqueFd file, std::string path, int64_t size) {
  FileWriter writer(std::move(file), std::move(path), size);
  writer.at_end_ = true;
  return writer;
}

FileWriter::FileWriter(UniqueFd file, std::string path, UniqueFd directory, std::string name,
                       std::string temporary)
    : file_(std::move(file)),
      path_(std::move(path)),
      directory_(std::move(directory)),
      name_(std::move(name)),
      temporary_(std::move(temporary)) {}

FileWriter::~FileWriter() {
  // A writer that was moved from has no directory.
  if (directory_.valid() && !temporary_.empty())
    ::unlinkat(directory_.get(), temporary_.c_str(), 0);
}

void FileWriter::Fail(Error error) {
  if (!failed_) failed_ = std::move(error);
}

void FileWriter::Write(std::span<const uint8_t> data) {
  if (failed_) return;
  if (end_ > kMaxFileBytes - static_cast<int64_t>(data.size())) {
    return Fail(Error{
        fmt::format("{} would have more bytes than the limit of {}", path_, kMaxFileBytes), EFBIG});
  }
  while (!data.empty()) {
    const ssize_t n = Uninterrupted([&] {
      return at_end_ ? ::write(file_.get(), data.data(), data.size())
                     : ::pwrite(file_.get(), data.data(), data.size(), end_);
    });
    if (n < 0) return Fail(FileError("write", path_));
    end_ += n;
    data = data.subspan(static_cast<size_t>(n));
  }
}

Status FileWriter::Finish() {
  if (failed_) return *failed_;
  if (temporary_.empty()) return Ok{};
  // On the disk before it has its name: after a crash there is the old file or the new one.
  if (::fsync(file_.get()) != 0) return FileError("write", path_);
  // glibc's renameat2 is another system call where there are no flags.
  if (::syscall(SYS_renameat2, directory_.get(), temporary_.c_str(), directory_.get(),
                name_.c_str(), 0) != 0)
    return FileError("write", path_);
  temporary_.clear();
  return Ok{};
}

}  // namespace postern::broker
