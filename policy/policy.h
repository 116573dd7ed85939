// Policy: what a guest may do on the network, as data. Decisions from it are decision.h's.
//
// Pure: no I/O, no clock. Supervisor, broker and `postern explain` share it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/limits.h"
#include "policy/rules/address_ranges.h"
#include "policy/rules/path.h"
#include "policy/rules/target.h"

namespace postern::policy {

// A header field that the broker sets on every request of a rule, whatever the guest sent.
struct SetHeader {
  std::string name;   // lower case
  std::string value;  // may hold ${secret:NAME}
};

// Where in a request a guest's placeholder is exchanged for the secret.
struct SecretPlaces {
  bool headers = true, query = false, body = false;
};

// TLS settings of one rule. PEM texts; the supervisor reads the files that a policy names.
struct RuleTls {
  std::string certificate_file, key_file;  // as the policy names them; both or neither
  std::string certificate, key;            // what they hold: a client certificate with its chain
  std::vector<std::string> pins;           // "sha256/BASE64" of a public key's SubjectPublicKeyInfo
};

struct Rule {
  bool allow = true;
  std::string text;    // as written
  std::string origin;  // where: "--allow-net" or FILE:LINE:COLUMN
  Target target;
  std::vector<std::string> methods;  // empty: any
  std::vector<PathPattern> paths;    // empty: any
  // The rest belongs to allow rules.
  std::vector<Cidr> addresses;  // non-public ranges that this rule's host may resolve into
  std::vector<SetHeader> headers;
  bool trace = false;                // requests carry the run's trace context
  std::vector<std::string> secrets;  // that placeholders may stand for
  SecretPlaces secret_places;
  RuleTls tls;

  // Names of the secrets that a request under this rule may carry, by `secrets` or `headers`.
  std::vector<std::string> SecretNames() const;
};

enum class AdapterKind { kNone, kDirect, kProxy, kReplay };

struct Adapter {
  AdapterKind kind = AdapterKind::kDirect;
  std::string target;           // kProxy: http, https or socks5h URL; kReplay: the HAR file's path
  bool resolve_remote = false;  // kProxy: the proxy looks names up, without the address guard
};

struct Dns {
  std::vector<std::string> servers;  // "address" or "address:port"; empty: resolv.conf
  std::map<std::string, std::vector<std::string>> hosts;  // canonical name -> addresses
};

struct Policy {
  bool permission = false;
  bool report = false;  // what the rules deny is let through and told of; addresses stay guarded
  Adapter adapter;
  std::vector<Rule> rules;
  std::vector<Cidr> denied_addresses;
  NetworkLimits limits;
  Dns dns;
  std::string trace;  // the run's trace context, a traceparent field (W3C), or empty
  std::map<std::string, std::string> secrets;  // name -> value; filled by the supervisor
  bool audit_required = false;                 // refuse what cannot be recorded
  bool audit_redact_query = false;             // queries stay out of the audit log
  // What one run asked for below this: permission and rules, which must allow as well. Rules with
  // headers, secrets, addresses and TLS are those of this policy.
  std::shared_ptr<const Policy> narrowed_by;
};

// Checks what a rule's parts say together; a sentence where they contradict each other.
Status CheckRule(const Rule& rule);

// The secrets that "…${secret:NAME}…" names. Fails for any other "${".
Result<std::vector<std::string>> SecretsIn(std::string_view text);

// Every TCP port that a connection under `policy` can need, DNS over TCP among them; nullopt where
// any port may be needed.
std::optional<std::vector<uint16_t>> ConnectPorts(const Policy& policy);

// The policy as one JSON text, from the supervisor to its broker.
std::string ToJson(const Policy& policy);
Result<Policy> FromJson(std::string_view text);

}  // namespace postern::policy
