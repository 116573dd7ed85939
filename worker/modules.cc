#include "worker/modules.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "worker/module_specifier.h"
#include "worker/natives.h"

namespace postern::worker {
namespace {

constexpr size_t kMaxGraph = 10'000;  // modules of one guest

Modules* g_modules = nullptr;

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
  return type == "json" ? "json " + url : url;
}

bool EndsWith(const std::string& path, std::string_view suffix) { return path.ends_with(suffix); }

}  // namespace

Modules::Modules(Engine& engine, FileClient& files) : engine_(engine), files_(files) {
  g_modules = this;
  engine.isolate()->SetHostImportModuleDynamicallyCallback(Import);
  engine.isolate()->SetHostInitializeImportMetaObjectCallback(ImportMeta);
}

void Modules::Throw(const std::string& code, const std::string& message, bool syntax) {
  v8::Isolate* isolate = engine_.isolate();
  const auto text = Str(isolate, message);
  const auto error =
      (syntax ? v8::Exception::SyntaxError(text) : v8::Exception::Error(text)).As<v8::Object>();
  error->Set(engine_.context(), Str(isolate, "code"), Str(isolate, code)).Check();
  isolate->ThrowException(error);
}

const std::string& Modules::UrlOf(v8::Local<v8::Module> module) {
  static const std::string kNone;
  const auto [first, last] = urls_.equal_range(module->GetIdentityHash());
  for (auto i = first; i != last; ++i) {
    if (i->second.first == module) return i->second.second;
  }
  return kNone;
}

v8::Maybe<std::string> Modules::ResolveUrl(const std::string& specifier,
                                           const std::string& importer) {
  auto resolved = ResolveSpecifier(specifier, importer);
  if (auto* url = std::get_if<std::string>(&resolved)) return v8::Just(std::move(*url));
  const auto& error = std::get<ModuleError>(resolved);
  Throw(error.code, error.message);
  return v8::Nothing<std::string>();
}

std::string Modules::NotAModule(const std::string& path) {
  if (EndsWith(path, ".mjs")) return {};
  if (EndsWith(path, ".json")) return path + " is JSON: import it with { type: 'json' }";
  if (EndsWith(path, ".cjs"))
    return path +
           " is CommonJS, which guests do not load: make it an ES module and rename it to .mjs";
  if (!EndsWith(path, ".js"))
    return path + " has no extension that says what it is: name ES modules .mjs";
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash != 0;
       slash = path.rfind('/', slash - 1)) {
    const FileClient::Answer package = files_.Read(path.substr(0, slash) + "/package.json");
    if (package.code == "EACCES") break;  // above the mount
    if (!package.ok) continue;
    const auto parsed = nlohmann::json::parse(package.bytes, nullptr, false);
    if (parsed.is_object() && parsed.contains("type") && parsed["type"] == "module") return {};
    break;
  }
  return path +
         " would be CommonJS, which guests do not load: rename it to .mjs, or put \"type\": "
         "\"module\" into its package.json";
}

v8::MaybeLocal<v8::Module> Modules::Compile(const std::string& url, const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::String> text;
  if (!v8::String::NewFromUtf8(isolate, source.data(), v8::NewStringType::kNormal,
                               static_cast<int>(source.size()))
           .ToLocal(&text)) {
    Throw("ERR_MODULE_TOO_LARGE", url + " is too large to be a module");
    return {};
  }
  v8::ScriptOrigin origin(Str(isolate, url), 0, 0, false, -1, {}, false, false, true);
  v8::ScriptCompiler::Source compiled(text, origin);
  v8::Local<v8::Module> module;
  if (!v8::ScriptCompiler::CompileModule(isolate, &compiled).ToLocal(&module)) return {};
  loaded_[url].Reset(isolate, module);
  urls_.emplace(module->GetIdentityHash(), std::pair{v8::Global<v8::Module>(isolate, module), url});
  return module;
}

v8::MaybeLocal<v8::Module> Modules::MakeJson(const std::string& url, const std::string& source) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> value;
  {
    v8::TryCatch caught(isolate);
    if (!v8::JSON::Parse(engine_.context(), Str(isolate, source)).ToLocal(&value)) {
      const std::string why = Utf8(isolate, caught.Exception());
      caught.Reset();
      Throw("ERR_INVALID_JSON", url + ": " + why, true);
      return {};
    }
  }
  const auto exports = v8::Object::New(isolate);
  exports->CreateDataProperty(engine_.context(), Str(isolate, "default"), value).Check();
  return MakeSynthetic(Key("json", url), url, exports);
}

v8::MaybeLocal<v8::Module> Modules::MakeBuiltin(const std::string& url,
                                                const std::string& importer) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Value> argument = Str(isolate, url), exports;
  if (!engine_.Hook("builtinModule")
           ->Call(engine_.context(), v8::Undefined(isolate), 1, &argument)
           .ToLocal(&exports)) {
    return {};
  }
  if (!exports->IsObject()) {
    Throw("ERR_UNKNOWN_BUILTIN_MODULE",
          "there is no module " + url + " in a guest (imported from " + importer + ")");
    return {};
  }
  return MakeSynthetic(url, url, exports.As<v8::Object>());
}

// A module without source, whose exports are the properties of `exports`.
v8::MaybeLocal<v8::Module> Modules::MakeSynthetic(const std::string& key, const std::string& url,
                                                  v8::Local<v8::Object> exports) {
  v8::Isolate* isolate = engine_.isolate();
  v8::Local<v8::Array> keys;
  if (!exports->GetOwnPropertyNames(engine_.context()).ToLocal(&keys)) return {};
  std::vector<v8::Local<v8::String>> names;
  for (uint32_t i = 0; i < keys->Length(); ++i) {
    names.push_back(keys->Get(engine_.context(), i).ToLocalChecked().As<v8::String>());
  }
  const auto module = v8::Module::CreateSyntheticModule(
      isolate, Str(isolate, url),
      v8::MemorySpan<const v8::Local<v8::String>>(names.data(), names.size()),
      [](v8::Local<v8::Context> context, v8::Local<v8::Module> self) -> v8::MaybeLocal<v8::Value> {
        v8::Isolate* i = v8::Isolate::GetCurrent();
        const auto exports = g_modules->synthetic_.find(self->GetIdentityHash())->second.Get(i);
        const auto keys = exports->GetOwnPropertyNames(context).ToLocalChecked();
        for (uint32_t k = 0; k < keys->Length(); ++k) {
          const auto name = keys->Get(context, k).ToLocalChecked().As<v8::String>();
          const auto value = exports->Get(context, name).ToLocalChecked();
          if (self->SetSyntheticModuleExport(i, name, value).IsNothing()) return {};
        }
        v8::Local<v8::Promise::Resolver> done;
        if (!v8::Promise::Resolver::New(context).ToLocal(&done)) return {};
        done->Resolve(context, v8::Undefined(i)).Check();
        return done->GetPromise();
      });
  synthetic_[module->GetIdentityHash()].Reset(isolate, exports);
  loaded_[key].Reset(isolate, module);
  return module;
}

v8::MaybeLocal<v8::Module> Modules::Load(const std::string& url, const std::string& type,
                                         const std::string& importer) {
  v8::Isolate* isolate = engine_.isolate();
  if (const auto known = loaded_.find(Key(type, url)); known != loaded_.end())
    return known->second.Get(isolate);
  if (loaded_.size() >= kMaxGraph) {
    Throw("ERR_MODULE_LIMIT", "more than " + std::to_string(kMaxGraph) + " modules");
    return {};
  }
  if (!type.empty() && type != "json") {
    Throw(
        "ERR_IMPORT_ATTRIBUTE_UNSUPPORTED",
        "import attribute type \"" + type + "\" is not supported (imported from " + importer + ")");
    return {};
  }
  if (url.starts_with(kBuiltin)) return MakeBuiltin(url, importer);
  const std::string path = PathOfUrl(url);
  FileClient::Answer answer = files_.Read(path);
  if (!answer.ok) {
    const bool missing = answer.code == "ENOENT";
    Throw(missing ? "ERR_MODULE_NOT_FOUND" : answer.code,
          (missing ? "cannot find the module " + path : answer.message) + " (imported from " +
              importer + ")");
    return {};
  }
  if (type == "json") return MakeJson(url, answer.bytes);
  if (const std::string why = NotAModule(path); !why.empty()) {
    Throw("ERR_MODULE_TYPE", why + " (imported from " + importer + ")");
    return {};
  }
  return Compile(url, answer.bytes);
}

bool Modules::LoadRequests(v8::Local<v8::Module> root, const std::string& root_url) {
  v8::Isolate* isolate = engine_.isolate();
  // A work list, not recursion: a chain of imports may be long.
  std::vector<std::pair<v8::Local<v8::Module>, std::string>> work = {{root, root_url}};
  while (!work.empty()) {
    const auto [module, url] = work.back();
    work.pop_back();
    if (!module->IsSourceTextModule()) continue;
    const auto requests = module->GetModuleRequests();
    for (int i = 0; i < requests->Length(); ++i) {
      const auto request = requests->Get(i).As<v8::ModuleRequest>();
      auto where = module->SourceOffsetToLocation(request->GetSourceOffset());
      const std::string importer = url + ":" + std::to_string(where.GetLineNumber() + 1) + ":" +
                                   std::to_string(where.GetColumnNumber() + 1);
      std::string target;
      if (!ResolveUrl(Utf8(isolate, request->GetSpecifier()), url).To(&target)) return false;
      const std::string type = TypeAttribute(isolate, request->GetImportAttributes(), 3);
      const bool known = loaded_.contains(Key(type, target));
      v8::Local<v8::Module> loaded;
      if (!Load(target, type, importer).ToLocal(&loaded)) return false;
      if (!known) work.emplace_back(loaded, target);
    }
  }
  return true;
}

v8::MaybeLocal<v8::Module> Modules::Link(v8::Local<v8::Context> /*context*/,
                                         v8::Local<v8::String> specifier,
                                         v8::Local<v8::FixedArray> attributes,
                                         v8::Local<v8::Module> referrer) {
  Modules& self = *g_modules;
  v8::Isolate* isolate = self.engine_.isolate();
  std::string url;
  if (!self.ResolveUrl(Utf8(isolate, specifier), self.UrlOf(referrer)).To(&url)) return {};
  return self.Load(url, TypeAttribute(isolate, attributes, 3), self.UrlOf(referrer));
}

v8::MaybeLocal<v8::Promise> Modules::Evaluate(v8::Local<v8::Module> module) {
  const auto context = engine_.context();
  v8::Local<v8::Value> result;
  if (module->InstantiateModule(context, Link).IsNothing()) return {};
  if (!module->Evaluate(context).ToLocal(&result)) return {};
  return result.As<v8::Promise>();
}

v8::MaybeLocal<v8::Promise> Modules::Run(const std::string& url, const std::string& source) {
  if (const std::string path = PathOfUrl(url);
      path.find('/') != std::string::npos && url.starts_with("file:")) {
    if (const std::string why = NotAModule(path); !why.empty()) {
      Throw("ERR_MODULE_TYPE", why);
      return {};
    }
  }
  v8::Local<v8::Module> module;
  if (!Compile(url, source).ToLocal(&module) || !LoadRequests(module, url)) return {};
  entry_.Reset(engine_.isolate(), module);
  return Evaluate(module);
}

v8::Local<v8::Value> Modules::EntryNamespace() {
  return entry_.Get(engine_.isolate())->GetModuleNamespace();
}

v8::MaybeLocal<v8::Promise> Modules::Import(v8::Local<v8::Context> context,
                                            v8::Local<v8::Data> /*options*/,
                                            v8::Local<v8::Value> referrer,
                                            v8::Local<v8::String> specifier,
                                            v8::Local<v8::FixedArray> attributes) {
  Modules& self = *g_modules;
  v8::Isolate* isolate = self.engine_.isolate();
  v8::Local<v8::Promise::Resolver> resolver;
  if (!v8::Promise::Resolver::New(context).ToLocal(&resolver)) return {};
  v8::TryCatch caught(isolate);
  const std::string importer = Utf8(isolate, referrer);
  std::string url;
  v8::Local<v8::Module> module;
  v8::Local<v8::Promise> evaluated;
  const bool ok =
      self.ResolveUrl(Utf8(isolate, specifier), importer).To(&url) &&
      self.Load(url, TypeAttribute(isolate, attributes, 2), importer).ToLocal(&module) &&
      self.LoadRequests(module, url) && self.Evaluate(module).ToLocal(&evaluated);
  if (!ok) {
    if (caught.HasTerminated()) return {};
    resolver->Reject(context, caught.Exception()).Check();
    return resolver->GetPromise();
  }
  // import() settles with the namespace once evaluation has.
  const auto namespace_of =
      v8::Function::New(
          context, [](const Args& args) { args.GetReturnValue().Set(args.Data()); },
          module->GetModuleNamespace())
          .ToLocalChecked();
  return evaluated->Then(context, namespace_of);
}

void Modules::ImportMeta(v8::Local<v8::Context> context, v8::Local<v8::Module> module,
                         v8::Local<v8::Object> meta) {
  Modules& self = *g_modules;
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
}

}  // namespace postern::worker
