// Loads a seccomp filter that was compiled from seccomp-policies/NAME.json when Postern was built.
#pragma once

#include <linux/filter.h>

#include <span>
#include <string_view>

#include "base/result.h"

namespace postern::sandbox {

enum class SeccompMode {
  kKill,   // a forbidden call kills the process (wait status: SIGSYS)
  kDebug,  // a forbidden call raises SIGSYS; the handler names it on stderr, then exits 159
};

// The compiled filter `name` ("guest", "zygote", …); empty where there is none of that name.
std::span<const sock_filter> SeccompProgram(std::string_view name, SeccompMode mode);
// "read" for 0 (x86-64); "" where a number stands for no call that libseccomp knows.
std::string_view SyscallName(int number);

// Installs the filter `name`. Needs no_new_privs. It cannot be undone.
Status InstallSeccomp(std::string_view name, SeccompMode mode);

}  // namespace postern::sandbox
