#include "policy/secrets/representation.h"

#include <algorithm>
#include <vector>

#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

std::string Normal(std::string_view name) {
  std::string out = AsciiLower(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

template <typename List>
bool IsAmong(const List& list, std::string_view text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

// Besides all that end in "-range" or begin with "want-".
constexpr std::string_view kAskFields[] = {
    "range",                        // RFC 9110 section 14.2
    "if-range",                     // section 13.1.5
    "range-unit",                   // PostgREST
    "timeseekrange.dlna.org",       // DLNA guidelines
    "playspeed.dlna.org",           //
    "te",                           // RFC 9110 section 10.1.4
    "accept-charset",               // section 12.5.2
    "accept-encoding",              // section 12.5.3: the broker sets it
    "accept-transfer-encoding",     //
    "accept-signature",             // RFC 9421 section 5.1: a signature is a hash of the content
    "a-im",                         // RFC 3229: deltas
    "negotiate",                    // RFC 2295: variants
    "accept-features",              //
    "available-dictionary",         // RFC 9842: compression by what was there before
    "dictionary-id",                //
    "x-amz-checksum-mode",          // S3
    "x-ms-range-get-content-md5",   // Azure Storage
    "x-ms-range-get-content-crc64"  //
};

// They say what of a *request's* content or of another resource is meant.
constexpr std::string_view kUploadRanges[] = {"content-range", "x-ms-source-range",
                                              "x-amz-copy-source-range"};

constexpr std::string_view kHashes[] = {"etag",  "digest", "checksum", "hash",  "md5",
                                        "sha1",  "sha256", "sha512",   "crc32", "crc32c",
                                        "crc64", "hmac",   "signature"};
constexpr std::string_view kLengths[] = {"content-length", "content-size", "body-length",
                                         "body-size",      "linked-size",  "crc64ecma"};

constexpr std::string_view kCharsets[] = {"utf-8",        "utf8",      "us-ascii", "ascii",
                                          "iso-8859-1",   "iso8859-1", "latin1",   "latin-1",
                                          "windows-1252", "cp1252"};

// Every value of "charset" in a Content-Type, however it is written.
std::vector<std::string> Charsets(std::string_view type) {
  const std::string lower = AsciiLower(type);
  constexpr std::string_view kName = "charset";
  std::vector<std::string> out;
  for (size_t at = lower.find(kName); at != std::string::npos; at = lower.find(kName, at)) {
    at += kName.size();
    size_t from = lower.find_first_not_of(" \t*", at);  // "charset*" is RFC 8187's form of it
    if (from == std::string::npos || lower[from] != '=') continue;
    from = lower.find_first_not_of(" \t\"'", from + 1);
    if (from == std::string::npos) break;
    out.push_back(lower.substr(from, lower.find_first_of(" \t\"';,", from) - from));
  }
  return out;
}

}  // namespace

bool AsksForAnotherForm(std::string_view name) {
  const std::string normal = Normal(name);
  if (IsAmong(kUploadRanges, normal)) return false;
  return IsAmong(kAskFields, normal) || normal.ends_with("-range") || normal.starts_with("want-");
}

bool TellsOfContent(std::string_view name) {
  const std::string normal = Normal(name);
  const auto holds = [&](std::string_view part) { return normal.find(part) != std::string::npos; };
  if (std::any_of(std::begin(kLengths), std::end(kLengths), holds)) return true;
  for (size_t at = 0; at <= normal.size();) {
    const size_t end = std::min(normal.find_first_of("-.", at), normal.size());
    if (IsAmong(kHashes, std::string_view(normal).substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

std::optional<std::string> UnfilterableStatus(int status) {
  if (status == 206) return "a part of its content (206)";
  if (status == 226) return "a change of its content (226)";
  return std::nullopt;
}

std::optional<std::string> UnfilterableField(std::string_view name, std::string_view value) {
  if (name == "content-range") return "a part of its content (Content-Range)";
  if (name == "content-encoding" && !EqualsIgnoringCase(value, "identity")) {
    return fmt::format("a coded body ({}) though none was asked for", value);
  }
  if (name != "content-type") return std::nullopt;
  if (AsciiLower(value).starts_with("multipart/byteranges")) {
    return "parts of its content (multipart/byteranges)";
  }
  for (const std::string& charset : Charsets(value)) {
    if (!IsAmong(kCharsets, charset)) return fmt::format("text in the charset {}", charset);
  }
  return std::nullopt;
}

}  // namespace postern::policy
