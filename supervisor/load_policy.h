// A policy from disk, with what it names: authorities, client certificates, secrets, a recording.
#pragma once

#include <string>

#include "policy/file/policy_file.h"

namespace postern::supervisor {

// Reads and parses the policy file. Paths in it are relative to its own directory, and absolute
// afterwards.
Result<policy::PolicyFile> LoadPolicyFile(const std::string& path);

// Reads the client certificates and keys that rules name, and sees that the other files are there.
// Errors name the file and where the policy names it.
Status LoadNamedFiles(policy::PolicyFile& file);

// Reads the secrets' values into file.network.secrets, and gives the guest their placeholders as
// variables.
Status LoadSecrets(policy::PolicyFile& file);

// `network` as its broker gets it, JSON: with the host's DNS servers of now where it names none.
std::string BrokerPolicy(const policy::Policy& network);

}  // namespace postern::supervisor
