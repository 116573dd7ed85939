#include "policy/file/policy_file.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "base/format.h"
#include "base/units.h"
#include "policy/file/policy_file_network.h"

namespace postern::policy {
namespace {

void ReadSecrets(const YamlReader& r, const YAML::Node& node,
                 std::map<std::string, SecretSource>& secrets) {
  r.Entries(node, "secrets", [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string& name = key.Scalar();
    if (!IsSecretName(name)) {
      r.Refuse(
          key.Mark(),
          fmt::format("a secret's name is letters, digits and \"_\", as in API_KEY; not \"{}\"",
                      name));
    }
    int sources = 0;
    SecretSource source;
    using Kind = SecretSource::Kind;
    const auto from = [&](Kind kind) {
      return [&, kind](const YAML::Node& n) {
        ++sources;
        source = {kind, r.Text(n, "a secret's source")};
        if (source.name.empty()) r.Refuse(n.Mark(), "a secret's source has a name");
      };
    };
    r.Map(value, "a secret",
          {{"env", from(Kind::kVariable)},
           {"file", from(Kind::kFile)},
           {"credential", from(Kind::kCredential)}});
    if (sources != 1) r.Refuse(value.Mark(), "a secret comes from one of env, file and credential");
    secrets[name] = std::move(source);
  });
}

void ReadAudit(const YamlReader& r, const YAML::Node& node, PolicyFile& file) {
  r.Map(node, "audit",
        {{"file", [&](const YAML::Node& n) { file.audit_file = r.Text(n, "file"); }},
         {"required",
          [&](const YAML::Node& n) { file.network.audit_required = r.Boolean(n, "required"); }},
         {"query", [&](const YAML::Node& n) {
            file.network.audit_redact_query = r.OneOf(n, "query", {"keep", "redact"}) == "redact";
          }}});
  if (!file.audit_file || file.audit_file->empty()) r.Refuse(node.Mark(), "audit needs a file");
}

void ReadMounts(const YamlReader& r, const YAML::Node& node, std::vector<MountSetting>& mounts) {
  r.Each(node, "mounts", [&](const YAML::Node& item) {
    std::string host, guest, mode = "ro";
    r.Map(item, "a mount",
          {{"host", [&](const YAML::Node& n) { host = r.Text(n, "host"); }},
           {"guest", [&](const YAML::Node& n) { guest = r.Text(n, "guest"); }},
           {"mode", [&](const YAML::Node& n) {
              mode = r.OneOf(n, "mode", {"ro", "rw"});
            }}});
    mounts.push_back(r.Must(item, ParseMount(host, guest, mode)));
  });
}

// What only the whole file can tell: each secret that a rule names is one of the file's.
void CheckSecrets(const YamlReader& r, const YAML::Node& root, const PolicyFile& file) {
  const YAML::Node network = root["network"];
  if (!network || !network["rules"]) return;
  size_t i = 0;
  for (const auto& node : network["rules"]) {
    for (const std::string& name : file.network.rules[i++].SecretNames()) {
      if (file.secrets.contains(name)) continue;
      r.Refuse(node.Mark(), fmt::format("the rule names the secret {}, which is none of the "
                                        "policy's secrets; add secrets: {{{}: {{env: {}}}}}",
                                        name, name, name));
    }
  }
}

PolicyFile Read(const YamlReader& r, const YAML::Node& root, const PolicyFile& base) {
  if (!root.IsMap())
    r.Refuse(root.Mark(), "the policy must be a mapping; it begins with \"version: 1\"");
  PolicyFile file;
  file.limits = base.limits;
  file.network.limits = base.network.limits;
  bool versioned = false;
  std::vector<YamlReader::Field> limits;
  for (const RunLimitName& l : kRunLimits) {
    limits.emplace_back(l.name, [&](const YAML::Node& n) {
      file.limits.*(l.member) = r.Must(n, ParseRunLimit(l, r.Text(n, l.name)));
    });
  }
  const auto env = [&](const YAML::Node& key, const YAML::Node& value) {
    const std::string& name = key.Scalar();
    if (name.empty() || name.find('=') != std::string::npos) {
      r.Refuse(key.Mark(), "a variable's name is not empty and has no \"=\"");
    }
    file.env[name] = value.IsScalar() ? value.Scalar() : r.Text(value, "a variable's value");
  };
  r.Map(root, "the policy",
        {{"version",
          [&](const YAML::Node& n) {
            versioned = true;
            r.OneOf(n, "version", {"1"});
          }},
         {"network", [&](const YAML::Node& n) { ReadNetwork(r, n, file); }},
         {"secrets", [&](const YAML::Node& n) { ReadSecrets(r, n, file.secrets); }},
         {"audit", [&](const YAML::Node& n) { ReadAudit(r, n, file); }},
         {"limits", [&](const YAML::Node& n) { r.Map(n, "limits", limits); }},
         {"mounts", [&](const YAML::Node& n) { ReadMounts(r, n, file.mounts); }},
         {"env", [&](const YAML::Node& n) { r.Entries(n, "env", env); }}});
  if (!versioned) r.Refuse(root.Mark(), "the policy must begin with \"version: 1\"");
  CheckSecrets(r, root, file);
  return file;
}

// Goes through a text without keeping anything of it, and refuses what is beyond its bounds, or
// more than one document. Not by YAML::LoadAll, which never ends for ", x".
class BoundsCheck : public YAML::EventHandler {
 public:
  BoundsCheck(const YamlReader& reader, const PolicyBounds& bounds)
      : reader_(reader), bounds_(bounds) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0)
      reader_.Refuse(mark, "a policy is one YAML document; this begins a second one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Count(mark, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { Count(mark, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                const std::string&) override {
    Count(mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Begin(mark, anchor);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Begin(mark, anchor);
  }
  void OnMapEnd() override { --depth_; }

 private:
  void Count(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (++values_ > bounds_.values)
      reader_.Refuse(mark, fmt::format("this policy has at most {} values", bounds_.values));
    if (anchor != YAML::NullAnchor && !bounds_.anchors)
      reader_.Refuse(mark, "this policy has no anchors (&) and aliases (*)");
  }
  void Begin(const YAML::Mark& mark, YAML::anchor_t anchor) {
    Count(mark, anchor);
    if (++depth_ > bounds_.depth)
      reader_.Refuse(mark, fmt::format("a policy is nested at most {} levels deep", bounds_.depth));
  }

  const YamlReader& reader_;
  const PolicyBounds bounds_;
  size_t documents_ = 0, values_ = 0, depth_ = 0;
};

void CheckBounds(const YamlReader& reader, const std::string& text, const PolicyBounds& bounds) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  BoundsCheck check(reader, bounds);
  if (parser.HandleNextDocument(check)) parser.HandleNextDocument(check);
}

constexpr int64_t kMebibyte = 1 << 20;

}  // namespace

bool IsSecretName(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return c < 0x80 && (std::isalnum(c) != 0 || c == '_');
         });
}

Result<int64_t> ParseRunLimit(const RunLimitName& limit, std::string_view text) {
  auto value = limit.parse(text);
  if (value && (*value < limit.min || *value > limit.max)) {
    const bool small = *value < limit.min;
    const int64_t bound = small ? limit.min : limit.max;
    const bool bytes = limit.parse == ParseBytes;
    const std::string shown = bytes ? BytesText(bound) : fmt::format("{}{}", bound, limit.unit);
    const bool no_unit = bytes && text.find_first_not_of("0123456789") == std::string_view::npos &&
                         *value <= limit.max / kMebibyte && *value * kMebibyte >= limit.min;
    return Error{fmt::format("{}{}{}, not {}{}", limit.name,
                             small ? " is at least " : " is at most ", shown, text,
                             no_unit ? fmt::format(" bytes; did you mean {}MiB?", text) : "")};
  }
  return value;
}

Result<MountSetting> ParseMount(const std::string& host, std::string guest, std::string_view mode) {
  while (guest.size() > 1 && guest.ends_with('/')) guest.pop_back();
  if (host.empty() || !guest.starts_with('/')) {
    return Error{"a mount needs a directory here and an absolute path for the guest"};
  }
  return MountSetting{host, guest == "/" ? "" : guest, mode == "rw"};
}

Result<PolicyFile> ParsePolicyFile(std::string_view text, const std::string& name,
                                   const PolicyFile& base, const PolicyBounds& bounds) {
  const YamlReader reader(name);
  if (text.size() > bounds.bytes) {
    return Error{fmt::format("{}:1:1: a policy has at most {} bytes", name, bounds.bytes)};
  }
  try {
    CheckBounds(reader, std::string(text), bounds);
    return Read(reader, YAML::Load(std::string(text)), base);
  } catch (const PolicyFileError& e) {
    return Error{e.what()};
  } catch (const YAML::Exception& e) {
    return Error{reader.Explain(e, text)};
  }
}

}  // namespace postern::policy
