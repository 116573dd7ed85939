#include "broker/confine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sandbox/namespaces.h"
#include "sandbox/process.h"

namespace postern::broker {

std::string Layers::ToJson() const {
  return nlohmann::json{{"on", on}, {"missing", missing}}.dump();
}

Status EnterRoleNamespaces(Role role, Layers& layers) {
  ::setsid();  // a terminal's ^C is the supervisor's business; fails harmlessly for a group leader
  const bool net = role == Role::kFiles;
  const std::vector<std::string> wanted =
      net ? std::vector<std::string>{"net", "mount", "pid", "ipc", "uts", "cgroup"}
          : std::vector<std::string>{"mount", "pid", "ipc", "uts", "cgroup"};
  const auto identity = role == Role::kNet ? sandbox::Identity::kNobody : sandbox::Identity::kKeep;
  auto report = sandbox::EnterNamespaces(wanted, identity);
  if (!report) return report.error();
  layers.on = report->on;
  layers.missing = report->missing;
  if (Status s = sandbox::DieWithParent(); !s) return s;
  if (report->has("pid")) return sandbox::ContinueAsPid1();
  return Ok{};
}

Status LockDown(Role role, const std::vector<int>& keep, const sandbox::LandlockRules& landlock,
                sandbox::SeccompMode mode, Layers& layers) {
  if (Status s = sandbox::CloseAllBut(keep); !s) return s;
  // Before Landlock, in whose domain nothing can be mounted.
  if (std::find(layers.on.begin(), layers.on.end(), "mount") != layers.on.end()) {
    if (Status s = sandbox::EnterEmptyRoot(); s)
      layers.on.emplace_back("root");
    else
      layers.missing.push_back("root: " + s.error().message);
  }
  if (Status s = sandbox::Harden(); !s) return s;
  if (auto abi = sandbox::EnterLandlock(landlock); abi) {
    layers.on.push_back("landlock:" + std::to_string(*abi));
  } else if (abi.error().errnum == ENOSYS || abi.error().errnum == EOPNOTSUPP) {
    layers.missing.push_back("landlock: " + abi.error().message);
  } else {
    return abi.error();
  }
  if (Status s = sandbox::DropCapabilities(); !s) return s;
  // FSIZE 0 would forbid nothing that seccomp leaves; NPROC 0: no process is ever made from here.
  if (Status s = sandbox::LimitTo(RLIMIT_NPROC, 0); !s) return s;
  if (Status s = sandbox::InstallSeccomp(role == Role::kNet ? "broker-net" : "broker-files", mode);
      !s)
    return s;
  layers.on.emplace_back("seccomp");
  return Ok{};
}

}  // namespace postern::broker
