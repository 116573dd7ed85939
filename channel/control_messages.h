// Control messages: what Postern's own processes say to one another, a type each. A message has a
// number on the wire and says once, in Map, which member travels in which field of its header; how
// that becomes a datagram is channel/control.h's.
//
// A number is never used again for something else. Descriptors travel beside a message; each says
// which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/net_usage.h"
#include "base/process_exit.h"

namespace postern::channel {

// ---- any child -> supervisor

// It is confined and serves. Descriptors: a pidfd of the sender, where its launcher is another
// process; else none.
struct Ready {
  static constexpr uint32_t kNumber = 1;
  std::vector<std::string> active, missing;  // as in sandbox::Layers
  static void Map(auto& wire, auto& m) { wire.Payload(m.active, m.missing); }
  bool operator==(const Ready&) const = default;
};

// It cannot start, for `reason`; `users_input`: a file of the user is at fault.
struct StartFailed {
  static constexpr uint32_t kNumber = 2;
  std::string reason;
  bool users_input = false;
  static void Map(auto& wire, auto& m) { wire.Payload(m.reason), wire.A(m.users_input); }
  bool operator==(const StartFailed&) const = default;
};

// ---- supervisor -> zygote

// Make a spare of this number. `only`: its order comes at once, and no other spare is wanted.
struct ForkSpare {
  static constexpr uint32_t kNumber = 3;
  uint64_t spare = 0;
  bool only = false;
  static void Map(auto& wire, auto& m) { wire.Id(m.spare), wire.A(m.only); }
  bool operator==(const ForkSpare&) const = default;
};

// ---- zygote -> supervisor

// Descriptors: the far ends of its pipes and a pidfd (channel/spare_fds.h).
struct SpareMade {
  static constexpr uint32_t kNumber = 4;
  uint64_t spare = 0;
  static void Map(auto& wire, auto& m) { wire.Id(m.spare); }
  bool operator==(const SpareMade&) const = default;
};

struct SpareFailed {
  static constexpr uint32_t kNumber = 17;
  uint64_t spare = 0;
  std::string reason;
  static void Map(auto& wire, auto& m) { wire.Id(m.spare), wire.Payload(m.reason); }
  bool operator==(const SpareFailed&) const = default;
};

// A spare, or the guest that it became, is gone: its process is reaped.
struct SpareExited {
  static constexpr uint32_t kNumber = 5;
  uint64_t spare = 0;
  ProcessExit exit;  // never `lost`
  static void Map(auto& wire, auto& m) {
    wire.Id(m.spare), wire.A(m.exit.wait_status), wire.B(m.exit.peak_kib);
    wire.Payload(m.exit.cpu_us);
  }
  bool operator==(const SpareExited&) const = default;
};

// ---- supervisor -> broker

// Serve this guest. Descriptors: the channel's read end and write end, the policy as JSON in a
// memfd.
struct BindGuest {
  static constexpr uint32_t kNumber = 6;
  static constexpr size_t kReadEnd = 0, kWriteEnd = 1, kPolicy = 2, kDescriptors = 3;
  uint64_t guest = 0;
  bool wants_events = false;  // each as a GuestEvent
  std::string run;            // its name in logs
  static void Map(auto& wire, auto& m) {
    wire.Id(m.guest), wire.A(m.wants_events), wire.Payload(m.run);
  }
  bool operator==(const BindGuest&) const = default;
};

// This guest is gone: close its channel, and say ChannelClosed.
struct DropGuest {
  static constexpr uint32_t kNumber = 8;
  uint64_t guest = 0;
  static void Map(auto& wire, auto& m) { wire.Id(m.guest); }
  bool operator==(const DropGuest&) const = default;
};

struct Ping {
  static constexpr uint32_t kNumber = 9;
  uint64_t number = 0;
  static void Map(auto& wire, auto& m) { wire.Id(m.number); }
  bool operator==(const Ping&) const = default;
};

// ---- broker -> supervisor

// The answer to the Ping of that number.
struct Pong {
  static constexpr uint32_t kNumber = 10;
  uint64_t number = 0;
  static void Map(auto& wire, auto& m) { wire.Id(m.number); }
  bool operator==(const Pong&) const = default;
};

// The guest is not served, for `reason`.
struct BindFailed {
  static constexpr uint32_t kNumber = 18;
  uint64_t guest = 0;
  std::string reason;
  static void Map(auto& wire, auto& m) { wire.Id(m.guest), wire.Payload(m.reason); }
  bool operator==(const BindFailed&) const = default;
};

// What a guest that goes on has used until now. A later one takes an earlier one's place.
struct UsageReport {
  static constexpr uint32_t kNumber = 16;
  uint64_t guest = 0;
  NetUsage usage;
  static void Map(auto& wire, auto& m) { wire.Id(m.guest), wire.Payload(m.usage); }
  bool operator==(const UsageReport&) const = default;
};

// One of the guest's events, and how many before it were lost.
struct GuestEvent {
  static constexpr uint32_t kNumber = 19;
  uint64_t guest = 0;
  int64_t lost = 0;
  std::string line;  // a JSON text
  static void Map(auto& wire, auto& m) { wire.Id(m.guest), wire.B(m.lost), wire.Payload(m.line); }
  bool operator==(const GuestEvent&) const = default;
};

// The guest's channel is over; all that it has used.
struct ChannelClosed {
  static constexpr uint32_t kNumber = 7;
  uint64_t guest = 0;
  NetUsage usage;
  static void Map(auto& wire, auto& m) { wire.Id(m.guest), wire.Payload(m.usage); }
  bool operator==(const ChannelClosed&) const = default;
};

// ---- supervisor -> log process

// Go on in another audit log. Descriptors: the file.
struct ReopenAudit {
  static constexpr uint32_t kNumber = 11;
  static void Map(auto&, auto&) {}
  bool operator==(const ReopenAudit&) const = default;
};

// ---- log process -> supervisor

// A part of the policy that report mode found, before LogClosed.
struct ReportPart {
  static constexpr uint32_t kNumber = 12;
  std::string yaml;
  static void Map(auto& wire, auto& m) { wire.Payload(m.yaml); }
  bool operator==(const ReportPart&) const = default;
};

// All is written; and what was not.
struct LogClosed {
  static constexpr uint32_t kNumber = 20;
  uint64_t lost = 0;          // events and recorded exchanges
  bool no_recording = false;  // the HAR file was not written
  std::string error;          // the last one; empty for none
  static void Map(auto& wire, auto& m) {
    wire.Id(m.lost), wire.A(m.no_recording), wire.Payload(m.error);
  }
  bool operator==(const LogClosed&) const = default;
};

// ---- net broker -> log process

// Audit events, a JSON text a line.
struct EventLines {
  static constexpr uint32_t kNumber = 13;
  bool confirm = false;  // an EventsLogged is wanted
  int64_t last = 0;      // the last event's number
  int64_t lost = 0;      // how many were lost before these
  std::string lines;
  static void Map(auto& wire, auto& m) {
    wire.Id(m.confirm), wire.A(m.last), wire.B(m.lost), wire.Payload(m.lines);
  }
  bool operator==(const EventLines&) const = default;
};

// What an EntryPiece is of, in this order: the head is har::PackHead's.
enum EntryPart : uint8_t { kEntryHead, kEntryRequestBody, kEntryResponseBody };

// A piece of a recorded exchange.
struct EntryPiece {
  static constexpr uint32_t kNumber = 14;
  bool first = false, last = false;  // of the exchange's pieces
  EntryPart part = kEntryHead;
  std::string bytes;
  static void Map(auto& wire, auto& m) {
    wire.Id(m.first), wire.A(m.part), wire.B(m.last), wire.Payload(m.bytes);
  }
  bool operator==(const EntryPiece&) const = default;
};

// ---- log process -> net broker

// All events up to number `last` are in the file; or an errno, and they are not.
struct EventsLogged {
  static constexpr uint32_t kNumber = 15;
  int64_t last = 0;
  int64_t errnum = 0;
  static void Map(auto& wire, auto& m) { wire.A(m.last), wire.B(m.errnum); }
  bool operator==(const EventsLogged&) const = default;
};

using ControlMessage =
    std::variant<Ready, StartFailed, ForkSpare, SpareMade, SpareFailed, SpareExited, BindGuest,
                 DropGuest, Ping, Pong, BindFailed, UsageReport, GuestEvent, ChannelClosed,
                 ReopenAudit, ReportPart, LogClosed, EventLines, EntryPiece, EventsLogged>;

}  // namespace postern::channel
