#include "policy/yaml_reader.h"

#include <algorithm>

#include "policy/text.h"

namespace postern::policy {

std::string YamlReader::Where(const YAML::Mark& mark) const {
  if (mark.is_null()) return file_ + ":1:1";
  return file_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

void YamlReader::Entries(
    const YAML::Node& node, const std::string& what,
    const std::function<void(const YAML::Node&, const YAML::Node&)>& entry) const {
  if (!node.IsMap()) Refuse(node.Mark(), what + " must be a mapping");
  std::vector<std::string> seen;
  for (const auto& e : node) {
    const std::string key = Text(e.first, "a key");
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      Refuse(e.first.Mark(), "key \"" + key + "\" stands twice in " + what);
    }
    seen.push_back(key);
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
    const auto nearest =
        std::min_element(fields.begin(), fields.end(), [&](const Field& a, const Field& b) {
          return EditDistance(name, a.first) < EditDistance(name, b.first);
        });
    Refuse(key.Mark(), "unknown key \"" + name + "\" in " + what + "; did you mean \"" +
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
  Refuse(node.Mark(), what + " must be one of " + list + ", not \"" + text + "\"");
}

bool YamlReader::Boolean(const YAML::Node& node, const std::string& what) const {
  return OneOf(node, what, {"true", "false"}) == "true";
}

}  // namespace postern::policy
