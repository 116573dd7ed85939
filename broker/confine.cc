#include "broker/confine.h"

#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/namespaces.h"
#include "sandbox/process.h"

namespace postern::broker {

Status EnterRoleNamespaces(BrokerRole role, sandbox::Layers& layers) {
  ::setsid();  // a terminal's ^C is the supervisor's business; fails harmlessly for a group leader
  const bool net = role != BrokerRole::kNet;
  const std::vector<std::string> wanted =
      net ? std::vector<std::string>{"net", "mount", "pid", "ipc", "uts", "cgroup"}
          : std::vector<std::string>{"mount", "pid", "ipc", "uts", "cgroup"};
  const auto identity =
      role == BrokerRole::kFiles ? sandbox::Identity::kKeep : sandbox::Identity::kNobody;
  auto report = sandbox::EnterNamespaces(wanted, identity);
  if (!report) return report.error();
  layers = *report;
  if (Status s = sandbox::DieWithParent(); !s) return s;
  if (report->has("pid")) return sandbox::ContinueAsPid1();
  return Ok{};
}

Status LockDown(BrokerRole role, const std::vector<int>& keep,
                const sandbox::LandlockRules& landlock, sandbox::SeccompMode mode,
                sandbox::Layers& layers) {
  if (Status s = sandbox::CloseAllBut(keep); !s) return s;
  // Before Landlock, in whose domain nothing can be mounted.
  sandbox::TryEmptyRoot(layers);
  if (Status s = sandbox::Harden(); !s) return s;
  if (Status s = sandbox::TryLandlock(landlock, layers); !s) return s;
  if (Status s = sandbox::DropCapabilities(); !s) return s;
  // FSIZE 0 would forbid nothing that seccomp leaves; NPROC 0: no process is ever made from here.
  if (Status s = sandbox::LimitTo(RLIMIT_NPROC, 0); !s) return s;
  const char* policy = role == BrokerRole::kNet     ? "broker-net"
                       : role == BrokerRole::kFiles ? "broker-files"
                                                    : "broker-log";
  if (Status s = sandbox::InstallSeccomp(policy, mode); !s) return s;
  layers.active.emplace_back("seccomp");
  return Ok{};
}

}  // namespace postern::broker
