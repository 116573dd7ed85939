// postern-broker: acts for guests. Started by the supervisor with its control socket as
// descriptor 3.
//
//   postern-broker net   [--ca-file=PEM] [--port=N…] [--events=FD] [--record]
//                        [--replay=FD --beside=FD]
//                        N: a port that Landlock leaves
//   postern-broker files MOUNT…          a MOUNT is FD:GUEST_PATH
//   postern-broker log   --events=FD [--audit=FD] [--har=FD] [--people=FD] [--colour] [--report]
// and --debug-seccomp for each.
#include <poll.h>

#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "broker/confine.h"
#include "broker/files/files_binding.h"
#include "broker/log/event_log.h"
#include "broker/log/log_process.h"
#include "broker/net/net_binding.h"
#include "broker/upstream/recording.h"
#include "broker/upstream/replay.h"
#include "loop/control_loop.h"
#include "sandbox/process.h"

namespace postern::broker {
namespace {

using channel::BindGuest;
using channel::ReceivedControl;

constexpr int kControl = 3;
constexpr int kUsersInput = 10'000;   // in place of an errno: the user's file is at fault
constexpr int kExitCannotTell = 126;  // it could not run, and could not say why
constexpr auto kTellUsageEvery = std::chrono::seconds(1);

struct Arguments {
  BrokerRole role = BrokerRole::kNet;
  sandbox::SeccompMode seccomp = sandbox::SeccompMode::kKill;
  std::string ca_file;
  std::optional<std::vector<uint16_t>> ports;  // that a connection may go to; nullopt: any
  std::vector<BrokerMount> mounts;
  UniqueFd events;          // net: to the log process; log: from the net broker
  UniqueFd replay;          // net: the HAR file that the replay adapter answers from
  UniqueFd beside;          // net: the directory of that file
  bool record = false;      // net: HAR entries are wanted
  LogProcess::Outputs log;  // log
};

// The number after "--name=", or -1.
int NumberAfter(const std::string& arg, std::string_view name) {
  return arg.starts_with(name) ? std::atoi(arg.c_str() + name.size()) : -1;
}

Result<Arguments> Parse(int argc, char** argv) {
  if (argc < 2) return Error{"a role is missing; this program is started by postern"};
  Arguments a;
  if (std::strcmp(argv[1], "files") == 0)
    a.role = BrokerRole::kFiles;
  else if (std::strcmp(argv[1], "log") == 0)
    a.role = BrokerRole::kLog;
  else if (std::strcmp(argv[1], "net") != 0)
    return Error{"unknown role; this program is started by postern"};
  for (int i = 2; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--debug-seccomp") {
      a.seccomp = sandbox::SeccompMode::kDebug;
    } else if (const int port = NumberAfter(arg, "--port="); port >= 0) {
      if (!a.ports) a.ports.emplace();
      a.ports->push_back(static_cast<uint16_t>(port));
    } else if (const int events = NumberAfter(arg, "--events="); events >= 0) {
      a.events.reset(events);
    } else if (const int replay = NumberAfter(arg, "--replay="); replay >= 0) {
      a.replay.reset(replay);
    } else if (const int beside = NumberAfter(arg, "--beside="); beside >= 0) {
      a.beside.reset(beside);
    } else if (const int audit = NumberAfter(arg, "--audit="); audit >= 0) {
      a.log.audit.reset(audit);
    } else if (const int har = NumberAfter(arg, "--har="); har >= 0) {
      a.log.har.reset(har);
    } else if (const int people = NumberAfter(arg, "--people="); people >= 0) {
      a.log.people.reset(people);
    } else if (arg == "--record") {
      a.record = true;
    } else if (arg == "--colour") {
      a.log.colour = true;
    } else if (arg == "--report") {
      a.log.report = true;
    } else if (arg.starts_with("--ca-file=")) {
      a.ca_file = arg.substr(10);
    } else if (const size_t colon = arg.find(':');
               a.role == BrokerRole::kFiles && colon != std::string::npos) {
      // "FD:GUEST", "FDw:GUEST" where it may be written
      a.mounts.push_back({arg.substr(colon + 1), UniqueFd(std::atoi(arg.c_str())),
                          colon > 0 && arg[colon - 1] == 'w'});
    } else {
      return Error{fmt::format("unknown argument {}", arg)};
    }
  }
  return a;
}

// Tells the supervisor from time to time what guests have used that go on for long.
template <typename G>
void SendUsage(boost::asio::steady_timer& timer,
               const std::map<uint64_t, std::unique_ptr<G>>& guests, loop::ControlLoop*& loop) {
  timer.expires_after(kTellUsageEvery);
  timer.async_wait([&timer, &guests, &loop](const boost::system::error_code& error) {
    if (error) return;
    for (const auto& [id, guest] : guests) {
      if (guest->UsageChanged()) loop->Send(channel::UsageReport{id, guest->usage()});
    }
    SendUsage(timer, guests, loop);
  });
}

// Serves guests of type G, made by `make` of what they are bound with and its descriptors, until
// the supervisor is gone.
template <typename G>
void Serve(boost::asio::io_context& io, const sandbox::Layers& layers,
           const std::function<Result<std::unique_ptr<G>>(BindGuest&, std::vector<UniqueFd>&,
                                                          std::function<void()> ended)>& make,
           const std::function<void(G&, std::function<void(NetUsage usage)>)>& finish) {
  std::map<uint64_t, std::unique_ptr<G>> guests;
  loop::ControlLoop* loop = nullptr;
  const auto end = [&](uint64_t id) {
    const auto g = guests.find(id);
    if (g == guests.end()) return;
    const std::unique_ptr<G> guest = std::move(g->second);
    guests.erase(g);
    finish(*guest, [&loop, id](NetUsage usage) {
      loop->Send(channel::ChannelClosed{id, std::move(usage)});
    });
  };
  loop::ControlLoop control(io, kControl, [&](ReceivedControl received) {
    if (const auto* drop = std::get_if<channel::DropGuest>(&received.message))
      return end(drop->guest);
    auto* bind = std::get_if<BindGuest>(&received.message);
    if (bind == nullptr || received.fds.size() != BindGuest::kDescriptors) return;
    const uint64_t id = bind->guest;
    auto guest = make(*bind, received.fds, [&, id] { end(id); });
    if (guest)
      guests[id] = *std::move(guest);
    else
      loop->Send(channel::BindFailed{id, guest.error().message});
  });
  loop = &control;
  boost::asio::steady_timer timer(io);
  if constexpr (std::is_same_v<G, NetBinding>) SendUsage(timer, guests, loop);
  control.Send(channel::Ready{layers.active, layers.missing});
  io.run();
  guests.clear();
}

Status PrepareChannel(const std::vector<UniqueFd>& fds) {
  for (const size_t end : {BindGuest::kReadEnd, BindGuest::kWriteEnd}) {
    channel::GrowPipe(fds[end].get(), channel::kActivePipeBytes);
    if (Status s = channel::SetNonBlocking(fds[end].get()); !s) return s;
  }
  return Ok{};
}

// An event to the supervisor, unless it has too many to read already: other guests must not wait.
void SendEvent(uint64_t guest, const std::string& line, int64_t& lost) {
  pollfd p{kControl, POLLOUT, 0};
  const bool room = Uninterrupted([&] { return ::poll(&p, 1, 0); }) == 1;
  // A supervisor that is gone ends this process by its control loop.
  if (room && line.size() < channel::kMaxPayload &&
      channel::SendControl(kControl, channel::GuestEvent{guest, lost, line})) {
    lost = 0;
  } else {
    ++lost;
  }
}

Status RunNet(Arguments& a) {
  sandbox::Layers layers;
  // Read as who started us, before the namespaces make us nobody.
  auto tls = TrustStore::Read(a.ca_file);
  if (!tls) return tls.error();
  auto beside = a.replay.valid() ? ReadFilesBeside(a.replay.get(), a.beside.get())
                                 : Result<har::Files>(har::Files());
  if (!beside) return Error{beside.error().message, kUsersInput};
  auto own = OwnAddresses::Open();
  if (!own) return own.error();
  if (Status s = EnterRoleNamespaces(a.role, layers); !s) return s;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  boost::asio::io_context io(1);
  const std::unique_ptr<OwnAddresses> addresses = *std::move(own);  // ends before `io` does
  addresses->Watch(io);
  std::optional<EventLog> log;
  if (a.events.valid()) log.emplace(io, std::move(a.events));
  a.beside.reset();
  auto open = sandbox::OpenDescriptors();
  if (!open) return open.error();
  if (Status s = LockDown(a.role, *open, {.connect_ports = a.ports}, a.seccomp, layers); !s)
    return s;
  std::optional<Replay> replay;
  if (a.replay.valid()) {  // parsed in the cage: what is in it came from guests and origins
    auto recording = ReadToEnd(a.replay.get(), "the recording", har::kMaxHarBytes);
    auto parsed =
        recording ? Replay::Parse(*recording, *beside) : Result<Replay>(recording.error());
    if (!parsed) return Error{parsed.error().message, kUsersInput};
    replay.emplace(*std::move(parsed));
    beside->clear();
  }
  NetShared shared{
      io, *addresses, *tls, log ? &*log : nullptr, a.record, replay ? &*replay : nullptr};
  Serve<NetBinding>(
      io, layers,
      [&](BindGuest& bind, std::vector<UniqueFd>& fds,
          std::function<void()> ended) -> Result<std::unique_ptr<NetBinding>> {
        auto text = ReadToEnd(fds[BindGuest::kPolicy].get(), "the policy");
        if (!text) return text.error();
        auto policy = policy::FromJson(*text);
        if (!policy) return policy.error();
        if (Status s = PrepareChannel(fds); !s) return s.error();
        std::function<void(const std::string&)> events;
        if (bind.wants_events) {
          events = [id = bind.guest, lost = int64_t{0}](const std::string& line) mutable {
            SendEvent(id, line, lost);
          };
        }
        return std::make_unique<NetBinding>(
            shared, *std::move(policy), std::move(bind.run), std::move(fds[BindGuest::kReadEnd]),
            std::move(fds[BindGuest::kWriteEnd]), std::move(ended), std::move(events));
      },
      [&](NetBinding& g, const std::function<void(NetUsage)>& ended) {
        g.EndRequests();
        if (!log) return ended(g.usage());
        log->WhenSent([ended, usage = g.usage()] { ended(usage); });
      });
  return Ok{};
}

Status RunLog(Arguments& a) {
  sandbox::Layers layers;
  if (Status s = EnterRoleNamespaces(a.role, layers); !s) return s;
  auto open = sandbox::OpenDescriptors();
  if (!open) return open.error();
  if (Status s = LockDown(a.role, *open, {}, a.seccomp, layers); !s) return s;
  const channel::Ready ready{layers.active, layers.missing};
  if (Status s = channel::SendControl(kControl, ready); !s) return s;
  LogProcess(std::move(a.log), std::move(a.events), kControl).Run();
  return Ok{};
}

Status RunFiles(Arguments& a) {
  sandbox::Layers layers;
  // While what lies above the mounts can still be seen.
  const MountTable mounts(std::move(a.mounts));
  if (Status s = EnterRoleNamespaces(a.role, layers); !s) return s;
  boost::asio::io_context io(1);
  sandbox::LandlockRules rules;
  for (const BrokerMount& m : mounts.mounts())
    (m.writable ? rules.writable : rules.readable).push_back(m.directory.get());
  auto open = sandbox::OpenDescriptors();
  if (!open) return open.error();
  if (Status s = LockDown(a.role, *open, rules, a.seccomp, layers); !s) return s;
  Serve<FilesBinding>(
      io, layers,
      [&](BindGuest&, std::vector<UniqueFd>& fds,
          std::function<void()> ended) -> Result<std::unique_ptr<FilesBinding>> {
        if (Status s = PrepareChannel(fds); !s) return s.error();
        return std::make_unique<FilesBinding>(io, mounts, std::move(fds[BindGuest::kReadEnd]),
                                              std::move(fds[BindGuest::kWriteEnd]),
                                              std::move(ended));
      },
      [](FilesBinding&, const std::function<void(NetUsage)>& ended) { ended({}); });
  return Ok{};
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  auto arguments = Parse(argc, argv);
  if (!arguments) {
    PrintError("postern-broker: {}\n", arguments.error().message);
    return 2;
  }
  const Status status = arguments->role == BrokerRole::kNet     ? RunNet(*arguments)
                        : arguments->role == BrokerRole::kFiles ? RunFiles(*arguments)
                                                                : RunLog(*arguments);
  if (status) return 0;
  const channel::StartFailed failed{.reason = status.error().message,
                                    .users_input = status.error().errnum == kUsersInput};
  return channel::SendControl(kControl, failed) ? kExitCannotRun : kExitCannotTell;
}

}  // namespace
}  // namespace postern::broker

int main(int argc, char** argv) { ::_exit(postern::broker::Main(argc, argv)); }
