// Loads a seccomp filter that was compiled from seccomp-policies/NAME.json when Postern was built.
#pragma once

#include <string_view>

#include "base/result.h"

namespace postern::sandbox {

enum class SeccompMode {
  kKill,   // a forbidden call kills the process (wait status: SIGSYS)
  kDebug,  // a forbidden call raises SIGSYS; the handler names it on stderr, then exits 159
};

// Installs the filter `name` ("guest", "zygote", …). Needs no_new_privs. It cannot be undone.
Status InstallSeccomp(std::string_view name, SeccompMode mode);

}  // namespace postern::sandbox
