// The `network` part of a policy file; an inner header of policy_file.cc.
#pragma once

#include "policy/file/policy_file.h"
#include "policy/file/yaml_reader.h"

namespace postern::policy {

void ReadNetwork(const YamlReader& r, const YAML::Node& node, PolicyFile& file);

}  // namespace postern::policy
