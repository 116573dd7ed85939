#include "worker/engine/allocation.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace {

void (*g_handler)() = nullptr;

[[maybe_unused]] void* OrEnd(void* allocated, size_t size) {
  if (allocated == nullptr && size < postern::worker::kLargeAllocation && g_handler != nullptr)
    g_handler();
  return allocated;
}

}  // namespace

#ifdef __SANITIZE_ADDRESS__

// The sanitizer has a malloc of its own.
void* postern::worker::TryAllocate(size_t size) { return std::malloc(size); }
void* postern::worker::TryAllocateZeros(size_t size) { return std::calloc(1, size); }

#else

// glibc's own, by the names that it keeps for those who put others before them.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);

#define POSTERN_EXPORT __attribute__((visibility("default")))

POSTERN_EXPORT void* malloc(size_t size) { return OrEnd(__libc_malloc(size), size); }

POSTERN_EXPORT void* calloc(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = postern::worker::kLargeAllocation;
  return OrEnd(__libc_calloc(count, size), bytes);
}

POSTERN_EXPORT void* realloc(void* old, size_t size) {
  return size == 0 ? __libc_realloc(old, 0) : OrEnd(__libc_realloc(old, size), size);
}

// Nobody here ends a guest so but a library that has no other way to say that memory is out.
POSTERN_EXPORT void exit(int status) {
  if (g_handler != nullptr) g_handler();
  ::_exit(status);
}

// V8 makes memory for code usable by this, and a refusal is fatal to it; of other memory it is not.
POSTERN_EXPORT int mprotect(void* address, size_t size, int protection) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_mprotect, address, size, protection));
  if (result != 0 && errno == ENOMEM && (protection & PROT_EXEC) != 0 && g_handler != nullptr)
    g_handler();
  return result;
}
}

void* postern::worker::TryAllocate(size_t size) { return __libc_malloc(size); }
void* postern::worker::TryAllocateZeros(size_t size) { return __libc_calloc(1, size); }

#endif

void postern::worker::OnRefusedAllocation(void (*handler)()) { g_handler = handler; }
