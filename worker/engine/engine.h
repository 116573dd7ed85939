// Engine: V8 in this process: one isolate, one context from the start-up snapshot, one heap whose
// limit can be raised once a guest's policy is known.
#pragma once

#include <v8.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "worker/engine/platform.h"

namespace postern::worker {

class Engine {
 public:
  // What of C++ the runtime's JavaScript may call.
  struct Natives {
    v8::Local<v8::Object> (*make)(v8::Isolate* isolate, v8::Local<v8::Context> context);
    const intptr_t*
        addresses;  // of all functions, null-terminated, as V8 wants them for a snapshot
  };
  struct Options {
    Natives natives;
    bool jitless = false;
    std::string_view snapshot;  // the start-up snapshot's file (snapshot_file.h); outlives all
  };

  // Starts V8. Call once a process, before any fork.
  static Result<std::unique_ptr<Engine>> Start(Options options);
  // Makes the blob: evaluates the runtime bundle `source` in a fresh context and writes it to
  // `path`.
  static Status MakeSnapshot(const std::string& source, const std::string& path,
                             const Natives& natives);

  ~Engine();
  v8::Isolate* isolate() { return isolate_; }
  v8::Local<v8::Context> context() { return context_.Get(isolate_); }
  TaskQueue& tasks() { return platform_->tasks(); }
  // The object that the runtime's main module returned: its entry points for the C++ side.
  v8::Local<v8::Object> hooks() { return hooks_.Get(isolate_); }
  v8::Local<v8::Function> Hook(const char* name);

  // Bytes outside of V8 that count against the guest's limit for as long as this lives.
  class ExternalMemoryCharge {
   public:
    ExternalMemoryCharge() = default;
    ExternalMemoryCharge(ExternalMemoryCharge&& other) noexcept
        : bytes_(std::exchange(other.bytes_, 0)) {}
    ExternalMemoryCharge& operator=(ExternalMemoryCharge&&) = delete;
    ~ExternalMemoryCharge() { UncountExternal(bytes_); }
    // False where the limit does not allow `bytes` more.
    bool Add(size_t bytes) {
      if (!CountExternal(bytes)) return false;
      bytes_ += bytes;
      return true;
    }

   private:
    size_t bytes_ = 0;
  };
  // For bytes outside of V8 that a guest's array buffers hold: false where the limit does not allow
  // them.
  static bool CountExternal(size_t bytes);
  static void UncountExternal(size_t bytes);
  static size_t ExternalBytes();

  // Sets the guest's memory limit in bytes: V8's heap and array buffers, each. `on_exhausted` must
  // not return.
  void SetMemoryLimit(size_t bytes, std::function<void()> on_exhausted);

 private:
  class Allocator;
  Engine() = default;
  static void InitializeV8(Platform* platform, bool jitless);
  static v8::MaybeLocal<v8::Value> PrepareStackTrace(v8::Local<v8::Context> context,
                                                     v8::Local<v8::Value> error,
                                                     v8::Local<v8::Array> sites);
  static size_t NearHeapLimit(void* self, size_t current, size_t initial);

  std::unique_ptr<Platform> platform_;
  std::unique_ptr<Allocator> allocator_;
  v8::StartupData startup_{};
  v8::Isolate* isolate_ = nullptr;
  v8::Global<v8::Context> context_;
  v8::Global<v8::Object> hooks_;
  size_t memory_limit_ = 0;
  std::function<void()> on_exhausted_;
};

}  // namespace postern::worker
