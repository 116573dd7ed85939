#include "channel/files_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/format.h"

namespace postern::channel {
namespace {

constexpr char kPath[] = "postern-path";
constexpr char kReal[] = "postern-real";
constexpr char kTarget[] = "postern-target";
constexpr std::array<const char*, 4> kKindNames = {"file", "directory", "link", "other"};
constexpr std::array<const char*, 5> kHowNames = {"write", "new", "append", "update", "whole"};

// ---- a type's Map, with each of these as its wire

class FieldsEncoder {
 public:
  explicit FieldsEncoder(Fields& fields) : fields_(fields) {}

  void Text(const char* name, const std::string& text) {
    fields_.push_back({name, EscapeText(text)});
  }
  void Flag(const char* name, bool value, bool otherwise) {
    if (value != otherwise) fields_.push_back({name, value ? "1" : "0"});
  }
  void Count(const char* name, int64_t value, int64_t otherwise) {
    if (value != otherwise) Number(name, value);
  }
  void Number(const char* name, int64_t value) { fields_.push_back({name, std::to_string(value)}); }
  void Time(const char* name, double ms) { fields_.push_back({name, fmt::format("{:.6f}", ms)}); }
  void How(const char* name, WriteHow how) {
    fields_.push_back({name, kHowNames[static_cast<size_t>(how)]});
  }
  void Kind(const char* name, FileKind kind) { fields_.push_back({name, NameOf(kind)}); }

 private:
  Fields& fields_;
};

// Remembers the first field whose value is none of its member's.
class FieldsDecoder {
 public:
  explicit FieldsDecoder(const Fields& fields) : fields_(fields) {}

  void Text(const char* name, std::string& text) {
    const std::string* value = FindField(fields_, name);
    if (value != nullptr)
      text = UnescapeText(*value);
    else
      Malformed(name);
  }
  void Flag(const char* name, bool& flag, bool otherwise) {
    const std::string* value = FindField(fields_, name);
    flag = value == nullptr ? otherwise : *value == "1";
    if (value != nullptr && *value != "1" && *value != "0") Malformed(name);
  }
  void Count(const char* name, int64_t& count, int64_t otherwise) {
    count = otherwise;
    if (FindField(fields_, name) == nullptr) return;
    Number(name, count);
    if (count < 0) Malformed(name);
  }
  void Number(const char* name, int64_t& number) { Parse(name, number); }
  void Time(const char* name, double& ms) { Parse(name, ms); }
  void How(const char* name, WriteHow& how) { OneOf(name, kHowNames, how); }
  void Kind(const char* name, FileKind& kind) { OneOf(name, kKindNames, kind); }

  // The name of that field; null where there is none.
  const char* malformed() const { return malformed_; }

 private:
  void Malformed(const char* name) {
    if (malformed_ == nullptr) malformed_ = name;
  }
  void Parse(const char* name, auto& number) {
    const std::string* text = FindField(fields_, name);
    if (text == nullptr) return Malformed(name);
    const char* end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) Malformed(name);
  }
  template <size_t N, typename Enum>
  void OneOf(const char* name, const std::array<const char*, N>& names, Enum& value) {
    const std::string* text = FindField(fields_, name);
    const auto found = text == nullptr ? names.end() : std::find(names.begin(), names.end(), *text);
    if (found == names.end()) return Malformed(name);
    value = static_cast<Enum>(found - names.begin());
  }

  const Fields& fields_;
  const char* malformed_ = nullptr;
};

Error Invalid(std::string why) { return Error{std::move(why), EINVAL}; }

// The first of the variant's operations, from `At` on, that has the method.
template <size_t At = 0>
Result<FileOperation> DecodeByMethod(const std::string& method, const Fields& fields) {
  if constexpr (At == std::variant_size_v<FileOperation>) {
    return Invalid("there is no such request of files");
  } else {
    using Operation = std::variant_alternative_t<At, FileOperation>;
    if (method != Operation::kMethod) return DecodeByMethod<At + 1>(method, fields);
    Operation operation;
    FieldsDecoder wire(fields);
    Operation::Map(wire, operation);
    if (wire.malformed() != nullptr)
      return Invalid(fmt::format("the field {} is missing or malformed", wire.malformed()));
    return FileOperation(std::move(operation));
  }
}

}  // namespace

const char* NameOf(FileKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

Fields EncodeFilesRequest(const FilesRequest& request) {
  Fields fields = {{":method", ""}, {":scheme", "file"}, {":authority", "files"}, {":path", "/"}};
  FieldsEncoder wire(fields);
  wire.Text(kPath, request.path);
  std::visit(
      [&](const auto& operation) {
        fields[0].value = operation.kMethod;
        operation.Map(wire, operation);
      },
      request.operation);
  return fields;
}

Result<FilesRequest> DecodeFilesRequest(const Fields& fields) {
  const std::string* method = FindField(fields, ":method");
  const std::string* path = FindField(fields, kPath);
  FilesRequest request;
  if (path != nullptr) request.path = UnescapeText(*path);
  if (!request.path.starts_with('/')) return Invalid("a path begins with a slash");
  auto operation = DecodeByMethod(method == nullptr ? "" : *method, fields);
  if (!operation) return operation.error();
  request.operation = *std::move(operation);
  return request;
}

Fields EncodeFilesResponse(const FilesResponse& response) {
  Fields fields = {{":status", "200"}};
  FieldsEncoder wire(fields);
  if (!response.real.empty()) wire.Text(kReal, response.real);
  if (!response.target.empty()) wire.Text(kTarget, response.target);
  if (response.status) FileStatus::Map(wire, *response.status);
  return fields;
}

Result<FilesResponse> DecodeFilesResponse(const Fields& fields) {
  FilesResponse response;
  if (const std::string* real = FindField(fields, kReal)) response.real = UnescapeText(*real);
  if (const std::string* target = FindField(fields, kTarget))
    response.target = UnescapeText(*target);
  if (FindField(fields, "postern-kind") == nullptr) return response;
  FieldsDecoder wire(fields);
  FileStatus::Map(wire, response.status.emplace());
  if (wire.malformed() == nullptr) return response;
  return Error{fmt::format("the files broker answers with a malformed {}", wire.malformed()), EIO};
}

}  // namespace postern::channel
