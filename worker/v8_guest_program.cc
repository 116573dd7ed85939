#include "worker/v8_guest_program.h"

#include "worker/guest/guest.h"

namespace postern::worker {

Result<std::unique_ptr<GuestProgram>> V8GuestProgram::Start(Engine::Options options) {
  auto engine = Engine::Start(std::move(options));
  if (!engine) return engine.error();
  return std::unique_ptr<GuestProgram>(new V8GuestProgram(*std::move(engine)));
}

void V8GuestProgram::Warm() {
  v8::Isolate* isolate = engine_->isolate();
  const v8::HandleScope scope(isolate);
  const auto context = engine_->context();
  const v8::Context::Scope entered(context);
  const v8::TryCatch ignored(isolate);
  (void)engine_->Hook("warm")->Call(context, v8::Undefined(isolate), 0, nullptr);
  isolate->PerformMicrotaskCheckpoint();
  Guest::Rehearse(*engine_);
}

void V8GuestProgram::Run(channel::GuestOrder order) {
  auto guest = std::make_unique<Guest>(*engine_, std::move(order));
  guest->Run();
}

}  // namespace postern::worker
