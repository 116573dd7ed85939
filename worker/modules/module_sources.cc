#include "worker/modules/module_sources.h"

#include <algorithm>
#include <iterator>

#include "base/format.h"
#include "worker/engine/v8_values.h"
#include "worker/resolver/tsconfig.h"

namespace postern::worker {
namespace {

bool Says(const std::string& words, std::initializer_list<const char*> signs) {
  return std::any_of(signs.begin(), signs.end(),
                     [&](const char* sign) { return words.find(sign) != std::string::npos; });
}

// "line 3\n of a text", without its end.
std::string LineOf(const std::string& text, int line) {
  size_t at = 0;
  for (int i = 1; i < line && at != std::string::npos; ++i) {
    at = text.find('\n', at);
    if (at != std::string::npos) ++at;
  }
  if (at == std::string::npos) return "";
  const size_t end = std::min(text.find_first_of("\r\n", at), text.size());
  return text.substr(at, end - at);
}

}  // namespace

v8::ScriptOrigin OriginOf(v8::Isolate* isolate, const std::string& url, bool is_module) {
  return v8::ScriptOrigin(Str(isolate, url), 0, 0, false, -1, {}, false, false, is_module);
}

void ModuleSources::SetEntry(const std::string& path, const std::string& source) {
  entry_path_ = path;
  main_module_ = {.ok = true, .bytes = source};
}

bool ModuleSources::IsThere(const std::string& path) {
  return path == entry_path_ || files_.Stat(path) == FileTree::Kind::kFile;
}

const FileClient::FileReply& ModuleSources::Read(const std::string& path) {
  return path == entry_path_ ? main_module_ : files_.Read(path);
}

const FileClient::FileReply* ModuleSources::ReadOrThrow(const std::string& path) {
  const FileClient::FileReply& answer = Read(path);
  if (answer.ok) return &answer;
  const bool missing =
      answer.code == "ENOENT" || answer.code == "EISDIR" || answer.code == "ENOTDIR";
  const std::string code = answer.code, message = answer.message;
  std::string hint = missing ? resolver_.Hint(path) : "";
  if (hint.empty() && client_.InMemory(path))
    hint = fmt::format("/tmp is the guest's own; --mount={} shows it the host's",
                       path.substr(0, path.rfind('/')));
  Throw(missing ? "ERR_MODULE_NOT_FOUND" : code,
        missing ? fmt::format("cannot find the module {}{}", path,
                              hint.empty() ? "" : fmt::format(": {}", hint))
                : message);
  return nullptr;
}

void ModuleSources::Throw(const std::string& code, const std::string& message, bool syntax) {
  v8::Isolate* isolate = engine_.isolate();
  const auto text = Str(isolate, message);
  const auto error =
      (syntax ? v8::Exception::SyntaxError(text) : v8::Exception::Error(text)).As<v8::Object>();
  error->Set(engine_.context(), Str(isolate, "code"), Str(isolate, code)).Check();
  isolate->ThrowException(error);
}

v8::MaybeLocal<v8::String> ModuleSources::Text(const std::string& url, const std::string& source) {
  v8::Local<v8::String> text;
  if (source.size() > static_cast<size_t>(v8::String::kMaxLength) ||
      !v8::String::NewFromUtf8(engine_.isolate(), source.data(), v8::NewStringType::kNormal,
                               static_cast<int>(source.size()))
           .ToLocal(&text)) {
    Throw("ERR_MODULE_TOO_LARGE", fmt::format("{} is too large to be a module", url));
    return {};
  }
  return text;
}

v8::Maybe<FileFormat> ModuleSources::Format(const std::string& path) {
  auto format = resolver_.FormatOf(path);
  if (const auto* error = std::get_if<ModuleError>(&format)) {
    Throw(error->code, error->message);
    return v8::Nothing<FileFormat>();
  }
  FileFormat found = std::get<FileFormat>(format);
  if (!found.by_its_text) return v8::Just(found);
  auto known = is_module_.find(path);
  if (known == is_module_.end()) {
    const FileClient::FileReply& answer = Read(path);
    // What is not there says so when it is loaded.
    if (!answer.ok) return v8::Just(found);
    std::string source = answer.bytes;
    if (const auto ready = transpiled_.find(path); ready != transpiled_.end()) {
      source = ready->second;
    } else if (found.typescript) {
      if (!Transpiled(path, source, Transpiler::Kind::kByItsText).To(&source))
        return v8::Nothing<FileFormat>();
      transpiled_[path] = source;
    }
    known = is_module_.find(path);
    if (known == is_module_.end())
      known = is_module_.emplace(path, IsModuleByItsText(path, source)).first;
  }
  if (known->second) found.format = ModuleFormat::kModule;
  return v8::Just(found);
}

bool ModuleSources::IsModuleByItsText(const std::string& path, const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  const v8::TryCatch caught(isolate);
  const std::string url = UrlOfPath(path);
  if (IsCommonJs(url, source)) return false;
  return IsModule(Utf8(isolate, caught.Exception()), url, source);
}

bool ModuleSources::IsCommonJs(const std::string& url, const std::string& source) {
  if (compiled_.contains(url)) return true;
  v8::Local<v8::Function> function;
  if (!CompileCommonJs(url, source).ToLocal(&function)) return false;
  compiled_[url] = std::pair(source, v8::Global<v8::Function>(engine_.isolate(), function));
  return true;
}

// As Node.js: what only a module may say, and what a module may say as well and CommonJS may not.
bool ModuleSources::IsModule(const std::string& words, const std::string& url,
                             const std::string& source) {
  if (Says(words, {"import statement outside a module", "Unexpected token 'export'",
                   "Cannot use 'import.meta' outside a module"}))
    return true;
  if (!Says(words, {"Identifier 'module' has already", "Identifier 'exports' has already",
                    "Identifier 'require' has already", "Identifier '__filename' has already",
                    "Identifier '__dirname' has already", "await is only valid",
                    "missing ) after argument list", "SyntaxError: Unexpected"}))
    return false;
  const v8::TryCatch caught(engine_.isolate());
  return !CompileModule(url, source).IsEmpty();
}

v8::Maybe<std::string> ModuleSources::Source(const std::string& path, FileFormat format) {
  if (auto known = transpiled_.extract(path)) return v8::Just(std::move(known.mapped()));
  const FileClient::FileReply* answer = ReadOrThrow(path);
  if (answer == nullptr) return v8::Nothing<std::string>();
  if (!format.typescript) return v8::Just(answer->bytes);
  return Transpiled(path, std::string(answer->bytes),
                    format.format == ModuleFormat::kModule ? Transpiler::Kind::kModule
                                                           : Transpiler::Kind::kCommonJs);
}

std::variant<Transpiler::Script, Transpiler::TranspileError> ModuleSources::Transpile(
    const std::string& path, const std::string& source, Transpiler::Kind kind) {
  const std::string url = UrlOfPath(path);
  const bool installed = path.find("/node_modules/") != std::string::npos;
  v8::Local<v8::String> text;
  const v8::TryCatch caught(engine_.isolate());
  if (!Text(url, source).ToLocal(&text)) return Transpiler::TranspileError{"it is too large"};
  return transpiler_.Run(text, path, url, kind, installed ? "{}" : resolver_.Project().options());
}

std::string ModuleSources::Keep(const std::string& path, Transpiler::Kind kind,
                                Transpiler::Script script) {
  if (!script.source_map.empty()) made_maps_[path] = std::move(script.source_map);
  // Statements that say it may be gone, with the types that they were for.
  if (kind == Transpiler::Kind::kByItsText && script.is_module) is_module_[path] = true;
  return std::move(script.text);
}

v8::Maybe<std::string> ModuleSources::Transpiled(const std::string& path, const std::string& source,
                                                 Transpiler::Kind kind) {
  if (auto ready = transpiled_.extract(path)) return v8::Just(std::move(ready.mapped()));
  if (const auto& error = resolver_.Project().error()) {
    Throw(error->code, error->message);
    return v8::Nothing<std::string>();
  }
  auto made = Transpile(path, source, kind);
  if (auto* script = std::get_if<Transpiler::Script>(&made))
    return v8::Just(Keep(path, kind, std::move(*script)));
  ThrowFailure(std::get<Transpiler::TranspileError>(made), path, source);
  return v8::Nothing<std::string>();
}

void ModuleSources::ThrowFailure(const Transpiler::TranspileError& failure, const std::string& path,
                                 const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  const std::string place =
      failure.line == 0 ? "" : fmt::format(":{}:{}", failure.line, failure.column);
  const std::string code = "ERR_INVALID_TYPESCRIPT_SYNTAX";
  const std::string message = fmt::format("{}{}: {}", path, place, failure.message);
  if (failure.line == 0) return Throw(code, message, true);
  v8::Local<v8::Value> args[] = {Str(isolate, code),
                                 Str(isolate, message),
                                 Str(isolate, UrlOfPath(path)),
                                 v8::Integer::New(isolate, failure.line),
                                 v8::Integer::New(isolate, failure.column),
                                 Str(isolate, LineOf(source, failure.line))};
  v8::Local<v8::Value> error;
  if (engine_.Hook("sourceError")
          ->Call(engine_.context(), v8::Undefined(isolate), std::size(args), args)
          .ToLocal(&error))
    isolate->ThrowException(error);
}

bool ModuleSources::IsJavaScript(const std::string& path) {
  const FileClient::FileReply& answer = Read(path);
  if (!answer.ok) return true;  // nobody knows
  const std::string source = answer.bytes, url = UrlOfPath(path);
  const v8::TryCatch ignored(engine_.isolate());
  return IsCommonJs(url, source) || !CompileModule(url, source).IsEmpty();
}

bool ModuleSources::IsOfLanguage(const std::string& path, const std::string& as) {
  const FileClient::FileReply& answer = Read(path);
  if (!answer.ok) return false;
  const std::string source = answer.bytes;
  return std::holds_alternative<Transpiler::Script>(
      Transpile(as, source, Transpiler::Kind::kByItsText));
}

v8::Maybe<std::string> ModuleSources::AsTypeScript(const std::string& path,
                                                   const std::string& source, v8::TryCatch& error) {
  const auto context = engine_.context();
  auto made = Transpile(path, source, Transpiler::Kind::kByItsText);
  if (auto* script = std::get_if<Transpiler::Script>(&made)) {
    transpiled_[path] = Keep(path, Transpiler::Kind::kByItsText, std::move(*script));
    return v8::Just(transpiled_[path]);
  }
  // Whoever understood more of it has the word.
  const auto& failure = std::get<Transpiler::TranspileError>(made);
  const auto message = error.Message();
  const bool javascript =
      message.IsEmpty() || std::pair(message->GetLineNumber(context).FromMaybe(0),
                                     message->GetStartColumn(context).FromMaybe(0) + 1) >=
                               std::pair(failure.line, failure.column);
  if (!javascript) {
    error.Reset();
    ThrowFailure(failure, path, source);
  }
  return v8::Nothing<std::string>();
}

v8::MaybeLocal<v8::Module> ModuleSources::CompileModule(const std::string& url,
                                                        const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::String> text;
  if (!Text(url, source).ToLocal(&text)) return {};
  v8::ScriptCompiler::Source compiled(text, OriginOf(isolate, url, true));
  v8::Local<v8::Module> module;
  if (!v8::ScriptCompiler::CompileModule(isolate, &compiled).ToLocal(&module)) return {};
  Note(url, module->GetUnboundModuleScript()->GetSourceMappingURL());
  return module;
}

v8::MaybeLocal<v8::Function> ModuleSources::CompileCommonJs(const std::string& url,
                                                            const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Function> function;
  if (auto known = compiled_.extract(url); known && known.mapped().first == source) {
    function = known.mapped().second.Get(isolate);
    return function;
  }
  v8::Local<v8::String> text;
  // A first line that is for a shell is none of JavaScript's.
  std::string body = source;
  if (body.starts_with("#!")) body.replace(0, 2, "//");
  if (!Text(url, body).ToLocal(&text)) return {};
  v8::ScriptCompiler::Source script(text, OriginOf(isolate, url, false));
  v8::Local<v8::String> parameters[] = {Str(isolate, "exports"), Str(isolate, "require"),
                                        Str(isolate, "module"), Str(isolate, "__filename"),
                                        Str(isolate, "__dirname")};
  if (!v8::ScriptCompiler::CompileFunction(engine_.context(), &script, std::size(parameters),
                                           parameters)
           .ToLocal(&function))
    return {};
  v8::Local<v8::Value> source_map = function->GetScriptOrigin().SourceMapUrl();
  Note(url, source_map);
  return function;
}

void ModuleSources::Note(const std::string& url, v8::Local<v8::Value> source_map) {
  if (source_map->IsString()) named_maps_[url] = Utf8(engine_.isolate(), source_map);
}

std::string ModuleSources::SourceMapOf(const std::string& url) const {
  if (!made_maps_.empty()) {
    const auto made = made_maps_.find(PathOfUrl(url));
    if (made != made_maps_.end()) return made->second;
  }
  const auto found = named_maps_.find(url);
  return found == named_maps_.end() ? "" : found->second;
}

}  // namespace postern::worker
