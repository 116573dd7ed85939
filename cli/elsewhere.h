// Options of other tools (Node.js, Deno, Bun, Docker, curl), and what does the same here.
#pragma once

#include <string_view>

namespace postern::cli {

// What to do instead of giving the option `name`, as a part of a sentence; empty for one that is
// not known. `serves`: it was given to postern serve.
std::string_view AdviceFor(std::string_view name, bool serves);

}  // namespace postern::cli
