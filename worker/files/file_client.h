// FileClient: a guest's files: those that came with its order, those in its memory (/tmp), and
// those at the other end of its channel to the files broker. Everything is synchronous: modules are
// loaded before they run, and the broker answers from a local file system.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "channel/endpoint.h"
#include "channel/files_protocol.h"
#include "worker/files/memory_files.h"

namespace postern::worker {

class FileClient : public channel::Http2Session::Observer {
 public:
  // What came of a request; where not `ok`, `code` (ENOENT, EACCES, …) tells why and `message` is a
  // sentence.
  struct FileReply {
    bool ok = false;
    std::string bytes;  // of a file; of a directory, a JSON array of [name, kind]
    channel::FileStatus status;
    std::string real;    // the path without links, where that is another
    std::string target;  // of a link; "" where it leads out of what is mounted
    std::string code;
    std::string message;
  };
  // `files`: absolute path -> bytes; `mounts`: the paths at which the broker has more.
  FileClient(std::map<std::string, std::string> files, std::vector<std::string> mounts);

  // Whether the broker has files there.
  enum class MountRelation { kOutside, kMount, kBeneath };
  MountRelation RelationTo(const std::string& path) const;
  static constexpr size_t kMostAhead = 12;  // files; the broker takes 16 requests at once
  // Asks for a file that is likely to be read next, and waits for nothing. TakeAhead gives what
  // came of it: nullopt where it was not asked for, is large or cannot be read; Read tells more.
  void ReadAhead(const std::string& path);
  std::optional<FileReply> TakePrefetched(const std::string& path);
  void DropPrefetched();

  // How often the guest has written, made, removed or moved anything.
  int64_t writes() const { return writes_; }

  // Whether a path is one of this guest's memory, where the host's files are not.
  bool InMemory(const std::string& path) const { return OwnerOf(path) == FileOwner::kMemory; }
  FileReply Read(const std::string& path, int64_t offset = 0, int64_t length = -1);
  // `follow`: what is looked at is not a link, but what it leads to.
  FileReply Stat(const std::string& path, bool follow = true);
  // The same of what is not the broker's; nullopt for what is.
  std::optional<FileReply> LookAtOwn(const std::string& path) const;
  // `most`: where a directory has more names, EFBIG.
  FileReply List(const std::string& path, int64_t most = -1);
  // `mode`: of what is made.
  FileReply Write(const std::string& path, std::string bytes, WriteHow how, int64_t offset,
                  int64_t truncate, uint32_t mode);
  FileReply MakeDirectory(const std::string& path, bool all, uint32_t mode);
  FileReply Remove(const std::string& path, bool directory, bool all);
  FileReply Move(const std::string& from, const std::string& to);
  // In milliseconds since 1970.
  FileReply SetTimes(const std::string& path, double accessed, double modified);

 private:
  // Who has a path: this guest's memory, the order (or nobody), or the broker.
  enum class FileOwner { kMemory, kOrder, kBroker };
  FileOwner OwnerOf(const std::string& path) const;
  // Whether a file that came with the order begins so.
  bool HasBelow(const std::string& prefix) const;
  struct PendingReply {
    FileReply answer;
    bool done = false;
  };
  // `body`: of what is written.
  FileReply Request(channel::FilesRequest request, std::string_view body = {});
  // The stream of a request, for WaitForReply.
  int32_t StartRequest(const channel::FilesRequest& request);
  FileReply WaitForReply(int32_t stream);
  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t, std::span<uint8_t> out, bool* end, channel::Fields*) override;
  int32_t LostChannel(const std::string& why);

  std::map<std::string, std::string> files_;
  const std::vector<std::string> mounts_;
  MemoryFiles memory_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  bool opened_ = false;
  int64_t writes_ = 0;
  std::map<int32_t, PendingReply> exchanges_;
  size_t streams_ = 0;                    // that are open, forgotten ones too
  std::map<std::string, int32_t> ahead_;  // streams by path
  std::string_view body_;                 // of the request, what has not left yet
  FileReply lost_;                        // what there is to say when the broker is gone
};

}  // namespace postern::worker
