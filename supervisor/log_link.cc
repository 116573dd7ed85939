#include "supervisor/log_link.h"

#include <sys/stat.h>

#include <boost/asio/post.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "base/by_type.h"
#include "base/format.h"
#include "supervisor/process_layers.h"
#include "supervisor/programs.h"

namespace postern::supervisor {
namespace {

constexpr auto kWrittenWithin = std::chrono::seconds(3);
constexpr mode_t kPrivate = 0600;  // traffic is nobody else's to read

Result<UniqueFd> OpenAudit(const std::string& path) {
  // O_NONBLOCK: a FIFO without a reader is an error, not a wait.
  UniqueFd fd(::open(path.c_str(),
                     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kPrivate));
  if (!fd.valid()) return SystemError(fmt::format("cannot open the audit log {}", path));
  return fd;
}

Result<UniqueFd> OpenRecord(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, kPrivate));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0) {
    return SystemError(fmt::format("cannot open the recording {}", path));
  }
  if (!S_ISREG(st.st_mode))
    return Error{fmt::format("the recording {} must be a regular file", path)};
  return fd;
}

}  // namespace

Status LogLink::Start(const LogOptions& options, const policy::PolicyFile& policy,
                      const ProcessOptions& processes, const std::string& program_file) {
  const bool report = policy.network.report;
  if (!policy.audit_file && !options.record_file && !options.verbose && !report) return Ok{};
  auto pair = channel::MakeControlPair();
  if (!pair) return failed(pair.error().message), Status(Ok{});
  broker_end_ = std::move(pair->first);
  ChildProcess::Program program = LogProgram(processes);
  std::vector<UniqueFd> open;
  const auto give = [&](const char* name, UniqueFd fd) {
    program.arguments.push_back(fmt::format("{}{}", name, 4 + program.inherited.size()));
    program.inherited.push_back(fd.get());
    open.push_back(std::move(fd));
  };
  if (report) program.arguments.emplace_back("--report");
  give("--events=", std::move(pair->second));
  if (policy.audit_file) {
    audit_path_ = *policy.audit_file;
    auto audit = OpenAudit(audit_path_);
    if (!audit) return audit.error();
    give("--audit=", *std::move(audit));
  }
  if (options.record_file) {
    const std::string& replayed = policy.network.adapter.target;
    for (const std::string& read : {program_file, replayed}) {
      std::error_code none;
      if (std::filesystem::equivalent(*options.record_file, read, none))
        return Error{fmt::format(
            "the recording {} would overwrite what this run reads; give it a name of its own",
            *options.record_file)};
    }
    auto record = OpenRecord(*options.record_file);
    if (!record) return record.error();
    give("--har=", *std::move(record));
  }
  if (options.verbose) {
    give("--people=", UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)));
    if (::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {
      program.arguments.emplace_back("--colour");
    }
  }
  auto child = ChildProcess::Start(
      io_, program,
      {[this](const channel::ReceivedControl& m) { OnMessage(m.message); }, [this] { OnGone(); }});
  if (!child) return failed(child.error().message), Status(Ok{});
  child_ = *std::move(child);
  return Ok{};
}

Status LogLink::Reopen() {
  if (!child_ || audit_path_.empty()) return Ok{};
  auto audit = OpenAudit(audit_path_);
  if (!audit) return audit.error();
  return child_->Send(channel::ReopenAudit{}, {audit->get()});
}

void LogLink::Finish(std::function<void()> done) {
  broker_end_.reset();
  finished_ = std::move(done);
  if (!child_ || gone_) return Complete();
  timer_.expires_after(kWrittenWithin);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    trouble_ = "the log process did not finish in time; its last events may be missing";
    Complete();
  });
}

void LogLink::Complete() {
  if (!finished_) return;
  timer_.cancel();
  boost::asio::post(io_, std::exchange(finished_, nullptr));
}

void LogLink::OnMessage(const channel::ControlMessage& message) {
  std::visit(ByType{
                 [&](const channel::Ready& ready) { layers_ = LayersJson(ready); },
                 [&](const channel::StartFailed& m) {
                   if (failed) failed(m.reason);
                 },
                 [&](const channel::ReportPart& part) { report_ += part.yaml; },
                 [&](const channel::LogClosed& closed) { OnClosed(closed); },
                 [](const auto&) {},
             },
             message);
}

void LogLink::OnClosed(const channel::LogClosed& closed) {
  ended_ = true;
  const std::string why = closed.error.empty() ? "too many at once" : closed.error;
  if (closed.lost > 0) {
    trouble_ = fmt::format("{} {} not recorded: {}", closed.lost,
                           closed.lost == 1 ? "event was" : "events were", why);
  } else if (closed.no_recording) {
    trouble_ = fmt::format("the recording was not written: {}", why);
  }
  Complete();
}

void LogLink::OnGone() {
  gone_ = true;
  if (!ended_) trouble_ = "the log process ended before all was written";
  Complete();
}

}  // namespace postern::supervisor
