// Api: the run API over HTTP (docs/openapi.yaml): what each request means to a RunService.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "server/http/http_connection.h"
#include "server/runs/run_service.h"

namespace postern::server {

class Api {
 public:
  struct Options {
    std::map<std::string, std::string> tokens;  // of TCP clients: token -> name
    nlohmann::json doctor;                      // what GET /v1/doctor answers
    HttpConnection::ConnectionLimits limits;
    size_t connections = 256;  // at a time at each door; then one makes room for the next
    std::function<std::string()> metrics;  // what GET /metrics answers
  };
  // Over a Unix socket; over TCP, with a token; or at the address for probes and metrics, which
  // needs none and has nothing else.
  enum class Door { kLocal, kToken, kAdmin };

  Api(boost::asio::io_context& io, RunService& runs, supervisor::Background& background,
      Options options)
      : io_(io), runs_(runs), background_(background), options_(std::move(options)) {}

  void Accept(HttpConnection::Socket socket, Door door);
  // No new runs; connections end when they have their answers.
  void Drain();
  size_t connections() const { return connections_.size(); }

 private:
  struct Client {
    Door door = Door::kToken;
    uint64_t number = 0;              // in the order in which they came
    std::string caller;               // empty until a token has said who it is
    std::optional<uid_t> uid;         // of a local one
    RunService::RecordPtr answering;  // the run that its request waits for
  };

  // What is held for each door by itself: who fills one shuts out nobody at another.
  struct Table {
    size_t connections = 0;
    std::shared_ptr<size_t> held = std::make_shared<size_t>(0);
  };

  // What one caller has of a door's table.
  struct CallerShare {
    size_t count = 0;
    HttpConnection* dispensable = nullptr;  // idle, or first to come, of those that wait for no run
    std::pair<bool, uint64_t> rank;
    HttpConnection* newest = nullptr;
    uint64_t newest_number = 0;
  };

  Table& TableOf(Door door) { return tables_[static_cast<size_t>(door)]; }
  bool MakeRoom(const Client& newcomer);
  void OnHead(HttpConnection& connection, const HttpRequest& request);
  void OnRequest(HttpConnection& connection, HttpRequest request);
  void OnRuns(HttpConnection& connection, Client& client, HttpRequest request);
  void OnRun(HttpConnection& connection, Client& client, const HttpRequest& request,
             const std::string& id);
  void OnInput(HttpConnection& connection, Client& client, HttpRequest request,
               const std::string& id);
  void Submit(HttpConnection& connection, Client& client, HttpRequest request);
  void OnParsed(HttpConnection& connection, Client& client, HttpRequest request,
                std::variant<AdmittedRun, run_api::ApiProblem> parsed);
  void Stream(const std::shared_ptr<HttpConnection>& connection, RunService::RunRecord& record,
              bool console);
  void AnswerWhenEnded(const std::shared_ptr<HttpConnection>& connection,
                       RunService::RunRecord& record);
  bool Authorized(HttpConnection& connection, Client& client, const HttpRequest& request);

  boost::asio::io_context& io_;
  RunService& runs_;
  supervisor::Background& background_;
  Options options_;
  Table tables_[3];  // by Door
  uint64_t next_number_ = 1;
  std::map<HttpConnection*, std::pair<std::shared_ptr<HttpConnection>, Client>> connections_;
  bool draining_ = false;
};

}  // namespace postern::server
