#include "worker/modules/module_files.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace postern::worker {
namespace {

constexpr int64_t kMostNames = 2000;  // in a directory that is worth listing for one of them

FileTree::Kind KindOf(const FileClient::FileReply& answer) {
  if (answer.ok)
    return answer.status.kind == channel::FileKind::kDirectory ? FileTree::Kind::kDirectory
                                                               : FileTree::Kind::kFile;
  return answer.code == "EACCES" ? FileTree::Kind::kDenied : FileTree::Kind::kNone;
}

}  // namespace

void ModuleFiles::Forget() {
  directories_.clear();
  kinds_.clear();
  read_path_.clear();
  read_ = {};
  client_.DropPrefetched();
}

void ModuleFiles::InvalidateIfWritten() {
  if (std::exchange(writes_, client_.writes()) != writes_) Forget();
}

const ModuleFiles::Names* ModuleFiles::NamesIn(const std::string& directory) {
  const auto [at, is_new] = directories_.try_emplace(directory);
  if (!is_new) return at->second ? &*at->second : nullptr;
  const Kind kind = Stat(directory);
  if (kind == Kind::kNone || kind == Kind::kFile) return &at->second.emplace();
  if (kind == Kind::kDenied) return nullptr;
  const FileClient::FileReply listed = client_.List(directory, kMostNames);
  const auto list = nlohmann::json::parse(listed.bytes, nullptr, false);
  if (!listed.ok || !list.is_array()) return nullptr;
  Names& names = at->second.emplace();
  for (const auto& entry : list) {
    const std::string what = entry.at(1);
    names[entry.at(0)] = what == "file"        ? std::optional(Kind::kFile)
                         : what == "directory" ? std::optional(Kind::kDirectory)
                                               : std::nullopt;
  }
  return &names;
}

FileTree::Kind ModuleFiles::Stat(const std::string& given) {
  InvalidateIfWritten();
  std::string path = std::filesystem::path(given).lexically_normal();
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (const auto own = client_.LookAtOwn(path)) return KindOf(*own);
  const auto place = client_.RelationTo(path);
  if (place == FileClient::MountRelation::kOutside) return Kind::kDenied;
  if (const auto known = kinds_.find(path); known != kinds_.end()) return known->second;
  if (place == FileClient::MountRelation::kBeneath) {
    const size_t slash = path.rfind('/');
    if (const Names* names = NamesIn(path.substr(0, std::max<size_t>(slash, 1)))) {
      const auto name = names->find(path.substr(slash + 1));
      if (name == names->end()) return Kind::kNone;
      if (name->second) return *name->second;
    }
  }
  return kinds_[path] = KindOf(client_.Stat(path));
}

std::string ModuleFiles::WhyDenied(const std::string& path) { return client_.Stat(path).message; }

std::optional<std::string> ModuleFiles::ReadFile(const std::string& path) {
  if (Stat(path) != Kind::kFile) return std::nullopt;
  FileClient::FileReply answer = client_.Read(path);
  if (!answer.ok) return std::nullopt;
  return std::move(answer.bytes);
}

const FileClient::FileReply& ModuleFiles::Read(const std::string& path) {
  InvalidateIfWritten();
  if (read_path_ == path && read_.ok) return read_;
  auto ahead = client_.TakePrefetched(path);
  read_ = ahead ? *std::move(ahead) : client_.Read(path);
  read_path_ = read_.real.empty() ? path : read_.real;
  return read_;
}

void ModuleFiles::ReadAhead(const std::string& path) {
  InvalidateIfWritten();
  if (!real_paths_.contains(path)) client_.ReadAhead(path);
}

std::string ModuleFiles::RealPath(const std::string& path) {
  InvalidateIfWritten();
  if (client_.LookAtOwn(path)) return path;
  if (const auto known = real_paths_.find(path); known != real_paths_.end()) return known->second;
  // Reading it tells, and it is what is read next.
  if (!Read(path).ok) return path;
  return real_paths_[path] = read_path_;
}

}  // namespace postern::worker
