// V8GuestProgram: a guest's code runs in V8.
#pragma once

#include <memory>
#include <string>

#include "worker/engine/engine.h"
#include "worker/process/guest_program.h"

namespace postern::worker {

class V8GuestProgram : public GuestProgram {
 public:
  static Result<std::unique_ptr<GuestProgram>> Start(Engine::Options options);
  void Warm() override;
  [[noreturn]] void Run(channel::GuestOrder order) override;

 private:
  explicit V8GuestProgram(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
  std::unique_ptr<Engine> engine_;
};

}  // namespace postern::worker
