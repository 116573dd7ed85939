#include "cli/words.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/elsewhere.h"
#include "policy/rules/target.h"

namespace postern::cli {
namespace {

// Options whose place matters: behind FILE they are the guest's and grant or forbid nothing.
constexpr std::string_view kGrants[] = {"--allow-net", "--deny-net", "--policy", "--mount",
                                        "--adapter",   "--secret",   "--env",    "--timeout",
                                        "--memory",    "--cpu",      "--require"};

std::string NameOf(std::string_view word) { return std::string(word.substr(0, word.find('='))); }

bool Exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0;
}

bool HasCodeExtension(const std::string& word) {
  const size_t dot = word.rfind('.');
  return dot != std::string::npos && IsCodeExtension(std::string_view(word).substr(dot + 1));
}

bool IsScript(const std::string& word) { return Exists(word) || HasCodeExtension(word); }

// The option of `command` that `word` names, with or without a value behind it.
const CLI::Option* OptionOf(const CLI::App& command, std::string_view word) {
  return command.get_option_no_throw(NameOf(word));
}

Error NoCommand(const std::string& word, const CLI::App& app) {
  if (IsScript(word)) return Error{fmt::format("to run {}, write: postern run {}", word, word)};
  std::vector<std::string> names;
  for (const CLI::App* command : Commands(app)) names.push_back(command->get_name());
  const std::string nearest = Nearest(word, names);
  std::string all;
  for (size_t i = 0; i < names.size(); ++i) {
    all += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  if (nearest.empty())
    return Error{fmt::format("there is no command \"{}\"; the commands are {}", word, all)};
  return Error{fmt::format("there is no command \"{}\"; did you mean \"{}\"? The commands are {}",
                           word, nearest, all)};
}

std::string Help(const CLI::App& command) {
  return command.get_parent() == nullptr ? "postern --help"
                                         : fmt::format("postern {} --help", command.get_name());
}

std::vector<std::string> OptionsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& known : option->get_lnames()) names.push_back(known);
  }
  return names;
}

// What somebody meant by an option that `command` does not have; empty where that cannot be told.
std::string Instead(const std::string& name, const CLI::App& command) {
  const bool serves = command.get_name() == "serve";
  if (const std::string_view advice = AdviceFor(name, serves); !advice.empty())
    return std::string(advice);
  // "-json" and "-m512m" have one hyphen.
  const bool one_hyphen = !name.starts_with("--");
  const std::string nearest =
      Nearest(std::string_view(name).substr(one_hyphen ? 1 : 2), OptionsOf(command));
  if (!nearest.empty()) return fmt::format("did you mean --{}?", nearest);
  if (one_hyphen && name.size() > 2) return std::string(AdviceFor(name.substr(0, 2), serves));
  return {};
}

Error NoOption(const std::string& word, const CLI::App& command) {
  const std::string name = NameOf(word);
  std::string instead = Instead(name, command);
  const CLI::App* app = command.get_parent();
  for (const CLI::App* other : app == nullptr ? std::vector<const CLI::App*>() : Commands(*app)) {
    if (instead.empty() && OptionOf(*other, name) != nullptr)
      instead = fmt::format("it is one of postern {}", other->get_name());
  }
  if (instead.empty()) instead = fmt::format("see {}", Help(command));
  return Error{fmt::format("there is no option {}; {}", name, instead)};
}

// What one word of ours says that is an option: nothing, or why it cannot be.
Status CheckOption(const std::string& word, const CLI::App& command) {
  const CLI::Option* option = OptionOf(command, word);
  if (option == nullptr) return NoOption(word, command);
  const size_t equals = word.find('=');
  if (equals == std::string::npos) return Ok{};
  if (option->get_expected_max() == 0)
    return Error{
        fmt::format("{} takes no value; leave out \"{}\"", NameOf(word), word.substr(equals))};
  if (equals + 1 == word.size())
    return Error{fmt::format("{} has no value; see {}", word, Help(command))};
  const std::string value = word.substr(equals + 1);
  if (option->get_delimiter() == ',' &&
      (value.front() == ',' || value.back() == ',' || value.find(",,") != std::string::npos))
    return Error{fmt::format("one of the values in {} is empty", word)};
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

// An option whose value is the next word, and that word; of a command line without FILE or CODE.
struct Taken {
  std::string option, value;
};

bool IsCode(const std::string& word) { return word.find_first_of(" (){};'\"`") != word.npos; }

Error NoTarget(const CLI::App& command, const Taken& last) {
  const bool run = command.get_name() == "run";
  const std::string what = run ? "FILE" : "CODE";
  if (last.option.empty()) return Error{fmt::format("{} is required; see {}", what, Help(command))};
  const bool meant = run ? last.value == "-" || HasCodeExtension(last.value) : IsCode(last.value);
  if (!meant)
    return Error{
        fmt::format("{} is required; {} is the value of {}", what, last.value, last.option)};
  return Error{fmt::format("{} has taken {} as its value; write {}=VALUE before it", last.option,
                           last.value, last.option)};
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
      return Error{fmt::format("the command comes first: postern run {} FILE", words[0])};
    if (Status s = CheckOption(words[0], app); !s) return s.error();
    read.own = words;
    return read;
  }
  const CLI::App* command = CommandOf(app, words[0]);
  if (command == nullptr) return NoCommand(words[0], app);
  const bool has_guest = words[0] == "run" || words[0] == "eval";
  bool options = true;  // until "--"
  bool has_target = false;
  Taken last;
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
          return Error{fmt::format(
              "write --allow-net={}: without \"=\" it grants every public address", words[i + 1])};
        word = "--allow-net=*";
      } else if (option->get_expected_max() > 0 && word.find('=') == std::string::npos) {
        const bool ends = i + 1 == words.size();
        if (ends || (words[i + 1].starts_with("--") && OptionOf(*command, words[i + 1]) != nullptr))
          return Error{fmt::format("{} has no value; see {}", word, Help(*command))};
        last = {word, words[++i]};
      }
      continue;
    }
    if (words[0] == "serve" && IsScript(word))
      return Error{
          fmt::format("to let {} answer requests, write: postern serve --handler={} --listen=8080",
                      word, word)};
    if (!has_guest) continue;
    has_target = true;
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
  const bool asks = std::find(words.begin(), words.end(), "--help") != words.end() ||
                    std::find(words.begin(), words.end(), "-h") != words.end();
  if (has_guest && !has_target && !asks) return NoTarget(*command, last);
  read.own = std::move(words);
  return read;
}

}  // namespace postern::cli
