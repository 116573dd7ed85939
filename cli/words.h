// The words of a command line, before they are parsed: which are ours and which the guest's, and
// what somebody meant who wrote them for another tool, or with a slip.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace postern::cli {

struct Words {
  std::vector<std::string> own;    // as `app` takes them
  std::vector<std::string> guest;  // what follows FILE or CODE of run and eval
  // Of those the first that looks like an option of ours which grants or forbids something.
  std::string misplaced;
};

// `words`: without the program's own name. An error says what to type instead. Which options there
// are, and which of them take a value, `app` knows.
Result<Words> ReadWords(std::vector<std::string> words, const CLI::App& app);

}  // namespace postern::cli
