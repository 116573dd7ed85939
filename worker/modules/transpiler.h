// Transpiler: TypeScript and JSX to JavaScript, by the runtime's part typescript.js.
//
// It runs in a context of its own, made when it is first needed: what a guest has replaced of the
// language's objects is not met there. It has the guest's own rights, memory and time.
#pragma once

#include <v8.h>

#include <string>
#include <variant>

#include "worker/engine/engine.h"

namespace postern::worker {

class Transpiler {
 public:
  enum class Kind { kModule, kCommonJs, kByItsText };
  struct Script {
    std::string text;
    std::string source_map;  // JSON; "" where every position is where it was
    bool is_module = false;  // it has statements of an ES module
  };
  // A syntax error, at a line and a column from 1; line 0 where there is no place to name.
  struct TranspileError {
    std::string message;
    int line = 0, column = 0;
  };

  explicit Transpiler(Engine& engine) : engine_(engine) {}

  // `options`: compilerOptions of a tsconfig.json, as JSON.
  std::variant<Script, TranspileError> Run(v8::Local<v8::String> source, const std::string& path,
                                           const std::string& url, Kind kind,
                                           const std::string& options);
  // Gives back the memory that it has between two uses.
  void Forget();

 private:
  v8::MaybeLocal<v8::Function> Compile();

  Engine& engine_;
  v8::Global<v8::Context> context_;
  v8::Global<v8::Function> compile_;
};

}  // namespace postern::worker
