// RunClient: one run, asked of a server by its run API (docs/service.md).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "run_api/run_request.h"

namespace postern::client {

// What a server answers.
struct RunAnswer {
  int status = 0;       // of HTTP; 0 where the run was given up
  std::string outcome;  // JSON, with status 200; else empty
  std::string refusal;  // a sentence, with any other
};

class RunClient {
 public:
  struct Options {
    std::string token;  // for a server that is reached over TCP; may be empty
    std::string trace;  // a traceparent (W3C Trace Context); may be empty
    int input = -1;     // what the run's stdin is read from, once the run reads
    // What the run prints, as it comes. False gives the run up, which ends it.
    std::function<bool(bool err, std::string_view bytes)> console;
  };

  // `server`: "unix:PATH" or "http://IP:PORT". An error with an errno: nobody answers there.
  static Result<RunClient> Connect(const std::string& server);

  // Over a Unix socket to a server of the same user directories may go with a request.
  bool same_user() const { return connection_.same_user; }

  // To the end. `directories`: descriptors of what `request.mounts` names, in its order, at most
  // kMaxFds. An error: the server was lost, and why.
  Result<RunAnswer> Run(const run_api::RunRequest& request, const std::vector<int>& directories,
                        const Options& options);

 private:
  class Transfer;
  struct Connection {
    UniqueFd fd;
    std::string host;  // for the Host field
    bool same_user = false;
  };
  static Result<Connection> ConnectUnix(const std::string& path);
  static Result<Connection> ConnectTcp(const std::string& host_port);
  static Result<Connection> Open(const std::string& server);
  RunClient(std::string server, Connection connection)
      : server_(std::move(server)), connection_(std::move(connection)) {}

  std::string server_;
  Connection connection_;
};

}  // namespace postern::client
