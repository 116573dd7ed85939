#include "cli/manual.h"

#include <algorithm>
#include <vector>

#include "base/exit_status.h"
#include "base/format.h"
#include "cli/commands.h"

namespace postern::cli {
namespace {

// An option as it is written: "--listen=PORT", "--json"; empty for a positional one.
struct Written {
  std::string name, value, description;
  bool is_file = false;
};

std::vector<Written> OptionsOf(const CLI::App& command) {
  std::vector<Written> list;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty()) continue;
    Written w{.name = fmt::format("--{}", option->get_lnames().front()),
              .description = option->get_description()};
    if (option->get_items_expected_max() > 0) {
      w.value = option->get_type_name();
      w.value = w.value.substr(0, w.value.find(":INT"));  // the bounds, which CLI11 adds
    }
    w.is_file = w.value.starts_with("FILE") || w.value == "PATH" || w.value == "DIR";
    list.push_back(std::move(w));
  }
  return list;
}

std::string Positional(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional())
      fmt::format_to(std::back_inserter(text), " {}", option->get_name(true));
  }
  return text;
}

bool Has(const std::vector<Written>& list, const Written& option) {
  return std::any_of(list.begin(), list.end(),
                     [&](const Written& o) { return o.name == option.name; });
}

// Text for man(7): a hyphen that is typed, no macro at a line's beginning.
std::string Roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '-') {
      out += "\\-";
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '\'' && (out.empty() || out.back() == '\n')) {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out;
}

std::string RoffOption(const Written& o) {
  std::string head = fmt::format(".TP\n\\fB{}\\fR", Roff(o.name));
  if (!o.value.empty()) fmt::format_to(std::back_inserter(head), "=\\fI{}\\fR", Roff(o.value));
  return fmt::format("{}\n{}.\n", head, Roff(o.description));
}

std::string Quoted(const std::string& text, char quote) {
  std::string out;
  for (const char c : text) {
    if (c == quote) out += quote == '\'' ? "'\\'" : "\\";
    out += c;
  }
  return quote + out + quote;
}

// The bash completion, around the names of commands and options.
constexpr std::string_view kBashHead = R"(# bash completion for postern
_postern() {
  local cur command='' word options=''
  _get_comp_words_by_ref -n = cur 2>/dev/null || cur=${COMP_WORDS[COMP_CWORD]}
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in )";
constexpr std::string_view kBashCases = R"() command=$word; break ;; esac
  done
  case $command in
    '') options=")";
constexpr std::string_view kBashOptions = R"(--help --version" ;;
)";
constexpr std::string_view kBashTail = R"(  esac
  COMPREPLY=()
  if [[ -z $command || $cur == -* ]] && [[ $cur != *=* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "${cur#*=}"))
  fi
  [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _postern postern
)";

std::string Bash(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* c : Commands(app)) {
    fmt::format_to(std::back_inserter(names), "{} ", c->get_name());
    std::string options;
    for (const Written& o : OptionsOf(*c)) options += o.name + (o.value.empty() ? " " : "= ");
    fmt::format_to(std::back_inserter(cases), "    {}) options=\"{}\" ;;\n", c->get_name(),
                   options);
  }
  std::string alternatives = names.substr(0, names.size() - 1);
  std::replace(alternatives.begin(), alternatives.end(), ' ', '|');
  return fmt::format("{}{}{}{}{}{}{}", kBashHead, alternatives, kBashCases, names, kBashOptions,
                     cases, kBashTail);
}

// A description without what _arguments would read as its own.
std::string ZshText(std::string text) {
  std::erase_if(text, [](char c) { return c == '[' || c == ']' || c == ':' || c == '\\'; });
  return text;
}

std::string Zsh(const CLI::App& app) {
  std::string out =
      "#compdef postern\n\n_postern() {\n  local state\n  local -a commands\n  commands=(\n";
  for (const CLI::App* c : Commands(app))
    fmt::format_to(
        std::back_inserter(out), "    {}\n",
        Quoted(fmt::format("{}:{}", c->get_name(), ZshText(c->get_description())), '\''));
  out +=
      "  )\n  _arguments -C '--help[Print help]' '--version[Print the version]' '1: :->command' "
      "'*:: :->rest'\n"
      "  case $state in\n    command) _describe command commands ;;\n    rest)\n      case "
      "${words[1]} in\n";
  for (const CLI::App* c : Commands(app)) {
    fmt::format_to(std::back_inserter(out), "        {}) _arguments", c->get_name());
    for (const Written& o : OptionsOf(*c)) {
      std::string spec =
          fmt::format("{}{}[{}]", o.name, o.value.empty() ? "" : "=", ZshText(o.description));
      if (!o.value.empty())
        fmt::format_to(std::back_inserter(spec), ":{}:{}", ZshText(o.value),
                       o.is_file ? "_files" : "");
      fmt::format_to(std::back_inserter(out), " \\\n          {}", Quoted(spec, '\''));
    }
    out += " \\\n          '*:FILE:_files' ;;\n";
  }
  out +=
      "      esac ;;\n  esac\n}\n\n[ \"$funcstack[1]\" = _postern ] && _postern \"$@\" || "
      "compdef _postern postern\n";
  return out;
}

std::string Fish(const CLI::App& app) {
  std::string names;
  for (const CLI::App* c : Commands(app)) names += (names.empty() ? "" : " ") + c->get_name();
  const std::string none = fmt::format("\"not __fish_seen_subcommand_from {}\"", names);
  std::string out = "# fish completion for postern\n";
  for (const CLI::App* c : Commands(app)) {
    fmt::format_to(std::back_inserter(out), "complete -c postern -f -n {} -a {} -d {}\n", none,
                   c->get_name(), Quoted(c->get_description(), '"'));
  }
  for (const CLI::App* c : Commands(app)) {
    for (const Written& o : OptionsOf(*c)) {
      fmt::format_to(std::back_inserter(out),
                     "complete -c postern -n \"__fish_seen_subcommand_from {}\" -l {}{} -d {}\n",
                     c->get_name(), o.name.substr(2),
                     o.value.empty() ? ""
                     : o.is_file     ? " -r -F"
                                     : " -x",
                     Quoted(o.description, '"'));
    }
  }
  return out;
}

}  // namespace

std::string ManualPage(const CLI::App& app) {
  std::string version = app.version();
  std::replace(version.begin(), version.end(), '-', ' ');
  std::string out = fmt::format(
      ".TH POSTERN 1 \"\" \"{}\" \"User Commands\"\n.SH NAME\npostern \\- run JavaScript that "
      "nobody has vetted\n.SH SYNOPSIS\n",
      version);
  for (const CLI::App* c : Commands(app)) {
    fmt::format_to(std::back_inserter(out), ".B postern {}\n", c->get_name());
    if (!OptionsOf(*c).empty()) out += "[\\fIOPTIONS\\fR]";
    fmt::format_to(std::back_inserter(out), "\\fI{}\\fR\n.br\n", Roff(Positional(*c)));
  }
  fmt::format_to(std::back_inserter(out), ".SH DESCRIPTION\n{}\n.SH COMMANDS\n",
                 Roff(app.get_description()));
  const std::vector<Written> shared = CommandOf(app, "run") != nullptr
                                          ? OptionsOf(*CommandOf(app, "eval"))
                                          : std::vector<Written>();
  const CLI::App *run = CommandOf(app, "run"), *serve = CommandOf(app, "serve");
  const auto is_shared = [&](const Written& o) {
    return Has(shared, o) && Has(OptionsOf(*run), o) && Has(OptionsOf(*serve), o);
  };
  for (const CLI::App* c : Commands(app)) {
    fmt::format_to(std::back_inserter(out), ".SS postern {}{}\n{}.\n", c->get_name(),
                   Roff(Positional(*c)), Roff(c->get_description()));
    for (const Written& o : OptionsOf(*c)) {
      if (!is_shared(o)) out += RoffOption(o);
    }
  }
  out += ".SH OPTIONS OF RUN, EVAL AND SERVE\n";
  for (const Written& o : shared) {
    if (is_shared(o)) out += RoffOption(o);
  }
  out += R"(.SH EXIT STATUS
That of the guest, or
)";
  for (const ExitMeaning& e : kExitMeanings)
    fmt::format_to(std::back_inserter(out), ".TP\n{}\n{}\n", static_cast<int>(e.status), e.meaning);
  out += R"(.SH ENVIRONMENT
.TP
.B POSTERN_SERVER
as \fB\-\-server\fR
.TP
.B POSTERN_TOKEN
the token for a server that is reached over TCP
.SH FILES
.TP
.I /etc/postern/policy.yaml
what runs of the service may do
.SH SEE ALSO
The documents in
.IR /usr/share/doc/postern ,
.BR systemd (1),
.BR seccomp (2)
)";
  return out;
}

std::optional<std::string> Completions(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return Bash(app);
  if (shell == "zsh") return Zsh(app);
  if (shell == "fish") return Fish(app);
  return std::nullopt;
}

}  // namespace postern::cli
