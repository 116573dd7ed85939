#include "worker/modules/advice.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/format.h"
#include "base/units.h"
#include "worker/engine/v8_values.h"

namespace postern::worker {
namespace {

constexpr std::string_view kNotDefined = " is not defined";

struct Global {
  std::string_view name, instead;
};
// What CommonJS has and ES modules do not; the sentence goes on as Node's does, whose words
// programs look for.
constexpr Global kCommonJs[] = {{"require", ", you can use import instead"},
                                {"module", ", you can use export instead"},
                                {"exports", ", you can use export instead"},
                                {"__filename", ", you can use import.meta.filename instead"},
                                {"__dirname", ", you can use import.meta.dirname instead"}};

// The path of the file in which something was thrown; empty for none.
std::string FileOf(v8::Isolate* isolate, v8::Local<v8::Message> where) {
  if (where.IsEmpty() || !where->GetScriptResourceName()->IsString()) return {};
  return PathOfUrl(Utf8(isolate, where->GetScriptResourceName()));
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool IsModule(v8::Isolate* isolate, ModuleLoader& modules, const std::string& path) {
  const v8::TryCatch ignored(isolate);
  FileFormat format{ModuleFormat::kCommonJs};
  return modules.sources().Format(path).To(&format) && format.format == ModuleFormat::kModule;
}

// Why a file is an ES module, and what makes it CommonJS; empty where its text says so.
std::string HowToRename(ModuleLoader& modules, const std::string& path) {
  const size_t dot = path.rfind('.');
  const std::string extension = dot == std::string::npos ? "" : path.substr(dot);
  const bool typescript = extension == ".ts" || extension == ".mts" || extension == ".tsx";
  const std::string to = NameOf(path.substr(0, dot)) + (typescript ? ".cts" : ".cjs");
  if (extension == ".mjs" || extension == ".mts")
    return fmt::format("\n{} is an ES module by its name: rename it to {} for CommonJS", path, to);
  const auto type = modules.resolver().PackageType(path);
  if (const auto* text = std::get_if<std::string>(&type); text != nullptr && *text == "module")
    return fmt::format(
        "\n{} is an ES module, as its package.json says \"type\": \"module\": rename it to {} for "
        "CommonJS",
        path, to);
  return {};
}

// What a file that is no JavaScript would be with another extension; empty for what is none either.
std::string AsAnotherLanguage(ModuleLoader& modules, const std::string& path, bool has_tags) {
  const size_t dot = path.rfind('.');
  const std::string stem = path.substr(0, dot), from = dot == path.npos ? "" : path.substr(dot);
  if ((from != ".js" && from != ".mjs" && from != ".cjs") || modules.sources().IsJavaScript(path))
    return {};
  const std::string typescript = fmt::format(".{}ts", from == ".js" ? "" : from.substr(1, 1));
  const std::pair<std::string, std::string_view> languages[] = {
      {has_tags ? ".jsx" : typescript, has_tags ? "in JSX" : "in TypeScript"},
      {".tsx", "in TypeScript with JSX"}};
  for (const auto& [to, what] : languages) {
    if (modules.sources().IsOfLanguage(path, stem + to))
      return fmt::format("{} is written {}: rename it to {}", path, what, NameOf(stem + to));
  }
  return {};
}

}  // namespace

void ExplainModuleScope(v8::Local<v8::Context> context, ModuleLoader& modules,
                        v8::Local<v8::Value> error) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  if (!error->IsNativeError()) return;
  const v8::TryCatch ignored(isolate);  // a guest may have made its properties what they are
  const auto object = error.As<v8::Object>();
  v8::Local<v8::Value> said;
  if (!object->Get(context, Str(isolate, "message")).ToLocal(&said) || !said->IsString()) return;
  const std::string message = Utf8(isolate, said);
  const auto* global = std::find_if(std::begin(kCommonJs), std::end(kCommonJs), [&](auto& g) {
    return message == std::string(g.name) + std::string(kNotDefined);
  });
  if (global == std::end(kCommonJs)) return;
  const std::string path = FileOf(isolate, v8::Exception::CreateMessage(isolate, error));
  if (path.empty() || !IsModule(isolate, modules, path)) return;
  (void)object->Set(context, Str(isolate, "message"),
                    Str(isolate, fmt::format("{} in ES module scope{}{}", message, global->instead,
                                             HowToRename(modules, path))));
}

std::string AdviceOn(v8::Local<v8::Context> context, ModuleLoader& modules,
                     const DeadlyError& error, int64_t memory) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  const v8::TryCatch ignored(isolate);
  if (error.name == "SyntaxError") {
    const std::string path = FileOf(isolate, error.where);
    const bool has_tags = error.message.starts_with("Unexpected token '<'");
    return path.empty() ? "" : AsAnotherLanguage(modules, path, has_tags);
  }
  if (error.name == "ReferenceError") {
    for (const std::string other : {"Deno", "Bun"}) {
      if (error.message == other + std::string(kNotDefined))
        return fmt::format(
            "a guest has Web APIs and Node's modules, and nothing of {}'s own; what {}.serve does "
            "is export default {{ fetch(request) {{ … }} }} under postern serve --handler=FILE "
            "--listen=PORT",
            other, other);
    }
  }
  if (error.name == "RangeError" && error.message == "Array buffer allocation failed")
    return fmt::format("the guest has {} of memory; --memory={} gives it more", BytesText(memory),
                       BytesText(4 * memory));
  return {};
}

std::string AdviceOnEnd(v8::Local<v8::Context> context, ModuleLoader& modules,
                        const std::string& path) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  const v8::TryCatch ignored(isolate);
  v8::Local<v8::Value> exports, handler, fetch;
  if (!modules.ModuleNamespace().ToLocal(&exports) || !exports->IsObject() ||
      !exports.As<v8::Object>()->Get(context, Str(isolate, "default")).ToLocal(&handler) ||
      !handler->IsObject() || handler->IsProxy() ||
      !handler.As<v8::Object>()->Get(context, Str(isolate, "fetch")).ToLocal(&fetch) ||
      !fetch->IsFunction())
    return {};
  return fmt::format(
      "{} exports fetch, which nothing calls here; it answers requests under postern serve "
      "--handler={} --listen=8080",
      path, NameOf(path));
}

}  // namespace postern::worker
