#include "worker/files/file_client.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "channel/failure.h"
#include "channel/spare_fds.h"

namespace postern::worker {
namespace {

using channel::FileKind;

constexpr double kLatest = 8.64e12;  // milliseconds: the year 2243, within 64 bits of nanoseconds

constexpr int kBrokerSilenceMs = 10'000;         // disks may be slow; a broker is not
constexpr int64_t kMostBytesAhead = 256 * 1024;  // of one file
constexpr int32_t kNoStream = -1;
constexpr int64_t kMemoryDevice = 1;  // a block device's numbers are larger

double NowMs() {
  using namespace std::chrono;
  return duration<double, std::milli>(system_clock::now().time_since_epoch()).count();
}

FileClient::FileReply Failed(int errnum, const std::string& message) {
  FileClient::FileReply answer;
  answer.code = strerrorname_np(errnum);
  answer.message = message;
  return answer;
}
FileClient::FileReply From(const Status& status) {
  if (!status) return Failed(status.error().errnum, status.error().message);
  FileClient::FileReply answer;
  answer.ok = true;
  return answer;
}

std::string Piece(const std::string& bytes, int64_t offset, int64_t length) {
  if (offset >= static_cast<int64_t>(bytes.size())) return {};
  return bytes.substr(static_cast<size_t>(offset),
                      length < 0 ? std::string::npos : static_cast<size_t>(length));
}

// Of what came with the order and has none: exact in a double, as a guest gets it.
int64_t InodeOf(const std::string& path) {
  return static_cast<int64_t>(std::hash<std::string>()(path) >> 11);
}

}  // namespace

FileClient::FileClient(std::map<std::string, std::string> files, std::vector<std::string> mounts)
    : files_(std::move(files)), mounts_(std::move(mounts)), memory_("/tmp", NowMs) {
  // What came for /tmp is in it, as what the guest writes there.
  std::erase_if(files_, [&](const auto& file) {
    const auto& [path, bytes] = file;
    return memory_.Has(path) && RelationTo(path) == MountRelation::kOutside &&
           memory_.MakeDirectory(path.substr(0, path.rfind('/')), true) &&
           memory_.Write(path, bytes, WriteHow::kNew, 0, -1);
  });
}

FileClient::FileOwner FileClient::OwnerOf(const std::string& path) const {
  if (files_.contains(path)) return FileOwner::kOrder;
  for (const std::string& mount : mounts_) {
    if (path == mount || path.starts_with(fmt::format("{}/", mount))) return FileOwner::kBroker;
  }
  if (memory_.Has(path)) return FileOwner::kMemory;
  // The broker says best why there is nothing.
  return mounts_.empty() ? FileOwner::kOrder : FileOwner::kBroker;
}

int32_t FileClient::LostChannel(const std::string& why) {
  lost_ = {};
  lost_.code = channel::kErrBrokerLost.code;
  lost_.message = fmt::format("the files broker was lost: {}", why);
  endpoint_.reset();
  return kNoStream;
}

FileClient::FileReply FileClient::Read(const std::string& path, int64_t offset, int64_t length) {
  switch (OwnerOf(path)) {
    case FileOwner::kOrder: {
      const auto own = files_.find(path);
      if (own == files_.end()) return Failed(ENOENT, fmt::format("there is no file {}", path));
      FileReply answer = From(Ok{});
      answer.bytes = Piece(own->second, offset, length);
      return answer;
    }
    case FileOwner::kMemory: {
      const auto node = memory_.Find(path);
      if (!node) return Failed(node.error().errnum, node.error().message);
      if ((*node)->directory) return Failed(EISDIR, fmt::format("{} is a directory", path));
      FileReply answer = From(Ok{});
      answer.bytes = Piece((*node)->bytes, offset, length);
      return answer;
    }
    case FileOwner::kBroker: {
      return Request({path, channel::ReadFile{.offset = std::max<int64_t>(offset, 0),
                                              .length = length < 0 ? INT64_MAX : length}});
    }
  }
  return {};
}

bool FileClient::HasBelow(const std::string& prefix) const {
  const auto below = files_.lower_bound(prefix);
  return below != files_.end() && below->first.starts_with(prefix);
}

std::optional<FileClient::FileReply> FileClient::LookAtOwn(const std::string& path) const {
  FileReply answer = From(Ok{});
  const auto of_order = [&](FileKind kind, size_t size) {
    answer.status = {
        .kind = kind,
        .size = static_cast<int64_t>(size),
        .mode = kind == FileKind::kFile ? channel::kFileModes : channel::kDirectoryModes,
        .inode = InodeOf(path)};
    return answer;
  };
  switch (OwnerOf(path)) {
    case FileOwner::kOrder: {
      if (const auto own = files_.find(path); own != files_.end())
        return of_order(FileKind::kFile, own->second.size());
      if (HasBelow(path == "/" ? path : fmt::format("{}/", path)))
        return of_order(FileKind::kDirectory, 0);
      return Failed(ENOENT, fmt::format("there is no file {}", path));
    }
    case FileOwner::kMemory: {
      const auto node = memory_.Find(path);
      if (!node) return Failed(node.error().errnum, node.error().message);
      answer.status = {.kind = (*node)->directory ? FileKind::kDirectory : FileKind::kFile,
                       .size = static_cast<int64_t>((*node)->bytes.size()),
                       .times = (*node)->times,
                       .mode = (*node)->mode,
                       .writable = true,
                       .inode = (*node)->inode,
                       .device = kMemoryDevice};
      return answer;
    }
    case FileOwner::kBroker:
      if (HasBelow(fmt::format("{}/", path))) return of_order(FileKind::kDirectory, 0);
  }
  return std::nullopt;
}

FileClient::FileReply FileClient::Stat(const std::string& path, bool follow) {
  if (auto own = LookAtOwn(path)) return *std::move(own);
  return Request({path, channel::StatFile{follow}});
}

FileClient::MountRelation FileClient::RelationTo(const std::string& path) const {
  MountRelation place = MountRelation::kOutside;
  for (const std::string& mount : mounts_) {
    if (path == mount || (mount.empty() && path == "/")) return MountRelation::kMount;
    if (path.starts_with(fmt::format("{}/", mount))) place = MountRelation::kBeneath;
  }
  return place;
}

FileClient::FileReply FileClient::List(const std::string& path, int64_t most) {
  nlohmann::json list = nlohmann::json::array();
  switch (OwnerOf(path)) {
    case FileOwner::kBroker:
      return Request({path, channel::ListDirectory{most < 0 ? INT64_MAX : most}});
    case FileOwner::kMemory: {
      const auto names = memory_.List(path);
      if (!names) return Failed(names.error().errnum, names.error().message);
      for (const auto& [name, directory] : *names)
        list.push_back({name, NameOf(directory ? FileKind::kDirectory : FileKind::kFile)});
      break;
    }
    case FileOwner::kOrder: {
      const FileReply there = Stat(path);
      if (!there.ok) return there;
      if (there.status.kind != FileKind::kDirectory)
        return Failed(ENOTDIR, fmt::format("{} is no directory", path));
      const std::string prefix = path == "/" ? path : fmt::format("{}/", path);
      std::string last;
      for (auto i = files_.lower_bound(prefix); i != files_.end() && i->first.starts_with(prefix);
           ++i) {
        const size_t slash = i->first.find('/', prefix.size());
        const std::string name = i->first.substr(
            prefix.size(), slash == std::string::npos ? slash : slash - prefix.size());
        if (name != last)
          list.push_back(
              {name, NameOf(slash == std::string::npos ? FileKind::kFile : FileKind::kDirectory)});
        last = name;
      }
    }
  }
  FileReply answer = From(Ok{});
  answer.bytes = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return answer;
}

namespace {
FileClient::FileReply ReadOnly(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string above =
      slash == 0 || slash == std::string::npos ? "DIR" : path.substr(0, slash);
  return Failed(
      EACCES,
      fmt::format("{} cannot be written: add --mount={}:rw, or write beneath /tmp", path, above));
}
}  // namespace

FileClient::FileReply FileClient::Write(const std::string& path, std::string bytes, WriteHow how,
                                        int64_t offset, int64_t truncate, uint32_t mode) {
  ++writes_;
  switch (OwnerOf(path)) {
    case FileOwner::kOrder:
      return ReadOnly(path);
    case FileOwner::kMemory:
      return From(memory_.Write(path, bytes, how, static_cast<size_t>(offset), truncate, mode));
    case FileOwner::kBroker:
      return Request({path, channel::WriteFile{.how = how,
                                               .offset = std::max<int64_t>(offset, 0),
                                               .truncate = std::max<int64_t>(truncate, -1),
                                               .mode = mode}},
                     bytes);
  }
  return {};
}

FileClient::FileReply FileClient::MakeDirectory(const std::string& path, bool all, uint32_t mode) {
  ++writes_;
  switch (OwnerOf(path)) {
    case FileOwner::kOrder:
      return ReadOnly(path);
    case FileOwner::kMemory:
      return From(memory_.MakeDirectory(path, all, mode));
    case FileOwner::kBroker:
      return Request({path, channel::MakeDirectory{all, mode}});
  }
  return {};
}

FileClient::FileReply FileClient::Remove(const std::string& path, bool directory, bool all) {
  ++writes_;
  switch (OwnerOf(path)) {
    case FileOwner::kOrder:
      return files_.contains(path) ? ReadOnly(path)
                                   : Failed(ENOENT, fmt::format("there is no file {}", path));
    case FileOwner::kMemory:
      return From(memory_.Remove(path, directory, all));
    case FileOwner::kBroker:
      return Request({path, channel::RemoveFile{directory, all}});
  }
  return {};
}

FileClient::FileReply FileClient::Move(const std::string& from, const std::string& to) {
  ++writes_;
  const FileOwner owner = OwnerOf(from);
  if (owner == FileOwner::kOrder) return ReadOnly(from);
  if (owner != OwnerOf(to))
    return Failed(
        EXDEV,
        fmt::format("cannot rename {} to {}: they are in different places; copy it", from, to));
  if (owner == FileOwner::kMemory) return From(memory_.Move(from, to));
  return Request({from, channel::MoveFile{to}});
}

FileClient::FileReply FileClient::SetTimes(const std::string& path, double accessed,
                                           double modified) {
  ++writes_;
  const auto nanoseconds = [](double ms) {
    return static_cast<int64_t>(std::floor(std::clamp(ms, -kLatest, kLatest))) * 1'000'000;
  };
  switch (OwnerOf(path)) {
    case FileOwner::kOrder:
      return ReadOnly(path);
    case FileOwner::kMemory:
      return From(memory_.SetTimes(path, accessed, modified));
    case FileOwner::kBroker:
      return Request({path, channel::SetFileTimes{nanoseconds(accessed), nanoseconds(modified)}});
  }
  return {};
}

FileClient::FileReply FileClient::Request(channel::FilesRequest request, std::string_view body) {
  body_ = body;
  return WaitForReply(StartRequest(request));
}

int32_t FileClient::StartRequest(const channel::FilesRequest& request) {
  if (!std::exchange(opened_, true)) {
    endpoint_ = std::make_unique<channel::Endpoint>(channel::Http2Session::Role::kGuestClient, 1,
                                                    *this, UniqueFd(channel::kFilesIn),
                                                    UniqueFd(channel::kFilesOut));
  }
  if (!endpoint_) return LostChannel("it ended");
  const bool has_body = std::holds_alternative<channel::WriteFile>(request.operation);
  const auto stream = endpoint_->session().Request(channel::EncodeFilesRequest(request), has_body);
  if (!stream) return LostChannel(stream.error().message);
  ++streams_;
  exchanges_[*stream];
  if (const auto flushed = endpoint_->Flush(); !flushed)
    return LostChannel(flushed.error().message);
  return *stream;
}

FileClient::FileReply FileClient::WaitForReply(int32_t stream) {
  while (endpoint_ && !exchanges_[stream].done) {
    const auto flushed = endpoint_->Flush();
    if (!flushed) {
      LostChannel(flushed.error().message);
      break;
    }
    pollfd fds[2] = {{endpoint_->in(), POLLIN, 0}, {endpoint_->out(), POLLOUT, 0}};
    const int n = ::poll(fds, *flushed ? 1 : 2, kBrokerSilenceMs);
    if (n == 0) {
      LostChannel("it stopped answering");
    } else if (fds[0].revents != 0) {
      const auto outcome = endpoint_->Read();
      if (!outcome)
        LostChannel(outcome.error().message);
      else if (*outcome == channel::Endpoint::ReadOutcome::kClosed && !exchanges_[stream].done)
        LostChannel("it ended");
    }
  }
  const auto exchange = exchanges_.extract(stream);
  return exchange && exchange.mapped().done ? std::move(exchange.mapped().answer) : lost_;
}

void FileClient::ReadAhead(const std::string& path) {
  if (streams_ >= kMostAhead || RelationTo(path) != MountRelation::kBeneath ||
      OwnerOf(path) != FileOwner::kBroker)
    return;
  const auto [at, is_new] = ahead_.try_emplace(path);
  if (is_new) at->second = StartRequest({path, channel::ReadFile{.most = kMostBytesAhead}});
}

std::optional<FileClient::FileReply> FileClient::TakePrefetched(const std::string& path) {
  const auto ahead = ahead_.extract(path);
  if (!ahead) return std::nullopt;
  FileReply answer = WaitForReply(ahead.mapped());
  if (!answer.ok) return std::nullopt;
  return answer;
}

void FileClient::DropPrefetched() {
  for (const auto& [path, stream] : ahead_) exchanges_.erase(stream);
  ahead_.clear();
}

size_t FileClient::ReadBody(int32_t, std::span<uint8_t> out, bool* end, channel::Fields*) {
  const size_t n = std::min(out.size(), body_.size());
  if (n > 0) std::memcpy(out.data(), body_.data(), n);
  body_.remove_prefix(n);
  *end = body_.empty();
  return n;
}

void FileClient::OnHeaders(int32_t stream, channel::Fields fields, bool /*end_stream*/) {
  const auto exchange = exchanges_.find(stream);
  if (exchange == exchanges_.end()) return;
  FileReply& answer = exchange->second.answer;
  const auto fail = [&](const std::string& code, const std::string& message) {
    answer = {};
    answer.code = code;
    answer.message = message;
  };
  if (const std::string* status = FindField(fields, "proxy-status")) {
    const auto failure = channel::ParseProxyStatus(*status);
    return failure ? fail(failure->code, failure->details) : fail("EIO", "malformed answer");
  }
  if (!answer.code.empty()) return;
  auto response = channel::DecodeFilesResponse(fields);
  if (!response) return fail("EIO", response.error().message);
  answer.ok = true;
  answer.real = std::move(response->real);
  answer.target = std::move(response->target);
  if (response->status) answer.status = *response->status;
}

void FileClient::OnData(int32_t stream, std::span<const uint8_t> data) {
  if (const auto exchange = exchanges_.find(stream); exchange != exchanges_.end())
    exchange->second.answer.bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
  endpoint_->session().Consume(stream, data.size());
}

void FileClient::OnEndOfBody(int32_t stream) {
  if (const auto exchange = exchanges_.find(stream); exchange != exchanges_.end())
    exchange->second.done = true;
}

void FileClient::OnClosed(int32_t stream, uint32_t error) {
  --streams_;
  const auto exchange = exchanges_.find(stream);
  if (exchange == exchanges_.end()) return;
  if (!std::exchange(exchange->second.done, true)) {
    FileReply& answer = exchange->second.answer = {};
    answer.code = "EIO";
    answer.message =
        fmt::format("the files broker reset the request: {}", nghttp2_http2_strerror(error));
  }
}

}  // namespace postern::worker
