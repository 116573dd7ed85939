#include "supervisor/load_policy.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/eintr.h"
#include "base/format.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "policy/file/resolv_conf.h"
#include "policy/secrets/placeholder.h"

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = 16 << 20;

Result<std::string> ReadFile(const std::string& path, const std::string& what) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
    return SystemError(fmt::format("cannot read {}{}", what, path));
  if (S_ISDIR(st.st_mode))
    return Error{fmt::format("cannot read {}{}: it is a directory", what, path)};
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = Uninterrupted([&] { return ::read(fd.get(), buffer, sizeof buffer); });
    if (n < 0) return SystemError(fmt::format("cannot read {}{}", what, path));
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(n));
    if (bytes.size() > kMaxFileBytes)
      return Error{fmt::format("cannot read {}{}: too large", what, path)};
  }
}

Result<std::string> ReadPem(const std::string& path, const std::string& what,
                            std::string_view label) {
  auto pem = ReadFile(path, what);
  if (pem && pem->find(label) == std::string::npos) {
    return Error{fmt::format("{}{} is no PEM file with \"{}\"", what, path, label)};
  }
  return pem;
}

// A value that a header could carry and that is long enough to be told from ordinary text.
Result<std::string> CheckSecret(const std::string& name, std::string value) {
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.size() < policy::kMinSecret || value.size() > policy::kMaxSecret) {
    return Error{
        fmt::format("the secret {} has {} bytes; {} to {} are possible: a shorter one could not be "
                    "told from ordinary text",
                    name, value.size(), policy::kMinSecret, policy::kMaxSecret)};
  }
  if (value.size() - static_cast<size_t>(std::count(value.begin(), value.end(), ' ')) <
      policy::kMinSecret) {
    return Error{
        fmt::format("the secret {} has fewer than {} characters that are not blanks: it could not "
                    "be told from ordinary text",
                    name, policy::kMinSecret)};
  }
  if (!IsPrintableUtf8(value)) {
    return Error{fmt::format("the secret {} has characters that no header field can carry", name)};
  }
  return value;
}

}  // namespace

Result<policy::PolicyFile> LoadPolicyFile(const std::string& path) {
  auto text = ReadFile(path, "the policy ");
  if (!text) return text.error();
  auto file = policy::ParsePolicyFile(*text, path);
  if (!file) return file.error();
  const fs::path home = fs::absolute(path).parent_path();
  const auto absolute = [&](std::string& name) {
    if (!name.empty()) name = (home / name).lexically_normal();
  };
  if (file->ca_file) absolute(*file->ca_file);
  if (file->audit_file) absolute(*file->audit_file);
  for (policy::Rule& rule : file->network.rules) {
    absolute(rule.tls.certificate_file);
    absolute(rule.tls.key_file);
  }
  if (file->network.adapter.kind == policy::AdapterKind::kReplay) {
    absolute(file->network.adapter.target);
  }
  for (auto& [name, source] : file->secrets) {
    if (source.kind == policy::SecretSource::Kind::kFile) absolute(source.name);
  }
  for (policy::MountSetting& mount : file->mounts) absolute(mount.host);
  return file;
}

Status LoadNamedFiles(policy::PolicyFile& file) {
  if (file.ca_file) {
    const auto pem = ReadPem(*file.ca_file, "the certificate authorities in ", "CERTIFICATE-----");
    if (!pem) return pem.error();
  }
  for (policy::Rule& rule : file.network.rules) {
    if (rule.tls.certificate_file.empty()) continue;
    auto certificate =
        ReadPem(rule.tls.certificate_file, fmt::format("{}: the client certificate ", rule.origin),
                "BEGIN CERTIFICATE");
    if (!certificate) return certificate.error();
    auto key =
        ReadPem(rule.tls.key_file, fmt::format("{}: the client key ", rule.origin), "PRIVATE KEY");
    if (!key) return key.error();
    rule.tls.certificate = *std::move(certificate);
    rule.tls.key = *std::move(key);
  }
  return Ok{};
}

Status LoadSecrets(policy::PolicyFile& file) {
  for (const auto& [name, source] : file.secrets) {
    std::string value;
    using Kind = policy::SecretSource::Kind;
    if (source.kind != Kind::kVariable) {
      std::string path = source.name;
      if (source.kind == Kind::kCredential) {
        const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
        if (directory == nullptr || path.find('/') != std::string::npos)
          return Error{fmt::format(
              "the secret {}: no service manager gave the credential {} (LoadCredential=)", name,
              path)};
        path = fmt::format("{}/{}", directory, path);
      }
      auto text = ReadFile(path, fmt::format("the secret {} in ", name));
      if (!text) return text.error();
      value = *std::move(text);
    } else if (const char* variable = std::getenv(source.name.c_str())) {
      value = variable;
    } else {
      return Error{
          fmt::format("the secret {}: the variable {} is not set here", name, source.name)};
    }
    auto checked = CheckSecret(name, std::move(value));
    if (!checked) return checked.error();
    file.network.secrets[name] = *std::move(checked);
    const std::string placeholder = policy::Placeholder(name);
    if (file.env.emplace(name, placeholder).first->second != placeholder)
      return Error{
          fmt::format("{} is a secret, for which the guest has a placeholder; leave out --env={}, "
                      "and env: {} of the policy",
                      name, name, name)};
  }
  return Ok{};
}

std::string BrokerPolicy(const policy::Policy& network) {
  if (!network.permission || !network.dns.servers.empty()) return policy::ToJson(network);
  // Without the file there is no server, as for others; who looks a name up is told so.
  const auto text = ReadFile("/etc/resolv.conf", "");
  policy::Policy with_servers = network;
  if (text) with_servers.dns.servers = policy::ParseResolvConf(*text);
  return policy::ToJson(with_servers);
}

}  // namespace postern::supervisor
