// What leaves for an origin: a guest's request, written anew from parsed parts, with what the rule
// that allowed it adds and the secrets in the place of their placeholders.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/net/request_target.h"
#include "channel/failure.h"
#include "channel/fields.h"
#include "policy/policy.h"
#include "policy/secrets/stream_replacer.h"

namespace postern::broker {

struct OutgoingRequest {
  const RequestTarget& target;
  const channel::Fields& fields;  // as the guest sent them
  const policy::Policy& policy;
  const policy::Rule* rule;  // null in report mode, where none allowed it
  bool secret_host;          // secrets go there: what comes back is filtered
  bool recorded;             // with its bodies

  // http or https, with the port.
  std::string Url() const;
  // Names in lower case, without Host and what belongs to the connection. `span`: the eight bytes
  // of this request's trace context; empty for none.
  channel::Fields Fields(const std::string& span) const;
  // What of the body becomes what: empty where nothing does.
  std::vector<policy::Spelling> BodySecrets() const;
  // Whether the rule has the request carry the run's trace context.
  bool IsTraced() const;
};

// Why a guest's request to a host to which secrets go is refused for what it holds of them; nullopt
// where it is not. How large it may be must not tell how long they are: so it is what the guest
// made that has bounds, far below what can be sent.
std::optional<channel::Failure> CheckSecretsInHead(const policy::Url& url,
                                                   const channel::Fields& fields,
                                                   const policy::Rule* rule);

}  // namespace postern::broker
