// LogLink: the supervisor's view of the log process of a run: its files are opened here, events
// come to it from the net broker.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "supervisor/child_process.h"
#include "supervisor/programs.h"

namespace postern::supervisor {

// What is written besides the policy's audit log and network report.
struct LogOptions {
  std::optional<std::string> record_file;  // HAR
  bool verbose = false;                    // a line for each request, on stderr
};

class LogLink {
 public:
  explicit LogLink(boost::asio::io_context& io) : io_(io), timer_(io) {}

  // Opens what `options` and `policy` ask for and starts the process. Does nothing where they ask
  // for nothing. `program_file`: which the run reads, and no recording may overwrite. An error
  // names the file; that the process does not start is told to `failed`.
  Status Start(const LogOptions& options, const policy::PolicyFile& policy,
               const ProcessOptions& processes, const std::string& program_file);
  // The net broker's end of the event socket; -1 where no events are wanted.
  int broker_end() const { return broker_end_.get(); }
  // Opens the audit log's path again, as after a rotation.
  Status Reopen();
  // After the last net broker is gone: `done` is called once, soon, when all is written.
  void Finish(std::function<void()> done);

  const nlohmann::json& layers() const { return layers_; }
  // What report mode found, as a policy; empty without it.
  const std::string& report() const { return report_; }
  // A sentence for people where events were lost; else empty.
  const std::string& trouble() const { return trouble_; }
  // A sentence, where the process could not start. To be set before Start.
  std::function<void(const std::string&)> failed;

 private:
  void OnMessage(const channel::ControlMessage& message);
  void OnClosed(const channel::LogClosed& closed);
  void OnGone();
  void Complete();

  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  std::string audit_path_;
  UniqueFd broker_end_;
  std::unique_ptr<ChildProcess> child_;
  bool gone_ = false, ended_ = false;
  std::function<void()> finished_;
  nlohmann::json layers_;
  std::string report_, trouble_;
};

}  // namespace postern::supervisor
