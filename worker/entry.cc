// The worker's entry: this library is preloaded into the Node.js executable, whose V8 it uses, and
// takes over before any of Node runs (docs/v8.md).
//
//   --postern-worker [--jitless] [--debug-seccomp]   control socket is descriptor 3
//   --postern-snapshot BUNDLE.js OUT                 at build time
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "base/eintr.h"
#include "base/format.h"
#include "base/unique_fd.h"
#include "worker/native/natives.h"
#include "worker/process/launcher.h"
#include "worker/v8_guest_program.h"

namespace postern::worker {
namespace {

std::string ReadFd(int fd) {
  std::string bytes;
  struct stat st {};
  if (::fstat(fd, &st) == 0) bytes.reserve(static_cast<size_t>(st.st_size) + 1);
  char buffer[256 * 1024];
  for (ssize_t n; (n = Uninterrupted([&] { return ::read(fd, buffer, sizeof buffer); })) > 0;) {
    bytes.append(buffer, static_cast<size_t>(n));
  }
  return bytes;
}

std::string ReadFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.valid() ? ReadFd(fd.get()) : std::string();
}

// A file's bytes where the page cache has them, for as long as the process lives.
std::string_view MapFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || st.st_size <= 0) return {};
  const auto size = static_cast<size_t>(st.st_size);
  void* bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd.get(), 0);
  if (bytes == MAP_FAILED) return {};
  return {static_cast<const char*>(bytes), size};
}

// The snapshot lies beside this library.
std::string SnapshotPath() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<void*>(&SnapshotPath), &self) == 0) return {};
  const std::string path = self.dli_fname;
  return fmt::format("{}postern-worker.snapshot", path.substr(0, path.rfind('/') + 1));
}

int Main(int argc, char** argv, char** /*environment*/) {
  const Engine::Natives natives{MakeNatives, NativeAddresses()};
  if (argc == 4 && std::strcmp(argv[1], "--postern-snapshot") == 0) {
    const Status made = Engine::MakeSnapshot(ReadFile(argv[2]), argv[3], natives);
    if (!made) PrintError("postern-worker: {}\n", made.error().message);
    ::_exit(made ? 0 : 1);
  }
  Engine::Options engine{.natives = natives, .snapshot = MapFile(SnapshotPath())};
  WorkerMain(argc, argv,
             [&](const ZygoteOptions& options) -> Result<std::unique_ptr<GuestProgram>> {
               engine.jitless = options.jitless;
               return V8GuestProgram::Start(std::move(engine));
             });
}

}  // namespace
}  // namespace postern::worker

// V8 marks its heap MADV_DONTFORK, so that a forked process would fault at once. A zygote's
// children are to have that heap: of all that the executable asks of madvise(2), this is left out.
extern "C" __attribute__((visibility("default"))) int madvise(void* address, size_t size,
                                                              int advice) noexcept {
  if (advice == MADV_DONTFORK) return 0;
  return static_cast<int>(::syscall(SYS_madvise, address, size, advice));
}

// A guest that must end at once does it by an illegal instruction: glibc's abort() would signal the
// process, and a guest has no call that can signal.
extern "C" __attribute__((visibility("default"))) [[noreturn]] void abort() noexcept {
  __builtin_trap();
}

extern "C" __attribute__((visibility("default"))) int __libc_start_main(
    int (*)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
    void (*rtld_fini)(), void* stack_end) {
  using Main = int (*)(int, char**, char**);
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  ::unsetenv("LD_PRELOAD");
  const auto real = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  return real(postern::worker::Main, argc, argv, init, fini, rtld_fini, stack_end);
}
