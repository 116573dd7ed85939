// A seccomp filter as a pure function, for tests: what the kernel's classic BPF machine would
// return.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace postern::sandbox {

struct BpfVerdict {
  uint32_t action = 0;      // SECCOMP_RET_…, with its data
  size_t instructions = 0;  // how many were executed
  bool valid = false;       // false: the program left its bounds or used what seccomp does not have
};

// The instructions that seccomp_check_filter() of the kernel lets pass and libseccomp makes.
inline BpfVerdict EvaluateBpf(std::span<const sock_filter> program, const seccomp_data& data) {
  BpfVerdict verdict;
  uint32_t a = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& op = program[at];
    ++verdict.instructions;
    switch (op.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (op.k % 4 != 0 || op.k + 4 > sizeof data) return verdict;
        __builtin_memcpy(&a, reinterpret_cast<const char*>(&data) + op.k, sizeof a);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= op.k;
        break;
      case BPF_JMP | BPF_JA:
        at += op.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += a == op.k ? op.jt : op.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += a > op.k ? op.jt : op.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += a >= op.k ? op.jt : op.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (a & op.k) != 0 ? op.jt : op.jf;
        break;
      case BPF_RET | BPF_K:
        verdict.action = op.k;
        verdict.valid = true;
        return verdict;
      default:
        return verdict;
    }
  }
  return verdict;
}

}  // namespace postern::sandbox
