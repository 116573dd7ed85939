#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/format.h"
#include "base/hidden_streams.h"
#include "base/unique_fd.h"
#include "sandbox/layer_switch.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

constexpr uid_t kNobody = 65534;

Status WriteFile(const char* path, const std::string& text) {
  UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(fmt::format("cannot open {}", path));
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SystemError(fmt::format("cannot write {}", path));
  }
  return Ok{};
}

// Root becomes nobody; reports the layer "nobody", which an ordinary user has by nature. Without
// the capabilities for it, as in a container that has dropped all, this stays a root that may do no
// more than its files say.
Status BecomeNobody(Layers& layers) {
  if (::geteuid() != 0) {
    layers.active.emplace_back("nobody");
    return Ok{};
  }
  if (::setgroups(0, nullptr) != 0 && errno != EPERM) return SystemError("cannot drop groups");
  if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) {
    if (errno != EPERM) return SystemError("cannot drop user root");
    layers.missing.push_back(
        fmt::format("nobody: root without CAP_SETUID and CAP_SETGID: {}", std::strerror(errno)));
    return Ok{};
  }
  layers.active.emplace_back("nobody");
  // Changing ids cleared dumpable, and a non-dumpable process cannot write its own uid_map.
  if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return SystemError("cannot restore dumpable");
  return Ok{};
}

Status EnterUserNamespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return SystemError("the kernel or container refuses it");
  if (Status s = WriteFile("/proc/self/setgroups", "deny"); !s) return s;
  if (Status s = WriteFile("/proc/self/uid_map", fmt::format("{} {} 1", kNobody, uid)); !s)
    return s;
  return WriteFile("/proc/self/gid_map", fmt::format("{} {} 1", kNobody, gid));
}

struct NlClose {
  void operator()(nl_sock* s) const { nl_socket_free(s); }
  void operator()(nl_cache* c) const { nl_cache_free(c); }
};
using NlCache = std::unique_ptr<nl_cache, NlClose>;

}  // namespace

Result<Layers> EnterNamespaces(const std::vector<std::string>& layers, Identity identity) {
  static const std::map<std::string, int> kFlags = {
      {"net", CLONE_NEWNET}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
      {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}};
  Layers report;
  if (identity == Identity::kNobody && LayerWanted("nobody")) {
    if (Status s = BecomeNobody(report); !s) return s.error();
  }
  if (!LayerWanted("user")) {
    report.missing.emplace_back("user: left out");
  } else if (Status s = EnterUserNamespace(); s) {
    report.active.emplace_back("user");
  } else {
    report.missing.push_back(fmt::format("user: {}", s.error().message));
  }
  // All at once is the quick way; one by one tells which of them is refused.
  int all = 0;
  for (const std::string& layer : layers) {
    if (LayerWanted(layer)) all |= kFlags.at(layer);
  }
  const bool granted = ::unshare(all) == 0;
  for (const std::string& layer : layers) {
    if (!LayerWanted(layer)) {
      report.missing.push_back(fmt::format("{}: left out", layer));
    } else if (granted || ::unshare(kFlags.at(layer)) == 0) {
      report.active.push_back(layer);
    } else {
      report.missing.push_back(fmt::format("{}: {}", layer, std::strerror(errno)));
    }
  }
  return report;
}

Status ContinueAsPid1() {
  const pid_t child = ::fork();
  if (child < 0) return SystemError("cannot fork into the pid namespace");
  if (child == 0) return DieWithParent();
  if (!CloseAllBut({}) || !DropCapabilities() || !Harden() ||
      !InstallSeccomp("launcher", SeccompMode::kKill)) {
    ::_exit(125);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) ::_exit(125);
  }
  ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

Status EnterEmptyRoot() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return SystemError("cannot make mounts private");
  }
  // Any directory serves as the mount point: it disappears with the old root.
  const char* point = "/tmp";
  if (::mount("empty", point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2") !=
      0) {
    point = "/proc";
    if (::mount("empty", point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2") !=
        0) {
      return SystemError("cannot mount an empty root");
    }
  }
  if (::chdir(point) != 0) return SystemError("cannot enter the empty root");
  if (::syscall(SYS_pivot_root, ".", ".") != 0)
    return SystemError("cannot pivot to the empty root");
  if (::umount2(".", MNT_DETACH) != 0) return SystemError("cannot detach the old root");
  if (::chdir("/") != 0) return SystemError("cannot enter the empty root");
  if (::mount(nullptr, "/", nullptr,
              MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return SystemError("cannot make the empty root read-only");
  }
  return Ok{};
}

Status CheckNetworkIsEmpty() {
  std::unique_ptr<nl_sock, NlClose> sock(nl_socket_alloc());
  if (!sock || nl_connect(sock.get(), NETLINK_ROUTE) < 0) {
    return Error{"cannot ask netlink whether the network namespace is empty"};
  }
  nl_cache* raw = nullptr;
  if (rtnl_addr_alloc_cache(sock.get(), &raw) < 0) return Error{"cannot list network addresses"};
  const NlCache addresses(raw);
  if (nl_cache_nitems(addresses.get()) != 0) return Error{"the network namespace has an address"};
  if (rtnl_route_alloc_cache(sock.get(), AF_UNSPEC, 0, &raw) < 0)
    return Error{"cannot list routes"};
  const NlCache routes(raw);
  if (nl_cache_nitems(routes.get()) != 0) return Error{"the network namespace has a route"};
  if (rtnl_link_alloc_cache(sock.get(), AF_UNSPEC, &raw) < 0)
    return Error{"cannot list interfaces"};
  const NlCache links(raw);
  for (nl_object* o = nl_cache_get_first(links.get()); o != nullptr; o = nl_cache_get_next(o)) {
    if ((rtnl_link_get_flags(reinterpret_cast<rtnl_link*>(o)) & IFF_UP) != 0) {
      return Error{"the network namespace has an interface that is up"};
    }
  }
  return Ok{};
}

}  // namespace postern::sandbox
