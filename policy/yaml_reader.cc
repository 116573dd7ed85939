#include "policy/yaml_reader.h"

#include <algorithm>
#include <set>

#include "policy/text.h"

namespace postern::policy {

namespace {

constexpr size_t kShownBytes = 200;

// Of what a file says, as much as a message has room for.
std::string Shown(const std::string& text) {
  if (text.size() <= kShownBytes) return text;
  size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

}  // namespace

std::string YamlReader::Where(const YAML::Mark& mark) const {
  if (mark.is_null()) return file_ + ":1:1";
  return file_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

void YamlReader::Entries(
    const YAML::Node& node, const std::string& what,
    const std::function<void(const YAML::Node&, const YAML::Node&)>& entry) const {
  if (!node.IsMap()) Refuse(node.Mark(), what + " must be a mapping");
  std::set<std::string> seen;
  for (const auto& e : node) {
    const std::string key = Text(e.first, "a key");
    if (!seen.insert(key).second)
      Refuse(e.first.Mark(), "key \"" + Shown(key) + "\" stands twice in " + what);
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
    const auto nearest =
        std::min_element(fields.begin(), fields.end(), [&](const Field& a, const Field& b) {
          return EditDistance(shown, a.first) < EditDistance(shown, b.first);
        });
    Refuse(key.Mark(), "unknown key \"" + shown + "\" in " + what + "; did you mean \"" +
                           nearest->first + "\"?");
  });
}

std::string YamlReader::Text(const YAML::Node& node, const std::string& what) const {
  if (!node.IsScalar()) Refuse(node.Mark(), what + " must be a single value");
  if (!IsPrintableUtf8(node.Scalar())) {
    Refuse(node.Mark(), what + " has characters that do not print");
  }
  return node.Scalar();
}

void YamlReader::Each(const YAML::Node& node, const std::string& what,
                      const std::function<void(const YAML::Node&)>& item) const {
  if (!node.IsSequence()) Refuse(node.Mark(), what + " must be a list");
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
  Refuse(node.Mark(), what + " must be one of " + list + ", not \"" + Shown(text) + "\"");
}

bool YamlReader::Boolean(const YAML::Node& node, const std::string& what) const {
  return OneOf(node, what, {"true", "false"}) == "true";
}

}  // namespace postern::policy
