#include "channel/http2_session.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/format.h"
#include "base/hidden_streams.h"

namespace postern::channel {
namespace {

// What a client may open before the server's SETTINGS say more; any policy allows as much as one.
constexpr uint32_t kStreamsBeforeSettings = 1;
// nghttp2's own limit (1000, then 33 a second) is for strangers on a network; a guest that cancels
// bodies in a loop is an ordinary program. Beyond this it is a flood, and the channel ends.
constexpr uint64_t kResetBurst = 20'000;
constexpr uint64_t kResetsASecond = 5'000;
// Between two looks at the clock: of small frames it is half a thousand.
constexpr size_t kBytesAStep = 4096, kBlocksAStep = 4;
constexpr uint32_t kConnectionWindow = 64 * 1024 * 1024;  // credit is returned on receipt anyway

std::vector<nghttp2_nv> ToNv(const Fields& fields) {
  std::vector<nghttp2_nv> nv;
  nv.reserve(fields.size());
  for (const Field& f : fields) {
    nv.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(f.name.data())),
                  reinterpret_cast<uint8_t*>(const_cast<char*>(f.value.data())), f.name.size(),
                  f.value.size(), NGHTTP2_NV_FLAG_NO_INDEX});
  }
  return nv;
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& Self(void* user) { return *static_cast<Http2Session*>(user); }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame*, void* user) {
    Self(user).block_.clear();
    Self(user).block_bytes_ = 0;
    return 0;
  }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                    size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                    void* user) {
    Http2Session& self = Self(user);
    const bool first = self.block_.empty();
    self.block_bytes_ += name_size + value_size + 32;  // as RFC 9113 6.5.2 counts
    self.useful_bytes_ += name_size + value_size + 32;
    if (self.block_bytes_ > kMaxHeaderBytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    self.block_.push_back({{reinterpret_cast<const char*>(name), name_size},
                           {reinterpret_cast<const char*>(value), value_size}});
    if (!first) return 0;
    if (self.blocks_left_ == 0) return NGHTTP2_ERR_PAUSE;
    --self.blocks_left_;
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = Self(user);
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        self.observer_.OnHeaders(frame->hd.stream_id, std::move(self.block_), end);
        self.block_ = {};
        if (end) self.observer_.OnEndOfBody(frame->hd.stream_id);
        break;
      case NGHTTP2_DATA:
        if (end) self.observer_.OnEndOfBody(frame->hd.stream_id);
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
          self.observer_.OnPong();
        } else {
          self.noise_ += kAnswerNoise;
        }
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) break;
        self.noise_ += kAnswerNoise;
        self.observer_.OnSettings();
        break;
      case NGHTTP2_GOAWAY:
        self.observer_.OnGoaway();
        break;
      case NGHTTP2_RST_STREAM:
        self.noise_ += kResetNoise;
        break;
      default:
        break;
    }
    return 0;
  }

  static int Data(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data,
                  size_t size, void* user) {
    // One unread body must not hang the others: only the stream's own window waits for its reader.
    nghttp2_session_consume_connection(session, size);
    Self(user).useful_bytes_ += size;
    Self(user).observer_.OnData(stream, {data, size});
    return 0;
  }

  static int FrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      Self(user).observer_.OnRequestSent(frame->hd.stream_id);
    }
    return 0;
  }

  // A request that may not be sent any more, after the peer's GOAWAY.
  static int FrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      Self(user).observer_.OnClosed(frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    }
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t stream, uint32_t error, void* user) {
    Self(user).observer_.OnClosed(stream, error);
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size,
                          uint32_t* flags, nghttp2_data_source*, void* user) {
    bool end = false;
    Fields trailers;
    const size_t n = Self(user).observer_.ReadBody(stream, {buffer, size}, &end, &trailers);
    if (end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto nv = ToNv(trailers);
        if (nghttp2_submit_trailer(session, stream, nv.data(), nv.size()) != 0) {
          return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
      }
    } else if (n == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(n);
  }

  static ssize_t ReadLength(nghttp2_session*, uint8_t, int32_t, int32_t session_window,
                            int32_t stream_window, uint32_t max_frame, void*) {
    return std::min({session_window, stream_window, static_cast<int32_t>(max_frame)});
  }
};

Http2Session::Http2Session(Role role, uint32_t max_streams, Observer& observer)
    : observer_(observer),
      hostile_peer_(role == Role::kBrokerServer || role == Role::kSupervisorFront) {
  const bool serves = role == Role::kBrokerServer || role == Role::kGuestHandler;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::BeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::Header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::FrameReceived);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::Data);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::FrameSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, Callbacks::FrameNotSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::StreamClosed);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, Callbacks::ReadLength);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_stream_reset_rate_limit(option, kResetBurst, kResetsASecond);
  nghttp2_option_set_peer_max_concurrent_streams(option, kStreamsBeforeSettings);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, 0);
  nghttp2_option_set_max_send_header_block_length(option, kMaxHeaderBytes + 64 * 1024);
  nghttp2_session* raw = nullptr;
  const int rc = serves ? nghttp2_session_server_new2(&raw, callbacks, this, option)
                        : nghttp2_session_client_new2(&raw, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (rc != 0) std::abort();  // out of memory
  session_.reset(raw);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, serves ? max_streams : 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
       role == Role::kSupervisorFront ? kFrontWindow : kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMaxFrameSize},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderBytes}};
  if (role == Role::kBrokerServer) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});  // RFC 8441: WebSocket
  }
  nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(raw, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Status Http2Session::CheckSubmitted(int rc, const char* what) {
  if (rc >= 0) return Ok{};
  return Error{fmt::format("{}: {}", what, nghttp2_strerror(rc))};
}

Result<int32_t> Http2Session::Request(const Fields& fields, bool has_body) {
  if (const Status fits = CheckFields(fields); !fits) {
    return Error{fmt::format("a request has {}", fits.error().message)};
  }
  const auto nv = ToNv(fields);
  nghttp2_data_provider provider{{0}, Callbacks::ReadBody};
  const int32_t stream = nghttp2_submit_request(session_.get(), nullptr, nv.data(), nv.size(),
                                                has_body ? &provider : nullptr, nullptr);
  if (stream < 0) return CheckSubmitted(stream, "cannot send a request").error();
  return stream;
}

Status Http2Session::Respond(int32_t stream, const Fields& fields, bool has_body) {
  if (const Status fits = CheckFields(fields); !fits) {
    return Error{fmt::format("a response has {}", fits.error().message)};
  }
  const auto nv = ToNv(fields);
  nghttp2_data_provider provider{{0}, Callbacks::ReadBody};
  return CheckSubmitted(nghttp2_submit_response(session_.get(), stream, nv.data(), nv.size(),
                                                has_body ? &provider : nullptr),
                        "cannot send a response");
}

Status Http2Session::Inform(int32_t stream, const Fields& fields) {
  if (const Status fits = CheckFields(fields); !fits) {
    return Error{fmt::format("a response has {}", fits.error().message)};
  }
  const auto nv = ToNv(fields);
  return CheckSubmitted(nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream, nullptr,
                                               nv.data(), nv.size(), nullptr),
                        "cannot send an informational response");
}

void Http2Session::ResumeBody(int32_t stream) {
  nghttp2_session_resume_data(session_.get(), stream);
}

void Http2Session::Consume(int32_t stream, size_t bytes) {
  nghttp2_session_consume_stream(session_.get(), stream, bytes);
}

void Http2Session::Reset(int32_t stream, uint32_t error) {
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, error);
}

void Http2Session::Ping() { nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr); }

void Http2Session::Goaway(uint32_t error) {
  nghttp2_session_terminate_session(session_.get(), error);
}

void Http2Session::Retire() { nghttp2_submit_shutdown_notice(session_.get()); }

Status Http2Session::Receive(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto taken = ReceiveSome(bytes);
    if (!taken) return taken.error();
    if (*taken == 0) break;
    bytes = bytes.subspan(*taken);
  }
  return Ok{};
}

Result<size_t> Http2Session::ReceiveSome(std::span<const uint8_t> bytes) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + kTimeATurn;
  size_t blocks = 0, taken = 0;
  while (taken < bytes.size()) {
    const std::span<const uint8_t> rest = bytes.subspan(taken);
    blocks_left_ = hostile_peer_ ? kBlocksAStep : SIZE_MAX;
    const ssize_t n =
        nghttp2_session_mem_recv(session_.get(), rest.data(),
                                 hostile_peer_ ? std::min(rest.size(), kBytesAStep) : rest.size());
    if (n < 0) return Error{fmt::format("channel: {}", nghttp2_strerror(static_cast<int>(n)))};
    taken += static_cast<size_t>(n);
    // Twice: a frame's own nine bytes, and what compression saved.
    noise_ += static_cast<size_t>(n) - std::min(static_cast<size_t>(n), 2 * useful_bytes_);
    useful_bytes_ = 0;
    if (n == 0) break;
    blocks += kBlocksAStep - blocks_left_;
    if (hostile_peer_ && (blocks >= kBlocksATurn || Clock::now() >= end)) break;
  }
  return taken;
}

size_t Http2Session::TakeNoise() { return std::exchange(noise_, 0); }

Result<std::span<const uint8_t>> Http2Session::NextOutput() {
  const uint8_t* data = nullptr;
  const ssize_t n = nghttp2_session_mem_send(session_.get(), &data);
  if (n < 0) return Error{fmt::format("channel: {}", nghttp2_strerror(static_cast<int>(n)))};
  return std::span<const uint8_t>(data, static_cast<size_t>(n));
}

bool Http2Session::Finished() const {
  return nghttp2_session_want_read(session_.get()) == 0 &&
         nghttp2_session_want_write(session_.get()) == 0;
}

}  // namespace postern::channel
