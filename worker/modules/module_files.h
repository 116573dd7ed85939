// ModuleFiles: a guest's files as its modules are looked for among them, with few questions to the
// files broker. What was seen stays true until the guest writes or waits: until then, a directory
// is listed once, and answers for all names in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "worker/files/file_client.h"
#include "worker/resolver/module_resolver.h"

namespace postern::worker {

class ModuleFiles : public FileTree {
 public:
  explicit ModuleFiles(FileClient& client) : client_(client) {}

  Kind Stat(const std::string& path) override;
  std::string WhyDenied(const std::string& path) override;
  std::optional<std::string> ReadFile(const std::string& path) override;
  std::string RealPath(const std::string& path) override;
  // What is read of a file that was looked for.
  const FileClient::FileReply& Read(const std::string& path);
  // These will be read next.
  void ReadAhead(const std::string& path);
  // The guest waits: others may write meanwhile.
  void Forget();

 private:
  using Names = std::map<std::string, std::optional<Kind>>;  // nullopt: a link, or neither

  // Forgets what the guest may have changed since.
  void InvalidateIfWritten();
  // The names in a directory; null where it is better to ask for each name.
  const Names* NamesIn(const std::string& directory);

  FileClient& client_;
  int64_t writes_ = 0;                                       // of the guest, when it was looked
  std::map<std::string, std::optional<Names>> directories_;  // nullopt: not to be listed
  std::map<std::string, Kind> kinds_;
  std::map<std::string, std::string> real_paths_;  // kept: a guest makes no links
  std::string read_path_;                          // of read_; "" for none
  FileClient::FileReply read_;
};

}  // namespace postern::worker
