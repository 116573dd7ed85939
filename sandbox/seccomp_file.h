// Seccomp policy files (seccomp-policies/*.json), in the schema of container engines:
// defaultAction, architectures, syscalls[] with names, action, errnoRet, args and comment. Read
// when building only.
//
// Nothing is guessed: a key that the schema does not have, a rule without a comment (who needs the
// call and why), an unknown call, action or comparison is an error, since what is misspelled would
// otherwise allow more than it says.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::sandbox {

// What a call that the file does not allow leads to.
enum class SeccompKill { kKillProcess, kTrap };

// The program as BPF instructions (struct sock_filter). Calls are tested in the order of the file.
Result<std::vector<unsigned char>> CompileSeccompFile(std::string_view text, SeccompKill kill);

}  // namespace postern::sandbox
