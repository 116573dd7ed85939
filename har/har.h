// HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): what `--record` writes, what a
// browser's network panel reads, and what the replay adapter answers from.
//
// What HAR cannot say stands in `_postern` of an entry: bytes that are no text, that a body was not
// kept, and how a request failed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "channel/failure.h"

namespace postern::har {

// Milliseconds; -1 for what did not happen.
struct Timings {
  double queue = 0, dns = -1, connect = -1, tls = -1, first_byte = -1, total = 0;
};

struct Body {
  std::string bytes;
  int64_t size = 0;     // of all of it, kept or not
  std::string missing;  // why `bytes` are not the body; empty where they are
};

struct HarEntry {
  std::string time;  // ISO 8601, when the request began
  std::string method, url;
  channel::Fields request_fields;
  Body request_body;
  int status = 0;
  std::string status_text;
  std::string http_version;  // "HTTP/1.1", "HTTP/2"
  channel::Fields response_fields;
  Body response_body;
  std::optional<channel::Failure> failure;  // of the request, or of the body midway
  std::string address;
  Timings timings;
};

inline constexpr size_t kMaxKeptBody = 16 << 20;  // bytes of one body
inline constexpr size_t kMaxHarBytes = 1 << 30;
inline constexpr std::string_view kTooLarge = "larger than a recorded body may be; left out";

// One entry, as JSON on one line.
std::string FormatEntry(const HarEntry& exchange);
// All of it but the bodies, from one process to another (CBOR, RFC 8949).
std::string PackHead(const HarEntry& exchange);
Result<HarEntry> UnpackHead(std::string_view packed);
// What stands before the first entry, and after the last. Entries are parted by ",\n".
std::string_view Beginning();
std::string_view Ending();

// Reads a HAR file of ours, or of a browser, proxy or test tool; the first entry is the vector's
// first. An error names the entry of which not even the request can be read. A response of which
// something is missing or ambiguous is a `failure` that says so: nothing is ever taken for empty.
// `files`: bodies that Playwright keeps beside the HAR file, by their names.
using Files = std::map<std::string, std::string>;
Result<std::vector<HarEntry>> Parse(std::string_view text, const Files& files = {});
// "entry 17 (GET https://…)"
std::string EntryName(size_t number, const HarEntry& exchange);

}  // namespace postern::har
