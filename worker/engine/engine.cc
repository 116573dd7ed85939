#include "worker/engine/engine.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/exit_status.h"
#include "base/format.h"
#include "worker/engine/allocation.h"
#include "worker/engine/snapshot_file.h"
#include "worker/engine/v8_values.h"

// Of the host executable, whose headers are not installed; another Node may not export it.
namespace absl {
enum class OnDeadlockCycle { kIgnore, kReport, kAbort };
[[gnu::weak]] void SetMutexDeadlockDetectionMode(OnDeadlockCycle mode);
namespace base_internal {
struct ThreadIdentity;
[[gnu::weak]] ThreadIdentity* CurrentThreadIdentityIfPresent();
[[gnu::weak]] int NumCPUs();
}  // namespace base_internal
namespace synchronization_internal {
[[gnu::weak]] base_internal::ThreadIdentity* CreateThreadIdentity();
}  // namespace synchronization_internal
}  // namespace absl

namespace postern::worker {
namespace {

constexpr size_t kMiB = 1024 * 1024;
constexpr size_t kInitialOldGeneration = 32 * kMiB;
constexpr size_t kYoungGeneration = 8 * kMiB;
// Explicit, or V8 reserves 512 MiB, which RLIMIT_DATA would count.
constexpr size_t kCodeRange = 64 * kMiB;

Engine* g_engine = nullptr;

// A thread gets what it waits by (Atomics.wait) when it first waits, and looks how many processors
// there are: by calls that a guest does not have.
void BeReadyToWait() {
  namespace base = absl::base_internal;
  if (base::NumCPUs != nullptr) base::NumCPUs();
  if (base::CurrentThreadIdentityIfPresent == nullptr ||
      absl::synchronization_internal::CreateThreadIdentity == nullptr)
    return;
  if (base::CurrentThreadIdentityIfPresent() == nullptr)
    absl::synchronization_internal::CreateThreadIdentity();
}

// absl's mutexes, which V8 has, would keep a graph of who waits for whom, to find deadlocks: half a
// megabyte, and a look at it each time that one is locked. There is one thread.
void KeepNoGraphOfMutexes() {
  if (absl::SetMutexDeadlockDetectionMode != nullptr)
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace

// Array buffers live outside V8's heap: counted here against the same limit.
class Engine::Allocator : public v8::ArrayBuffer::Allocator {
 public:
  void* Allocate(size_t size) override {
    return Charge(size) ? GiveBackIfNull(TryAllocateZeros(std::max<size_t>(size, 1)), size)
                        : nullptr;
  }
  void* AllocateUninitialized(size_t size) override {
    return Charge(size) ? GiveBackIfNull(TryAllocate(std::max<size_t>(size, 1)), size) : nullptr;
  }
  void Free(void* data, size_t size) override {
    std::free(data);
    used_ -= size;
  }
  size_t limit = 64 * kMiB;

  bool Charge(size_t size) {
    if (size > limit || used_ > limit - size) return false;
    used_ += size;
    return true;
  }
  void GiveBack(size_t size) { used_ -= size; }
  size_t used() const { return used_; }

 private:
  void* GiveBackIfNull(void* data, size_t size) {
    if (data == nullptr) used_ -= size;
    return data;
  }
  size_t used_ = 0;
};

void Engine::InitializeV8(Platform* platform, bool jitless) {
  // --single-threaded: no helper threads exist in a forked guest. --stack-size: KiB of the 8 MiB
  // stack.
  std::string flags =
      "--single-threaded --stack-size=960 --no-freeze-flags-after-init "
      "--no-verify-snapshot-checksum";
  if (jitless) flags += " --jitless";
  KeepNoGraphOfMutexes();
  BeReadyToWait();
  v8::V8::SetFlagsFromString(flags.c_str(), flags.size());
  v8::V8::InitializePlatform(platform);
  v8::V8::Initialize();
}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Start(Options options) {
  std::unique_ptr<Engine> self(new Engine);
  auto blob = OpenSnapshot(options.snapshot, v8::V8::GetVersion());
  if (!blob) return blob.error();
  self->startup_ = {blob->data(), static_cast<int>(blob->size())};
  self->platform_ = std::make_unique<Platform>();
  self->allocator_ = std::make_unique<Allocator>();
  InitializeV8(self->platform_.get(), options.jitless);

  v8::Isolate::CreateParams params;
  params.snapshot_blob = &self->startup_;
  params.external_references = options.natives.addresses;
  params.array_buffer_allocator = self->allocator_.get();
  params.constraints.set_max_old_generation_size_in_bytes(kInitialOldGeneration);
  params.constraints.set_max_young_generation_size_in_bytes(kYoungGeneration);
  params.constraints.set_code_range_size_in_bytes(kCodeRange);
  v8::Isolate* isolate = v8::Isolate::New(params);
  self->isolate_ = isolate;
  isolate->Enter();
  isolate->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
  isolate->SetCaptureStackTraceForUncaughtExceptions(true, 20);
  isolate->SetPrepareStackTraceCallback(PrepareStackTrace);
  isolate->AddNearHeapLimitCallback(NearHeapLimit, self.get());
  g_engine = self.get();
  isolate->SetOOMErrorHandler([](const char*, const v8::OOMDetails&) {
    if (g_engine->on_exhausted_) g_engine->on_exhausted_();
    ::_exit(kExitKilled);
  });

  v8::HandleScope scope(isolate);
  const auto context = v8::Context::New(isolate);
  v8::Local<v8::Object> hooks;
  if (!context->GetDataFromSnapshotOnce<v8::Object>(0).ToLocal(&hooks)) {
    return Error{"the start-up snapshot is not one of this build"};
  }
  self->context_.Reset(isolate, context);
  self->hooks_.Reset(isolate, hooks);
  {
    const v8::Context::Scope entered(context);
    if (self->Hook("loaded")->Call(context, v8::Undefined(isolate), 0, nullptr).IsEmpty())
      return Error{"the runtime does not load"};
  }
  // For the first local date, ICU and glibc look the time zone up in files: now, not in a guest.
  ::tzset();
  return self;
}

v8::MaybeLocal<v8::Value> Engine::PrepareStackTrace(v8::Local<v8::Context> context,
                                                    v8::Local<v8::Value> error,
                                                    v8::Local<v8::Array> sites) {
  // What is thrown in another context (transpiler.h) stays there.
  if (g_engine->hooks_.IsEmpty() || context != g_engine->context())
    return v8::Undefined(g_engine->isolate_);
  v8::Local<v8::Value> args[] = {error, sites};
  return g_engine->Hook("prepareStackTrace")
      ->Call(context, v8::Undefined(g_engine->isolate_), 2, args);
}

v8::Local<v8::Function> Engine::Hook(const char* name) {
  return hooks()->Get(context(), Str(isolate_, name)).ToLocalChecked().As<v8::Function>();
}

Status Engine::MakeSnapshot(const std::string& source, const std::string& path,
                            const Natives& natives) {
  Platform platform;
  // The same build makes the same bytes; whoever reads them hashes with a seed of its own.
  v8::V8::SetFlagsFromString("--random-seed=1 --hash-seed=1");
  InitializeV8(&platform, false);
  v8::Isolate* isolate = v8::Isolate::Allocate();
  Allocator allocator;
  v8::Isolate::CreateParams params;
  params.external_references = natives.addresses;
  params.array_buffer_allocator = &allocator;
  v8::SnapshotCreator creator(isolate, params);
  std::string failed;
  {
    v8::HandleScope scope(isolate);
    const auto context = v8::Context::New(isolate);
    const v8::Context::Scope entered(context);
    v8::TryCatch caught(isolate);
    v8::ScriptOrigin origin(Str(isolate, "postern:runtime"));
    v8::Local<v8::Script> script;
    v8::Local<v8::Value> main, hooks;
    v8::Local<v8::Value> argument = natives.make(isolate, context);
    if (!v8::Script::Compile(context, Str(isolate, source), &origin).ToLocal(&script) ||
        !script->Run(context).ToLocal(&main) || !main->IsFunction() ||
        !main.As<v8::Function>()
             ->Call(context, v8::Undefined(isolate), 1, &argument)
             .ToLocal(&hooks) ||
        !hooks->IsObject()) {
      v8::Local<v8::Value> stack;
      if (!caught.HasCaught() || !caught.StackTrace(context).ToLocal(&stack))
        stack = caught.Exception();
      failed = stack.IsEmpty() ? "the bundle gave no hooks" : Utf8(isolate, stack);
    } else {
      creator.AddData(context, hooks.As<v8::Object>());
    }
    creator.SetDefaultContext(context);
  }
  if (!failed.empty()) return Error{fmt::format("the runtime failed: {}", failed)};
  const v8::StartupData blob = creator.CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  std::ofstream out(path, std::ios::binary);
  const std::string sealed =
      SealSnapshot({blob.data, static_cast<size_t>(blob.raw_size)}, v8::V8::GetVersion());
  out.write(sealed.data(), static_cast<std::streamsize>(sealed.size()));
  out.flush();
  if (!out) return SystemError(fmt::format("cannot write {}", path));
  return Ok{};
}

bool Engine::CountExternal(size_t bytes) { return g_engine->allocator_->Charge(bytes); }

void Engine::UncountExternal(size_t bytes) { g_engine->allocator_->GiveBack(bytes); }
size_t Engine::ExternalBytes() { return g_engine->allocator_->used(); }

void Engine::SetMemoryLimit(size_t bytes, std::function<void()> on_exhausted) {
  memory_limit_ = bytes;
  on_exhausted_ = std::move(on_exhausted);
  allocator_->limit = bytes;
}

size_t Engine::NearHeapLimit(void* arg, size_t current, size_t /*initial*/) {
  auto* self = static_cast<Engine*>(arg);
  if (current >= self->memory_limit_) {
    if (self->on_exhausted_) self->on_exhausted_();
    return current;
  }
  return std::min(self->memory_limit_, current * 2);
}

}  // namespace postern::worker
