// YamlReader: reads YAML nodes strictly. Every refusal names file:line:column and what would be
// right; an unknown key is refused with the nearest known one.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/result.h"

namespace postern::policy {

// Thrown while a file is read, and turned into a value where reading began.
struct PolicyFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class YamlReader {
 public:
  // `file` is used in messages.
  explicit YamlReader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void Refuse(const YAML::Mark& mark, const std::string& why) const {
    throw PolicyFileError(fmt::format("{}: {}", Where(mark), why));
  }
  std::string Where(const YAML::Mark& mark) const;
  // What the library says of `text`, and what to write instead.
  std::string Explain(const YAML::Exception& error, std::string_view text) const;

  using Field = std::pair<const char*, std::function<void(const YAML::Node&)>>;
  // Reads a mapping: each key once, none that is not in `fields`.
  void Map(const YAML::Node& node, const std::string& what, const std::vector<Field>& fields) const;
  // A mapping whose keys are the file's own: each key once.
  void Entries(
      const YAML::Node& node, const std::string& what,
      const std::function<void(const YAML::Node& key, const YAML::Node& value)>& entry) const;
  // A single value of well-formed UTF-8 without control characters.
  std::string Text(const YAML::Node& node, const std::string& what) const;
  void Each(const YAML::Node& node, const std::string& what,
            const std::function<void(const YAML::Node&)>& item) const;
  std::string OneOf(const YAML::Node& node, const std::string& what,
                    std::initializer_list<const char*> words) const;
  bool Boolean(const YAML::Node& node, const std::string& what) const;

  template <typename T>
  T Must(const YAML::Node& node, Result<T> result) const {
    if (!result) Refuse(node.Mark(), result.error().message);
    return *std::move(result);
  }

 private:
  std::string file_;
};

}  // namespace postern::policy
