#include "worker/files/memory_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/format.h"

namespace postern::worker {
namespace {

Error FileError(const std::string& what, const std::string& path, int errnum) {
  return Error{fmt::format("cannot {} {}: {}", what, path, std::strerror(errnum)), errnum};
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

MemoryFiles::MemoryFiles(std::string root, std::function<double()> now)
    : root_(std::move(root)), now_(std::move(now)) {
  nodes_[root_] = {.directory = true, .bytes = {}, .times = {}, .mode = channel::kDirectoryModes};
}

std::string MemoryFiles::Normal(std::string path) const {
  while (path.size() > root_.size() && path.ends_with('/')) path.pop_back();
  return path;
}

Result<const MemoryFiles::Node*> MemoryFiles::Find(const std::string& given) const {
  const auto found = nodes_.find(Normal(given));
  if (found == nodes_.end()) return FileError("open", given, WhyMissing(Normal(given)));
  return &found->second;
}

int MemoryFiles::WhyMissing(const std::string& path) const {
  for (std::string above = ParentOf(path); above.size() >= root_.size(); above = ParentOf(above)) {
    const auto node = nodes_.find(above);
    if (node != nodes_.end()) return node->second.directory ? ENOENT : ENOTDIR;
  }
  return ENOENT;
}

Status MemoryFiles::CheckParent(const std::string& path) const {
  if (path.size() > kMaxPath) return FileError("write", path, ENAMETOOLONG);
  const auto parent = nodes_.find(ParentOf(path));
  if (parent == nodes_.end()) return FileError("write", path, WhyMissing(path));
  if (!parent->second.directory) return FileError("write", path, ENOTDIR);
  return Ok{};
}

Result<std::vector<std::pair<std::string, bool>>> MemoryFiles::List(
    const std::string& given) const {
  const std::string path = Normal(given);
  const auto node = Find(path);
  if (!node) return node.error();
  if (!(*node)->directory) return FileError("list", path, ENOTDIR);
  std::vector<std::pair<std::string, bool>> names;
  const std::string prefix = fmt::format("{}/", path);
  for (auto i = nodes_.lower_bound(prefix); i != nodes_.end() && i->first.starts_with(prefix);
       ++i) {
    if (i->first.find('/', prefix.size()) == std::string::npos)
      names.emplace_back(i->first.substr(prefix.size()), i->second.directory);
  }
  return names;
}

Status MemoryFiles::Write(const std::string& given, const std::string& bytes, WriteHow how,
                          size_t offset, int64_t truncate, uint32_t mode) {
  const std::string path = Normal(given);
  const auto known = nodes_.find(path);
  if (known != nodes_.end() && how == WriteHow::kNew) return FileError("write", path, EEXIST);
  if (known != nodes_.end() && known->second.directory) return FileError("write", path, EISDIR);
  if (known == nodes_.end()) {
    if (how == WriteHow::kUpdate) return FileError("write", path, WhyMissing(path));
    if (Status s = CheckParent(path); !s) return s;
    if (nodes_.size() >= kMaxFiles)
      return Error{
          fmt::format("{} would be one file more than the {} of {}", path, kMaxFiles, root_),
          ENOSPC};
  }
  const size_t before = known == nodes_.end() ? 0 : known->second.bytes.size();
  size_t after = 0;
  switch (how) {
    case WriteHow::kAppend:
      after = before + bytes.size();
      break;
    case WriteHow::kUpdate: {
      const size_t kept = truncate < 0 ? before : static_cast<size_t>(truncate);
      after = bytes.empty() ? kept : std::max(kept, offset + bytes.size());
      if (offset > kMaxBytes) after = kMaxBytes + 1;
      break;
    }
    default:
      after = bytes.size();
  }
  if (bytes_ - before + after > kMaxBytes)
    return Error{fmt::format("{} would be more than the {} bytes of {}", path, kMaxBytes, root_),
                 ENOSPC};
  Node& node = nodes_[path];
  const double now = now_();
  if (known == nodes_.end()) {
    node.inode = ++last_inode_;
    node.mode = mode & channel::kFileModes;
    node.times.accessed = now;
  }
  bytes_ = bytes_ - before + after;
  if (how == WriteHow::kAppend) {
    node.bytes += bytes;
  } else if (how == WriteHow::kUpdate) {
    if (truncate >= 0) node.bytes.resize(static_cast<size_t>(truncate));
    node.bytes.resize(after);
    if (!bytes.empty()) std::memcpy(node.bytes.data() + offset, bytes.data(), bytes.size());
  } else {
    node.bytes = bytes;
  }
  node.times.modified = node.times.changed = now;
  return Ok{};
}

Status MemoryFiles::MakeDirectory(const std::string& given, bool all, uint32_t mode) {
  const std::string path = Normal(given);
  if (const auto known = nodes_.find(path); known != nodes_.end()) {
    if (all && known->second.directory) return Ok{};
    return FileError("make", path, EEXIST);
  }
  if (all && WhyMissing(path) == ENOTDIR) return FileError("make", path, ENOTDIR);
  if (all) {
    if (Status s = MakeDirectory(ParentOf(path), true, mode); !s) return s;
  }
  if (Status s = CheckParent(path); !s) return s;
  if (nodes_.size() >= kMaxFiles)
    return Error{fmt::format("{} would be one file more than the {} of {}", path, kMaxFiles, root_),
                 ENOSPC};
  const double now = now_();
  nodes_[path] = {.directory = true,
                  .bytes = {},
                  .times = {now, now, now},
                  .mode = mode & channel::kDirectoryModes,
                  .inode = ++last_inode_};
  return Ok{};
}

bool MemoryFiles::Empty(const std::string& path) const {
  const auto next = nodes_.lower_bound(fmt::format("{}/", path));
  return next == nodes_.end() || !next->first.starts_with(fmt::format("{}/", path));
}

Status MemoryFiles::Remove(const std::string& given, bool directory, bool all) {
  const std::string path = Normal(given);
  if (path == root_) return FileError("remove", path, EBUSY);
  const auto node = nodes_.find(path);
  if (node == nodes_.end()) return all ? Status(Ok{}) : FileError("remove", path, WhyMissing(path));
  if (!all) {
    if (directory && !node->second.directory) return FileError("remove", path, ENOTDIR);
    if (!directory && node->second.directory) return FileError("remove", path, EISDIR);
    if (node->second.directory && !Empty(path)) return FileError("remove", path, ENOTEMPTY);
  }
  const std::string prefix = fmt::format("{}/", path);
  for (auto i = nodes_.lower_bound(prefix); i != nodes_.end() && i->first.starts_with(prefix);) {
    bytes_ -= i->second.bytes.size();
    i = nodes_.erase(i);
  }
  bytes_ -= node->second.bytes.size();
  nodes_.erase(node);
  return Ok{};
}

Status MemoryFiles::SetTimes(const std::string& given, double accessed, double modified) {
  const auto node = nodes_.find(Normal(given));
  if (node == nodes_.end()) return FileError("set the times of", given, WhyMissing(Normal(given)));
  node->second.times = {accessed, modified, now_()};
  return Ok{};
}

Status MemoryFiles::Move(const std::string& given, const std::string& given_to) {
  const std::string from = Normal(given), to = Normal(given_to);
  const auto source = nodes_.find(from);
  if (from == root_ || to == root_) return FileError("rename", from, EBUSY);
  if (source == nodes_.end()) return FileError("rename", from, WhyMissing(from));
  if (from == to) return Ok{};
  if (to.starts_with(fmt::format("{}/", from))) return FileError("rename", from, EINVAL);
  if (Status s = CheckParent(to); !s) return s;
  if (const auto target = nodes_.find(to); target != nodes_.end()) {
    if (target->second.directory != source->second.directory)
      return FileError("rename", to, source->second.directory ? ENOTDIR : EISDIR);
    if (target->second.directory && !Empty(to)) return FileError("rename", to, ENOTEMPTY);
    if (Status s = Remove(to, target->second.directory, false); !s) return s;
  }
  std::vector<std::pair<std::string, Node>> moved;
  const std::string prefix = fmt::format("{}/", from);
  for (auto i = nodes_.lower_bound(prefix); i != nodes_.end() && i->first.starts_with(prefix);) {
    moved.emplace_back(to + i->first.substr(from.size()), std::move(i->second));
    i = nodes_.erase(i);
  }
  const auto node = nodes_.extract(from);
  nodes_[to] = std::move(node.mapped());
  nodes_[to].times.changed = now_();
  for (auto& [path, inner] : moved) nodes_[path] = std::move(inner);
  return Ok{};
}

}  // namespace postern::worker
