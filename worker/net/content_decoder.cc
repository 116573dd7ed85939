// zlib, brotli and zstd are the host executable's own, current with it.
#include "worker/net/content_decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

namespace postern::worker {
namespace {

class ZlibDecoder : public Decoder {
 public:
  explicit ZlibDecoder(bool gzip) : gzip_(gzip) {}
  ~ZlibDecoder() override {
    if (started_) inflateEnd(&stream_);
  }

  Result<size_t> Decode(std::span<const uint8_t> in, size_t* used,
                        std::span<uint8_t> out) override {
    *used = 0;
    if (in.empty()) return size_t{0};
    if (!started_) {
      // "deflate" is zlib by RFC 9110 8.4.1.2; some origins send it raw, told by the first byte
      // (RFC 1950 2.2).
      const bool raw = !gzip_ && ((in[0] & 0x0f) != 8 || in[0] > 0x78);
      if (inflateInit2(&stream_, gzip_ ? 16 + MAX_WBITS : raw ? -MAX_WBITS : MAX_WBITS) != Z_OK)
        return Error{"out of memory"};
      started_ = true;
    }
    if (finished_) {
      if (trailing_ || !gzip_ || in[0] != kMagic) return IgnoreRest(in, used);
      if (inflateReset(&stream_) != Z_OK)
        return Error{"out of memory"};  // RFC 1952 2.2: members follow each other
      finished_ = false;
      later_member_ = true;
    }
    stream_.next_in = const_cast<uint8_t*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int rc = inflate(&stream_, Z_NO_FLUSH);
    if (rc == Z_STREAM_END)
      finished_ = true;
    else if (rc == Z_DATA_ERROR && later_member_ && stream_.total_in <= kMagicBytes)
      return IgnoreRest(in, used);
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
      return Error{stream_.msg != nullptr ? stream_.msg : "malformed compressed data"};
    *used = in.size() - stream_.avail_in;
    return out.size() - stream_.avail_out;
  }
  bool Finished() const override { return finished_; }

 private:
  static constexpr uint8_t kMagic = 0x1f;  // a member's first byte
  static constexpr uLong kMagicBytes = 2;

  // What follows the end and is no member is left out, as browsers do: some origins pad.
  size_t IgnoreRest(std::span<const uint8_t> in, size_t* used) {
    finished_ = trailing_ = true;
    *used = in.size();
    return 0;
  }

  bool gzip_;
  bool started_ = false, finished_ = false, later_member_ = false, trailing_ = false;
  z_stream stream_{};
};

class Brotli : public Decoder {
 public:
  Brotli()
      : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr),
               BrotliDecoderDestroyInstance) {}

  Result<size_t> Decode(std::span<const uint8_t> in, size_t* used,
                        std::span<uint8_t> out) override {
    if (!state_) return Error{"out of memory"};
    if (Finished()) {  // what follows is left out
      *used = in.size();
      return size_t{0};
    }
    size_t in_left = in.size(), out_left = out.size();
    const uint8_t* next_in = in.data();
    uint8_t* next_out = out.data();
    const auto rc = BrotliDecoderDecompressStream(state_.get(), &in_left, &next_in, &out_left,
                                                  &next_out, nullptr);
    if (rc == BROTLI_DECODER_RESULT_ERROR) {
      return Error{BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state_.get()))};
    }
    *used = in.size() - in_left;
    return out.size() - out_left;
  }
  bool Finished() const override { return state_ && BrotliDecoderIsFinished(state_.get()) != 0; }

 private:
  std::unique_ptr<BrotliDecoderState, decltype(&BrotliDecoderDestroyInstance)> state_;
};

class Zstd : public Decoder {
 public:
  Zstd() : stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    // RFC 8878 3.1.1.1.2 recommends decoders to support windows of 8 MiB, and no more of strangers.
    if (stream_) ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 23);
  }

  Result<size_t> Decode(std::span<const uint8_t> in, size_t* used,
                        std::span<uint8_t> out) override {
    if (!stream_) return Error{"out of memory"};
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    const size_t rc = ZSTD_decompressStream(stream_.get(), &output, &input);
    if (ZSTD_isError(rc) != 0) return Error{ZSTD_getErrorName(rc)};
    if (input.pos > 0 || output.pos > 0) finished_ = rc == 0;
    *used = input.pos;
    return output.pos;
  }
  bool Finished() const override { return finished_; }

 private:
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Decoder> Decoder::For(std::string_view coding) {
  if (coding == "gzip" || coding == "x-gzip") return std::make_unique<ZlibDecoder>(true);
  if (coding == "deflate") return std::make_unique<ZlibDecoder>(false);
  if (coding == "br") return std::make_unique<Brotli>();
  if (coding == "zstd") return std::make_unique<Zstd>();
  return nullptr;
}

}  // namespace postern::worker
