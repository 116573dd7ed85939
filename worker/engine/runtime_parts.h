// Parts: JavaScript of the runtime that lies in this library and is compiled when a guest first
// needs it (runtime/core/lazy_part.js). Its bytes are shared by all processes.
#pragma once

#include <v8.h>

#include <string_view>
#include <vector>

namespace postern::worker {

// The text of a part; empty where there is none of that name.
std::string_view PartText(std::string_view name);

// Compiles a part as the body of a function with these parameters. Throws where there is none.
v8::MaybeLocal<v8::Function> CompilePart(v8::Isolate* isolate, v8::Local<v8::Context> context,
                                         std::string_view name,
                                         std::vector<v8::Local<v8::String>> parameters);

}  // namespace postern::worker
