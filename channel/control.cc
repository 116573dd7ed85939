#include "channel/control.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

namespace postern::channel {
namespace {

using nlohmann::json;

// ---- payloads that are no text

std::string LayersToJson(const std::vector<std::string>& active,
                         const std::vector<std::string>& missing) {
  return json{{"on", active}, {"missing", missing}}.dump(-1, ' ', false,
                                                         json::error_handler_t::replace);
}

std::string UsageToJson(const NetUsage& u) {
  return json{{"requests", u.requests},
              {"denied", u.denied},
              {"bytesIn", u.bytes_in},
              {"bytesOut", u.bytes_out},
              {"errors", u.errors}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

bool GetStrings(const json& object, const char* name, std::vector<std::string>& out) {
  const auto list = object.find(name);
  if (list == object.end() || !list->is_array()) return false;
  for (const json& text : *list) {
    if (!text.is_string()) return false;
    out.push_back(text.get<std::string>());
  }
  return true;
}

bool GetCount(const json& object, const char* name, uint64_t& out) {
  const auto count = object.find(name);
  if (count == object.end() || !count->is_number_unsigned()) return false;
  out = count->get<uint64_t>();
  return true;
}

bool LayersFromJson(std::string_view text, std::vector<std::string>& active,
                    std::vector<std::string>& missing) {
  const json object = json::parse(text, nullptr, false);
  return object.is_object() && GetStrings(object, "on", active) &&
         GetStrings(object, "missing", missing);
}

bool UsageFromJson(std::string_view text, NetUsage& u) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object() || !GetCount(object, "requests", u.requests) ||
      !GetCount(object, "denied", u.denied) || !GetCount(object, "bytesIn", u.bytes_in) ||
      !GetCount(object, "bytesOut", u.bytes_out))
    return false;
  const auto errors = object.find("errors");
  if (errors == object.end() || !errors->is_object()) return false;
  for (const auto& [code, count] : errors->items()) {
    if (!count.is_number_unsigned()) return false;
    u.errors[code] = count.get<uint64_t>();
  }
  return true;
}

// ---- a message's Map, with each of these as its wire

class FieldWriter {
 public:
  FieldWriter(ControlHeader& header, std::string_view& payload, std::string& made)
      : header_(header), payload_(payload), made_(made) {}

  void Id(auto value) { header_.id = static_cast<uint64_t>(value); }
  void A(auto value) { header_.a = static_cast<int64_t>(value); }
  void B(auto value) { header_.b = static_cast<int64_t>(value); }
  void Payload(const std::string& text) { payload_ = text; }
  void Payload(int64_t number) { payload_ = made_ = std::to_string(number); }
  void Payload(const NetUsage& usage) { payload_ = made_ = UsageToJson(usage); }
  void Payload(const std::vector<std::string>& active, const std::vector<std::string>& missing) {
    payload_ = made_ = LayersToJson(active, missing);
  }

 private:
  ControlHeader& header_;
  std::string_view& payload_;
  std::string& made_;
};

// Takes each field that a member travels in out of the header: what is left over is nobody's.
class FieldReader {
 public:
  FieldReader(const ControlHeader& header, std::string_view payload)
      : header_(header), payload_(payload) {}

  void Id(auto& member) { Take(header_.id, member); }
  void A(auto& member) { Take(header_.a, member); }
  void B(auto& member) { Take(header_.b, member); }
  void Payload(std::string& text) { text = std::exchange(payload_, {}); }
  void Payload(int64_t& number) {
    const char* end = payload_.data() + payload_.size();
    const auto read = std::from_chars(payload_.data(), end, number);
    valid_ = valid_ && read.ec == std::errc() && read.ptr == end;
    payload_ = {};
  }
  void Payload(NetUsage& usage) {
    valid_ = valid_ && UsageFromJson(std::exchange(payload_, {}), usage);
  }
  void Payload(std::vector<std::string>& active, std::vector<std::string>& missing) {
    valid_ = valid_ && LayersFromJson(std::exchange(payload_, {}), active, missing);
  }

  bool valid() const {
    return valid_ && header_.id == 0 && header_.a == 0 && header_.b == 0 && payload_.empty();
  }

 private:
  template <typename Field, typename Member>
  void Take(Field& field, Member& member) {
    const Field value = std::exchange(field, Field{0});
    if constexpr (std::is_same_v<Member, bool>) {
      valid_ = valid_ && (value == 0 || value == 1);
    } else if constexpr (std::is_same_v<Member, EntryPart>) {
      valid_ = valid_ && value >= kEntryHead && value <= kEntryResponseBody;
    } else {
      valid_ = valid_ && std::in_range<Member>(value);
    }
    member = static_cast<Member>(value);
  }

  ControlHeader header_;
  std::string_view payload_;
  bool valid_ = true;
};

template <typename Message>
Result<ControlMessage> DecodeAs(const ControlHeader& header, std::string_view payload) {
  Message message;
  FieldReader wire(header, payload);
  Message::Map(wire, message);
  if (!wire.valid()) return Error{"malformed control message", EBADMSG};
  return ControlMessage(std::move(message));
}

// The first of the variant's messages, from `At` on, that has the header's number.
template <size_t At = 0>
Result<ControlMessage> DecodeByNumber(const ControlHeader& header, std::string_view payload) {
  if constexpr (At == std::variant_size_v<ControlMessage>) {
    return Error{"unknown control message", EBADMSG};
  } else {
    using Message = std::variant_alternative_t<At, ControlMessage>;
    if (header.number == Message::kNumber) return DecodeAs<Message>(header, payload);
    return DecodeByNumber<At + 1>(header, payload);
  }
}

template <typename... Messages>
constexpr bool NumbersDiffer(const std::variant<Messages...>*) {
  const std::array numbers = {Messages::kNumber...};
  for (size_t i = 0; i < numbers.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (numbers[i] == numbers[j]) return false;
    }
  }
  return true;
}
static_assert(NumbersDiffer(static_cast<ControlMessage*>(nullptr)));

}  // namespace

EncodedControl::EncodedControl(const ControlMessage& message) {
  FieldWriter wire(header, payload, made_);
  std::visit(
      [&](const auto& m) {
        header.number = m.kNumber;
        m.Map(wire, m);
      },
      message);
  header.payload_size = static_cast<uint32_t>(payload.size());
}

Result<ControlMessage> DecodeControl(std::string_view datagram) {
  ControlHeader header;
  if (datagram.size() < sizeof header) return Error{"malformed control message", EBADMSG};
  std::memcpy(&header, datagram.data(), sizeof header);
  const std::string_view payload = datagram.substr(sizeof header);
  if (header.payload_size != payload.size()) return Error{"malformed control message", EBADMSG};
  return DecodeByNumber(header, payload);
}

Result<std::pair<UniqueFd, UniqueFd>> MakeControlPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return SystemError("cannot make a control socket");
  }
  return std::pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Status SendControl(int socket, const ControlMessage& message, const std::vector<int>& fds) {
  EncodedControl encoded(message);
  if (encoded.payload.size() > kMaxPayload) return Error{"control message too large", EMSGSIZE};
  std::array<iovec, 2> parts{{{&encoded.header, sizeof encoded.header},
                              {const_cast<char*>(encoded.payload.data()), encoded.payload.size()}}};
  DescriptorRights rights;
  msghdr msg{};
  msg.msg_iov = parts.data();
  msg.msg_iovlen = parts.size();
  if (Status attached = rights.Attach(msg, fds); !attached) return attached;
  for (;;) {
    if (::sendmsg(socket, &msg, MSG_NOSIGNAL) >= 0) return Ok{};
    if (errno != EINTR) return SystemError("cannot send a control message");
  }
}

Result<std::optional<ReceivedControl>> ReceiveControl(int socket) {
  static thread_local std::array<char, sizeof(ControlHeader) + kMaxPayload> buffer;
  DescriptorRights rights;
  iovec part{buffer.data(), buffer.size()};
  msghdr msg{};
  msg.msg_iov = &part;
  msg.msg_iovlen = 1;
  rights.MakeRoom(msg);
  ssize_t size;
  bool reset = false;
  do {
    size = ::recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    // ECONNRESET once: the other side left with messages unread. What it said before is still here.
  } while (size < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
  if (size < 0) {
    if (errno == ECONNRESET) return std::optional<ReceivedControl>{};
    return SystemError("cannot receive a control message");
  }
  ReceivedControl received;
  received.fds = DescriptorRights::Receive(msg);
  received.lost_fds = (msg.msg_flags & MSG_CTRUNC) != 0;
  if (received.lost_fds) received.fds.clear();
  if (size == 0) return std::optional<ReceivedControl>{};
  if ((msg.msg_flags & MSG_TRUNC) != 0) return Error{"malformed control message", EBADMSG};
  auto message = DecodeControl({buffer.data(), static_cast<size_t>(size)});
  if (!message) return message.error();
  received.message = *std::move(message);
  return std::optional<ReceivedControl>(std::move(received));
}

}  // namespace postern::channel
