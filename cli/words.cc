#include "cli/words.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cli/commands.h"
#include "policy/target.h"
#include "policy/text.h"

namespace postern::cli {
namespace {

// Words of other tools (Node.js, Deno, Bun, Docker), and what does the same here.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"-A", "name what the program may have: --allow-net=RULE, --mount=HOST:GUEST, --env=NAME"},
    {"--allow-all",
     "name what the program may have: --allow-net=RULE, --mount=HOST:GUEST, --env=NAME"},
    {"--allow-read", "write --mount=HOST:GUEST"},
    {"--allow-write", "write --mount=HOST:GUEST:rw"},
    {"--allow-env", "write --env=NAME for each variable"},
    {"--allow-run", "a guest starts no programs"},
    {"--allow-ffi", "a guest loads no native code"},
    {"--allow-sys", "a guest has the system's names from Postern, whatever they are"},
    {"--allow-import", "a guest imports from directories that it sees: --mount=HOST:GUEST"},
    {"--deny-read", "a guest reads nothing that --mount does not name"},
    {"--deny-write", "a guest writes nothing that --mount=HOST:GUEST:rw does not name"},
    {"--deny-env", "a guest has no variable that --env does not name"},
    {"-e", "write --env=NAME[=VALUE] for a variable, postern eval CODE for code"},
    {"-p",
     "a guest listens nowhere, but for postern serve --handler=FILE --listen=PORT; for code, "
     "write postern eval CODE, which prints the value"},
    {"--publish", "a guest listens nowhere, but for postern serve --handler=FILE --listen=PORT"},
    {"--port", "write --listen=PORT"},
    {"--host", "write --listen=HOST:PORT"},
    {"--hostname", "write --listen=HOST:PORT"},
    {"--env-file", "write --env=NAME=VALUE for each variable, or env: in a policy"},
    {"--rm", "a run leaves nothing behind; leave it out"},
    {"-i", "a guest may read standard input; leave it out"},
    {"-t", "output goes where yours goes; leave it out"},
    {"-it", "a guest may read standard input, and output goes where yours goes; leave it out"},
    {"--interactive", "a guest may read standard input; leave it out"},
    {"--tty", "output goes where yours goes; leave it out"},
    {"-m", "write --memory=128MiB"},
    {"--cpus", "a guest has one thread; --cpu=5s limits its CPU time"},
    {"--network", "write --allow-net=RULE, or nothing for none"},
    {"--net", "write --allow-net=RULE, or nothing for none"},
    {"-w", "write --cwd=DIR"},
    {"--workdir", "write --cwd=DIR"},
    {"-u", "a guest is nobody, whoever starts it; leave it out"},
    {"--user", "a guest is nobody, whoever starts it; leave it out"},
    {"-d", "postern serve runs what it is sent; nothing goes on behind a command"},
    {"--detach", "postern serve runs what it is sent; nothing goes on behind a command"},
    {"--privileged", "nothing gives a guest more than --allow-net, --mount and --env do"},
    {"--cap-add", "nothing gives a guest more than --allow-net, --mount and --env do"},
    {"--cap-drop", "a guest has no capability; leave it out"},
    {"--read-only", "a guest's files are read-only unless --mount says :rw; leave it out"},
    {"--watch", "nothing is watched; run it anew when a file has changed"},
    {"--hot", "nothing is watched; run it anew when a file has changed"},
    {"--reload", "nothing is cached; leave it out"},
    {"--no-check", "types are taken out and not checked; leave it out"},
    {"-r", "import it in the program"},
    {"--import", "import it in the program"},
    {"--loader", "import it in the program"},
    {"--permission", "a guest has no permission that no flag gives; leave it out"},
    {"--allow-fs-read", "write --mount=HOST:GUEST"},
    {"--allow-fs-write", "write --mount=HOST:GUEST:rw"},
    {"--allow-child-process", "a guest starts no programs"},
    {"--allow-worker", "a guest has one thread"},
    {"--allow-addons", "a guest loads no native code"},
    {"--no-warnings", "leave it out; process.on('warning') of the program takes warnings"},
    {"--stack-size", "write --memory=128MiB"},
    {"--eval", "write postern eval CODE"},
    {"--print", "write postern eval CODE, which prints the value"},
    {"-v", "write --mount=HOST:GUEST for a directory, --verbose for a line a request"},
    {"-V", "write postern --version"},
    {"--volume", "write --mount=HOST:GUEST"},
    {"-q", "Postern says nothing of its own unless something fails"},
    {"--max-old-space-size", "write --memory=128MiB"},
    {"--inspect", "there is no debugger for a guest"},
    {"--inspect-brk", "there is no debugger for a guest"},
};

// Options whose place matters: behind FILE they are the guest's and grant or forbid nothing.
constexpr std::string_view kGrants[] = {"--allow-net", "--deny-net", "--policy", "--mount",
                                        "--adapter",   "--secret",   "--env",    "--timeout",
                                        "--memory",    "--cpu",      "--require"};

std::string NameOf(std::string_view word) { return std::string(word.substr(0, word.find('='))); }

bool Exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0;
}

bool IsScript(const std::string& word) {
  const size_t dot = word.rfind('.');
  return Exists(word) || (dot != std::string::npos &&
                          policy::IsCodeExtension(std::string_view(word).substr(dot + 1)));
}

// The option of `command` that `word` names, with or without a value behind it.
const CLI::Option* OptionOf(const CLI::App& command, std::string_view word) {
  return command.get_option_no_throw(NameOf(word));
}

Error NoCommand(const std::string& word, const CLI::App& app) {
  if (IsScript(word)) return Error{"to run " + word + ", write: postern run " + word};
  std::vector<std::string> names;
  for (const CLI::App* command : Commands(app)) names.push_back(command->get_name());
  const std::string nearest = policy::Nearest(word, names);
  std::string all;
  for (size_t i = 0; i < names.size(); ++i) {
    all += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return Error{"there is no command \"" + word + "\"" +
               (nearest.empty() ? "; the commands are " + all
                                : "; did you mean \"" + nearest + "\"? The commands are " + all)};
}

std::string Help(const CLI::App& command) {
  return command.get_parent() == nullptr ? "postern --help"
                                         : "postern " + command.get_name() + " --help";
}

Error NoOption(const std::string& word, const CLI::App& command) {
  const std::string name = NameOf(word);
  for (const auto& [theirs, instead] : kElsewhere) {
    if (name == theirs) return Error{"there is no option " + name + "; " + std::string(instead)};
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& known : option->get_lnames()) names.push_back("--" + known);
  }
  std::string nearest = policy::Nearest(name, names);
  if (nearest.empty() && name.starts_with("-") && !name.starts_with("--"))
    nearest = policy::Nearest("-" + name, names);  // -json
  return Error{"there is no option " + name +
               (nearest.empty() ? "; see " + Help(command) : "; did you mean " + nearest + "?")};
}

// What one word of ours says that is an option: nothing, or why it cannot be.
Status CheckOption(const std::string& word, const CLI::App& command) {
  const CLI::Option* option = OptionOf(command, word);
  if (option == nullptr) return NoOption(word, command);
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return Ok{};
  if (option->get_expected_max() == 0)
    return Error{NameOf(word) + " takes no value; leave out \"" + word.substr(equals) + "\""};
  if (equals + 1 == word.size()) return Error{word + " has no value; see " + Help(command)};
  const std::string value = word.substr(equals + 1);
  if (option->get_delimiter() == ',' &&
      (value.front() == ',' || value.back() == ',' || value.find(",,") != std::string::npos))
    return Error{"one of the values in " + word + " is empty"};
  return Ok{};
}

// Whether `word`, behind an --allow-net that names nothing, was meant as what it allows. Whoever
// writes that has granted every public address by a slip. `last`: nothing follows it.
bool IsMeantAsRule(const std::string& word, const CLI::App& command, bool last) {
  if (word.starts_with('-') || (command.get_name() == "run" && Exists(word))) return false;
  if (command.get_name() != "run" && last) return false;
  const bool like_host = word.find_first_of(".:*") != std::string::npos || word == "localhost";
  return like_host && word.find_first_of(" \t\n;(){}'\"`") == std::string::npos &&
         policy::Target::Parse(word.substr(0, word.find(',')));
}

}  // namespace

Result<Words> ReadWords(std::vector<std::string> words, const CLI::App& app) {
  Words read;
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    if (words.empty() || words[0].starts_with("-")) {
      words = {"--help"};
    } else {
      words = {words[0], "--help"};
    }
  }
  if (words == std::vector<std::string>{"version"} || words == std::vector<std::string>{"-v"})
    words = {"--version"};
  if (words.empty() || words[0] == "-h") {
    read.own = words;
    return read;
  }
  if (words[0].starts_with("-")) {
    if (OptionOf(app, words[0]) == nullptr && OptionOf(*CommandOf(app, "run"), words[0]) != nullptr)
      return Error{"the command comes first: postern run " + words[0] + " FILE"};
    if (Status s = CheckOption(words[0], app); !s) return s.error();
    read.own = words;
    return read;
  }
  const CLI::App* command = CommandOf(app, words[0]);
  if (command == nullptr) return NoCommand(words[0], app);
  const bool has_guest = words[0] == "run" || words[0] == "eval";
  bool options = true;  // until "--"
  for (size_t i = 1; i < words.size(); ++i) {
    std::string& word = words[i];
    if (options && word == "--") {
      options = false;
      continue;
    }
    if (options && word.starts_with("-") && word != "-") {
      if (Status s = CheckOption(word, *command); !s) return s.error();
      const CLI::Option* option = OptionOf(*command, word);
      if (word == "--allow-net" && has_guest) {
        if (i + 1 < words.size() && IsMeantAsRule(words[i + 1], *command, i + 2 == words.size()))
          return Error{"write --allow-net=" + words[i + 1] +
                       ": without \"=\" it grants every public address"};
        word = "--allow-net=*";
      } else if (option->get_expected_max() > 0 && word.find('=') == std::string::npos) {
        ++i;
      }
      continue;
    }
    if (words[0] == "serve" && IsScript(word))
      return Error{"to let " + word + " answer requests, write: postern serve --handler=" + word +
                   " --listen=8080"};
    if (!has_guest) continue;
    read.guest.assign(words.begin() + static_cast<ptrdiff_t>(i) + 1, words.end());
    words.resize(i + 1);
    // "--" tells that what follows was thought about.
    for (const std::string& argument : read.guest) {
      if (!options || argument == "--") break;
      const auto* grant = std::find(std::begin(kGrants), std::end(kGrants), NameOf(argument));
      if (grant != std::end(kGrants)) read.misplaced = argument;
      if (!read.misplaced.empty()) break;
    }
  }
  read.own = std::move(words);
  return read;
}

}  // namespace postern::cli
