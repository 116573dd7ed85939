// Guest: one run of one piece of unvetted code, from its order to its result.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "channel/guest_order.h"
#include "channel/result_frame.h"
#include "worker/engine/engine.h"
#include "worker/engine/event_loop.h"
#include "worker/files/file_client.h"
#include "worker/guest/signal_reader.h"
#include "worker/guest/stdin_reader.h"
#include "worker/modules/module_loader.h"
#include "worker/net/handler_server.h"
#include "worker/net/net_client.h"

namespace postern::worker {

class Guest : HttpStreamObserver {
 public:
  Guest(Engine& engine, channel::GuestOrder order);

  // Runs to the end and leaves the process; the result is on the result pipe.
  [[noreturn]] void Run();

  // Plays runs of no consequence and forgets them, so that what every run calls is compiled and
  // what it writes is in place.
  static void Rehearse(Engine& engine);

  // For the natives.
  static Guest& Current();
  // False in a spare, while the runtime is warmed.
  static bool Running();
  Engine& engine() { return engine_; }
  EventLoop& loop() { return loop_; }
  NetClient& net() { return net_; }
  HandlerServer& handler() { return handler_; }
  StdinReader& input() { return input_; }
  SignalReader& signals() { return signals_; }
  ModuleLoader& modules() { return modules_; }
  // The program writes to stdout or stderr.
  void NoteOutput() { has_output_ = true; }
  // Whose exchange `id` is.
  HttpStreams& exchanges(uint32_t id) {
    return (id & HandlerServer::kIds) != 0 ? static_cast<HttpStreams&>(handler_) : net_;
  }
  // An error that nobody caught: printed as Node prints it, and the run is over.
  // Where an error comes from in what was written, where that is not what ran; else "".
  std::string ExcerptAt(v8::Local<v8::Message> message);
  // Ends the run with an error that nothing took, and the exit code `code`, or what a listener of
  // "exit" chooses.
  [[noreturn]] void ExitWithError(v8::Local<v8::Value> error, v8::Local<v8::Message> message,
                                  int code = 1);
  [[noreturn]] void Exit(int code);
  void SetReturnValue(std::string json) { value_ = std::move(json); }

 private:
  void OnResponse(uint32_t id, const ResponseHead& head) override;
  void OnTrailers(uint32_t id, const channel::Fields& fields) override;
  void OnRequest(uint32_t id, const channel::Fields& fields, bool has_body) override;
  void OnReadable(uint32_t id) override;
  void OnCollected(uint32_t id, std::string body) override;
  void OnWritable(uint32_t id) override;
  void OnFailure(uint32_t id, const channel::Failure& failure) override;
  void OnInput(std::string piece);
  void OnSignal(int signal);
  void Call(const char* hook, std::initializer_list<v8::Local<v8::Value>> args);

  static void OnRejection(v8::PromiseRejectMessage message);
  void ReportRejections();
  // All of a run but its end. The exit code that the guest set, if it did.
  std::optional<int> RunProgram();
  std::optional<int> ExitCode();
  void Start();
  void AnswerRequests();
  bool BeforeExit();
  int NotifyExit(int code);
  bool HandleUncaught(v8::Local<v8::Value> error, bool rejected);
  static void RetireWhenFull(v8::Isolate* isolate, v8::GCType, v8::GCCallbackFlags, void* self);
  [[noreturn]] void Finish(channel::ResultTag outcome, int code);
  void WriteResultFrame(channel::ResultTag tag, std::string_view bytes);

  Engine& engine_;
  channel::GuestOrder order_;
  EventLoop loop_;
  FileClient files_;
  ModuleLoader modules_;
  bool has_output_ = false;
  NetClient net_;
  HandlerServer handler_;
  StdinReader input_;
  SignalReader signals_;
  struct Rejected {
    v8::Global<v8::Promise> promise;
    v8::Global<v8::Value> reason;
    v8::Global<v8::Message> message;
  };
  std::vector<Rejected> rejected_;
  bool reported_ = false;  // of one, to a listener that took care of it
  std::vector<v8::Global<v8::Promise>> handled_late_;
  std::string value_;
};

}  // namespace postern::worker
