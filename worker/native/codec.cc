// Natives for compression: zlib, brotli and zstd a step at a time, for CompressionStream and
// node:zlib. The libraries are the host executable's own.
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/format.h"
#include "worker/native/arguments.h"
#include "worker/native/handle.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

// As Node numbers them (zlib.constants).
enum Mode : uint8_t {
  kDeflate = 1,
  kInflate = 2,
  kGzip = 3,
  kGunzip = 4,
  kDeflateRaw = 5,
  kInflateRaw = 6,
  kUnzip = 7,
  kBrotliDecode = 8,
  kBrotliEncode = 9,
  kZstdCompress = 10,
  kZstdDecompress = 11
};

struct Step {
  std::span<const uint8_t> in;
  std::span<uint8_t> out;  // what is left of both once the step was done
  std::string error, code;
  int number = 0;  // of zlib; -1 elsewhere
  bool finished = false;
};

class Codec : public Handle {
 public:
  static constexpr char kKind = 0;
  virtual void Run(int flush, Step* step) = 0;
  virtual bool Reset() = 0;
  // Of deflate alone: whether that worked.
  virtual bool SetParameters(int /*level*/, int /*strategy*/) { return false; }
};

class ZlibCodec : public Codec {
 public:
  ZlibCodec(Mode mode, int window, int level, int memory, int strategy, std::string dictionary)
      : mode_(mode),
        window_(mode == kGzip || mode == kGunzip             ? window + 16
                : mode == kUnzip                             ? window + 32
                : mode == kDeflateRaw || mode == kInflateRaw ? -window
                                                             : window),
        level_(level),
        memory_(memory),
        strategy_(strategy),
        dictionary_(std::move(dictionary)) {}
  ~ZlibCodec() override { End(); }

  bool Reset() override {
    if (!started_) return true;
    finished_ = false;
    return (Deflates() ? deflateReset(&stream_) : inflateReset(&stream_)) == Z_OK &&
           SetDictionary() == Z_OK;
  }
  bool SetParameters(int level, int strategy) override {
    if (!Deflates() || Start() != Z_OK) return false;
    // Where something waits for room they stay as they are, which Node takes for no error either.
    const int rc = deflateParams(&stream_, level, strategy);
    return rc == Z_OK || rc == Z_BUF_ERROR;
  }

  void Run(int flush, Step* step) override {
    int rc = Start();
    if (rc == Z_OK) rc = Work(flush, step);
    step->finished = finished_;
    if (rc == Z_OK || rc == Z_STREAM_END) return;
    if (rc == Z_BUF_ERROR && flush != Z_FINISH) return;
    if (rc == Z_BUF_ERROR && !step->out.empty()) {
      Fail(step, rc, "unexpected end of file");
    } else if (rc != Z_BUF_ERROR) {
      const char* words = rc == Z_NEED_DICT
                              ? (dictionary_.empty() ? "Missing dictionary" : "Bad dictionary")
                          : stream_.msg != nullptr ? stream_.msg
                                                   : "Zlib error";
      Fail(step, rc, words);
    }
  }

 private:
  bool Deflates() const { return mode_ == kDeflate || mode_ == kGzip || mode_ == kDeflateRaw; }
  static void Fail(Step* step, int rc, const char* words) {
    static constexpr const char* kNames[] = {"Z_NEED_DICT",    "Z_OK",           "Z_ERRNO",
                                             "Z_STREAM_ERROR", "Z_DATA_ERROR",   "Z_MEM_ERROR",
                                             "Z_BUF_ERROR",    "Z_VERSION_ERROR"};
    step->error = words;
    step->number = rc;
    step->code = rc == Z_NEED_DICT ? "Z_NEED_DICT" : kNames[std::min(1 - rc, 7)];
  }
  int Start() {
    if (started_) return Z_OK;
    const int rc = Deflates()
                       ? deflateInit2(&stream_, level_, Z_DEFLATED, window_, memory_, strategy_)
                       : inflateInit2(&stream_, window_);
    if (rc != Z_OK) return rc;
    started_ = true;
    LetGo();
    return SetDictionary();
  }
  int SetDictionary() {
    if (dictionary_.empty()) return Z_OK;
    const auto* bytes = reinterpret_cast<const Bytef*>(dictionary_.data());
    const auto size = static_cast<uInt>(dictionary_.size());
    if (mode_ == kDeflate || mode_ == kDeflateRaw)
      return deflateSetDictionary(&stream_, bytes, size);
    if (mode_ == kInflateRaw) return inflateSetDictionary(&stream_, bytes, size);
    return Z_OK;
  }
  void End() {
    if (!started_) return;
    Deflates() ? deflateEnd(&stream_) : inflateEnd(&stream_);
    started_ = false;
  }
  int Work(int flush, Step* step) {
    stream_.next_in = const_cast<Bytef*>(step->in.data());
    stream_.avail_in = static_cast<uInt>(step->in.size());
    stream_.next_out = step->out.data();
    stream_.avail_out = static_cast<uInt>(step->out.size());
    int rc = Z_OK;
    if (Deflates()) {
      rc = deflate(&stream_, flush);
    } else {
      rc = inflate(&stream_, flush);
      if (rc == Z_NEED_DICT && !dictionary_.empty()) {
        rc = inflateSetDictionary(&stream_, reinterpret_cast<const Bytef*>(dictionary_.data()),
                                  static_cast<uInt>(dictionary_.size()));
        if (rc == Z_OK)
          rc = inflate(&stream_, flush);
        else if (rc == Z_DATA_ERROR)
          rc = Z_NEED_DICT;
      }
      // RFC 1952 2.2: members follow each other; other bytes after the last are no business of
      // gunzip.
      while (rc == Z_STREAM_END && mode_ == kGunzip && stream_.avail_in > 0 &&
             stream_.next_in[0] == 0x1f) {
        if (inflateReset(&stream_) != Z_OK) break;
        rc = inflate(&stream_, flush);
      }
    }
    finished_ = rc == Z_STREAM_END;
    step->in = step->in.last(stream_.avail_in);
    step->out = step->out.last(stream_.avail_out);
    LetGo();
    return rc;
  }
  // The bytes are JavaScript's again, which may free them: zlib, which writes what it has before it
  // takes other parameters, is left with no room at all.
  void LetGo() {
    stream_.next_in = nullptr;
    stream_.next_out = &nowhere_;
    stream_.avail_in = stream_.avail_out = 0;
  }

  const Mode mode_;
  const int window_, level_, memory_, strategy_;
  const std::string dictionary_;
  bool started_ = false, finished_ = false;
  Bytef nowhere_ = 0;
  z_stream stream_{};
};

constexpr uint32_t kUnset = 0xffffffff;  // of a parameter list, whose index is the parameter

void OutOfMemory(Step* step) {
  step->error = "Out of memory";
  step->code = "Z_MEM_ERROR";
  step->number = -1;
}

class BrotliEncoder : public Codec {
 public:
  explicit BrotliEncoder(std::vector<uint32_t> parameters) : parameters_(std::move(parameters)) {}
  bool Reset() override {
    state_.reset(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr));
    if (!state_) return false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i] != kUnset &&
          BrotliEncoderSetParameter(state_.get(), static_cast<BrotliEncoderParameter>(i),
                                    parameters_[i]) == BROTLI_FALSE)
        return false;
    }
    return true;
  }
  void Run(int flush, Step* step) override {
    if (!state_) return OutOfMemory(step);  // where it was to be reset
    size_t in = step->in.size(), out = step->out.size();
    const uint8_t* next_in = step->in.data();
    uint8_t* next_out = step->out.data();
    // Brotli itself does not look: with an operation that it does not know it may never come back.
    if (flush < 0 || flush > BROTLI_OPERATION_EMIT_METADATA ||
        BrotliEncoderCompressStream(state_.get(), static_cast<BrotliEncoderOperation>(flush), &in,
                                    &next_in, &out, &next_out, nullptr) == BROTLI_FALSE) {
      step->error = "Compression failed";
      step->code = "ERR_BROTLI_COMPRESSION_FAILED";
      step->number = -1;
    }
    step->in = step->in.last(in);
    step->out = step->out.last(out);
    step->finished = BrotliEncoderIsFinished(state_.get()) != 0;
  }

 private:
  std::vector<uint32_t> parameters_;
  struct Free {
    void operator()(BrotliEncoderState* s) const { BrotliEncoderDestroyInstance(s); }
  };
  std::unique_ptr<BrotliEncoderState, Free> state_;
};

class BrotliDecoder : public Codec {
 public:
  explicit BrotliDecoder(std::vector<uint32_t> parameters) : parameters_(std::move(parameters)) {}
  bool Reset() override {
    state_.reset(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
    if (!state_) return false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i] != kUnset &&
          BrotliDecoderSetParameter(state_.get(), static_cast<BrotliDecoderParameter>(i),
                                    parameters_[i]) == BROTLI_FALSE)
        return false;
    }
    return true;
  }
  void Run(int flush, Step* step) override {
    if (!state_) return OutOfMemory(step);  // where it was to be reset
    size_t in = step->in.size(), out = step->out.size();
    const uint8_t* next_in = step->in.data();
    uint8_t* next_out = step->out.data();
    const auto rc =
        BrotliDecoderDecompressStream(state_.get(), &in, &next_in, &out, &next_out, nullptr);
    step->in = step->in.last(in);
    step->out = step->out.last(out);
    step->finished = BrotliDecoderIsFinished(state_.get()) != 0;
    if (rc == BROTLI_DECODER_RESULT_ERROR) {
      step->error = "Decompression failed";
      std::string words = BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state_.get()));
      step->code = fmt::format("ERR_{}", words);
      step->number = -1;
    } else if (rc == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT && flush == BROTLI_OPERATION_FINISH) {
      step->error = "unexpected end of file";
      step->code = "Z_BUF_ERROR";
      step->number = Z_BUF_ERROR;
    }
  }

 private:
  std::vector<uint32_t> parameters_;
  struct Free {
    void operator()(BrotliDecoderState* s) const { BrotliDecoderDestroyInstance(s); }
  };
  std::unique_ptr<BrotliDecoderState, Free> state_;
};

void ZstdFail(Step* step, size_t rc) {
  step->error = ZSTD_getErrorName(rc);
  step->code = "ZSTD_error";
  step->number = -1;
}

class ZstdCompressor : public Codec {
 public:
  explicit ZstdCompressor(std::vector<uint32_t> parameters) : parameters_(std::move(parameters)) {}
  bool Reset() override {
    if (!context_) context_.reset(ZSTD_createCCtx());
    if (!context_ ||
        ZSTD_isError(ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_and_parameters)) != 0)
      return false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i] != kUnset &&
          ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), static_cast<ZSTD_cParameter>(i),
                                              static_cast<int>(parameters_[i]))) != 0)
        return false;
    }
    return true;
  }
  void Run(int flush, Step* step) override {
    ZSTD_inBuffer in{step->in.data(), step->in.size(), 0};
    ZSTD_outBuffer out{step->out.data(), step->out.size(), 0};
    const size_t rc =
        ZSTD_compressStream2(context_.get(), &out, &in, static_cast<ZSTD_EndDirective>(flush));
    step->in = step->in.subspan(in.pos);
    step->out = step->out.subspan(out.pos);
    if (ZSTD_isError(rc) != 0)
      ZstdFail(step, rc);
    else
      step->finished = flush == ZSTD_e_end && rc == 0;
  }

 private:
  std::vector<uint32_t> parameters_;
  struct Free {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class ZstdDecompressor : public Codec {
 public:
  explicit ZstdDecompressor(std::vector<uint32_t> parameters)
      : parameters_(std::move(parameters)) {}
  bool Reset() override {
    if (!context_) context_.reset(ZSTD_createDCtx());
    if (!context_ ||
        ZSTD_isError(ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_and_parameters)) != 0)
      return false;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i] != kUnset &&
          ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), static_cast<ZSTD_dParameter>(i),
                                              static_cast<int>(parameters_[i]))) != 0)
        return false;
    }
    return true;
  }
  void Run(int flush, Step* step) override {
    ZSTD_inBuffer in{step->in.data(), step->in.size(), 0};
    ZSTD_outBuffer out{step->out.data(), step->out.size(), 0};
    const size_t rc = ZSTD_decompressStream(context_.get(), &out, &in);
    step->in = step->in.subspan(in.pos);
    step->out = step->out.subspan(out.pos);
    if (ZSTD_isError(rc) != 0) return ZstdFail(step, rc);
    if (in.pos > 0 || out.pos > 0) finished_ = rc == 0;
    step->finished = finished_;
    if (flush == ZSTD_e_end && !finished_ && step->in.empty() && !step->out.empty()) {
      step->error = "unexpected end of file";
      step->code = "Z_BUF_ERROR";
      step->number = Z_BUF_ERROR;
    }
  }

 private:
  std::vector<uint32_t> parameters_;
  bool finished_ = false;
  struct Free {
    void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
};

constexpr int kMostWindowBits = 1000;       // far beyond what zlib takes, far below an overflow
constexpr size_t kCodecBytes = 256 * 1024;  // what a codec holds, more or less

std::vector<uint32_t> Parameters(v8::Local<v8::Value> value) {
  if (!value->IsUint32Array()) return {};
  const auto bytes = Bytes(value);
  std::vector<uint32_t> list(bytes.size() / sizeof(uint32_t));
  if (!list.empty()) std::memcpy(list.data(), bytes.data(), list.size() * sizeof(uint32_t));
  return list;
}

// codecOpen(mode, window bits, level, memory level, strategy, dictionary or undefined), or
// codecOpen(mode, Uint32Array of parameters): a codec; undefined where the parameters cannot be
void CodecOpen(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto mode = static_cast<Mode>(std::clamp(Int(args, 0), 0, int{kZstdDecompress}));
  std::unique_ptr<Codec> codec;
  switch (mode) {
    case kBrotliEncode:
      codec = std::make_unique<BrotliEncoder>(Parameters(args[1]));
      break;
    case kBrotliDecode:
      codec = std::make_unique<BrotliDecoder>(Parameters(args[1]));
      break;
    case kZstdCompress:
      codec = std::make_unique<ZstdCompressor>(Parameters(args[1]));
      break;
    case kZstdDecompress:
      codec = std::make_unique<ZstdDecompressor>(Parameters(args[1]));
      break;
    default: {
      const auto dictionary = Bytes(args[5]);
      codec = std::make_unique<ZlibCodec>(
          mode, std::clamp(Int(args, 1), -kMostWindowBits, kMostWindowBits), Int(args, 2),
          Int(args, 3), Int(args, 4),
          std::string(reinterpret_cast<const char*>(dictionary.data()), dictionary.size()));
    }
  }
  if (!codec->Reset()) return;
  args.GetReturnValue().Set(Wrap(isolate, std::move(codec), kCodecBytes));
}

constexpr size_t kMostAtOnce = 1u << 30;  // zlib counts in 32 bits

// The piece [from, from + size) of the bytes of args[at], cut where they end.
std::span<uint8_t> Piece(const Args& args, int at) {
  const auto bytes = Bytes(args[at]);
  const size_t from = std::min(Size(args, at + 1), bytes.size());
  return bytes.subspan(from, std::min({Size(args, at + 2), bytes.size() - from, kMostAtOnce}));
}

bool Overlap(std::span<const uint8_t> one, std::span<const uint8_t> other) {
  const std::less<const uint8_t*> before;
  return before(one.data(), other.data() + other.size()) &&
         before(other.data(), one.data() + one.size());
}

// codecStep(codec, flush, in, its offset, its size, out, its offset, its size, state): state[0] is
// what is left of out, state[1] of in, state[2] 1 at the coding's end. Returns undefined, or
// [message, code, number] of an error.
void CodecStep(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  auto* codec = Unwrap<Codec>(args.GetIsolate(), args[0]);
  if (codec == nullptr) return ThrowType(isolate, "not a codec");
  Step step{.in = Piece(args, 2), .out = Piece(args, 5), .error = {}, .code = {}};
  // What is read must not be what is written meanwhile.
  std::vector<uint8_t> copy;
  if (Overlap(step.in, step.out)) {
    copy.assign(step.in.begin(), step.in.end());
    step.in = copy;
  }
  codec->Run(Int(args, 1), &step);
  const auto state = Bytes(args[8]);
  const uint32_t left[3] = {static_cast<uint32_t>(step.out.size()),
                            static_cast<uint32_t>(step.in.size()), step.finished ? 1u : 0u};
  std::memcpy(state.data(), left, std::min(sizeof left, state.size()));
  if (step.error.empty()) return;
  v8::Local<v8::Value> error[] = {Str(isolate, step.error), Str(isolate, step.code),
                                  v8::Integer::New(isolate, step.number)};
  args.GetReturnValue().Set(v8::Array::New(isolate, error, 3));
}

// codecReset(codec): as it was when it was opened; whether that worked
void CodecReset(const Args& args) {
  auto* codec = Unwrap<Codec>(args.GetIsolate(), args[0]);
  args.GetReturnValue().Set(codec != nullptr && codec->Reset());
}

// codecParams(codec of deflate, level, strategy): whether that worked
void CodecParams(const Args& args) {
  auto* codec = Unwrap<Codec>(args.GetIsolate(), args[0]);
  args.GetReturnValue().Set(codec != nullptr && codec->SetParameters(Int(args, 1), Int(args, 2)));
}

// crc32(bytes, value so far)
void Crc32(const Args& args) {
  const auto bytes = Bytes(args[0]);
  args.GetReturnValue().Set(
      static_cast<uint32_t>(::crc32_z(Uint32(args, 1), bytes.data(), bytes.size())));
}

}  // namespace

std::span<const Native> CodecNatives() {
  static constexpr Native kNatives[] = {{"codecOpen", CodecOpen},
                                        {"codecStep", CodecStep},
                                        {"codecReset", CodecReset},
                                        {"codecParams", CodecParams},
                                        {"crc32", Crc32}};
  return kNatives;
}

}  // namespace postern::worker
