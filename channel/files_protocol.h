// The files protocol: what a guest asks of its files broker and what that answers, as fields of
// HTTP/2 streams on their channel. The methods are WebDAV's (RFC 4918); the path travels in a field
// of its own. Both ends read and write it by these types alone.
//
// A refusal is a response with Proxy-Status (channel/failure.h), whose code is an errno's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "channel/fields.h"
#include "channel/file_modes.h"

namespace postern::channel {

enum class FileKind { kFile, kDirectory, kLink, kOther };
// "file", "directory", "link", "other"
const char* NameOf(FileKind kind);

// How bytes are written: over the whole file; to a file that must be new; after its end; into one
// that is there; or all of them at once, in place of what was there, or none.
enum class WriteHow { kWrite, kNew, kAppend, kUpdate, kWhole };

// ---- requests: a method each. Members that have their default do not travel.

// What is at the path: answered by a FileStatus. `follow` 0: a link itself.
struct StatFile {
  static constexpr char kMethod[] = "HEAD";
  bool follow = true;
  static void Map(auto& wire, auto& m) { wire.Flag("postern-follow", m.follow, true); }
  bool operator==(const StatFile&) const = default;
};

// The bytes from `offset` on, `length` of them at most; EFBIG for more than `most`. Answered by a
// ResolvedPath and a body.
struct ReadFile {
  static constexpr char kMethod[] = "GET";
  int64_t offset = 0, length = INT64_MAX, most = INT64_MAX;
  static void Map(auto& wire, auto& m) {
    wire.Count("postern-offset", m.offset, 0);
    wire.Count("postern-length", m.length, INT64_MAX);
    wire.Count("postern-most", m.most, INT64_MAX);
  }
  bool operator==(const ReadFile&) const = default;
};

// The names in a directory: a body that is a JSON array of [name, kind]; EFBIG for more than
// `most`.
struct ListDirectory {
  static constexpr char kMethod[] = "PROPFIND";
  int64_t most = INT64_MAX;
  static void Map(auto& wire, auto& m) { wire.Count("postern-most", m.most, INT64_MAX); }
  bool operator==(const ListDirectory&) const = default;
};

// The request's body goes into the file, from `offset` on where it is an update. `truncate`: the
// size that the file has before; -1 leaves it. `mode`: of what is made.
struct WriteFile {
  static constexpr char kMethod[] = "PUT";
  WriteHow how = WriteHow::kWrite;
  int64_t offset = 0, truncate = -1, mode = kFileModes;
  static void Map(auto& wire, auto& m) {
    wire.How("postern-how", m.how);
    wire.Count("postern-offset", m.offset, 0);
    wire.Count("postern-truncate", m.truncate, -1);
    wire.Count("postern-mode", m.mode, kFileModes);
  }
  bool operator==(const WriteFile&) const = default;
};

// `all`: with what is missing above it; it may be there already.
struct MakeDirectory {
  static constexpr char kMethod[] = "MKCOL";
  bool all = false;
  int64_t mode = kDirectoryModes;
  static void Map(auto& wire, auto& m) {
    wire.Flag("postern-all", m.all, false);
    wire.Count("postern-mode", m.mode, kDirectoryModes);
  }
  bool operator==(const MakeDirectory&) const = default;
};

// `directory`: it must be an empty one, else it must be none. `all`: whatever it is, with all
// beneath.
struct RemoveFile {
  static constexpr char kMethod[] = "DELETE";
  bool directory = false, all = false;
  static void Map(auto& wire, auto& m) {
    wire.Flag("postern-directory", m.directory, false);
    wire.Flag("postern-all", m.all, false);
  }
  bool operator==(const RemoveFile&) const = default;
};

struct MoveFile {
  static constexpr char kMethod[] = "MOVE";
  std::string to;
  static void Map(auto& wire, auto& m) { wire.Text("postern-to", m.to); }
  bool operator==(const MoveFile&) const = default;
};

// In nanoseconds since 1970, or before.
struct SetFileTimes {
  static constexpr char kMethod[] = "PROPPATCH";
  int64_t accessed = 0, modified = 0;
  static void Map(auto& wire, auto& m) {
    wire.Number("postern-accessed", m.accessed);
    wire.Number("postern-modified", m.modified);
  }
  bool operator==(const SetFileTimes&) const = default;
};

using FileOperation = std::variant<StatFile, ReadFile, ListDirectory, WriteFile, MakeDirectory,
                                   RemoveFile, MoveFile, SetFileTimes>;

struct FilesRequest {
  std::string path;  // absolute
  FileOperation operation;
  bool operator==(const FilesRequest&) const = default;
};

Fields EncodeFilesRequest(const FilesRequest& request);
// EINVAL, with a sentence, where it is none: an unknown method, a path that does not begin with a
// slash, or a field whose value its member cannot have.
Result<FilesRequest> DecodeFilesRequest(const Fields& fields);

// ---- responses

// Of a file, in milliseconds since 1970.
struct FileTimes {
  double accessed = 0, modified = 0;
  double changed = 0;  // when any of it was: its bytes, its name, or the other two
  bool operator==(const FileTimes&) const = default;
};

struct FileStatus {
  FileKind kind = FileKind::kFile;
  int64_t size = 0;  // bytes; of a directory 0
  FileTimes times;
  int64_t mode = 0;  // as channel/file_modes.h has it; of a link 0
  bool writable = false;
  int64_t inode = 0, device = 0;  // the guest's own numbers: the same for the same file alone
  static void Map(auto& wire, auto& m) {
    wire.Kind("postern-kind", m.kind);
    wire.Count("postern-size", m.size, 0);
    wire.Time("postern-accessed", m.times.accessed);
    wire.Time("postern-modified", m.times.modified);
    wire.Time("postern-changed", m.times.changed);
    wire.Count("postern-mode", m.mode, 0);
    wire.Flag("postern-writable", m.writable, false);
    wire.Count("postern-inode", m.inode, 0);
    wire.Count("postern-device", m.device, 0);
  }
  bool operator==(const FileStatus&) const = default;
};

struct FilesResponse {
  std::string real;                  // the path without links, where that is another
  std::string target;                // of a link, from its directory; "" where it leads out
  std::optional<FileStatus> status;  // to a StatFile
  bool operator==(const FilesResponse&) const = default;
};

// With the HTTP status 200.
Fields EncodeFilesResponse(const FilesResponse& response);
// EIO where it is malformed.
Result<FilesResponse> DecodeFilesResponse(const Fields& fields);

}  // namespace postern::channel
