// A seccomp policy file: refused with a reason, or whole instructions, no more than the kernel
// takes.
#include "sandbox/seccomp_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::sandbox;
  constexpr size_t kInstructionBytes = 8;  // struct sock_filter
  const auto code =
      CompileSeccompFile({reinterpret_cast<const char*>(data), size},
                         size % 2 == 0 ? SeccompKill::kKillProcess : SeccompKill::kTrap);
  if (!code) {
    if (code.error().message.empty()) __builtin_trap();
  } else if (code->empty() || code->size() % kInstructionBytes != 0) {
    __builtin_trap();
  }
  return 0;
}
