#include "sandbox/layers.h"

#include "base/format.h"
#include "sandbox/layer_switch.h"
#include "sandbox/namespaces.h"

namespace postern::sandbox {

void TryEmptyRoot(Layers& layers) {
  if (!LayerWanted("root")) {
    layers.missing.emplace_back("root: left out");
  } else if (!layers.has("mount")) {
    layers.missing.emplace_back("root: it needs a mount namespace");
  } else if (Status s = EnterEmptyRoot(); s) {
    layers.active.emplace_back("root");
  } else {
    layers.missing.push_back(fmt::format("root: {}", s.error().message));
  }
}

Status TryLandlock(const LandlockRules& rules, Layers& layers) {
  if (!LayerWanted("landlock")) return Ok{};
  const auto abi = EnterLandlock(rules);
  if (abi) {
    layers.active.push_back(fmt::format("landlock:{}", *abi));
  } else if (abi.error().errnum == ENOSYS || abi.error().errnum == EOPNOTSUPP) {
    layers.missing.push_back(fmt::format("landlock: {}", abi.error().message));
  } else {
    return abi.error();
  }
  return Ok{};
}

}  // namespace postern::sandbox
