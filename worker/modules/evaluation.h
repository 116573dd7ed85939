// What `postern eval` runs: a script, whose last value is what it gives, or a module, which has
// none.
#pragma once

#include <v8.h>

#include <string>

#include "worker/engine/engine.h"
#include "worker/modules/module_loader.h"

namespace postern::worker {

// The value, or a promise for it. On failure an exception is pending.
v8::MaybeLocal<v8::Value> Evaluate(Engine& engine, ModuleLoader& modules, const std::string& url,
                                   const std::string& source);

}  // namespace postern::worker
