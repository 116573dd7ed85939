#include "policy/policy_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <stdexcept>

#include "policy/units.h"

namespace postern::policy {
namespace {

// Thrown inside this file only; ParsePolicyFile turns it into a value.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void Refuse(const YAML::Mark& mark, const std::string& why) const {
    throw Refused(Where(mark) + ": " + why);
  }

  std::string Where(const YAML::Mark& mark) const {
    if (mark.is_null()) return file_ + ":1:1";
    return file_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  }

  using Field = std::pair<const char*, std::function<void(const YAML::Node&)>>;

  // Reads a mapping: each key once, none that is not in `fields`.
  void Map(const YAML::Node& node, const std::string& what,
           const std::vector<Field>& fields) const {
    if (!node.IsMap()) Refuse(node.Mark(), what + " must be a mapping");
    std::vector<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = Text(entry.first, "a key");
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
        Refuse(entry.first.Mark(), "key \"" + key + "\" stands twice in " + what);
      }
      seen.push_back(key);
      const auto known = std::find_if(fields.begin(), fields.end(),
                                      [&](const Field& f) { return key == f.first; });
      if (known == fields.end()) UnknownKey(entry.first, key, what, fields);
      known->second(entry.second);
    }
  }

  std::string Text(const YAML::Node& node, const std::string& what) const {
    if (!node.IsScalar()) Refuse(node.Mark(), what + " must be a single value");
    return node.Scalar();
  }

  void Each(const YAML::Node& node, const std::string& what,
            const std::function<void(const YAML::Node&)>& item) const {
    if (!node.IsSequence()) Refuse(node.Mark(), what + " must be a list");
    for (const auto& n : node) item(n);
  }

  std::string OneOf(const YAML::Node& node, const std::string& what,
                    std::initializer_list<const char*> words) const {
    std::string text = Text(node, what);
    std::string list;
    for (const char* w : words) {
      if (text == w) return text;
      list += (list.empty() ? "" : ", ") + std::string(w);
    }
    Refuse(node.Mark(), what + " must be one of " + list + ", not \"" + text + "\"");
  }

  template <typename T>
  T Must(const YAML::Node& node, Result<T> result) const {
    if (!result) Refuse(node.Mark(), result.error().message);
    return *std::move(result);
  }

 private:
  [[noreturn]] void UnknownKey(const YAML::Node& at, const std::string& key,
                               const std::string& what, const std::vector<Field>& fields) const {
    const auto nearest =
        std::min_element(fields.begin(), fields.end(), [&](const Field& a, const Field& b) {
          return EditDistance(key, a.first) < EditDistance(key, b.first);
        });
    Refuse(at.Mark(),
           "unknown key \"" + key + "\" in " + what + "; did you mean \"" + nearest->first + "\"?");
  }

  std::string file_;
};

int64_t ReadLimit(const Reader& r, const YAML::Node& node, const LimitName& limit) {
  const std::string text = r.Text(node, limit.name);
  int64_t value = 0;
  switch (limit.unit) {
    case LimitName::Unit::kDuration:
      value = r.Must(node, ParseDuration(text));
      break;
    case LimitName::Unit::kBytes:
      value = r.Must(node, ParseBytes(text));
      break;
    case LimitName::Unit::kCount:
      try {
        value = node.as<int64_t>();
      } catch (const YAML::Exception&) {
        r.Refuse(node.Mark(),
                 std::string(limit.name) + " must be a whole number, not \"" + text + "\"");
      }
      break;
  }
  if (value < limit.min || value > limit.max) {
    r.Refuse(node.Mark(), std::string(limit.name) + " is out of range: " +
                              std::to_string(limit.min) + " to " + std::to_string(limit.max));
  }
  return value;
}

void ReadRule(const Reader& r, const YAML::Node& node, Policy& policy) {
  Rule rule;
  bool named = false;
  const auto target = [&](bool allow) {
    return [&, allow](const YAML::Node& n) {
      if (named) r.Refuse(n.Mark(), "a rule has one of allow and deny");
      named = true;
      rule.allow = allow;
      rule.text = r.Text(n, "a rule");
      rule.target = r.Must(n, Target::Parse(rule.text));
    };
  };
  r.Map(node, "a rule",
        {{"allow", target(true)},
         {"deny", target(false)},
         {"addresses", [&](const YAML::Node& n) {
            r.Each(n, "addresses", [&](const YAML::Node& item) {
              rule.addresses.push_back(r.Must(item, Cidr::Parse(r.Text(item, "an address range"))));
            });
          }}});
  if (!named) r.Refuse(node.Mark(), "a rule needs allow or deny");
  if (!rule.allow && !rule.addresses.empty())
    r.Refuse(node.Mark(), "addresses belong to an allow rule");
  rule.origin = r.Where(node.Mark());
  policy.rules.push_back(std::move(rule));
}

void ReadDns(const Reader& r, const YAML::Node& node, Dns& dns) {
  r.Map(node, "dns",
        {{"servers",
          [&](const YAML::Node& n) {
            r.Each(n, "servers",
                   [&](const YAML::Node& s) { dns.servers.push_back(r.Text(s, "a server")); });
          }},
         {"hosts", [&](const YAML::Node& n) {
            if (!n.IsMap()) r.Refuse(n.Mark(), "hosts must be a mapping from name to address");
            for (const auto& entry : n) {
              auto& to =
                  dns.hosts[r.Must(entry.first, CanonicalHost(r.Text(entry.first, "a name")))];
              const auto add = [&](const YAML::Node& a) {
                const std::string text = r.Text(a, "an address");
                if (!IpAddress::Parse(text))
                  r.Refuse(a.Mark(), "\"" + text + "\" is no IP address");
                to.push_back(text);
              };
              if (entry.second.IsSequence())
                r.Each(entry.second, "addresses", add);
              else
                add(entry.second);
            }
          }}});
}

void ReadNetwork(const Reader& r, const YAML::Node& node, PolicyFile& file) {
  Policy& p = file.network;
  std::vector<Reader::Field> limits;
  for (const LimitName& l : LimitNames()) {
    limits.emplace_back(
        l.name, [&r, &p, &l](const YAML::Node& n) { p.limits.*(l.member) = ReadLimit(r, n, l); });
  }
  r.Map(node, "network",
        {{"permission",
          [&](const YAML::Node& n) {
            file.sets_permission = true;
            p.permission = r.OneOf(n, "permission", {"allow", "deny"}) == "allow";
          }},
         {"adapter",
          [&](const YAML::Node& n) {
            file.sets_adapter = true;
            p.adapter = r.OneOf(n, "adapter", {"none", "direct"}) == "none" ? AdapterKind::kNone
                                                                            : AdapterKind::kDirect;
          }},
         {"rules",
          [&](const YAML::Node& n) {
            r.Each(n, "rules", [&](const YAML::Node& rule) { ReadRule(r, rule, p); });
          }},
         {"addresses",
          [&](const YAML::Node& n) {
            r.Map(n, "addresses", {{"deny", [&](const YAML::Node& list) {
                                      r.Each(list, "deny", [&](const YAML::Node& item) {
                                        p.denied_addresses.push_back(r.Must(
                                            item, Cidr::Parse(r.Text(item, "an address range"))));
                                      });
                                    }}});
          }},
         {"limits", [&](const YAML::Node& n) { r.Map(n, "limits", limits); }},
         {"dns", [&](const YAML::Node& n) { ReadDns(r, n, p.dns); }},
         {"tls", [&](const YAML::Node& n) {
            r.Map(n, "tls",
                  {{"ca_file", [&](const YAML::Node& f) { file.ca_file = r.Text(f, "ca_file"); }}});
          }}});
}

void ReadRunLimits(const Reader& r, const YAML::Node& node, RunLimits& limits) {
  const auto duration = [&](int64_t& to) {
    return [&](const YAML::Node& n) { to = r.Must(n, ParseDuration(r.Text(n, "a duration"))); };
  };
  const auto bytes = [&](int64_t& to) {
    return [&](const YAML::Node& n) { to = r.Must(n, ParseBytes(r.Text(n, "a size"))); };
  };
  r.Map(node, "limits",
        {{"wall", duration(limits.wall)},
         {"cpu", duration(limits.cpu)},
         {"memory", bytes(limits.memory)},
         {"output", bytes(limits.output)}});
}

PolicyFile Read(const Reader& r, const YAML::Node& root) {
  PolicyFile file;
  bool versioned = false;
  r.Map(root, "the policy",
        {{"version",
          [&](const YAML::Node& n) {
            versioned = true;
            r.OneOf(n, "version", {"1"});
          }},
         {"network", [&](const YAML::Node& n) { ReadNetwork(r, n, file); }},
         {"limits", [&](const YAML::Node& n) { ReadRunLimits(r, n, file.limits); }},
         {"env", [&](const YAML::Node& n) {
            if (!n.IsMap()) r.Refuse(n.Mark(), "env must be a mapping");
            for (const auto& e : n)
              file.env[r.Text(e.first, "a name")] = r.Text(e.second, "a value");
          }}});
  if (!versioned) r.Refuse(root.Mark(), "the policy must begin with \"version: 1\"");
  return file;
}

}  // namespace

Result<PolicyFile> ParsePolicyFile(std::string_view text, const std::string& name) {
  const Reader reader(name);
  try {
    return Read(reader, YAML::Load(std::string(text)));
  } catch (const Refused& e) {
    return Error{e.what()};
  } catch (const YAML::Exception& e) {
    return Error{reader.Where(e.mark) + ": " + e.msg};
  }
}

}  // namespace postern::policy
