// What the replay adapter answers from: a HAR file, and bodies that Playwright keeps beside it.
#pragma once

#include <string>

#include "har/har.h"

namespace postern::broker {

// The files in `directory` that a HAR file names as Playwright does, by their SHA-1: no other name
// is opened, and no link. Before the broker is confined; a pipe has none. The HAR file is then at
// its beginning: a broker before this one may have read it.
Result<har::Files> ReadFilesBeside(int har, int directory);

// All of a file, from where its descriptor stands.
Result<std::string> ReadToEnd(int fd, const std::string& what, size_t max_bytes = SIZE_MAX);

}  // namespace postern::broker
