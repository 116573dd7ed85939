// Natives for modules: what runtime/modules/commonjs.js and the stack traces ask of the loader.
#include "worker/guest/guest.h"
#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

ModuleLoader& Loader() { return Guest::Current().modules(); }

// moduleResolve(specifier, importer's URL, for require): a URL
void ModuleResolve(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::string url;
  if (Loader()
          .Resolve(Text(args, 0), Text(args, 1),
                   args[2]->IsTrue() ? ModuleResolver::How::kRequire : ModuleResolver::How::kImport)
          .To(&url))
    args.GetReturnValue().Set(Str(isolate, url));
}

// moduleFormat(path): "module", "commonjs" or "json", with " typescript" where it is that
void ModuleFormatOf(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  FileFormat format{};
  if (!Loader().sources().Format(Text(args, 0)).To(&format)) return;
  std::string text = format.format == ModuleFormat::kModule     ? "module"
                     : format.format == ModuleFormat::kCommonJs ? "commonjs"
                                                                : "json";
  if (format.typescript) text += " typescript";
  args.GetReturnValue().Set(Str(isolate, text));
}

// moduleSource(path, format): its text as JavaScript
void ModuleSource(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::string source;
  const std::string given = Text(args, 1);
  const FileFormat format{
      given.starts_with("module") ? ModuleFormat::kModule : ModuleFormat::kCommonJs,
      given.ends_with(" typescript")};
  if (Loader().sources().Source(Text(args, 0), format).To(&source))
    args.GetReturnValue().Set(Str(isolate, source));
}

// compileCommonJs(source, URL): a function of exports, require, module, __filename and __dirname
void CompileCommonJs(const Args& args) {
  v8::Local<v8::Function> function;
  if (Loader().CompileCommonJs(Text(args, 1), Text(args, 0)).ToLocal(&function))
    args.GetReturnValue().Set(function);
}

// requireModule(URL): the namespace of an ES module
void RequireModule(const Args& args) {
  v8::Local<v8::Value> names;
  if (Loader().Require(Text(args, 0)).ToLocal(&names)) args.GetReturnValue().Set(names);
}

// urlOfPath(path), pathOfUrl(URL): "" where it has none
void UrlOfPathText(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  args.GetReturnValue().Set(Str(isolate, UrlOfPath(Text(args, 0))));
}
void PathOfUrlText(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  args.GetReturnValue().Set(Str(isolate, PathOfUrl(Text(args, 0))));
}

// sourceMapOf(URL of a script): where its source map is, "" where it names none
void SourceMapOf(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  if (Guest::Running())
    args.GetReturnValue().Set(Str(isolate, Loader().sources().SourceMapOf(Text(args, 0))));
}

// readText(path): a mounted file's text, undefined where it cannot be read
void ReadText(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto read = Loader().files().Read(Text(args, 0));
  if (read.ok && read.bytes.size() <= static_cast<size_t>(v8::String::kMaxLength))
    args.GetReturnValue().Set(Str(isolate, read.bytes));
}

}  // namespace

std::span<const Native> ModuleNatives() {
  static constexpr Native kNatives[] = {{"moduleResolve", ModuleResolve},
                                        {"moduleFormat", ModuleFormatOf},
                                        {"moduleSource", ModuleSource},
                                        {"compileCommonJs", CompileCommonJs},
                                        {"requireModule", RequireModule},
                                        {"urlOfPath", UrlOfPathText},
                                        {"pathOfUrl", PathOfUrlText},
                                        {"sourceMapOf", SourceMapOf},
                                        {"readText", ReadText}};
  return kNatives;
}

}  // namespace postern::worker
