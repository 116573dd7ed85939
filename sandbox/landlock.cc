#include "sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/format.h"
#include "base/unique_fd.h"

namespace postern::sandbox {
namespace {

// Newer than Debian 12's <linux/landlock.h>; values from the kernel's
// include/uapi/linux/landlock.h.
constexpr uint64_t kFsV1 = (1ULL << 13) - 1;  // EXECUTE … MAKE_SYM
constexpr uint64_t kFsRefer = 1ULL << 13;     // ABI 2
constexpr uint64_t kFsTruncate = 1ULL << 14;  // ABI 3
constexpr uint64_t kFsIoctlDev = 1ULL << 15;  // ABI 5
constexpr uint64_t kNetBindTcp = 1ULL << 0;   // ABI 4
constexpr uint64_t kNetConnectTcp = 1ULL << 1;
constexpr uint64_t kScopeAll = 3;  // ABI 6: abstract Unix sockets, signals
constexpr uint64_t kFsReadFile = 1ULL << 2;
constexpr uint64_t kFsReadDir = 1ULL << 3;

constexpr uint64_t kFsWriteFile = 1ULL << 1;
constexpr uint64_t kFsRemoveDir = 1ULL << 4, kFsRemoveFile = 1ULL << 5;
constexpr uint64_t kFsMakeDir = 1ULL << 7, kFsMakeReg = 1ULL << 8;

constexpr int kRuleNetPort = 2;  // LANDLOCK_RULE_NET_PORT, ABI 4

struct NetPortAttr {
  uint64_t allowed_access;
  uint64_t port;  // host byte order
};

struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

size_t AttrSize(int abi) {
  if (abi >= 6) return sizeof(RulesetAttr);
  return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

}  // namespace

int LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U /* VERSION */);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

Result<int> EnterLandlock(const LandlockRules& rules) {
  const int abi = LandlockAbi();
  if (abi == 0) return Error{fmt::format("not offered here: {}", std::strerror(errno)), ENOSYS};
  RulesetAttr attr{};
  attr.handled_access_fs = kFsV1 | (abi >= 2 ? kFsRefer : 0) | (abi >= 3 ? kFsTruncate : 0) |
                           (abi >= 5 ? kFsIoctlDev : 0);
  attr.handled_access_net = kNetBindTcp | (rules.connect_ports ? kNetConnectTcp : 0);
  attr.scoped = kScopeAll;
  UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, AttrSize(abi), 0)));
  if (!ruleset.valid()) return SystemError("cannot make a Landlock ruleset");
  const auto allow = [&](int target, uint64_t more) -> Status {
    struct stat st {};
    if (::fstat(target, &st) != 0) return SystemError("cannot look at what is to stay readable");
    landlock_path_beneath_attr beneath{};
    beneath.allowed_access = S_ISDIR(st.st_mode) ? (kFsReadFile | kFsReadDir | more) : kFsReadFile;
    beneath.parent_fd = target;
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) !=
        0)
      return SystemError("cannot add a Landlock rule");
    return Ok{};
  };
  for (const int target : rules.readable) {
    if (Status s = allow(target, 0); !s) return s.error();
  }
  const uint64_t writes = kFsWriteFile | kFsRemoveDir | kFsRemoveFile | kFsMakeDir | kFsMakeReg |
                          (abi >= 2 ? kFsRefer : 0) | (abi >= 3 ? kFsTruncate : 0);
  for (const int target : rules.writable) {
    if (Status s = allow(target, writes); !s) return s.error();
  }
  for (const uint16_t port : rules.connect_ports.value_or(std::vector<uint16_t>{})) {
    const NetPortAttr attr_port{kNetConnectTcp, port};
    if (abi >= 4 &&
        ::syscall(SYS_landlock_add_rule, ruleset.get(), kRuleNetPort, &attr_port, 0) != 0) {
      return SystemError(fmt::format("cannot add a Landlock rule for port {}", port));
    }
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return SystemError("cannot enter the Landlock domain");
  }
  return abi;
}

}  // namespace postern::sandbox
