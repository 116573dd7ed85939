// RequestRecord: what is kept of one request: its two events for the audit log, a line of JSON
// each, and its HAR entry.
#pragma once

#include <sys/time.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/net/request_target.h"
#include "channel/failure.h"
#include "channel/fields.h"
#include "har/har.h"
#include "policy/decision.h"

namespace postern::broker {

// Where records go.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void WriteEvent(const std::string& line) = 0;
  // Bytes of bodies that may be kept until their entry is written; false where there is no room.
  virtual bool ReserveRecording(size_t bytes) = 0;
  virtual void ReleaseRecording(size_t bytes) = 0;
  virtual void WriteEntry(har::HarEntry entry) = 0;
};

class RequestRecord {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    bool events = false;        // somebody wants to know
    bool har = false;           // a HAR entry as well
    bool redact_query = false;  // in URLs
    std::string run;            // its name
    uint64_t number = 0;        // of the request among the run's
  };
  // `sink` outlives it. The request begins now.
  RequestRecord(RecordSink& sink, Options options);

  // The first event. `verdict`: "allow", "deny" or "report".
  void WriteDecision(const RequestTarget& target, const policy::Decision& decision,
                     const char* verdict);

  // ---- what comes to be known in between
  void Performing() { performed_ = Clock::now(); }
  void Resolved() { resolved_ = Clock::now(); }
  // When a connection stood, was secured and brought the first byte: milliseconds since Resolved;
  // 0 for what did not happen.
  void SetTransferTimes(double connected, double secured, double first_byte);
  void SetPeer(std::string address, std::string tls_version);
  void CountSent(size_t bytes) { bytes_sent_ += static_cast<int64_t>(bytes); }
  // What went wrong; the first stays.
  void SetFailure(const channel::Failure& failure);
  // What the guest sends or gets. A body that is too large, or for which there is no room beside
  // the others, is left out as a whole, but for its size.
  void KeepRequestBody(std::string_view bytes);
  void KeepResponseBody(std::string_view bytes);

  // ---- its end
  struct End {
    int status = 0;                    // of the origin's response; 0 for none
    std::string reason, http_version;  // of it; empty for none
    bool responded = false;            // the guest got it
    bool over = false;                 // else the guest ended the request
    int64_t bytes_in = 0;
    const channel::Fields& request_fields;
    const channel::Fields& response_fields;
  };
  // The second event and the HAR entry; once, and only after a decision.
  void WriteEnd(const RequestTarget& target, const End& end);

 private:
  void KeepBody(har::Body& kept, std::string_view bytes);
  void WriteHarEntry(const RequestTarget& target, const End& end);

  RecordSink& sink_;
  const Options options_;
  const Clock::time_point started_;
  timeval started_at_{};
  std::string about_;  // what both events say, as JSON members; empty before the first
  Clock::time_point performed_{}, resolved_{};
  har::Timings timings_;
  std::string address_, tls_version_;
  int64_t bytes_sent_ = 0;
  std::optional<channel::Failure> failure_;
  std::unique_ptr<har::HarEntry> entry_;
  bool ended_ = false;
};

}  // namespace postern::broker
