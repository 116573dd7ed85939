#include "cli/serve_options.h"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <tuple>

#include "base/format.h"
#include "base/units.h"

namespace postern::cli {

void AddServeOptions(CLI::App& app, ServeTexts& texts, server::ServeOptions& s) {
  app.add_option("--socket", s.socket, "Listen at a Unix socket, for this user alone")
      ->type_name("PATH");
  app.add_option("--listen", s.listen, "Listen at TCP [HOST:]PORT, on loopback unless it says more")
      ->type_name("PORT");
  app.add_option("--admin-listen", s.admin_listen,
                 "Answer /v1/health, /v1/ready and /metrics, and nothing else, at TCP [HOST:]PORT")
      ->type_name("PORT");
  app.add_option("--handler", s.handler,
                 "Let the module FILE answer what comes at --listen: export default { fetch }")
      ->type_name("FILE");
  app.add_option("--guests", s.guests, "Guests that answer (default: one for each processor)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  app.add_option("--guest-requests", s.guest_requests,
                 "Requests that a guest answers before another takes its place (default 10000)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--concurrency", s.concurrency, "Requests that a guest has at a time (default 64)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--handler-timeout", texts.handler_timeout,
                 "How long a guest may do nothing for a request (default 30s)")
      ->type_name("30s");
  app.add_option("--token-file", s.token_file,
                 "Tokens of TCP clients: a line is a name and a token")
      ->type_name("FILE");
  app.add_option("--spares", s.spares, "Guests kept ready for each caller (default 2)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  app.add_option("--runs", s.runs, "Runs at a time (default: four for each processor)")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--queue", s.queue,
                 "Runs that may wait (default 64), or requests (default 1024); more are refused")
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--queue-timeout", texts.queue_timeout, "How long a run may wait (default 30s)")
      ->type_name("30s");
  app.add_option("--request-timeout", texts.request_timeout,
                 "How long a request may take to arrive (default 30s)")
      ->type_name("30s");
  app.add_option("--drain-timeout", texts.drain_timeout,
                 "What still runs so long after SIGTERM is ended (default 25s)")
      ->type_name("25s");
}

Status ReadServeOptions(const CLI::App& serve, const ServeTexts& texts, server::ServeOptions& s) {
  for (const char* option :
       {"--guests", "--guest-requests", "--concurrency", "--handler-timeout", "--cwd"}) {
    if (s.handler.empty() && serve.count(option) > 0)
      return Error{fmt::format("{} is for --handler=FILE, which is not given", option)};
  }
  if (!s.handler.empty() && !s.token_file.empty())
    return Error{
        "--token-file is for runs over TCP, which --handler leaves no place for; a "
        "handler looks at what its requests carry itself"};
  const std::tuple<const char*, const std::string&, int64_t*> durations[] = {
      {"--queue-timeout", texts.queue_timeout, &s.queue_timeout},
      {"--request-timeout", texts.request_timeout, &s.request_timeout},
      {"--drain-timeout", texts.drain_timeout, &s.drain_timeout},
      {"--handler-timeout", texts.handler_timeout, &s.handler_timeout}};
  for (const auto& [flag, text, to] : durations) {
    if (text.empty()) continue;
    const auto value = ParseDuration(text);
    if (!value) return Error{fmt::format("{}: {}", flag, value.error().message)};
    *to = *value;
  }
  const size_t processors = std::max(1U, std::thread::hardware_concurrency());
  if (s.runs == 0) s.runs = 4 * processors;
  if (s.guests == 0) s.guests = processors;
  return Ok{};
}

}  // namespace postern::cli
