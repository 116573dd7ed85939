// Recording: the bytes that the replay adapter answers from. Read before the broker is confined,
// and parsed after that: what is in them came from guests and origins.
#pragma once

#include <string>

#include "har/har.h"

namespace postern::broker {

struct Recording {
  std::string har;
  har::Files files;
};

// `file`: the HAR file, from its beginning if it has one to go back to. `directory`: where bodies
// lie that it names as Playwright does, by their SHA-1; no other name is opened, and no link.
Result<Recording> ReadRecording(int file, int directory);

// All of a file, from where its descriptor stands.
Result<std::string> ReadToEnd(int fd, const std::string& what, size_t max_bytes = SIZE_MAX);

}  // namespace postern::broker
