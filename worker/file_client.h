// FileClient: the files of a guest: those that came with its order, and those at the other end of
// its channel to the files broker. Reads are synchronous: modules are loaded before they run, and
// the broker answers from a local file system.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "channel/endpoint.h"
#include "channel/failure.h"
#include "worker/module_resolver.h"

namespace postern::worker {

class FileClient : public FileTree, public channel::Http2Session::Handler {
 public:
  // The file's bytes, or an Error whose message is a sentence; `code` (ENOENT, EACCES, …) tells
  // why.
  struct Answer {
    bool ok = false;
    bool directory = false;
    std::string bytes;
    std::string code;
    std::string message;
  };
  // `files`: absolute path -> bytes; `mounted`: whether there are more, at the broker.
  FileClient(std::map<std::string, std::string> files, bool mounted)
      : files_(std::move(files)), mounted_(mounted) {}
  Answer Read(const std::string& path);
  Kind Stat(const std::string& path) override;
  std::optional<std::string> ReadFile(const std::string& path) override;

 private:
  Answer Ask(const char* method, const std::string& path);
  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t, std::span<uint8_t>, bool* end, channel::Fields*) override {
    *end = true;
    return 0;
  }
  void Lost(const std::string& why);

  const std::map<std::string, std::string> files_;
  const bool mounted_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  bool opened_ = false;
  Answer answer_;
  bool done_ = false;
};

}  // namespace postern::worker
