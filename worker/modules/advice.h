// What a person may do about an error that ends a guest, where its message does not say so.
#pragma once

#include <v8.h>

#include <cstdint>
#include <string>

#include "worker/modules/module_loader.h"

namespace postern::worker {

// Adds to the message of a ReferenceError for what only CommonJS has (require, module, exports,
// __filename, __dirname), thrown in an ES module, that it is one, and what to write or rename.
void ExplainModuleScope(v8::Local<v8::Context> context, ModuleLoader& modules,
                        v8::Local<v8::Value> error);

struct DeadlyError {
  std::string name, message;     // as it is printed
  v8::Local<v8::Message> where;  // may be empty
};

// A line to be printed below it; empty for most. `memory`: the guest's limit, bytes.
std::string AdviceOn(v8::Local<v8::Context> context, ModuleLoader& modules,
                     const DeadlyError& error, int64_t memory);

// The same for a program that came to its end without writing anything, and exports a `fetch` that
// nothing has called.
std::string AdviceOnEnd(v8::Local<v8::Context> context, ModuleLoader& modules,
                        const std::string& path);

}  // namespace postern::worker
