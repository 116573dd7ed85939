#include "worker/guest/guest.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "channel/spare_fds.h"
#include "worker/engine/allocation.h"
#include "worker/engine/v8_values.h"
#include "worker/modules/advice.h"
#include "worker/modules/evaluation.h"

namespace postern::worker {
namespace {

using channel::ResultTag;

// Exit codes of Node's for what a program itself does not choose.
constexpr int kExitThrew = 1, kExitHandlerThrew = 7, kExitUnsettled = 13;
constexpr double kFull = 0.8;                   // of the memory limit, after a full collection
constexpr size_t kMaxResultText = 1024 * 1024;  // bytes of one text of an error

Guest* g_guest = nullptr;

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = Uninterrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n < 0)
      return;  // nobody reads any more: the supervisor is gone, and so will this process be
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// "file.mjs:3\n  source line\n  ^\n\n", as Node shows where an error came from.
std::string SourceExcerpt(v8::Isolate* isolate, v8::Local<v8::Context> context,
                          v8::Local<v8::Message> message) {
  if (message.IsEmpty()) return {};
  const std::string resource = Utf8(isolate, message->GetScriptResourceName());
  v8::Local<v8::String> line;
  if (resource.empty() || resource == "undefined" || resource.starts_with("postern:") ||
      !message->GetSourceLine(context).ToLocal(&line))
    return {};
  std::string out =
      fmt::format("{}:{}:{}\n", resource, message->GetLineNumber(context).FromMaybe(0),
                  message->GetStartColumn(context).FromMaybe(0) + 1);
  const std::string text = Utf8(isolate, line);
  if (text.size() > 200) return fmt::format("{}\n", out);
  const int from = message->GetStartColumn(context).FromMaybe(0);
  const int to = std::max(message->GetEndColumn(context).FromMaybe(from), from + 1);
  fmt::format_to(std::back_inserter(out), "{}\n", text);
  for (int i = 0; i < from; ++i)
    out +=
        static_cast<size_t>(i) < text.size() && text[static_cast<size_t>(i)] == '\t' ? '\t' : ' ';
  return fmt::format("{}{}\n\n", out,
                     std::string(static_cast<size_t>(std::min(to - from, 100)), '^'));
}

// operator new has nothing left to give: said without allocating anything.
[[noreturn]] void OutOfMemory() {
  static constexpr char kFrame[5] = {static_cast<char>(ResultTag::kOutOfMemory), 0, 0, 0, 0};
  WriteAll(channel::kResultFd, {kFrame, sizeof kFrame});
  ::_exit(kExitKilled);
}

v8::Local<v8::String> Latin1(v8::Isolate* isolate, const std::string& s) {
  return v8::String::NewFromOneByte(isolate, reinterpret_cast<const uint8_t*>(s.data()),
                                    v8::NewStringType::kNormal, static_cast<int>(s.size()))
      .ToLocalChecked();
}

// [name, value, …]
v8::Local<v8::Array> FlatFields(v8::Isolate* isolate, const channel::Fields& fields) {
  std::vector<v8::Local<v8::Value>> flat;
  flat.reserve(fields.size() * 2);
  for (const channel::Field& f : fields) {
    flat.push_back(Latin1(isolate, f.name));
    flat.push_back(Latin1(isolate, f.value));
  }
  return v8::Array::New(isolate, flat.data(), flat.size());
}

ClientDeadlines LimitsOf(const channel::GuestOrder& order) {
  return {.headers_seconds = static_cast<double>(order.headers_ms) / 1000,
          .total_seconds = static_cast<double>(order.total_ms) / 1000,
          .response_bytes = order.response_bytes,
          .concurrent = static_cast<size_t>(order.concurrent),
          .queue = static_cast<size_t>(order.queue),
          .queue_seconds = static_cast<double>(order.queue_ms) / 1000,
          .channels = order.handler ? channel::kHandlerChannel : channel::kNetChannels};
}

}  // namespace

Guest::Guest(Engine& engine, channel::GuestOrder order)
    : engine_(engine),
      order_(std::move(order)),
      loop_(engine),
      files_(std::move(order_.files), order_.mounts),
      modules_(engine, files_),
      net_(LimitsOf(order_), *this),
      handler_(*this),
      input_([this](std::string piece) { OnInput(std::move(piece)); }),
      signals_([this](int signal) { OnSignal(signal); }) {
  g_guest = this;
  loop_.Add(net_);
  loop_.Add(input_);
  loop_.Add(signals_);
  if (order_.handler) loop_.Add(handler_);
  loop_.after_microtasks = [this] { ReportRejections(); };
  loop_.before_wait = [this] { modules_.ForgetFiles(); };
  engine.isolate()->SetPromiseRejectCallback(OnRejection);
}

Guest& Guest::Current() { return *g_guest; }
bool Guest::Running() { return g_guest != nullptr; }

void Guest::WriteResultFrame(ResultTag tag, std::string_view bytes) {
  if (tag != ResultTag::kValue && bytes.size() > kMaxResultText)
    bytes = bytes.substr(0, kMaxResultText);
  WriteAll(channel::kResultFd, channel::ResultFrame(tag, bytes));
}

void Guest::Finish(ResultTag outcome, int code) {
  std::string frames;  // written at once: the reader is woken once
  const bool exits = outcome == ResultTag::kExitCode;
  if (!value_.empty() && (exits || outcome == ResultTag::kSucceeded))
    frames = channel::ResultFrame(ResultTag::kValue, value_);
  WriteAll(channel::kResultFd,
           frames += channel::ResultFrame(outcome, exits ? std::to_string(code) : ""));
  ::_exit(code);
}

void Guest::Exit(int code) { Finish(ResultTag::kExitCode, code & 0xff); }

std::string Guest::ExcerptAt(v8::Local<v8::Message> message) {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  const v8::TryCatch caught(isolate);
  if (message.IsEmpty() || !message->GetScriptResourceName()->IsString()) return {};
  v8::Local<v8::Value> args[] = {
      message->GetScriptResourceName(),
      v8::Integer::New(isolate, message->GetLineNumber(context).FromMaybe(0)),
      v8::Integer::New(isolate, message->GetStartColumn(context).FromMaybe(0) + 1)};
  v8::Local<v8::Value> text;
  return engine_.Hook("excerptAt")
                     ->Call(context, v8::Undefined(isolate), std::size(args), args)
                     .ToLocal(&text) &&
                 text->IsString()
             ? Utf8(isolate, text)
             : "";
}

void Guest::ExitWithError(v8::Local<v8::Value> error, v8::Local<v8::Message> message, int code) {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  const v8::HandleScope scope(isolate);
  if (code != kExitHandlerThrew) code = NotifyExit(code);
  ExplainModuleScope(context, modules_, error);
  std::string parts[7];
  {
    // Getters and proxies of the guest may run here, throw, or never return; the wall clock ends
    // those.
    const v8::TryCatch caught(isolate);
    v8::Local<v8::Value> described;
    v8::Local<v8::Value> argument = error;
    if (engine_.Hook("describeError")
            ->Call(context, v8::Undefined(isolate), 1, &argument)
            .ToLocal(&described) &&
        described->IsArray()) {
      for (uint32_t i = 0; i < 7; ++i) {
        v8::Local<v8::Value> part;
        if (described.As<v8::Object>()->Get(context, i).ToLocal(&part) && part->IsString())
          parts[i] = Utf8(isolate, part);
      }
    } else {
      parts[0] = "Error";
      parts[1] = parts[5] = "an error that cannot be shown";
    }
  }
  if (parts[6].empty()) parts[6] = ExcerptAt(message);
  WriteAll(
      channel::kStderr,
      fmt::format("{}{}\n", parts[6].empty() ? SourceExcerpt(isolate, context, message) : parts[6],
                  parts[5]));
  const std::string advice =
      AdviceOn(context, modules_, {parts[0], parts[1], message}, order_.memory);
  if (!advice.empty()) WriteAll(channel::kStderr, fmt::format("postern: {}\n", advice));
  const ResultTag tags[] = {ResultTag::kErrorName, ResultTag::kErrorMessage, ResultTag::kErrorStack,
                            ResultTag::kCauseCode, ResultTag::kCauseMessage};
  for (size_t i = 0; i < std::size(tags); ++i) {
    if (!parts[i].empty()) WriteResultFrame(tags[i], parts[i]);
  }
  Finish(code == kExitThrew ? ResultTag::kFailed : ResultTag::kExitCode, code);
}

// Listeners of the process's "exit" hear it, and may choose another code; a failure stays one.
int Guest::NotifyExit(int code) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::TryCatch ignored(isolate);  // of a listener: it is not what the run fails for
  v8::Local<v8::Value> told = v8::Integer::New(isolate, code), chosen;
  if (!engine_.Hook("exits")
           ->Call(engine_.context(), v8::Undefined(isolate), 1, &told)
           .ToLocal(&chosen) ||
      !chosen->IsInt32() || (chosen.As<v8::Int32>()->Value() & 0xff) == 0)
    return code;
  return chosen.As<v8::Int32>()->Value() & 0xff;
}

void Guest::OnRejection(v8::PromiseRejectMessage message) {
  Guest& self = *g_guest;
  v8::Isolate* isolate = self.engine_.isolate();
  if (message.GetEvent() == v8::kPromiseHandlerAddedAfterReject && self.reported_)
    self.handled_late_.emplace_back(isolate, message.GetPromise());
  if (message.GetEvent() != v8::kPromiseRejectWithNoHandler) return;
  const auto where = v8::Exception::CreateMessage(isolate, message.GetValue());
  self.rejected_.push_back(
      {{isolate, message.GetPromise()}, {isolate, message.GetValue()}, {isolate, where}});
}

void Guest::ReportRejections() {
  if (rejected_.empty() && handled_late_.empty()) return;
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  for (const auto& promise : std::exchange(handled_late_, {}))
    Call("rejectionHandled", {promise.Get(isolate)});
  auto rejected = std::exchange(rejected_, {});
  for (const Rejected& r : rejected) {
    if (r.promise.Get(isolate)->HasHandler()) continue;  // by now
    v8::Local<v8::Value> handled;
    v8::Local<v8::Value> args[] = {r.promise.Get(isolate), r.reason.Get(isolate)};
    const v8::TryCatch caught(isolate);
    // An "unhandledrejection" listener may take care of it; what is no error gets one that says so.
    if (!engine_.Hook("unhandledRejection")
             ->Call(engine_.context(), v8::Undefined(isolate), 2, args)
             .ToLocal(&handled)) {
      ExitWithError(args[1], r.message.Get(isolate));
    }
    if (handled->IsTrue()) {
      reported_ = true;
      continue;
    }
    ExitWithError(handled->IsObject() ? handled : args[1], r.message.Get(isolate));
  }
}

void Guest::Start() {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  const auto settings = nlohmann::json{{"argv", order_.argv},
                                       {"env", order_.env},
                                       {"cwd", order_.cwd},
                                       {"redirects", order_.redirects},
                                       {"colours", order_.colours}};
  v8::Local<v8::Value> parsed =
      v8::JSON::Parse(
          context,
          Str(isolate, settings.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)))
          .ToLocalChecked();
  Call("start", {parsed});
}

void Guest::Call(const char* hook, std::initializer_list<v8::Local<v8::Value>> args) {
  v8::Isolate* isolate = engine_.isolate();
  v8::TryCatch caught(isolate);
  std::vector<v8::Local<v8::Value>> list(args);
  v8::Local<v8::Value> ignored;
  if (!engine_.Hook(hook)
           ->Call(engine_.context(), v8::Undefined(isolate), static_cast<int>(list.size()),
                  list.data())
           .ToLocal(&ignored)) {
    ExitWithError(caught.Exception(), caught.Message());
  }
}

// The module has run: from now on its `fetch` answers what comes on the channel, until the
// supervisor closes it and what the guest has promised to finish (waitUntil) is done.
void Guest::AnswerRequests() {
  {
    v8::TryCatch caught(engine_.isolate());
    v8::Local<v8::Value> exports;
    if (!modules_.EntryNamespace().ToLocal(&exports))
      ExitWithError(caught.Exception(), caught.Message());
    Call("handlerStart", {exports});
  }
  engine_.isolate()->AddGCEpilogueCallback(RetireWhenFull, this, v8::kGCTypeMarkSweepCompact);
  handler_.Open();
  loop_.Run([this] {
    if (!handler_.over()) return false;
    const v8::TryCatch ignored(engine_.isolate());  // it waits for nothing, then
    v8::Local<v8::Value> waits;
    return !engine_.Hook("handlerWaits")
                ->Call(engine_.context(), v8::Undefined(engine_.isolate()), 0, nullptr)
                .ToLocal(&waits) ||
           !waits->IsTrue();
  });
}

// A guest that is nearly full is replaced before it dies with the requests that it has.
void Guest::RetireWhenFull(v8::Isolate* isolate, v8::GCType, v8::GCCallbackFlags, void* data) {
  auto& self = *static_cast<Guest*>(data);
  v8::HeapStatistics heap;
  isolate->GetHeapStatistics(&heap);
  const double used = static_cast<double>(std::max(heap.used_heap_size(), Engine::ExternalBytes()));
  if (used > kFull * static_cast<double>(self.order_.memory)) self.handler_.Retire();
}

void Guest::Run() {
  const v8::HandleScope scope(engine_.isolate());
  if (const auto code = RunProgram()) Exit(*code);
  Finish(ResultTag::kSucceeded, 0);
}

void Guest::Rehearse(Engine& engine) {
  const v8::HandleScope scope(engine.isolate());
  channel::GuestOrder order;
  order.url = "file:///rehearsal.mjs";
  static int times = 0;
  order.source = fmt::format("__return({})", ++times);
  for (const bool eval : {true, false}) {
    order.eval = eval;
    Guest guest(engine, *channel::GuestOrder::Decode(order.Encode()));
    (void)guest.RunProgram();
    g_guest = nullptr;
    engine.isolate()->SetPromiseRejectCallback(nullptr);
  }
}

std::optional<int> Guest::RunProgram() {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  const v8::Context::Scope entered(context);
  std::set_new_handler(OutOfMemory);
  OnRefusedAllocation(OutOfMemory);
  SetClockResolution(order_.timer_us);
  engine_.SetMemoryLimit(static_cast<size_t>(order_.memory), OutOfMemory);
  Start();
  v8::Local<v8::Value> value;
  {
    v8::TryCatch caught(isolate);
    v8::MaybeLocal<v8::Value> ran;
    if (order_.eval) {
      ran = Evaluate(engine_, modules_, order_.url, order_.source);
    } else {
      v8::Local<v8::Promise> promise;
      if (modules_.Run(order_.url, order_.source).ToLocal(&promise)) ran = promise;
    }
    if (!ran.ToLocal(&value)) {
      if (!HandleUncaught(caught.Exception(), false))
        ExitWithError(caught.Exception(), caught.Message());
      value = v8::Undefined(isolate);
    }
  }
  if (value->IsPromise()) value.As<v8::Promise>()->MarkAsHandled();
  // A handler is ready as soon as its module is; its timers go on beside its requests.
  loop_.Run([&] {
    return order_.handler && value->IsPromise() &&
           value.As<v8::Promise>()->State() != v8::Promise::kPending;
  });
  if (value->IsPromise()) {
    const auto promise = value.As<v8::Promise>();
    if (promise->State() == v8::Promise::kRejected) {
      const auto error = promise->Result();
      ExplainModuleScope(context, modules_, error);
      if (!HandleUncaught(error, true))
        ExitWithError(error, v8::Exception::CreateMessage(isolate, error));
      loop_.Run([] { return false; });
    }
    if (promise->State() == v8::Promise::kPending) {
      const auto text =
          Str(isolate,
              fmt::format(
                  "the top-level await of {} never settles: nothing is left that could settle it",
                  order_.url));
      ExitWithError(v8::Exception::Error(text), {}, kExitUnsettled);
    }
    value = promise->Result();
  }
  if (order_.handler) AnswerRequests();
  if (order_.eval) {
    Call("evalResult", {value, v8::Boolean::New(isolate, order_.print)});
    loop_.Settle();
  }
  while (BeforeExit()) loop_.Run([] { return false; });
  (void)ExitCode();
  isolate->PerformMicrotaskCheckpoint();  // of the listeners of "exit", as in Node
  ReportRejections();
  const auto code = ExitCode();
  if (!order_.eval && !order_.handler && !has_output_ && code.value_or(0) == 0) {
    const std::string advice = AdviceOnEnd(context, modules_, PathOfUrl(order_.url));
    if (!advice.empty()) WriteAll(channel::kStderr, fmt::format("postern: {}\n", advice));
  }
  return code;
}

// Where the guest has set one. Listeners of "exit" hear it, the first time.
std::optional<int> Guest::ExitCode() {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> code;
  if (!engine_.Hook("exitCode")->Call(context, v8::Undefined(isolate), 0, nullptr).ToLocal(&code))
    ExitWithError(caught.Exception(), caught.Message());
  if (code->IsNumber()) return code->Int32Value(context).FromMaybe(kExitThrew);
  return std::nullopt;
}

// Whether a listener for the process's "uncaughtException" took care of what nothing caught: it was
// thrown, or a promise was `rejected` with it.
bool Guest::HandleUncaught(v8::Local<v8::Value> error, bool rejected) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::TryCatch ignored(isolate);
  v8::Local<v8::Value> taken, given[] = {error, v8::Boolean::New(isolate, rejected)};
  return engine_.Hook("uncaughtException")
             ->Call(engine_.context(), v8::Undefined(isolate), std::size(given), given)
             .ToLocal(&taken) &&
         taken->IsTrue();
}

// Whether a listener for the process's "beforeExit" was called, which may have begun something.
bool Guest::BeforeExit() {
  v8::Isolate* isolate = engine_.isolate();
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> called;
  if (!engine_.Hook("beforeExit")
           ->Call(engine_.context(), v8::Undefined(isolate), 0, nullptr)
           .ToLocal(&called)) {
    if (!HandleUncaught(caught.Exception(), false))
      ExitWithError(caught.Exception(), caught.Message());
    return true;
  }
  loop_.Settle();
  return called->IsTrue() && loop_.Pending();
}

// ---- the network's events

void Guest::OnResponse(uint32_t id, const ResponseHead& head) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  Call("netResponse",
       {v8::Integer::NewFromUnsigned(isolate, id), v8::Integer::New(isolate, head.status),
        Latin1(isolate, head.status_text), FlatFields(isolate, head.fields),
        Latin1(isolate, head.connection), v8::Boolean::New(isolate, head.upgraded)});
}

void Guest::OnTrailers(uint32_t id, const channel::Fields& fields) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  Call("netTrailers", {v8::Integer::NewFromUnsigned(isolate, id), FlatFields(isolate, fields)});
}

void Guest::OnRequest(uint32_t id, const channel::Fields& fields, bool has_body) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  Call("handlerRequest", {v8::Integer::NewFromUnsigned(isolate, id), FlatFields(isolate, fields),
                          v8::Boolean::New(isolate, has_body)});
}

void Guest::OnReadable(uint32_t id) {
  const v8::HandleScope scope(engine_.isolate());
  Call("netReadable", {v8::Integer::NewFromUnsigned(engine_.isolate(), id)});
}

void Guest::OnCollected(uint32_t id, std::string body) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  v8::Local<v8::Uint8Array> bytes;
  v8::TryCatch caught(isolate);
  if (!AdoptBytes(isolate, std::move(body)).ToLocal(&bytes)) {
    return OnFailure(id,
                     {channel::kErrLimitOfBody, "the body does not fit into this guest's memory"});
  }
  Call("netCollected", {v8::Integer::NewFromUnsigned(isolate, id), bytes});
}

void Guest::OnWritable(uint32_t id) {
  const v8::HandleScope scope(engine_.isolate());
  Call("netWritable", {v8::Integer::NewFromUnsigned(engine_.isolate(), id)});
}

void Guest::OnFailure(uint32_t id, const channel::Failure& failure) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  Call("netFailure", {v8::Integer::NewFromUnsigned(isolate, id), Str(isolate, failure.code),
                      Str(isolate, failure.details), Str(isolate, failure.error)});
}

// ---- stdin and signals

void Guest::OnInput(std::string piece) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  v8::Local<v8::Uint8Array> bytes;
  if (AdoptBytes(isolate, std::move(piece)).ToLocal(&bytes)) Call("stdinPiece", {bytes});
}

void Guest::OnSignal(int signal) {
  const v8::HandleScope scope(engine_.isolate());
  Call("processSignal", {v8::Integer::New(engine_.isolate(), signal)});
}

}  // namespace postern::worker
