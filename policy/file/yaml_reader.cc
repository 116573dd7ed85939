#include "policy/file/yaml_reader.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"

namespace postern::policy {

namespace {

constexpr size_t kShownBytes = 200;
constexpr size_t kSearchedBytes = 400;  // of a line

// Of what a file says, as much as a message has room for.
std::string Shown(const std::string& text) {
  if (text.size() <= kShownBytes) return text;
  size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return fmt::format("{}…", text.substr(0, end));
}

// Where keys belong that stand elsewhere in a file.
constexpr std::pair<std::string_view, std::string_view> kPlaces[] = {
    {"permission", "network"},  {"mode", "network"},       {"adapter", "network"},
    {"rules", "network"},       {"dns", "network"},        {"addresses", "network"},
    {"allow", "network.rules"}, {"deny", "network.rules"}, {"methods", "a rule"},
    {"paths", "a rule"},        {"headers", "a rule"},     {"secrets_in", "a rule"},
    {"wall", "limits"},         {"cpu", "limits"},         {"memory", "limits"},
    {"output", "limits"},       {"grace", "limits"},       {"timer_resolution", "limits"}};

// How what is no single value looks.
constexpr std::pair<std::string_view, std::string_view> kForms[] = {
    {"network", "network: {permission: allow, rules: [{allow: api.example.com}]}"},
    {"rules", "rules: [{allow: api.example.com}]"},
    {"a rule", "- {allow: api.example.com}"},
    {"adapter", "adapter: {proxy: \"http://proxy.example:3128\"} or adapter: {replay: run.har}"},
    {"addresses", "addresses: [10.0.0.0/8], and addresses: {deny: [10.0.0.0/8]} of network"},
    {"methods", "methods: [GET, HEAD]"},
    {"paths", "paths: [/v1/**]"},
    {"headers", "headers: {x-client: postern}"},
    {"secrets_in", "secrets_in: [headers]"},
    {"secrets", "secrets: {API_KEY: {env: API_KEY}}, and secrets: [API_KEY] of a rule"},
    {"a secret", "API_KEY: {env: API_KEY}"},
    {"audit", "audit: {file: audit.jsonl}"},
    {"mounts", "mounts: [{host: ./data, guest: /data}]"},
    {"a mount", "- {host: ./data, guest: /data}"},
    {"env", "env: {NAME: value}"},
    {"limits", "limits: {memory: 128MiB}"},
    {"dns", "dns: {servers: [127.0.0.1]}"},
    {"servers", "servers: [127.0.0.1]"},
    {"hosts", "hosts: {api.example.com: 127.0.0.1}"},
    {"tls", "tls: {ca_file: ca.pem}, and tls: {certificate: c.pem, key: k.pem} of a rule"},
    {"pins", "pins: [sha256/…]"}};

std::string FormOf(const std::string& what) {
  for (const auto& [name, form] : kForms) {
    if (what == name) return fmt::format("; as in {}", form);
  }
  return {};
}

constexpr std::string_view kBlanks = " \t";

std::string_view LineOf(std::string_view text, int number) {
  for (; number > 0; --number) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// A value in `line` that begins with what means something else to YAML unless it is quoted.
std::string Unquoted(std::string_view line) {
  constexpr std::string_view kBefore = ":-,[{", kSigns = "*&!@`%|>";
  for (size_t i = line.find_first_not_of(kBlanks); i < line.size(); ++i) {
    const size_t before = i == 0 ? line.npos : line.find_last_not_of(kBlanks, i - 1);
    const bool begins = before == line.npos || (kBefore.find(line[before]) != line.npos &&
                                                (before + 1 < i || line[before] > '-'));
    if (!begins) continue;
    const size_t end = std::min(line.find_first_of(",}#", i), line.size());
    std::string_view value = line.substr(i, end - i);
    value = value.substr(0, value.find_last_not_of(kBlanks) + 1);
    const bool in_list = value.ends_with(']') && line[i] != '[';
    if (in_list) value.remove_suffix(1);
    const bool address = line[i] == '[' && value.find("]:") != value.npos;  // [::1]:80
    if (address || kSigns.find(line[i]) != kSigns.npos) return std::string(value);
  }
  return {};
}

}  // namespace

std::string YamlReader::Explain(const YAML::Exception& error, std::string_view text) const {
  std::string_view line = LineOf(text, error.mark.line);
  const size_t column = static_cast<size_t>(std::max(error.mark.column, 0));
  if (line.size() > kSearchedBytes)  // around the place
    line = line.substr(std::min(line.size(), column - std::min(column, kSearchedBytes / 2)),
                       kSearchedBytes);
  const std::string said = fmt::format("{}: {}", Where(error.mark), error.msg);
  const size_t indent = std::min(line.find_first_not_of(kBlanks), line.size());
  if (line.substr(0, indent).find('\t') != line.npos)
    return fmt::format("{}; indent with blanks: YAML takes no tab there", said);
  if (const std::string value = Unquoted(line); !value.empty())
    return fmt::format("{}; quote it: \"{}\"", said, Shown(value));
  const size_t colon = line.find(": ");
  if (colon != line.npos && line.find(": ", colon + 2) != line.npos)
    return fmt::format("{}; a value that holds \": \" needs quotes", said);
  return said;
}

std::string YamlReader::Where(const YAML::Mark& mark) const {
  if (mark.is_null()) return fmt::format("{}:1:1", file_);
  return fmt::format("{}:{}:{}", file_, mark.line + 1, mark.column + 1);
}

void YamlReader::Entries(
    const YAML::Node& node, const std::string& what,
    const std::function<void(const YAML::Node&, const YAML::Node&)>& entry) const {
  if (!node.IsMap()) Refuse(node.Mark(), fmt::format("{} must be a mapping{}", what, FormOf(what)));
  std::set<std::string> seen;
  for (const auto& e : node) {
    const std::string key = Text(e.first, "a key");
    if (!seen.insert(key).second)
      Refuse(e.first.Mark(), fmt::format("key \"{}\" stands twice in {}", Shown(key), what));
    entry(e.first, e.second);
  }
}

void YamlReader::Map(const YAML::Node& node, const std::string& what,
                     const std::vector<Field>& fields) const {
  Entries(node, what, [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string& name = key.Scalar();
    const auto known =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return name == f.first; });
    if (known != fields.end()) return known->second(value);
    const std::string shown = Shown(name);
    const std::string unknown = fmt::format("unknown key \"{}\" in {}", shown, what);
    for (const auto& [elsewhere, place] : kPlaces) {
      if (shown == elsewhere && what != place)
        Refuse(key.Mark(), fmt::format("{}; it belongs in {}", unknown, place));
    }
    std::vector<std::string> names;
    for (const Field& f : fields) names.emplace_back(f.first);
    const auto longer = std::find_if(names.begin(), names.end(),
                                     [&](const auto& n) { return n.starts_with(shown); });
    const std::string meant = longer != names.end() ? *longer : Nearest(shown, names);
    if (!meant.empty()) Refuse(key.Mark(), fmt::format("{}; did you mean \"{}\"?", unknown, meant));
    std::string all;
    for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
    Refuse(key.Mark(), fmt::format("{}, which has {}", unknown, all));
  });
}

std::string YamlReader::Text(const YAML::Node& node, const std::string& what) const {
  if (!node.IsScalar()) Refuse(node.Mark(), fmt::format("{} must be a single value", what));
  if (!IsPrintableUtf8(node.Scalar())) {
    Refuse(node.Mark(), fmt::format("{} has characters that do not print", what));
  }
  if (node.Tag().size() > 1 && node.Tag()[0] == '!')
    Refuse(node.Mark(), fmt::format("{} has a tag; quote what begins with \"!\"", what));
  return node.Scalar();
}

void YamlReader::Each(const YAML::Node& node, const std::string& what,
                      const std::function<void(const YAML::Node&)>& item) const {
  if (!node.IsSequence())
    Refuse(node.Mark(), fmt::format("{} must be a list{}", what, FormOf(what)));
  for (const auto& n : node) item(n);
}

std::string YamlReader::OneOf(const YAML::Node& node, const std::string& what,
                              std::initializer_list<const char*> words) const {
  std::string text = Text(node, what);
  std::string list;
  for (const char* w : words) {
    if (text == w) return text;
    list += (list.empty() ? "" : ", ") + std::string(w);
  }
  Refuse(node.Mark(),
         fmt::format("{} must be one of {}, not \"{}\"{}", what, list, Shown(text), FormOf(what)));
}

bool YamlReader::Boolean(const YAML::Node& node, const std::string& what) const {
  return OneOf(node, what, {"true", "false"}) == "true";
}

}  // namespace postern::policy
