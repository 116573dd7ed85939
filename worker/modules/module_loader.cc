#include "worker/modules/module_loader.h"

#include <cstdint>
#include <iterator>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "worker/engine/v8_values.h"
#include "worker/modules/advice.h"

namespace postern::worker {
namespace {

constexpr size_t kMaxGraph = 10'000;  // modules of one guest

ModuleLoader* g_modules = nullptr;

// The `type` of "with { type: … }". V8 gives key, value, offset triples for a static import, pairs
// for a dynamic one.
std::string TypeAttribute(v8::Isolate* isolate, v8::Local<v8::FixedArray> attributes, int step) {
  for (int i = 0; i + 1 < attributes->Length(); i += step) {
    if (Utf8(isolate, attributes->Get(i).As<v8::Value>()) == "type") {
      return Utf8(isolate, attributes->Get(i + 1).As<v8::Value>());
    }
  }
  return {};
}

std::string Key(const std::string& type, const std::string& url) {
  return type.empty() ? url : fmt::format("{} {}", type, url);
}

// Whether a program is code of which nobody says in what it is written.
bool IsOfNoLanguage(const std::string& path) { return IsCode(path) && path.ends_with(']'); }

}  // namespace

ModuleLoader::ModuleLoader(Engine& engine, FileClient& files)
    : engine_(engine),
      files_(files),
      found_(files),
      resolver_(found_),
      sources_(engine, files, found_, resolver_) {
  g_modules = this;
  engine.isolate()->SetHostImportModuleDynamicallyCallback(Import);
  engine.isolate()->SetHostInitializeImportMetaObjectCallback(ImportMeta);
}

v8::MaybeLocal<v8::Value> ModuleLoader::CallHook(const char* name,
                                                 std::initializer_list<v8::Local<v8::Value>> args) {
  std::vector<v8::Local<v8::Value>> list(args);
  return engine_.Hook(name)->Call(engine_.context(), v8::Undefined(engine_.isolate()),
                                  static_cast<int>(list.size()), list.data());
}

const std::string& ModuleLoader::UrlOf(v8::Local<v8::Module> module) {
  static const std::string kNone;
  const auto [first, last] = urls_.equal_range(module->GetIdentityHash());
  for (auto i = first; i != last; ++i) {
    if (i->second.first == module) return i->second.second;
  }
  return kNone;
}

v8::Maybe<std::string> ModuleLoader::Resolve(const std::string& specifier,
                                             const std::string& importer, ModuleResolver::How how) {
  return UrlOrThrow(resolver_.Resolve(specifier, importer, how));
}

v8::Maybe<std::string> ModuleLoader::UrlOrThrow(ModuleResolver::Url resolved) {
  if (auto* url = std::get_if<std::string>(&resolved)) return v8::Just(std::move(*url));
  const auto& error = std::get<ModuleError>(resolved);
  sources_.Throw(error.code, error.message);
  return v8::Nothing<std::string>();
}

v8::MaybeLocal<v8::Module> ModuleLoader::Compile(const std::string& url,
                                                 const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Module> module;
  if (!sources_.CompileModule(url, source).ToLocal(&module)) return {};
  loaded_[url].Reset(isolate, module);
  urls_.emplace(module->GetIdentityHash(), std::pair{v8::Global<v8::Module>(isolate, module), url});
  return module;
}

void ModuleLoader::ReadAheadOf(const std::string& url, const std::string& source) {
  if (files_.RelationTo(PathOfUrl(url)) != FileClient::MountRelation::kBeneath) return;
  constexpr std::string_view kCall = "require(";
  size_t asked = 0;
  for (size_t at = 0;
       asked < FileClient::kMostAhead && (at = source.find(kCall, at)) != std::string::npos;) {
    at += kCall.size();
    if (at + 1 >= source.size() || (source[at] != '"' && source[at] != '\'') ||
        source[at + 1] != '.')
      continue;
    const size_t end = source.find(source[at], at + 1);
    if (end == std::string::npos) return;
    ++asked;
    const auto found =
        resolver_.Find(source.substr(at + 1, end - at - 1), url, ModuleResolver::How::kRequire);
    if (const auto* next = std::get_if<std::string>(&found)) found_.ReadAhead(PathOfUrl(*next));
  }
}

std::string ModuleLoader::WhereThrown(const std::string& url, v8::Local<v8::Message> message) {
  if (message.IsEmpty()) return "";
  v8::Isolate* isolate = engine_.isolate();
  const auto context = engine_.context();
  v8::Local<v8::Value> args[] = {
      Str(isolate, url), v8::Integer::New(isolate, message->GetLineNumber(context).FromMaybe(0)),
      v8::Integer::New(isolate, message->GetStartColumn(context).FromMaybe(0) + 1)};
  v8::Local<v8::Value> place;
  if (!engine_.Hook("placeOf")
           ->Call(context, v8::Undefined(isolate), std::size(args), args)
           .ToLocal(&place))
    return "";
  return Utf8(isolate, place);
}

v8::MaybeLocal<v8::Function> ModuleLoader::CompileCommonJs(const std::string& url,
                                                           const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Function> function;
  v8::TryCatch caught(isolate);
  ReadAheadOf(url, source);
  if (!sources_.CompileCommonJs(url, source).ToLocal(&function)) {
    // Where the text is a module and the file's name says that it is none, that is what helps.
    if (!sources_.IsModule(Utf8(isolate, caught.Exception()), url, source)) {
      caught.ReThrow();
      return {};
    }
    const auto message = caught.Message();
    caught.Reset();
    caught.SetVerbose(false);
    const std::string where = WhereThrown(url, message);
    sources_.Throw(
        "ERR_MODULE_TYPE",
        fmt::format(
            "{}{}{}", PathOfUrl(url), where,
            PathOfUrl(url).ends_with(".cjs")
                ? " is written as an ES module, but .cjs means CommonJS: rename it to .mjs"
                : " is written as an ES module, and would be CommonJS: rename it to .mjs, or "
                  "put \"type\": "
                  "\"module\" into its package.json"),
        true);
    caught.ReThrow();
    return {};
  }
  return function;
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeJson(const std::string& url,
                                                  const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> value;
  v8::Local<v8::String> text;
  if (!sources_.Text(url, source.starts_with("\xef\xbb\xbf") ? source.substr(3) : source)
           .ToLocal(&text))
    return {};
  {
    v8::TryCatch caught(isolate);
    if (!v8::JSON::Parse(engine_.context(), text).ToLocal(&value)) {
      const std::string why = Utf8(isolate, caught.Exception());
      caught.Reset();
      sources_.Throw("ERR_INVALID_JSON", fmt::format("{}: {}", url, why), true);
      caught.ReThrow();
      return {};
    }
  }
  const auto exports = v8::Object::New(isolate);
  exports->CreateDataProperty(engine_.context(), Str(isolate, "default"), value).Check();
  v8::Local<v8::Value> names[] = {Str(isolate, "default")};
  return MakeSynthetic(Key("json", url), url, v8::Array::New(isolate, names, 1), exports);
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeText(const std::string& url,
                                                  const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::String> text;
  if (!sources_.Text(url, source).ToLocal(&text)) return {};
  const auto exports = v8::Object::New(isolate);
  exports->CreateDataProperty(engine_.context(), Str(isolate, "default"), text).Check();
  v8::Local<v8::Value> names[] = {Str(isolate, "default")};
  return MakeSynthetic(Key("text", url), url, v8::Array::New(isolate, names, 1), exports);
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeOfData(const std::string& url, const std::string& type,
                                                    const std::string& importer) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> found, kind, text;
  if (!CallHook("readDataModule", {Str(isolate, url)}).ToLocal(&found) ||
      !found.As<v8::Object>()->Get(engine_.context(), 0).ToLocal(&kind) ||
      !found.As<v8::Object>()->Get(engine_.context(), 1).ToLocal(&text))
    return {};
  const std::string mime = Utf8(isolate, kind), source = Utf8(isolate, text);
  if (type == "text") return MakeText(url, source);
  if (type == "json") return MakeJson(url, source);
  if (mime == "text/javascript" || mime == "application/javascript") return Compile(url, source);
  sources_.Throw(
      mime == "application/json" ? "ERR_IMPORT_ATTRIBUTE_MISSING" : "ERR_UNKNOWN_MODULE_FORMAT",
      fmt::format("a data: URL of the type {} is no JavaScript: import it with {{ type: '{}' }} "
                  "(imported from {})",
                  mime, mime == "application/json" ? "json" : "text", importer));
  return {};
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeBuiltin(const std::string& url,
                                                     const std::string& importer) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> exports;
  v8::Local<v8::Array> names;
  if (!CallHook("builtinModule", {Str(isolate, url), Str(isolate, importer)}).ToLocal(&exports) ||
      !exports.As<v8::Object>()->GetOwnPropertyNames(engine_.context()).ToLocal(&names))
    return {};
  return MakeSynthetic(url, url, names, exports.As<v8::Object>());
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeCommonJs(const std::string& url) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> found;
  if (!CallHook("exportNames", {Str(isolate, url)}).ToLocal(&found)) return {};
  const auto names = found.As<v8::Array>();
  uint32_t count = names->Length();
  for (const char* name : {"default", "module.exports"})
    names->Set(engine_.context(), count++, Str(isolate, name)).Check();
  return MakeSynthetic(url, url, names, {});
}

v8::MaybeLocal<v8::Module> ModuleLoader::MakeSynthetic(const std::string& key,
                                                       const std::string& url,
                                                       v8::Local<v8::Array> names,
                                                       v8::MaybeLocal<v8::Object> exports) {
  v8::Isolate* isolate = engine_.isolate();
  std::vector<v8::Local<v8::String>> list;
  for (uint32_t i = 0; i < names->Length(); ++i)
    list.push_back(names->Get(engine_.context(), i).ToLocalChecked().As<v8::String>());
  const auto module = v8::Module::CreateSyntheticModule(
      isolate, Str(isolate, url),
      v8::MemorySpan<const v8::Local<v8::String>>(list.data(), list.size()), EvaluateSynthetic);
  Synthetic& kept = synthetic_[module->GetIdentityHash()];
  kept.url = url;
  kept.names.Reset(isolate, names);
  v8::Local<v8::Object> object;
  if (exports.ToLocal(&object)) kept.exports.Reset(isolate, object);
  loaded_[key].Reset(isolate, module);
  urls_.emplace(module->GetIdentityHash(), std::pair{v8::Global<v8::Module>(isolate, module), url});
  return module;
}

v8::MaybeLocal<v8::Value> ModuleLoader::EvaluateSynthetic(v8::Local<v8::Context> context,
                                                          v8::Local<v8::Module> self) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  const Synthetic& kept = g_modules->synthetic_.find(self->GetIdentityHash())->second;
  const auto names = kept.names.Get(isolate);
  const bool common_js = kept.exports.IsEmpty();
  v8::Local<v8::Value> exports = common_js ? v8::Local<v8::Value>() : kept.exports.Get(isolate);
  if (common_js &&
      !g_modules->CallHook("importCommonJs", {Str(isolate, kept.url)}).ToLocal(&exports))
    return {};
  for (uint32_t i = 0; i < names->Length(); ++i) {
    const auto name = names->Get(context, i).ToLocalChecked().As<v8::String>();
    v8::Local<v8::Value> value = v8::Undefined(isolate);
    const std::string text = common_js ? Utf8(isolate, name) : "";
    if (text == "default" || text == "module.exports") {
      value = exports;
    } else if (exports->IsObject()) {
      // A getter of the module's may throw: then the name has no value, and the import does not
      // fail for it.
      v8::TryCatch caught(isolate);
      v8::Local<v8::Value> got;
      if (exports.As<v8::Object>()->Get(context, name).ToLocal(&got)) value = got;
      if (caught.HasTerminated()) return {};
    }
    if (self->SetSyntheticModuleExport(isolate, name, value).IsNothing()) return {};
  }
  v8::Local<v8::Promise::Resolver> done;
  if (!v8::Promise::Resolver::New(context).ToLocal(&done)) return {};
  done->Resolve(context, v8::Undefined(isolate)).Check();
  return done->GetPromise();
}

v8::MaybeLocal<v8::Module> ModuleLoader::Load(const std::string& url, const std::string& type,
                                              const std::string& importer) {
  v8::Isolate* isolate = engine_.isolate();
  if (const auto known = loaded_.find(Key(type, url)); known != loaded_.end())
    return known->second.Get(isolate);
  if (loaded_.size() >= kMaxGraph) {
    sources_.Throw("ERR_MODULE_LIMIT", fmt::format("more than {} modules", kMaxGraph));
    return {};
  }
  if (!type.empty() && type != "json" && type != "text") {
    sources_.Throw(
        "ERR_IMPORT_ATTRIBUTE_UNSUPPORTED",
        fmt::format(
            "import attribute type \"{}\" is not supported (imported from {}): json and text are",
            type, importer));
    return {};
  }
  if (url.starts_with(kBuiltin) || url.starts_with(kNodeBuiltin)) return MakeBuiltin(url, importer);
  if (url.starts_with(kData)) return MakeOfData(url, type, importer);
  const std::string path = PathOfUrl(url);
  FileFormat format{ModuleFormat::kJson};
  v8::TryCatch caught(isolate);
  // Whoever reads the error wants to know where the import stands.
  const auto from_there = [&]() -> v8::MaybeLocal<v8::Module> {
    if (caught.HasTerminated()) return {};
    v8::Local<v8::Value> message;
    const auto error = caught.Exception();
    if (error->IsNativeError() &&
        error.As<v8::Object>()->Get(engine_.context(), Str(isolate, "message")).ToLocal(&message)) {
      std::string text = Utf8(isolate, message);
      const bool has_advice = text.find("--mount=/") != std::string::npos || sources_.IsThere(path);
      const std::string where = has_advice ? "" : resolver_.WhereCodeLooks(importer);
      fmt::format_to(std::back_inserter(text), " (imported from {}){}", importer,
                     where.empty() ? "" : fmt::format("; {}", where));
      error.As<v8::Object>()
          ->CreateDataProperty(engine_.context(), Str(isolate, "message"), Str(isolate, text))
          .Check();
    }
    caught.ReThrow();
    return {};
  };
  if (type.empty() && !sources_.Format(path).To(&format)) return from_there();
  if (type.empty() && format.format == ModuleFormat::kJson) {
    sources_.Throw("ERR_IMPORT_ATTRIBUTE_MISSING",
                   fmt::format("{} is JSON: import it with {{ type: 'json' }} (imported from {})",
                               path, importer));
    caught.ReThrow();
    return {};
  }
  if (type.empty() && format.format == ModuleFormat::kCommonJs) {
    if (sources_.IsThere(path)) {
      v8::Local<v8::Module> made;
      if (MakeCommonJs(url).ToLocal(&made)) return made;
      caught.ReThrow();
      return {};
    }
  }
  std::string source;
  if (!sources_.Source(path, format).To(&source)) return from_there();
  v8::Local<v8::Module> made;
  if (!(type == "json"   ? MakeJson(url, source)
        : type == "text" ? MakeText(url, source)
                         : Compile(url, source))
           .ToLocal(&made)) {
    caught.ReThrow();
    return {};
  }
  return made;
}

bool ModuleLoader::LoadRequests(v8::Local<v8::Module> root, const std::string& root_url) {
  v8::Isolate* isolate = engine_.isolate();
  // A work list, not recursion: a chain of imports may be long.
  std::vector<std::pair<v8::Local<v8::Module>, std::string>> work = {{root, root_url}};
  while (!work.empty()) {
    const auto [module, url] = work.back();
    work.pop_back();
    if (!module->IsSourceTextModule()) continue;
    const auto requests = module->GetModuleRequests();
    std::vector<std::string> specifiers;
    std::vector<ModuleResolver::Url> found;
    for (int i = 0; i < requests->Length(); ++i) {
      const auto request = requests->Get(i).As<v8::ModuleRequest>();
      specifiers.push_back(Utf8(isolate, request->GetSpecifier()));
      found.push_back(resolver_.Find(specifiers.back(), url, ModuleResolver::How::kImport));
    }
    size_t ahead = 0;
    for (int i = 0; i < requests->Length(); ++i) {
      const auto request = requests->Get(i).As<v8::ModuleRequest>();
      auto where = module->SourceOffsetToLocation(request->GetSourceOffset());
      const std::string importer =
          fmt::format("{}:{}:{}", url, where.GetLineNumber() + 1, where.GetColumnNumber() + 1);
      std::string target;
      const auto at = static_cast<size_t>(i);
      for (; ahead < found.size() && ahead < at + FileClient::kMostAhead; ++ahead) {
        if (const auto* next = std::get_if<std::string>(&found[ahead]))
          found_.ReadAhead(PathOfUrl(*next));
      }
      if (!UrlOrThrow(resolver_.Settle(std::move(found[at]), specifiers[at], url)).To(&target))
        return false;
      const std::string type = TypeAttribute(isolate, request->GetImportAttributes(), 3);
      const bool known = loaded_.contains(Key(type, target));
      v8::Local<v8::Module> loaded;
      if (!Load(target, type, importer).ToLocal(&loaded)) return false;
      if (!known) work.emplace_back(loaded, target);
    }
  }
  return true;
}

v8::MaybeLocal<v8::Module> ModuleLoader::Link(v8::Local<v8::Context> /*context*/,
                                              v8::Local<v8::String> specifier,
                                              v8::Local<v8::FixedArray> attributes,
                                              v8::Local<v8::Module> referrer) {
  ModuleLoader& self = *g_modules;
  v8::Isolate* isolate = self.engine_.isolate();
  std::string url;
  if (!self.Resolve(Utf8(isolate, specifier), self.UrlOf(referrer), ModuleResolver::How::kImport)
           .To(&url))
    return {};
  return self.Load(url, TypeAttribute(isolate, attributes, 3), self.UrlOf(referrer));
}

v8::MaybeLocal<v8::Promise> ModuleLoader::Evaluate(v8::Local<v8::Module> module) {
  const auto context = engine_.context();
  v8::Local<v8::Value> result;
  if (module->InstantiateModule(context, Link).IsNothing()) return {};
  if (!module->Evaluate(context).ToLocal(&result)) return {};
  const auto evaluated = result.As<v8::Promise>();
  if (evaluated->State() == v8::Promise::kRejected)
    ExplainModuleScope(context, *this, evaluated->Result());
  return evaluated;
}

v8::MaybeLocal<v8::Promise> ModuleLoader::RunModule(const std::string& url,
                                                    const std::string& source) {
  v8::Local<v8::Module> module;
  if (!Compile(url, source).ToLocal(&module)) return {};
  return RunCompiled(module, url);
}

v8::MaybeLocal<v8::Promise> ModuleLoader::RunCompiled(v8::Local<v8::Module> module,
                                                      const std::string& url) {
  if (!LoadRequests(module, url)) return {};
  main_module_.Reset(engine_.isolate(), module);
  return Evaluate(module);
}

v8::MaybeLocal<v8::Promise> ModuleLoader::RunCommonJs(const std::string& url,
                                                      const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::String> text;
  v8::Local<v8::Promise::Resolver> done;
  if (!sources_.Text(url, source).ToLocal(&text) ||
      CallHook("runMain", {Str(isolate, url), text}).IsEmpty() ||
      !v8::Promise::Resolver::New(engine_.context()).ToLocal(&done))
    return {};
  common_js_ = url;
  done->Resolve(engine_.context(), v8::Undefined(isolate)).Check();
  return done->GetPromise();
}

void ModuleLoader::SetEntry(const std::string& url, const std::string& source) {
  const std::string path = PathOfUrl(url);
  sources_.SetEntry(path, source);
  resolver_.SetProject(path.substr(0, path.rfind('/')));
}

v8::MaybeLocal<v8::Promise> ModuleLoader::Run(const std::string& url, const std::string& source) {
  const std::string path = PathOfUrl(url);
  SetEntry(url, source);
  FileFormat format{ModuleFormat::kModule};
  std::string body = source;
  if (!path.empty() &&
      (!sources_.Format(path).To(&format) || !sources_.Source(path, format).To(&body)))
    return {};
  if (format.format == ModuleFormat::kJson) {
    sources_.Throw("ERR_MODULE_TYPE", fmt::format("{} is JSON, which is no program", path));
    return {};
  }
  v8::TryCatch caught(engine_.isolate());
  v8::Local<v8::Module> module;
  v8::MaybeLocal<v8::Promise> ran;
  const bool is_module = format.format == ModuleFormat::kModule;
  const bool no_language = IsOfNoLanguage(path);
  if (is_module ? Compile(url, body).ToLocal(&module)
                : !no_language || sources_.IsCommonJs(url, body)) {
    ran = is_module ? RunCompiled(module, url) : RunCommonJs(url, body);
  } else if (no_language &&
             sources_.AsTypeScript(fmt::format("{}.ts", path), source, caught).IsJust()) {
    caught.Reset();
    ran = Run(fmt::format("{}.ts", url), source);
  }
  if (ran.IsEmpty()) caught.ReThrow();
  return ran;
}

v8::MaybeLocal<v8::Value> ModuleLoader::Require(const std::string& url) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Module> module;
  if (!Load(url, "", url).ToLocal(&module) || !LoadRequests(module, url)) return {};
  if (module->GetStatus() < v8::Module::kInstantiated &&
      module->InstantiateModule(engine_.context(), Link).IsNothing())
    return {};
  if (module->IsGraphAsync()) {
    sources_.Throw(
        "ERR_REQUIRE_ASYNC_MODULE",
        fmt::format("{} awaits at its top level, so that it cannot be required: import() it",
                    PathOfUrl(url)));
    return {};
  }
  if (module->GetStatus() == v8::Module::kEvaluating) {
    sources_.Throw(
        "ERR_REQUIRE_CYCLE_MODULE",
        fmt::format("{} is required while it is being evaluated: it imports who requires it",
                    PathOfUrl(url)));
    return {};
  }
  v8::Local<v8::Promise> evaluated;
  if (!Evaluate(module).ToLocal(&evaluated)) return {};
  if (evaluated->State() == v8::Promise::kRejected) {
    evaluated->MarkAsHandled();
    isolate->ThrowException(evaluated->Result());
    return {};
  }
  return module->GetModuleNamespace();
}

v8::MaybeLocal<v8::Value> ModuleLoader::EntryNamespace() {
  // What imports CommonJS, as a handler's front does, sees it as a module of its own.
  if (!common_js_.empty()) {
    v8::Local<v8::Module> module;
    if (!Load(common_js_, "", common_js_).ToLocal(&module) || Evaluate(module).IsEmpty()) return {};
    main_module_.Reset(engine_.isolate(), module);
    common_js_.clear();
  }
  return main_module_.Get(engine_.isolate())->GetModuleNamespace();
}

v8::MaybeLocal<v8::Value> ModuleLoader::ModuleNamespace() {
  if (main_module_.IsEmpty()) return {};
  const auto module = main_module_.Get(engine_.isolate());
  if (module->GetStatus() != v8::Module::kEvaluated) return {};
  return module->GetModuleNamespace();
}

namespace {

// V8 wants to find the exception where a callback gives nothing: as where the stack has ended.
v8::MaybeLocal<v8::Promise> Passed(v8::TryCatch& caught) {
  caught.ReThrow();
  return {};
}

}  // namespace

v8::MaybeLocal<v8::Promise> ModuleLoader::Import(v8::Local<v8::Context> context,
                                                 v8::Local<v8::Data> /*options*/,
                                                 v8::Local<v8::Value> referrer,
                                                 v8::Local<v8::String> specifier,
                                                 v8::Local<v8::FixedArray> attributes) {
  ModuleLoader& self = *g_modules;
  v8::Isolate* isolate = self.engine_.isolate();
  v8::Local<v8::Promise::Resolver> resolver;
  if (!v8::Promise::Resolver::New(context).ToLocal(&resolver)) return {};
  v8::TryCatch caught(isolate);
  const std::string importer = Utf8(isolate, referrer);
  std::string url;
  v8::Local<v8::Module> module;
  v8::Local<v8::Promise> evaluated;
  const bool ok =
      self.Resolve(Utf8(isolate, specifier), importer, ModuleResolver::How::kImport).To(&url) &&
      self.Load(url, TypeAttribute(isolate, attributes, 2), importer).ToLocal(&module) &&
      self.LoadRequests(module, url) && self.Evaluate(module).ToLocal(&evaluated);
  if (!ok) {
    if (caught.HasTerminated()) return {};
    const auto reason = caught.HasCaught() ? caught.Exception() : v8::Exception::Error(specifier);
    if (resolver->Reject(context, reason).IsNothing()) return Passed(caught);
    return resolver->GetPromise();
  }
  // import() settles with the namespace once evaluation has.
  const auto namespace_of =
      v8::Function::New(
          context, [](const Args& args) { args.GetReturnValue().Set(args.Data()); },
          module->GetModuleNamespace())
          .ToLocalChecked();
  v8::Local<v8::Promise> imported;
  return evaluated->Then(context, namespace_of).ToLocal(&imported) ? imported : Passed(caught);
}

void ModuleLoader::ImportMeta(v8::Local<v8::Context> context, v8::Local<v8::Module> module,
                              v8::Local<v8::Object> meta) {
  ModuleLoader& self = *g_modules;
  v8::Isolate* isolate = self.engine_.isolate();
  const std::string& url = self.UrlOf(module);
  const std::string path = PathOfUrl(url);
  const size_t slash = path.rfind('/');
  const auto set = [&](const char* name, const std::string& value) {
    meta->CreateDataProperty(context, Str(isolate, name), Str(isolate, value)).Check();
  };
  set("url", url);
  if (!url.starts_with("file:")) return;
  set("filename", path);
  set("dirname", slash == 0 ? "/" : path.substr(0, slash));
  meta->CreateDataProperty(context, Str(isolate, "main"),
                           v8::Boolean::New(isolate, module == self.main_module_))
      .Check();
  // resolve(specifier): the URL that an import of it here would mean
  const auto resolve =
      v8::Function::New(
          context,
          [](const Args& args) {
            std::string url;
            if (g_modules
                    ->Resolve(Utf8(args.GetIsolate(), args[0]),
                              Utf8(args.GetIsolate(), args.Data()), ModuleResolver::How::kImport)
                    .To(&url))
              args.GetReturnValue().Set(Str(args.GetIsolate(), url));
          },
          Str(isolate, url), 1)
          .ToLocalChecked();
  resolve->SetName(Str(isolate, "resolve"));
  meta->CreateDataProperty(context, Str(isolate, "resolve"), resolve).Check();
}

}  // namespace postern::worker
