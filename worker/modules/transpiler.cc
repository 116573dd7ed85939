#include "worker/modules/transpiler.h"

#include "base/format.h"
#include "worker/engine/v8_values.h"

namespace postern::worker {
namespace {

const char* NameOf(Transpiler::Kind kind) {
  switch (kind) {
    case Transpiler::Kind::kModule:
      return "module";
    case Transpiler::Kind::kCommonJs:
      return "commonjs";
    case Transpiler::Kind::kByItsText:
      return "";
  }
  return "";
}

}  // namespace

v8::MaybeLocal<v8::Function> Transpiler::Compile() {
  v8::Isolate* isolate = engine_.isolate();
  const auto context = v8::Context::New(isolate);
  v8::Local<v8::Object> hooks;
  v8::Local<v8::Value> compile;
  if (context.IsEmpty() || !context->GetDataFromSnapshotOnce<v8::Object>(0).ToLocal(&hooks))
    return {};
  context_.Reset(isolate, context);
  const v8::Context::Scope entered(context);
  if (!hooks->Get(context, Str(isolate, "transpile")).ToLocal(&compile)) return {};
  compile_.Reset(isolate, compile.As<v8::Function>());
  return compile.As<v8::Function>();
}

std::variant<Transpiler::Script, Transpiler::TranspileError> Transpiler::Run(
    v8::Local<v8::String> source, const std::string& path, const std::string& url, Kind kind,
    const std::string& options) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::HandleScope scope(isolate);
  const v8::TryCatch caught(isolate);
  const auto failed = [&]() -> TranspileError {
    // What it was at is lost: the next time it begins anew.
    Forget();
    const std::string why = caught.HasCaught() ? Utf8(isolate, caught.Exception()) : "";
    if (why.find("call stack") != std::string::npos)
      return {"it is nested too deeply to be read as TypeScript"};
    return {fmt::format("it cannot be made JavaScript: {}", why)};
  };
  v8::Local<v8::Function> compile;
  if (!compile_.IsEmpty())
    compile = compile_.Get(isolate);
  else if (!Compile().ToLocal(&compile))
    return failed();
  const auto context = context_.Get(isolate);
  const v8::Context::Scope entered(context);
  v8::Local<v8::Value> args[] = {source, Str(isolate, path), Str(isolate, url),
                                 Str(isolate, NameOf(kind)), Str(isolate, options)};
  v8::Local<v8::Value> result, parts[3];
  if (!compile->Call(context, v8::Undefined(isolate), std::size(args), args).ToLocal(&result))
    return failed();
  for (uint32_t i = 0; i < std::size(parts); ++i) {
    if (!result.As<v8::Object>()->Get(context, i).ToLocal(&parts[i])) return failed();
  }
  if (parts[1]->IsNumber())
    return TranspileError{Utf8(isolate, parts[0]),
                          static_cast<int>(parts[1].As<v8::Number>()->Value()),
                          static_cast<int>(parts[2].As<v8::Number>()->Value())};
  return Script{Utf8(isolate, parts[0]), Utf8(isolate, parts[1]), parts[2]->IsTrue()};
}

void Transpiler::Forget() {
  compile_.Reset();
  context_.Reset();
}

}  // namespace postern::worker
