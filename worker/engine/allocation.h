// Allocation where the guest's limit refuses it. ICU, V8 and Brotli, which lie in the executable,
// do not expect that: they write through the null pointer, or call exit(3). So malloc(3) and its
// kin, mprotect(2) for code, and exit(3) are this library's (it is preloaded), and end the guest as
// out of memory.
#pragma once

#include <cstddef>

namespace postern::worker {

// From now on a refused allocation of less than kLargeAllocation calls `handler`, which does not
// return. A large one is its caller's to handle: what a guest asks for by a number.
void OnRefusedAllocation(void (*handler)());
inline constexpr size_t kLargeAllocation = 1 << 20;  // bytes

// As malloc(3) and calloc(3), for those who can do without: null calls nobody.
void* TryAllocate(size_t size);
void* TryAllocateZeros(size_t size);

}  // namespace postern::worker
