// har::Parse: HAR files as Postern, browsers, proxies and test tools write them.
#include <algorithm>
#include <cstdint>

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"
#include "har/har.h"
#include "har/members.h"

namespace postern::har {
namespace {

using channel::Failure;
using channel::Fields;
using channel::FindField;
using nlohmann::json;

constexpr size_t kNamedUrl = 300, kNamedMethod = 20;  // bytes that a sentence has

// Bytes that stand as the code points of the same number, in UTF-8.
std::string Narrow(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool two = (c == 0xc2 || c == 0xc3) && i + 1 < text.size();
    out += two ? static_cast<char>((c & 3) << 6 | (text[++i] & 0x3f)) : text[i];
  }
  return out;
}

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin));
}

Fields ReadFields(const json& list) {
  Fields fields;
  for (const json& f : list) {
    const std::string name = AsciiLower(Text(f, "name"));
    if (name.starts_with(':')) continue;  // HTTP/2's ":status"
    // Chrome joins the values of one name by line ends.
    const std::string values = Narrow(Text(f, "value"));
    for (size_t at = 0; at <= values.size();) {
      const size_t end = std::min(values.find('\n', at), values.size());
      const std::string value = Trimmed(std::string_view(values).substr(at, end - at));
      if (!IsToken(name) || !IsFieldValue(value)) {
        throw Malformed{fmt::format("its header field \"{}\" is none that HTTP has", name)};
      }
      fields.push_back({name, value});
      at = end + 1;
    }
  }
  return fields;
}

std::string Base64Bytes(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  const size_t digits = text.find_last_not_of('=') + 1;
  auto bytes = DecodeBase64(text);
  if (!bytes || digits % 4 == 1) throw Malformed{"its body is damaged base64"};
  return *std::move(bytes);
}

// Whether the text of `body` is base64.
bool IsBase64(const json& body) {
  const std::string encoding = Text(body, "encoding");
  if (encoding.empty()) return false;
  if (AsciiLower(encoding) == "base64") return true;
  throw Malformed{fmt::format("its body has the encoding \"{}\", and not base64", encoding)};
}

// A body that Playwright keeps in a file beside the HAR; null where it says that of none.
const std::string* BodyBeside(const json& body, const Files& files) {
  constexpr std::string_view kAdvice = "; record with recordHar: { content: 'embed' }";
  const std::string name = Text(body, "_file"), zipped = Text(body, "_sha1");
  if (!zipped.empty())
    throw Malformed{fmt::format("its body is in a trace or a zip file{}", kAdvice)};
  if (name.empty()) return nullptr;
  const auto found = files.find(name);
  if (found != files.end()) return &found->second;
  throw Malformed{
      fmt::format("its body is in the file \"{}\", which cannot be read beside the recording{}",
                  name, kAdvice)};
}

// ---- requests

// A form's body. That of multipart/form-data is as browsers write it, with a boundary of our own.
std::string FormBody(const json& params, const std::string& type) {
  constexpr std::string_view kUnescaped = "*-._";
  const bool multipart = type.starts_with("multipart/form-data");
  if (!multipart && !type.starts_with("application/x-www-form-urlencoded")) {
    throw Malformed{"its request's body is parameters of an unknown form"};
  }
  std::string out;
  for (const json& param : params) {
    const std::string name = Text(param, "name"), value = Text(param, "value");
    const std::string file = Text(param, "fileName"), kind = Text(param, "contentType");
    if (!multipart) {
      out += fmt::format("{}{}={}", out.empty() ? "" : "&", PercentEncode(name, kUnescaped),
                         PercentEncode(value, kUnescaped));
      continue;
    }
    if (!file.empty() && !Member(param, "value").is_string()) {
      throw Malformed{fmt::format("its request has the file \"{}\" without its bytes", file)};
    }
    fmt::format_to(std::back_inserter(out),
                   "--postern\r\nContent-Disposition: form-data; name=\"{}\"", name);
    if (!file.empty()) fmt::format_to(std::back_inserter(out), "; filename=\"{}\"", file);
    if (!kind.empty()) fmt::format_to(std::back_inserter(out), "\r\nContent-Type: {}", kind);
    fmt::format_to(std::back_inserter(out), "\r\n\r\n{}\r\n", value);
  }
  if (multipart) out += "--postern--\r\n";
  return out;
}

std::string RequestBody(const json& request, const json& ours, const Files& files) {
  if (Member(ours, "requestBodyOmitted") == true) {
    throw Malformed{"its request's body was too large to be kept"};
  }
  if (const json& bytes = Member(ours, "requestBody"); !bytes.is_null()) {
    return Base64Bytes(Text(ours, "requestBody"));
  }
  const json& data = Member(request, "postData");
  if (const std::string* file = BodyBeside(data, files)) return *file;
  std::string text = Text(data, "text");
  if (!text.empty()) return IsBase64(data) ? Base64Bytes(std::move(text)) : text;
  if (const json& params = List(data, "params"); !params.empty()) {
    return FormBody(params, AsciiLower(Text(data, "mimeType")));
  }
  const bool unknown =
      data.is_object() && data.contains("text") && data["text"].is_null();  // mitmproxy
  if (unknown || Size(request, "bodySize").value_or(0) > 0) {
    throw Malformed{"its request's body is not in the recording"};
  }
  return {};
}

// ---- responses

bool HasNoContent(const HarEntry& e) {
  return e.method == "HEAD" || e.status == 204 || e.status == 205 || e.status == 304;
}

bool IsRedirect(const HarEntry& e) {
  return e.status > 300 && e.status < 309 && e.status != 304 &&
         FindField(e.response_fields, "location") != nullptr;
}

// The label of a Content-Type's charset; empty where it has none, or is UTF-8 or a part of it.
std::string OtherCharset(const Fields& fields) {
  const std::string* type = FindField(fields, "content-type");
  const std::string text = type == nullptr ? "" : AsciiLower(*type);
  const size_t at = text.find("charset=");
  if (at == std::string::npos) return {};
  std::string label = text.substr(at + 8, text.find(';', at) - at - 8);
  std::erase_if(label, [](char c) { return c == '"' || c == '\'' || c == ' '; });
  const bool usual = label == "utf-8" || label == "utf8" || label == "us-ascii";
  return usual ? "" : label;
}

// How many bytes a decoded body has. mitmproxy gives the coded one's size, and what it lacks.
std::optional<int64_t> DecodedSize(const json& response) {
  const json& content = Member(response, "content");
  const auto size = Size(content, "size"), compression = Number(content, "compression");
  const bool coded = size && compression && size == Size(response, "bodySize");
  return coded ? *size + *compression : size;
}

// The bytes of a text that a tool decoded: of UTF-8 or of Latin-1. `size` says how many they were,
// if it is known.
std::string TextBytes(const std::string& text, std::optional<int64_t> size, const Fields& fields) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // of bytes that were no text
  constexpr std::string_view kHalf = "\xef\xb7\x90";         // as WithoutHalves has it
  const auto has = [&](size_t n) { return size && static_cast<uint64_t>(*size) == n; };
  const std::string charset = OtherCharset(fields);
  const bool wide = charset.starts_with("utf-16");
  const bool half = text.find(kHalf) != std::string::npos;
  if (has(text.size()) && !wide && !half) return text;
  if (half || text.find(kReplacement) != std::string::npos) {
    throw Malformed{"its body has bytes that its text does not tell"};
  }
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  if (ascii && !wide) return text;
  const bool latin = charset == "iso-8859-1" || charset == "latin1" || charset == "windows-1252";
  std::string narrow = Narrow(text);
  const bool fits = std::all_of(text.begin(), text.end(), [](char c) {
    return (c & 0x80) == 0 || (c & 0xc0) == 0x80 || c == '\xc2' || c == '\xc3';
  });
  if (fits && (latin ? !size || has(narrow.size()) : charset.empty() && has(narrow.size()))) {
    return narrow;
  }
  if (charset.empty()) return text;
  throw Malformed{
      fmt::format("its body was in {}, of which a text does not tell the bytes", charset)};
}

// Whether a body without text was empty indeed; what else its size is said to be, if not.
void RequireEmpty(const json& response, const HarEntry& e, const json& ours) {
  const json& content = Member(response, "content");
  const auto size = Size(content, "size");
  const bool omitted =
      Member(ours, "responseBodyOmitted") == true || Member(ours, "bodyOmitted") == true;
  const bool has_text = Member(content, "text").is_string();
  const bool unknown = content.is_object() && content.contains("text") && !has_text;  // mitmproxy
  const std::string* length = FindField(e.response_fields, "content-length");
  const bool coded = FindField(e.response_fields, "content-encoding") != nullptr;
  const bool sized = length != nullptr && !coded && !e.failure;  // which cut it short
  const bool some = omitted || size.value_or(0) > 0 || (sized && *length != "0") ||
                    (Size(response, "bodySize").value_or(0) > 0 && !(has_text && size));
  const bool none = has_text || (size && !unknown) || sized || e.failure;
  if (!some && none) return;
  std::string why = "its body is not in the recording";
  if (size.value_or(0) > 0)
    fmt::format_to(std::back_inserter(why), ", only its size of {} bytes", *size);
  const std::string comment = Text(content, "comment");
  if (!comment.empty()) fmt::format_to(std::back_inserter(why), " ({})", comment);
  throw Malformed{why};
}

// What the entries of a file have in common.
struct HarSource {
  const Files& files;
  std::string tool;  // that wrote it
};

std::string Content(const json& response, const HarEntry& e, const json& ours,
                    const HarSource& source) {
  if (HasNoContent(e)) return {};
  const json& content = Member(response, "content");
  const std::string* file = BodyBeside(content, source.files);
  const std::string text = Text(content, "text");
  if (file == nullptr && text.empty()) {
    RequireEmpty(response, e, ours);
    return {};
  }
  const auto size = DecodedSize(response);
  std::string bytes = file != nullptr     ? *file
                      : IsBase64(content) ? Base64Bytes(text)
                      : ours.is_object()  ? text
                                          : TextBytes(text, size, e.response_fields);
  // These leave the byte order mark out of a text; of another's three bytes are missing.
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  const auto has = [&] { return static_cast<int64_t>(bytes.size()); };
  const bool decoded = file == nullptr && !ours.is_object();
  const bool omits_mark = source.tool == "WebInspector" || source.tool == "mitmproxy";
  if (decoded && omits_mark && size && has() + 3 == *size && IsUtf8(bytes)) bytes.insert(0, kMark);
  if (size && has() < *size && !e.failure) {
    throw Malformed{fmt::format("its body is cut short: {} of {} bytes", has(), *size)};
  }
  const bool coded = FindField(e.response_fields, "content-encoding") != nullptr;
  if (coded && decoded && bytes.starts_with("\x1f\x8b")) {
    throw Malformed{"its body is still compressed, and HAR has decoded ones"};
  }
  return bytes;
}

// How the recorded request failed, in Postern's words, Chrome's or Playwright's.
std::optional<Failure> RecordedFailure(const json& response, const json& ours) {
  if (const json& f = Member(ours, "failure"); !f.is_null()) {
    Failure failure{Text(f, "error"), Text(f, "code"), Text(f, "details")};
    if (IsToken(failure.error) && IsToken(failure.code)) return failure;
    throw Malformed{"its _postern.failure is none"};
  }
  std::string why = Text(response, "_error");
  if (why.empty()) why = Text(response, "_failureText");
  const bool no_answer = Number(response, "status").value_or(0) <= 0;
  if (why.empty() && !no_answer) return std::nullopt;
  return Failure{channel::kErrReplayFailed,
                 fmt::format("the recorded request failed: {}", why.empty() ? "unknown" : why)};
}

// Where a tool left the fields out, it still says what they were.
void AddKnownFields(const json& response, Fields& fields) {
  if (!fields.empty()) return;
  const std::string type = Text(Member(response, "content"), "mimeType");
  const std::string location = Text(response, "redirectURL");
  if (!type.empty() && type != "x-unknown" && IsFieldValue(type)) {
    fields.push_back({"content-type", type});
  }
  if (!location.empty() && IsFieldValue(location)) {
    fields.push_back({"location", location});
  }
}

// What no longer holds, since other tools' bodies are decoded.
bool IsOutdated(const HarEntry& e, std::string_view name) {
  return name == "content-encoding" || name == "transfer-encoding" ||
         (name == "content-length" && !HasNoContent(e));
}

// A response that cannot be given as it was, told where it is asked for.
Failure Unusable(const HarEntry& e, size_t number, const std::string& why) {
  return {channel::kErrReplayMiss,
          fmt::format("the recording's {}: {}", EntryName(number, e), why)};
}

void ReadResponse(const json& entry, size_t number, const HarSource& source, HarEntry& e) {
  const json& response = Required(entry, "response");
  const json& ours = Member(entry, "_postern");
  const auto status = Number(response, "status");
  if (!status) throw Malformed{"it has no status"};
  e.failure = RecordedFailure(response, ours);
  e.status_text = Narrow(Text(response, "statusText"));
  e.response_fields = ReadFields(List(response, "headers"));
  if (*status <= 0) return;
  if (*status < 200 || *status > 599) {
    throw Malformed{fmt::format("its status is {}", *status)};
  }
  e.status = static_cast<int>(*status);
  if (!ours.is_object()) AddKnownFields(response, e.response_fields);
  try {
    e.response_body.bytes = Content(response, e, ours, source);
  } catch (const Malformed& m) {
    // A redirect is followed without its body.
    if (!IsRedirect(e)) throw;
    e.failure = Unusable(e, number, m.what);
  }
  if (!ours.is_object()) {
    std::erase_if(e.response_fields, [&](const auto& f) { return IsOutdated(e, f.name); });
  }
}

void ReadRequest(const json& entry, const Files& files, HarEntry& e) {
  const json& request = Required(entry, "request");
  e.method = Text(request, "method");
  e.url = Text(request, "url");
  if (e.method.empty() || e.url.empty()) throw Malformed{"its request has no method or no url"};
  const json& data = Member(request, "postData");
  try {
    e.request_fields = {{"content-type", Text(data, "mimeType")}};
    e.request_body.bytes = RequestBody(request, Member(entry, "_postern"), files);
  } catch (const Malformed& m) {
    e.request_body.missing = m.what;
  }
}

// Without a request there is no telling what the entry answers: an error of the whole file.
Result<HarEntry> ReadEntry(const json& entry, size_t number, const HarSource& source) {
  HarEntry e;
  try {
    ReadRequest(entry, source.files, e);
  } catch (const Malformed& m) {
    return Error{fmt::format("{}: {}", EntryName(number, e), m.what)};
  }
  try {
    ReadResponse(entry, number, source, e);
  } catch (const Malformed& m) {
    e.status = 0;
    e.failure = Unusable(e, number, m.what);
  }
  return e;
}

// JSON in which an escape of half a character (U+D800 to U+DFFF), which some tools write for bytes
// that are no text, stands as U+FDD0, which is no character either: not as U+FFFD, which may be one
// of the body.
std::string WithoutHalves(std::string text) {
  const auto half = [&](size_t at) -> char {  // '1' or '2': of two
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return 0;
    const std::string digits = AsciiLower(text.substr(at + 2, 4));
    const bool hex = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex || digits[0] != 'd' || digits[1] < '8') return 0;
    return digits[1] < 'c' ? '1' : '2';
  };
  for (size_t at = text.find('\\'); at < text.size(); at = text.find('\\', at)) {
    const char kind = half(at);
    if (kind == '1' && half(at + 6) == '2') {
      at += 12;
    } else if (kind != 0) {
      text.replace(at + 2, 4, "fdd0");
      at += 6;
    } else {
      at += 2;
    }
  }
  return text;
}

}  // namespace

std::string EntryName(size_t number, const HarEntry& exchange) {
  std::string name = fmt::format("entry {}", number);
  if (exchange.method.empty() || exchange.url.empty()) return name;
  return fmt::format("{} ({} {})", name, exchange.method.substr(0, kNamedMethod),
                     exchange.url.substr(0, kNamedUrl));
}

Result<std::vector<HarEntry>> Parse(std::string_view text, const Files& files) {
  json har;
  try {
    har = json::parse(text, nullptr, false);
    if (har.is_discarded()) har = json::parse(WithoutHalves(std::string(text)));
  } catch (const json::parse_error& e) {
    return Error{fmt::format("byte {}: no valid JSON", e.byte)};
  } catch (const json::out_of_range&) {
    return Error{"it has a number that is too large"};
  }
  const json& entries = Member(Member(har, "log"), "entries");
  if (!entries.is_array()) return Error{"it has no log.entries, as a HAR file has"};
  const HarSource source{files, Text(Member(Member(har, "log"), "creator"), "name")};
  std::vector<HarEntry> out;
  for (const json& entry : entries) {
    auto read = ReadEntry(entry, out.size() + 1, source);
    if (!read) return read.error();
    out.push_back(*std::move(read));
  }
  return out;
}

}  // namespace postern::har
