#include "worker/modules/evaluation.h"

#include "base/format.h"
#include "worker/engine/v8_values.h"

namespace postern::worker {
namespace {

class Evaluation {
 public:
  Evaluation(Engine& engine, ModuleLoader& modules, std::string url, std::string source)
      : engine_(engine),
        modules_(modules),
        sources_(modules.sources()),
        url_(std::move(url)),
        source_(std::move(source)) {}

  v8::MaybeLocal<v8::Value> Run() {
    const std::string path = PathOfUrl(url_);
    const auto format = modules_.resolver().FormatOf(path);
    const auto& how = std::get<FileFormat>(format);
    if (how.typescript && !sources_.Transpiled(path, source_, KindOf(how)).To(&source_)) return {};
    if (how.format == ModuleFormat::kModule) return AsModule();
    v8::TryCatch caught(engine_.isolate());
    v8::Local<v8::Script> script;
    if (Compile(source_, 0).ToLocal(&script)) return OrRethrow(AsScript(script), caught);
    if (!how.by_its_text) return OrRethrow({}, caught);
    // One expression that awaits has a value: it stands on lines of its own, so that positions
    // stay, in a function that is called from here, which is no frame.
    {
      const v8::TryCatch ignored(engine_.isolate());
      if (Mentions("await") &&
          Compile(fmt::format("async () => (\n{}\n)", source_), -1).ToLocal(&script))
        caught.Reset();
    }
    if (!script.IsEmpty()) return OrRethrow(Called(AsScript(script)), caught);
    // import, export or statements that await make it a module, which has no last value. Where it
    // is none either, the first error is the one that a person can use.
    if (Mentions("await") || Mentions("import") || Mentions("export")) {
      caught.Reset();
      if (!sources_.CompileModule(url_, source_).IsEmpty()) return OrRethrow(AsModule(), caught);
    }
    if (url_.ends_with(']')) return OrRethrow(AsTypeScript(path, caught), caught);
    return OrRethrow({}, caught);
  }

 private:
  static Transpiler::Kind KindOf(const FileFormat& how) {
    if (how.by_its_text) return Transpiler::Kind::kByItsText;
    return how.format == ModuleFormat::kModule ? Transpiler::Kind::kModule
                                               : Transpiler::Kind::kCommonJs;
  }

  static v8::MaybeLocal<v8::Value> OrRethrow(v8::MaybeLocal<v8::Value> value,
                                             v8::TryCatch& caught) {
    if (value.IsEmpty()) caught.ReThrow();
    return value;
  }

  bool Mentions(const char* word) const { return source_.find(word) != std::string::npos; }

  v8::MaybeLocal<v8::Script> Compile(const std::string& text, int first_line) {
    v8::Isolate* isolate = engine_.isolate();
    v8::ScriptOrigin origin(Str(isolate, url_), first_line);
    v8::Local<v8::String> source;
    if (!sources_.Text(url_, text).ToLocal(&source)) return {};
    return v8::Script::Compile(engine_.context(), source, &origin);
  }

  v8::MaybeLocal<v8::Value> AsScript(v8::Local<v8::Script> script) {
    v8::Local<v8::Value> url = Str(engine_.isolate(), url_);
    if ((Mentions("require") || Mentions("module") || Mentions("exports")) &&
        engine_.Hook("evalScope")
            ->Call(engine_.context(), v8::Undefined(engine_.isolate()), 1, &url)
            .IsEmpty())
      return {};
    return script->Run(engine_.context());
  }

  v8::MaybeLocal<v8::Value> Called(v8::MaybeLocal<v8::Value> function) {
    v8::Local<v8::Value> value;
    if (!function.ToLocal(&value)) return {};
    if (!value->IsFunction()) {  // a bracket of the source's ended it
      engine_.isolate()->ThrowException(
          v8::Exception::SyntaxError(Str(engine_.isolate(), "Unexpected token ')'")));
      return {};
    }
    return value.As<v8::Function>()->Call(engine_.context(), v8::Undefined(engine_.isolate()), 0,
                                          nullptr);
  }

  v8::MaybeLocal<v8::Value> AsModule() {
    v8::Local<v8::Promise> promise;
    if (!modules_.RunModule(url_, source_).ToLocal(&promise)) return {};
    return promise;
  }

  v8::MaybeLocal<v8::Value> AsTypeScript(const std::string& path, v8::TryCatch& error) {
    std::string text;
    if (!sources_.AsTypeScript(fmt::format("{}.ts", path), source_, error).To(&text)) return {};
    error.Reset();
    return Evaluation(engine_, modules_, fmt::format("{}.ts", url_), source_).Run();
  }

  Engine& engine_;
  ModuleLoader& modules_;
  ModuleSources& sources_;
  const std::string url_;
  std::string source_;
};

}  // namespace

v8::MaybeLocal<v8::Value> Evaluate(Engine& engine, ModuleLoader& modules, const std::string& url,
                                   const std::string& source) {
  modules.SetEntry(url, source);
  return Evaluation(engine, modules, url, source).Run();
}

}  // namespace postern::worker
