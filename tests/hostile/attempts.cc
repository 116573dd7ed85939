#include "tests/hostile/attempts.h"

#include <arpa/inet.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "channel/control.h"
#include "channel/spare_fds.h"

namespace postern::hostile {
namespace {

constexpr pid_t kZygote = 1;         // in the pid namespace
constexpr int kSiblings = 64;        // pids that are looked at
constexpr int kAllNumbers = 65'536;  // descriptors that are guessed

// Where the heap begins. Read when the program starts: later there is no /proc.
const char* const g_heap = [] {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with("[heap]"))
      return reinterpret_cast<const char*>(std::stoull(line, nullptr, 16));
  }
  return static_cast<const char*>(::sbrk(0));
}();

std::string Answer(long rc) {
  if (rc >= 0) return "got " + std::to_string(rc);
  return std::string("refused: ") + strerrorname_np(errno);
}

// A call by its number with up to six arguments.
template <typename... Args>
Attempt Call(long number, Args... args) {
  return [=](const channel::GuestOrder&) { return Answer(::syscall(number, args...)); };
}

Attempt Socket(int family, int type = SOCK_STREAM, int protocol = 0) {
  return Call(SYS_socket, family, type, protocol);
}

// argv of the run: "HOST:PORT" of a listener on the host.
std::string ConnectTo(const channel::GuestOrder& order) {
  const std::string& where = order.argv.back();
  const int fd = static_cast<int>(::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
  if (fd < 0) return Answer(fd);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(where.substr(where.find(':') + 1))));
  ::inet_pton(AF_INET, where.substr(0, where.find(':')).c_str(), &to.sin_addr);
  return Answer(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to));
}

std::string AbstractSocket(const channel::GuestOrder& order) {
  const std::string& name = order.argv.back();
  const int fd = static_cast<int>(::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
  if (fd < 0) return Answer(fd);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path + 1, name.data(), name.size());
  return Answer(
      ::connect(fd, reinterpret_cast<sockaddr*>(&to),
                static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())));
}

std::string OpenFile(const channel::GuestOrder& order) {
  return Answer(::syscall(SYS_openat, AT_FDCWD, order.argv.back().c_str(), O_RDONLY));
}

// A signal of number 0 tells whether the kernel would deliver one, and harms nobody.
std::string Signal(pid_t pid) { return Answer(::syscall(SYS_kill, pid, 0)); }

std::string SignalArgument(const channel::GuestOrder& order) {
  return Signal(std::stoi(order.argv.back()));
}

std::string ReadMemoryOf(pid_t pid) {
  char here[16];
  iovec to{here, sizeof here}, from{const_cast<pid_t*>(&kZygote), sizeof here};
  return Answer(::syscall(SYS_process_vm_readv, pid, &to, 1, &from, 1, 0));
}

std::string WriteMemoryOf(pid_t pid) {
  char here[16] = {};
  iovec from{here, sizeof here}, to{here, sizeof here};
  return Answer(::syscall(SYS_process_vm_writev, pid, &from, 1, &to, 1, 0));
}

std::string GetFdOf(pid_t pid) {
  const long pidfd = ::syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return Answer(pidfd);
  return Answer(::syscall(SYS_pidfd_getfd, pidfd, 3, 0));
}

// Of the other processes in the pid namespace, the first that `look` gets at.
std::string AnySibling(const std::function<std::string(pid_t)>& look) {
  std::string last = "refused: nobody is there";
  for (pid_t pid = 2; pid < kSiblings; ++pid) {
    if (pid == ::getpid()) continue;
    last = look(pid);
    if (last.starts_with("got")) return last;
  }
  return last;
}

// Every number that a descriptor could have: what answers as open beyond the guest's own?
std::string GuessDescriptors(const channel::GuestOrder&) {
  std::string found;
  for (int fd = channel::kSpareFdCount; fd < kAllNumbers; ++fd) {
    pollfd p{fd, POLLIN, 0};
    const int rc = ::poll(&p, 1, 0);
    if (rc < 0) return Answer(rc);
    if ((p.revents & POLLNVAL) == 0 && rc != 0) found += " " + std::to_string(fd);
    if (::read(fd, &p, 0) == 0) found += " " + std::to_string(fd);
  }
  return found.empty() ? "kept: no descriptor beyond the guest's own" : "got" + found;
}

// The zygote takes orders on a seqpacket socket: is it among the descriptors, and does it obey?
std::string OrderTheZygote(const channel::GuestOrder&) {
  const channel::ControlMessage fork = channel::ForkSpare{.spare = 99};
  const channel::ControlHeader header = channel::EncodedControl(fork).header;
  std::string took;
  for (int fd = 0; fd < 256; ++fd) {
    if (fd <= channel::kResultFd) continue;  // those pipes' readers would see it as output
    if (::write(fd, &header, sizeof header) == static_cast<ssize_t>(sizeof header)) {
      took += " " + std::to_string(fd);
    }
  }
  // Pipes to brokers that were never asked for anything take bytes, and their readers hang up.
  return "kept: written to" + took;
}

// What lies in this process's memory: environment, arguments, auxiliary vector, the stack above,
// the heap, and every object's data.
std::string SearchMemory(const channel::GuestOrder& order) {
  const std::string& needle = order.argv.back();  // spelled backwards, not to find itself
  const std::string planted(needle.rbegin(), needle.rend());
  std::string where;
  const auto search = [&](const char* name, const char* from, const char* to) {
    for (const char* at = from; at + planted.size() <= to; ++at) {
      if (*at == planted[0] && std::memcmp(at, planted.data(), planted.size()) == 0 &&
          at != planted.data()) {
        where += std::string(" ") + name;
        return;
      }
    }
  };
  for (char** e = environ; *e != nullptr; ++e) search("environ", *e, *e + std::strlen(*e));
  const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  search("auxv", name, name + std::strlen(name));
  // The stack's top: behind the name of the executable, eight bytes of zero end it.
  const char here = 0;
  search("stack", &here, name + std::strlen(name));
  search("heap", g_heap, static_cast<const char*>(::sbrk(0)));
  const std::function<void(const char*, const char*)> data = [&](const char* from, const char* to) {
    search("data", from, to);
  };
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* found) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& part = object->dlpi_phdr[i];
          if (part.p_type != PT_LOAD || (part.p_flags & PF_W) == 0) continue;
          const auto* from = reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr);
          (*static_cast<const std::function<void(const char*, const char*)>*>(found))(
              from, from + part.p_memsz);
        }
        return 0;
      },
      const_cast<void*>(static_cast<const void*>(&data)));
  return where.empty() ? "kept: nothing found" : "got it in" + where;
}

std::string RaiseLimit(int resource) {
  rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  return Answer(::syscall(SYS_prlimit64, 0, resource, &all, nullptr));
}

std::string Map(int prot, int flags, int fd = -1) {
  void* at = ::mmap(nullptr, 4096, prot, flags, fd, 0);
  return at == MAP_FAILED ? Answer(-1) : "got a mapping";
}

// All the memory that there is to have: first that of page tables, by reading from mappings that
// hold nothing, then that of pages. Tells how many MiB it mapped of each.
std::string TakeAllMemory(const channel::GuestOrder&) {
  constexpr size_t kTable = 2 << 20;  // what one page of a page table maps
  constexpr size_t kLargest = 1 << 30;
  const auto take = [](size_t piece, int prot, bool write) {
    void* last = nullptr;
    for (size_t pieces = 0;; ++pieces) {
      void* at = ::mmap(nullptr, piece, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (at == MAP_FAILED) return std::pair(pieces * (piece >> 20), last);
      last = at;
      auto* bytes = static_cast<volatile char*>(at);
      for (size_t i = 0; i < piece; i += write ? 4096 : kTable) {
        if (write) {
          bytes[i] = 1;
        } else {
          (void)bytes[i];
        }
      }
    }
  };
  const auto [read, last] = take(kLargest, PROT_READ, false);
  ::munmap(last, kLargest);  // addresses for the rest
  const auto [written, rest] = take(1 << 20, PROT_READ | PROT_WRITE, true);
  return "kept: " + std::to_string(read) + " " + std::to_string(written);
}

std::string OneFileMore(const channel::GuestOrder&) { return Answer(::syscall(SYS_dup, 0)); }

std::string WriteFile(const channel::GuestOrder& order) {
  ::close(channel::kOrderFd);  // all of its numbers are taken
  const int fd = static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, order.argv.back().c_str(), O_WRONLY | O_CREAT, 0600));
  if (fd < 0) return Answer(fd);
  ::signal(SIGXFSZ, SIG_IGN);
  return Answer(::write(fd, "x", 1));
}

// Runs the program that argv names; its output is the guest's.
std::string Execute(const channel::GuestOrder& order) {
  const char* argv[] = {order.argv.back().c_str(), "-u", nullptr};
  return Answer(::syscall(SYS_execve, argv[0], argv, nullptr));
}

std::string ReadCgroup(const channel::GuestOrder&) {
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, "/proc/self/cgroup", O_RDONLY));
  if (fd < 0) return Answer(fd);
  char text[4096];
  const ssize_t n = ::read(fd, text, sizeof text);
  return "kept: " + std::string(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
}

// Says that it runs, and then does nothing.
std::string Wait(const channel::GuestOrder&) {
  if (::write(channel::kStdout, "up\n", 3) != 3) return Answer(-1);
  return Answer(::poll(nullptr, 0, -1));
}

std::string Fork(const channel::GuestOrder&) {
  const long pid = ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) ::_exit(0);
  return Answer(pid);
}

// A System V segment that a test made on the host, by its key.
std::string SharedSegment(const channel::GuestOrder& order) {
  return Answer(::syscall(SYS_shmget, std::stoi(order.argv.back()), 1, 0));
}

std::string ByInt80(const channel::GuestOrder&) {
  long rc = 20;  // getpid
  asm volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
  return "got " + std::to_string(rc);
}

std::string Speak(const channel::GuestOrder& order);

char g_page[4096];
iocb g_iocb;
user_desc g_ldt{};
perf_event_attr g_perf{};
io_uring_params g_ring{};
bpf_attr g_bpf{};
open_how g_how{};
mount_attr g_mount{};
sched_param g_sched{1};
timer_t g_timer;
itimerval g_itimer{{0, 0}, {100, 0}};
int g_pipe[2];

std::map<std::string, Attempt> Make() {
  std::map<std::string, Attempt> all = {
      // sockets of every family
      {"socket-unix", Socket(AF_UNIX)},
      {"socket-inet", Socket(AF_INET)},
      {"socket-inet-udp", Socket(AF_INET, SOCK_DGRAM)},
      {"socket-inet-raw", Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)},
      {"socket-inet6", Socket(AF_INET6)},
      {"socket-netlink", Socket(AF_NETLINK, SOCK_RAW)},
      {"socket-packet", Socket(AF_PACKET, SOCK_RAW)},
      {"socket-alg", Socket(AF_ALG, SOCK_SEQPACKET)},
      {"socket-vsock", Socket(AF_VSOCK)},
      {"socket-bluetooth", Socket(AF_BLUETOOTH, SOCK_RAW)},
      {"socket-can", Socket(AF_CAN, SOCK_RAW)},
      {"socket-xdp", Socket(44, SOCK_RAW)},
      {"socket-smc", Socket(43)},
      {"socket-key", Socket(AF_KEY, SOCK_RAW, 2)},
      {"socketpair", Call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, g_pipe)},
      {"connect-host", ConnectTo},
      {"connect-abstract", AbstractSocket},
      {"bind", Call(SYS_bind, 0, g_page, 16)},
      {"listen", Call(SYS_listen, 0, 1)},
      {"accept", Call(SYS_accept4, 0, nullptr, nullptr, 0)},
      {"sendmsg", Call(SYS_sendmsg, 1, g_page, 0)},
      {"recvmsg", Call(SYS_recvmsg, 0, g_page, 0)},
      {"sendto", Call(SYS_sendto, 1, g_page, 1, 0, nullptr, 0)},
      // io_uring
      {"io-uring-setup", Call(SYS_io_uring_setup, 1, &g_ring)},
      {"io-uring-enter", Call(SYS_io_uring_enter, 3, 0, 0, 0, nullptr, 0)},
      {"io-uring-register", Call(SYS_io_uring_register, 3, 0, nullptr, 0)},
      // other processes
      {"ptrace-me", Call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)},
      {"ptrace-zygote", Call(SYS_ptrace, PTRACE_SEIZE, kZygote, 0, 0)},
      {"read-zygote-memory", [](const auto&) { return ReadMemoryOf(kZygote); }},
      {"write-zygote-memory", [](const auto&) { return WriteMemoryOf(kZygote); }},
      {"read-sibling-memory", [](const auto&) { return AnySibling(ReadMemoryOf); }},
      {"read-memory-of", [](const auto& o) { return ReadMemoryOf(std::stoi(o.argv.back())); }},
      {"pidfd-open", Call(SYS_pidfd_open, kZygote, 0)},
      {"pidfd-getfd", [](const auto&) { return GetFdOf(kZygote); }},
      {"pidfd-signal", Call(SYS_pidfd_send_signal, 3, 0, nullptr, 0)},
      {"kcmp", Call(SYS_kcmp, kZygote, kZygote, 0, 0, 0)},
      {"process-madvise", Call(SYS_process_madvise, 3, nullptr, 0, 0, 0)},
      {"kill-zygote", [](const auto&) { return Signal(kZygote); }},
      {"kill-all", [](const auto&) { return Signal(-1); }},
      {"kill-sibling", [](const auto&) { return AnySibling(Signal); }},
      {"kill-pid", SignalArgument},
      {"tkill", Call(SYS_tkill, kZygote, 0)},
      {"tgkill-zygote", Call(SYS_tgkill, kZygote, kZygote, 0)},
      {"tgkill-abort", Call(SYS_tgkill, 2, 2, SIGABRT)},
      {"sigqueue", Call(SYS_rt_sigqueueinfo, kZygote, 0, g_page)},
      {"waitid", Call(SYS_waitid, P_ALL, 0, nullptr, WEXITED | WNOHANG, nullptr)},
      // programs and memory that becomes one
      {"execve", Call(SYS_execve, "/bin/true", nullptr, nullptr)},
      {"execveat", Call(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0)},
      {"memfd", Call(SYS_memfd_create, "x", 0)},
      {"memfd-secret", Call(SYS_memfd_secret, 0)},
      {"userfaultfd", Call(SYS_userfaultfd, 1)},
      {"bpf", Call(SYS_bpf, BPF_MAP_CREATE, &g_bpf, sizeof g_bpf)},
      {"perf-event-open", Call(SYS_perf_event_open, &g_perf, 0, -1, -1, 0)},
      {"keyctl", Call(SYS_keyctl, 0, -3, 0, 0, 0)},
      {"add-key", Call(SYS_add_key, "user", "x", "y", 1, -3)},
      {"request-key", Call(SYS_request_key, "user", "x", nullptr, -3)},
      {"kexec", Call(SYS_kexec_load, 0, 0, nullptr, 0)},
      {"init-module", Call(SYS_init_module, g_page, 1, "")},
      // processes and namespaces
      {"fork", Fork},
      {"fork-call", Call(SYS_fork)},
      {"vfork", Call(SYS_vfork)},
      {"clone-thread", Call(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0)},
      {"clone3", Call(SYS_clone3, nullptr, 0)},
      {"clone-new-user", Call(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)},
      {"unshare-user", Call(SYS_unshare, CLONE_NEWUSER)},
      {"unshare-net", Call(SYS_unshare, CLONE_NEWNET)},
      {"setns", Call(SYS_setns, 3, 0)},
      {"setsid", Call(SYS_setsid)},
      // mounts and roots
      {"mount", Call(SYS_mount, "x", "/", "tmpfs", 0, nullptr)},
      {"mount-proc", Call(SYS_mount, "proc", "/", "proc", 0, nullptr)},
      {"umount", Call(SYS_umount2, "/", MNT_DETACH)},
      {"fsopen", Call(SYS_fsopen, "tmpfs", 0)},
      {"fsmount", Call(SYS_fsmount, 3, 0, 0)},
      {"open-tree", Call(SYS_open_tree, AT_FDCWD, "/", 1)},
      {"move-mount", Call(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0)},
      {"mount-setattr", Call(SYS_mount_setattr, AT_FDCWD, "/", 0, &g_mount, sizeof g_mount)},
      {"pivot-root", Call(SYS_pivot_root, ".", ".")},
      {"chroot", Call(SYS_chroot, "/")},
      {"chdir", Call(SYS_chdir, "..")},
      // files
      {"open", Call(SYS_open, "/", O_RDONLY)},
      {"openat", Call(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)},
      {"openat2", Call(SYS_openat2, AT_FDCWD, "/", &g_how, sizeof g_how)},
      {"open-path", Call(SYS_openat, AT_FDCWD, "/", O_PATH)},
      {"open-file", OpenFile},
      {"write-file", WriteFile},
      {"creat", Call(SYS_creat, "/x", 0600)},
      {"open-handle", Call(SYS_open_by_handle_at, AT_FDCWD, g_page, 0)},
      {"name-to-handle", Call(SYS_name_to_handle_at, AT_FDCWD, "/", g_page, g_page, 0)},
      {"open-proc-self-mem", Call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR)},
      {"open-proc-zygote", Call(SYS_openat, AT_FDCWD, "/proc/1/environ", O_RDONLY)},
      {"open-dev-mem", Call(SYS_openat, AT_FDCWD, "/dev/mem", O_RDWR)},
      {"open-dev-kvm", Call(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR)},
      {"open-tty", Call(SYS_openat, AT_FDCWD, "/dev/tty", O_RDWR)},
      {"stat", Call(SYS_newfstatat, AT_FDCWD, "/", g_page, 0)},
      {"readlink", Call(SYS_readlink, "/proc/self/exe", g_page, sizeof g_page)},
      {"getdents", Call(SYS_getdents64, 0, g_page, sizeof g_page)},
      {"getcwd", Call(SYS_getcwd, g_page, sizeof g_page)},
      {"access", Call(SYS_faccessat, AT_FDCWD, "/", 0)},
      {"unlink", Call(SYS_unlink, "/x")},
      {"mkdir", [](const auto& o) { return Answer(::syscall(SYS_mkdir, o.argv.back().c_str(), 0700)); }},
      {"symlink", Call(SYS_symlink, "/", "/x")},
      {"mknod", Call(SYS_mknod, "/x", S_IFCHR | 0600, 0x0101)},
      {"chmod", Call(SYS_chmod, "/", 0777)},
      {"chown", Call(SYS_chown, "/", 0, 0)},
      {"setxattr", Call(SYS_setxattr, "/", "user.x", "y", 1, 0)},
      {"truncate", Call(SYS_truncate, "/x", 0)},
      {"quotactl", Call(SYS_quotactl, 0, nullptr, 0, nullptr)},
      {"swapon", Call(SYS_swapon, "/x", 0)},
      // descriptors
      {"dup", OneFileMore},
      {"dup2", Call(SYS_dup2, 0, 12)},
      {"fcntl", Call(SYS_fcntl, 0, F_SETOWN, kZygote)},
      {"pipe", Call(SYS_pipe2, g_pipe, 0)},
      {"eventfd", Call(SYS_eventfd2, 0, 0)},
      {"epoll", Call(SYS_epoll_create1, 0)},
      {"inotify", Call(SYS_inotify_init1, 0)},
      {"fanotify", Call(SYS_fanotify_init, 0, 0)},
      {"signalfd", Call(SYS_signalfd4, -1, g_page, 8, 0)},
      {"timerfd", Call(SYS_timerfd_create, CLOCK_MONOTONIC, 0)},
      {"splice", Call(SYS_splice, 0, nullptr, 1, nullptr, 1, 0)},
      {"tee", Call(SYS_tee, 0, 1, 1, 0)},
      {"vmsplice", Call(SYS_vmsplice, 1, g_page, 0, 0)},
      {"sendfile", Call(SYS_sendfile, 1, 0, nullptr, 1)},
      {"guess-descriptors", GuessDescriptors},
      {"order-the-zygote", OrderTheZygote},
      // what a process says of itself
      {"prctl-dumpable", Call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)},
      {"prctl-new-privs", Call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)},
      {"prctl-seccomp", Call(SYS_prctl, PR_SET_SECCOMP, 0, 0, 0, 0)},
      {"prctl-speculation", Call(SYS_prctl, PR_SET_SPECULATION_CTRL, 0, PR_SPEC_ENABLE, 0, 0)},
      {"prctl-mm", Call(SYS_prctl, PR_SET_MM, PR_SET_MM_START_BRK, 0, 0, 0)},
      {"prctl-merge-memory", Call(SYS_prctl, 67 /* PR_SET_MEMORY_MERGE */, 1, 0, 0, 0)},
      {"prctl-pdeathsig", Call(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0)},
      {"prctl-name", Call(SYS_prctl, PR_SET_NAME, "x", 0, 0, 0)},
      {"prctl-ptracer", Call(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0)},
      {"seccomp", Call(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, nullptr)},
      {"ioctl-tiocsti", Call(SYS_ioctl, 0, TIOCSTI, "x")},
      {"ioctl-tioclinux", Call(SYS_ioctl, 0, TIOCLINUX, g_page)},
      {"ioctl-fionread", Call(SYS_ioctl, 0, FIONREAD, g_page)},
      {"personality", Call(SYS_personality, ADDR_NO_RANDOMIZE)},
      {"modify-ldt", Call(SYS_modify_ldt, 1, &g_ldt, sizeof g_ldt)},
      {"arch-prctl", Call(SYS_arch_prctl, ARCH_GET_FS, g_page)},
      {"iopl", Call(SYS_iopl, 3)},
      {"ioperm", Call(SYS_ioperm, 0, 1, 1)},
      {"setuid", Call(SYS_setuid, 0)},
      {"setgroups", Call(SYS_setgroups, 0, nullptr)},
      {"setfsuid", Call(SYS_setfsuid, 0)},
      {"capset", Call(SYS_capset, g_page, g_page)},
      {"sethostname", Call(SYS_sethostname, "escaped", 7)},
      {"settimeofday", Call(SYS_settimeofday, nullptr, nullptr)},
      {"clock-settime", Call(SYS_clock_settime, CLOCK_REALTIME, g_page)},
      {"adjtimex", Call(SYS_adjtimex, g_page)},
      {"syslog", Call(SYS_syslog, 3, g_page, sizeof g_page)},
      {"acct", Call(SYS_acct, nullptr)},
      {"uname", Call(SYS_uname, g_page)},
      {"sysinfo", Call(SYS_sysinfo, g_page)},
      // limits, scheduling, time
      {"raise-data-limit", [](const auto&) { return RaiseLimit(RLIMIT_DATA); }},
      {"raise-address-limit", [](const auto&) { return RaiseLimit(RLIMIT_AS); }},
      {"raise-cpu-limit", [](const auto&) { return RaiseLimit(RLIMIT_CPU); }},
      {"raise-file-limit", [](const auto&) { return RaiseLimit(RLIMIT_NOFILE); }},
      {"limit-the-zygote", Call(SYS_prlimit64, kZygote, RLIMIT_CPU, g_page, nullptr)},
      {"setrlimit", Call(SYS_setrlimit, RLIMIT_NPROC, g_page)},
      {"sched-setaffinity", Call(SYS_sched_setaffinity, 0, 8, g_page)},
      {"sched-setscheduler", Call(SYS_sched_setscheduler, 0, SCHED_FIFO, &g_sched)},
      {"setpriority", Call(SYS_setpriority, PRIO_PROCESS, 0, -20)},
      {"ioprio-set", Call(SYS_ioprio_set, 1, 0, 0)},
      {"timer-create", Call(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &g_timer)},
      {"setitimer", Call(SYS_setitimer, ITIMER_REAL, &g_itimer, nullptr)},
      {"alarm", Call(SYS_alarm, 100)},
      {"nanosleep", Call(SYS_nanosleep, g_page, nullptr)},
      {"sigaction", Call(SYS_rt_sigaction, SIGTERM, nullptr, g_page, 8)},
      {"sigprocmask", Call(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, nullptr, 8)},
      {"io-setup", Call(SYS_io_setup, 1, &g_iocb)},
      {"io-submit", Call(SYS_io_submit, 0, 0, nullptr)},
      // memory
      {"shmget", Call(SYS_shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600)},
      {"shmget-host", SharedSegment},
      {"shmat", Call(SYS_shmat, 0, nullptr, 0)},
      {"semget", Call(SYS_semget, IPC_PRIVATE, 1, IPC_CREAT | 0600)},
      {"msgget", Call(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600)},
      {"mq-open", Call(SYS_mq_open, "x", O_CREAT | O_RDWR, 0600, nullptr)},
      {"map-file", [](const auto&) { return Map(PROT_READ, MAP_PRIVATE, 0); }},
      {"map-shared", [](const auto&) { return Map(PROT_READ, MAP_SHARED | MAP_ANONYMOUS); }},
      {"map-huge",
       [](const auto&) { return Map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB); }},
      {"map-locked",
       [](const auto&) { return Map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED); }},
      {"map-executable",
       [](const auto&) { return Map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS); }},
      {"protect-executable",
       [](const auto&) {
         return Answer(::syscall(SYS_mprotect, reinterpret_cast<uintptr_t>(g_page) & ~4095UL, 4096,
                                 PROT_READ | PROT_EXEC));
       }},
      {"key-executable",
       [](const auto&) {
         return Answer(::syscall(SYS_pkey_mprotect, reinterpret_cast<uintptr_t>(g_page) & ~4095UL,
                                 4096, PROT_READ | PROT_EXEC, -1));
       }},
      {"merge-memory", Call(SYS_madvise, 0, 0, MADV_MERGEABLE)},
      {"poison-memory", Call(SYS_madvise, 0, 0, MADV_HWPOISON)},
      {"mlock", Call(SYS_mlock, g_page, 4096)},
      {"mlockall", Call(SYS_mlockall, MCL_CURRENT)},
      {"mbind", Call(SYS_mbind, 0, 0, 0, nullptr, 0, 0)},
      {"move-pages", Call(SYS_move_pages, 0, 0, nullptr, nullptr, nullptr, 0)},
      {"remap-file-pages", Call(SYS_remap_file_pages, g_page, 4096, 0, 0, 0)},
      {"futex-lock-pi", Call(SYS_futex, g_page, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0)},
      {"futex-requeue", Call(SYS_futex, g_page, FUTEX_CMP_REQUEUE_PI, 1, nullptr, g_page + 8, 0)},
      {"search-memory", SearchMemory},
      {"take-all-memory", TakeAllMemory},
      // other doors of the kernel
      {"x32", Call(0x4000'0000 + SYS_getpid)},
      {"i386", ByInt80},
      {"landlock", Call(SYS_landlock_create_ruleset, nullptr, 0, 1)},
      {"rseq", Call(SYS_rseq, nullptr, 0, 0, 0)},
      {"robust-list", Call(SYS_set_robust_list, g_page, 24)},
      {"no-such-call", Call(9'999)},
      // how other tests use this program
      {"nothing", [](const auto&) { return std::string("kept: alive"); }},
      {"speak", Speak},
      {"wait", Wait},
      {"execute", Execute},
      {"read-cgroup", ReadCgroup},
  };
  return all;
}

std::string Unhex(std::string_view text) {
  std::string bytes;
  for (size_t at = 0; at + 1 < text.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16)));
  }
  return bytes;
}

// Sends the entry file's second line, which is hexadecimal, to the broker `times` (its third line)
// times over, and tells in hexadecimal what it answers, until it hangs up or says nothing for a
// while. Nothing of Postern's own HTTP/2 lies between.
std::string Speak(const channel::GuestOrder& order) {
  constexpr int kSilentMs = 400;
  constexpr size_t kShown = 64 * 1024;
  const size_t first = order.source.find('\n') + 1, second = order.source.find('\n', first) + 1;
  const std::string once = Unhex(std::string_view(order.source).substr(first, second - first - 1));
  long times = std::stol(order.source.substr(second));
  std::string left, heard;
  for (;;) {
    if (left.empty() && times > 0) {
      --times;
      left = once;
    }
    pollfd ready[] = {{channel::NetIn(0), POLLIN, 0},
                      {left.empty() ? -1 : channel::NetOut(0), POLLOUT, 0}};
    const int rc = ::poll(ready, 2, kSilentMs);
    if (rc < 0) return Answer(rc);
    if (rc == 0) return (left.empty() ? "silent: " : "stuck: ") + heard;
    if (ready[0].revents != 0) {
      char buffer[65'536];
      const ssize_t n = ::read(channel::NetIn(0), buffer, sizeof buffer);
      if (n == 0) return "hung up: " + heard;
      for (ssize_t i = 0; i < n && heard.size() < kShown; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(buffer[i]));
        heard += digits;
      }
    }
    if (ready[1].revents != 0) {
      const ssize_t n = ::write(channel::NetOut(0), left.data(), left.size());
      if (n < 0 && errno == EAGAIN) continue;
      if (n < 0) return "hung up: " + heard;
      left.erase(0, static_cast<size_t>(n));
    }
  }
}

}  // namespace

const std::map<std::string, Attempt>& Attempts() {
  static const std::map<std::string, Attempt> all = Make();
  return all;
}

}  // namespace postern::hostile
