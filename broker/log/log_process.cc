#include "broker/log/log_process.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/by_type.h"
#include "base/format.h"
#include "base/printable.h"
#include "har/har.h"

namespace postern::broker {
namespace {

using nlohmann::json;

constexpr size_t kMaxHead = 79;  // bytes of a line for people before its URL

// Writes all of `bytes`, waiting where it must. Returns how much was written; less on an error,
// with its errno in `failure`.
size_t WriteAll(int fd, std::string_view bytes, int* failure) {
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (n >= 0) {
      at += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {  // a FIFO or a terminal
      pollfd p{fd, POLLOUT, 0};
      ::poll(&p, 1, -1);
    } else if (errno != EINTR) {
      *failure = errno;
      break;
    }
  }
  return at;
}

std::string HumanBytes(int64_t n) {
  if (n < 1000) return fmt::format("{} B", n);
  if (n < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(n) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(n) / 1e6);
}

}  // namespace

void LogProcess::Run() {
  if (outputs_.har.valid()) {
    int failure = 0;
    WriteAll(outputs_.har.get(), fmt::format("{}{}", har::Beginning(), har::Ending()), &failure);
    har_end_ = failure == 0 ? static_cast<int64_t>(har::Beginning().size()) : -1;
    if (failure != 0) error_ = std::strerror(failure);
  }
  bool serving = true;
  while (serving) {
    pollfd ready[] = {{control_, POLLIN, 0}, {events_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (ready[0].revents != 0 && !OnControl()) return;
    if (ready[1].revents != 0) serving = OnEvents();
  }
  if (!SendSummary()) return;  // the supervisor is gone: so is who would care
  while (OnControl()) {
  }
}

Status LogProcess::SendSummary() {
  const std::string report = outputs_.report ? report_.ToYaml() : "";
  for (size_t at = 0; at < report.size(); at += channel::kMaxPayload) {
    const channel::ReportPart part{report.substr(at, channel::kMaxPayload)};
    if (Status sent = channel::SendControl(control_, part); !sent) return sent;
  }
  const bool no_har = outputs_.har.valid() && har_end_ < 0;
  return channel::SendControl(control_, channel::LogClosed{lost_, no_har, error_});
}

bool LogProcess::OnControl() {
  auto received = channel::ReceiveControl(control_);
  if (!received || !*received) return false;
  if (std::holds_alternative<channel::ReopenAudit>((*received)->message) &&
      (*received)->fds.size() == 1) {
    outputs_.audit = std::move((*received)->fds[0]);
    owed_.clear();
  }
  return true;
}

bool LogProcess::OnEvents() {
  const auto received = channel::ReceiveControl(events_.get());
  if (!received || !*received) return false;
  std::visit(ByType{[&](const channel::EventLines& lines) { WriteLines(lines); },
                    [&](const channel::EntryPiece& piece) { AddPiece(piece); }, [](const auto&) {}},
             (*received)->message);
  return true;
}

// A full disk may take a part of a line: the rest of it is owed, and goes first when there is room
// again, so that no line is ever torn. Whole lines that found no room are lost and counted.
int LogProcess::WriteAudit(const std::string& lines) {
  const std::string note =
      unnoted_ == 0 ? "" : fmt::format("{{\"event\":\"lost\",\"count\":{}}}\n", unnoted_);
  const std::string joined = owed_.empty() && note.empty() ? "" : owed_ + note + lines;
  const std::string& text = joined.empty() ? lines : joined;
  const size_t note_at = owed_.size();
  int failure = 0;
  const size_t written = WriteAll(outputs_.audit.get(), text, &failure);
  owed_.clear();
  if (failure == 0) {
    unnoted_ = 0;
    return 0;
  }
  error_ = std::strerror(failure);
  const bool torn = written == 0 ? note_at > 0 : text[written - 1] != '\n';
  const size_t next_line = torn ? text.find('\n', written) + 1 : written;
  owed_ = text.substr(written, next_line - written);
  const std::string_view left = std::string_view(text).substr(next_line);
  auto lost = static_cast<uint64_t>(std::count(left.begin(), left.end(), '\n'));
  if (next_line > note_at) {
    unnoted_ = 0;  // the note is in the file, or owed
  } else if (!note.empty()) {
    --lost;  // the note itself is no event
  }
  lost_ += lost;
  unnoted_ += lost;
  return failure;
}

void LogProcess::WriteLines(const channel::EventLines& events) {
  lost_ += static_cast<uint64_t>(events.lost);
  unnoted_ += static_cast<uint64_t>(events.lost);
  const int failure = outputs_.audit.valid() ? WriteAudit(events.lines) : 0;
  // A net broker that takes no answer is gone.
  if (events.confirm &&
      !channel::SendControl(events_.get(), channel::EventsLogged{events.last, failure}))
    return;
  if (!outputs_.people.valid() && !outputs_.report) return;
  std::string_view rest = events.lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1);
    ForPeople(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
}

void LogProcess::ForPeople(std::string_view line) try {
  const json e = json::parse(line);
  const std::string event = e.value("event", ""), method = e.value("method", "");
  if (outputs_.report && event == "decision") {
    report_.Add(method, e.value("url", ""), e.value("decision", "") == "report");
  }
  if (!outputs_.people.valid() || event != "end") return;
  const int status = e.value("status", 0);
  const bool failed = e.contains("error");
  const std::string note = failed ? e["error"].value("message", "") : e.value("address", "");
  const char* colour = failed || status >= 500 ? "31" : status >= 400 ? "33" : "32";
  const std::string head =
      fmt::format("{:>3} {:<7} {:9.1f} ms {:>9}  ", status == 0 ? "-" : std::to_string(status),
                  method, e.value("timings", json::object()).value("total", 0.0),
                  HumanBytes(e.value("bytesIn", int64_t{0})))
          .substr(0, kMaxHead);
  std::string text =
      Printable(fmt::format("{}{}{}{}", head, e.value("url", ""), note.empty() ? "" : "  ", note));
  if (outputs_.colour) text = fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
  int failure = 0;
  WriteAll(outputs_.people.get(), fmt::format("{}\n", text), &failure);
  if (failure != 0) outputs_.people.reset();  // a convenience: nothing else depends on it
} catch (const json::exception&) {
  // Not of the net broker's making as we know it: people can do without the line.
}

// Bodies are put together here, where no loop of others waits while they become JSON.
void LogProcess::AddPiece(const channel::EntryPiece& piece) {
  if (piece.first) entry_ = {};
  std::string& part = entry_[piece.part];
  if (part.size() <= har::kMaxKeptBody) part += piece.bytes;
  if (!piece.last) return;
  auto exchange = har::UnpackHead(entry_[channel::kEntryHead]);
  if (!exchange) {
    ++lost_;
    return;
  }
  exchange->request_body.bytes = std::move(entry_[channel::kEntryRequestBody]);
  exchange->response_body.bytes = std::move(entry_[channel::kEntryResponseBody]);
  entry_ = {};
  WriteEntry(*exchange);
}

// The file is whole JSON after each entry: the ending is overwritten by the next one.
void LogProcess::WriteEntry(const har::HarEntry& entry) {
  if (!outputs_.har.valid()) return;
  if (har_end_ < 0) {
    ++lost_;
    return;
  }
  const std::string text = (any_entry_ ? ",\n" : "") + har::FormatEntry(entry);
  const std::string bytes = text + std::string(har::Ending());
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n = ::pwrite(outputs_.har.get(), bytes.data() + at, bytes.size() - at,
                               har_end_ + static_cast<int64_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = std::strerror(errno);
      ++lost_;
      // What was written of it is undone by writing the ending again.
      const std::string_view ending = har::Ending();
      const bool whole = ::ftruncate(outputs_.har.get(), har_end_) == 0 &&
                         ::pwrite(outputs_.har.get(), ending.data(), ending.size(), har_end_) ==
                             static_cast<ssize_t>(ending.size());
      if (!whole) har_end_ = -1;
      return;
    }
    at += static_cast<size_t>(n);
  }
  any_entry_ = true;
  har_end_ += static_cast<int64_t>(text.size());
}

}  // namespace postern::broker
