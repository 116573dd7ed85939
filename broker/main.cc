// postern-broker: acts for guests. Started by the supervisor with its control socket as
// descriptor 3.
//
//   postern-broker net   [--debug-seccomp] [--ca-file=PEM] [--port=N…]  N: all that Landlock leaves
//   postern-broker files [--debug-seccomp] MOUNT…     a MOUNT is FD:GUEST_PATH
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "broker/confine.h"
#include "broker/control_loop.h"
#include "broker/files_guest.h"
#include "broker/net_guest.h"
#include "sandbox/process.h"

namespace postern::broker {
namespace {

using channel::ControlMessage;
using channel::ControlType;

constexpr int kControl = 3;

struct Arguments {
  Role role = Role::kNet;
  sandbox::SeccompMode seccomp = sandbox::SeccompMode::kKill;
  std::string ca_file;
  std::optional<std::vector<uint16_t>> ports;  // that a connection may go to; nullopt: any
  std::vector<Mount> mounts;
};

Result<Arguments> Parse(int argc, char** argv) {
  if (argc < 2) return Error{"a role is missing; this program is started by postern"};
  Arguments a;
  if (std::strcmp(argv[1], "files") == 0)
    a.role = Role::kFiles;
  else if (std::strcmp(argv[1], "net") != 0)
    return Error{"unknown role; this program is started by postern"};
  for (int i = 2; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--debug-seccomp") {
      a.seccomp = sandbox::SeccompMode::kDebug;
    } else if (arg.starts_with("--port=")) {
      if (!a.ports) a.ports.emplace();
      a.ports->push_back(static_cast<uint16_t>(std::atoi(arg.c_str() + 7)));
    } else if (arg.starts_with("--ca-file=")) {
      a.ca_file = arg.substr(10);
    } else if (const size_t colon = arg.find(':');
               a.role == Role::kFiles && colon != std::string::npos) {
      a.mounts.push_back({arg.substr(colon + 1), UniqueFd(std::atoi(arg.c_str()))});
    } else {
      return Error{"unknown argument " + arg};
    }
  }
  return a;
}

// Serves guests of type G, made by `make`, until the supervisor is gone.
template <typename G>
void Serve(
    boost::asio::io_context& io, const sandbox::Layers& layers,
    const std::function<Result<std::unique_ptr<G>>(ControlMessage&, std::function<void()>)>& make,
    const std::function<std::string(G&)>& usage) {
  std::map<uint64_t, std::unique_ptr<G>> guests;
  ControlLoop* loop = nullptr;
  const auto end = [&](uint64_t id) {
    const auto g = guests.find(id);
    if (g == guests.end()) return;
    loop->Send({.type = ControlType::kEnded, .id = id, .payload = usage(*g->second)});
    guests.erase(g);
  };
  ControlLoop control(io, kControl, [&](ControlMessage message) {
    const uint64_t id = message.id;
    if (message.type == ControlType::kDropGuest) return end(id);
    if (message.type != ControlType::kBind || message.fds.size() != 2) return;
    auto guest = make(message, [&, id] { end(id); });
    if (guest)
      guests[id] = *std::move(guest);
    else
      loop->Send({.type = ControlType::kFailed, .id = id, .payload = guest.error().message});
  });
  loop = &control;
  const nlohmann::json report = {{"on", layers.on}, {"missing", layers.missing}};
  control.Send({.type = ControlType::kReady, .payload = report.dump()});
  io.run();
  guests.clear();
}

Status PrepareChannel(ControlMessage& message) {
  for (UniqueFd& fd : message.fds) {
    channel::GrowPipe(fd.get(), channel::kActivePipeBytes);
    if (Status s = channel::SetNonBlocking(fd.get()); !s) return s;
  }
  return Ok{};
}

std::string ReadText(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Status RunNet(Arguments& a) {
  sandbox::Layers layers;
  // Read as who started us, before the namespaces make us nobody.
  auto tls = TlsStore::Read(a.ca_file);
  if (!tls) return tls.error();
  const std::string resolv_conf = ReadText("/etc/resolv.conf");
  auto own = OwnAddresses::Open();
  if (!own) return own.error();
  if (Status s = EnterRoleNamespaces(a.role, layers); !s) return s;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  boost::asio::io_context io(1);
  (*own)->Watch(io);
  auto open = sandbox::OpenDescriptors();
  if (!open) return open.error();
  if (Status s = LockDown(a.role, *open, {.connect_ports = a.ports}, a.seccomp, layers); !s)
    return s;
  NetShared shared{io, **own, *tls, ParseResolvConf(resolv_conf)};
  Serve<NetGuest>(
      io, layers,
      [&](ControlMessage& m, std::function<void()> ended) -> Result<std::unique_ptr<NetGuest>> {
        auto policy = policy::FromJson(m.payload);
        if (!policy) return policy.error();
        if (Status s = PrepareChannel(m); !s) return s.error();
        return std::make_unique<NetGuest>(shared, *std::move(policy), std::move(m.fds[0]),
                                          std::move(m.fds[1]), std::move(ended));
      },
      [](NetGuest& g) {
        const Usage& u = g.usage();
        return nlohmann::json{{"requests", u.requests},
                              {"denied", u.denied},
                              {"bytesIn", u.bytes_in},
                              {"bytesOut", u.bytes_out}}
            .dump();
      });
  return Ok{};
}

Status RunFiles(Arguments& a) {
  sandbox::Layers layers;
  if (Status s = EnterRoleNamespaces(a.role, layers); !s) return s;
  boost::asio::io_context io(1);
  std::vector<int> directories;
  for (const Mount& m : a.mounts) directories.push_back(m.directory.get());
  auto open = sandbox::OpenDescriptors();
  if (!open) return open.error();
  if (Status s = LockDown(a.role, *open, {.readable = directories}, a.seccomp, layers); !s)
    return s;
  Serve<FilesGuest>(
      io, layers,
      [&](ControlMessage& m, std::function<void()> ended) -> Result<std::unique_ptr<FilesGuest>> {
        if (Status s = PrepareChannel(m); !s) return s.error();
        return std::make_unique<FilesGuest>(io, a.mounts, std::move(m.fds[0]), std::move(m.fds[1]),
                                            std::move(ended));
      },
      [](FilesGuest&) { return std::string("{}"); });
  return Ok{};
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  auto arguments = Parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr, "postern-broker: %s\n", arguments.error().message.c_str());
    return 2;
  }
  const Status status = arguments->role == Role::kNet ? RunNet(*arguments) : RunFiles(*arguments);
  if (status) return 0;
  if (!channel::SendControl(kControl,
                            {.type = ControlType::kFailed, .payload = status.error().message}))
    return 125;
  return 125;
}

}  // namespace
}  // namespace postern::broker

int main(int argc, char** argv) { ::_exit(postern::broker::Main(argc, argv)); }
