// Modules: the modules of a guest: found (module_resolver.h), loaded over the files channel,
// compiled, linked. CommonJS is run by the runtime (runtime/commonjs.js), which asks here for what
// it needs.
#pragma once

#include <v8.h>

#include <map>
#include <string>
#include <unordered_map>

#include "worker/engine.h"
#include "worker/file_client.h"
#include "worker/module_files.h"
#include "worker/module_resolver.h"

namespace postern::worker {

class Modules {
 public:
  Modules(Engine& engine, FileClient& files);

  // Runs `source` as the program `url`, with everything it imports. The promise settles with it. On
  // failure an exception is pending.
  v8::MaybeLocal<v8::Promise> Run(const std::string& url, const std::string& source);
  // The same as an ES module, whatever the URL says.
  v8::MaybeLocal<v8::Promise> RunModule(const std::string& url, const std::string& source);
  // The namespace object of the module that Run was given, once it has been evaluated.
  v8::Local<v8::Value> EntryNamespace();

  // For the natives. Where they give nothing, an exception is pending.
  v8::Maybe<std::string> Resolve(const std::string& specifier, const std::string& importer,
                                 ModuleResolver::How how);
  v8::Maybe<FileFormat> Format(const std::string& path);
  // The text of a file as JavaScript: what is TypeScript loses its types.
  v8::Maybe<std::string> Source(const std::string& path, bool typescript);
  // A function of exports, require, module, __filename and __dirname.
  v8::MaybeLocal<v8::Function> CompileCommonJs(const std::string& url, const std::string& source);
  // The namespace of the ES module `url`, for require: evaluated now, which one that awaits at its
  // top cannot be.
  v8::MaybeLocal<v8::Value> Require(const std::string& url);
  // Where the source map of a script or module is, as its last line says; "" where it says nothing.
  std::string SourceMapOf(const std::string& url) const;
  FileClient& files() { return files_; }
  // The guest waits: what was seen of files may be so no longer.
  void ForgetFiles() { found_.Forget(); }

 private:
  v8::MaybeLocal<v8::Module> Load(const std::string& url, const std::string& type,
                                  const std::string& importer);
  v8::MaybeLocal<v8::Module> Compile(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> MakeJson(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> MakeText(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> MakeOfData(const std::string& url, const std::string& type,
                                        const std::string& importer);
  v8::MaybeLocal<v8::Module> MakeBuiltin(const std::string& url, const std::string& importer);
  v8::MaybeLocal<v8::Module> MakeCommonJs(const std::string& url);
  // `exports`: an object whose properties are the module's exports; or none, where the module is
  // CommonJS, and runs when it is evaluated.
  v8::MaybeLocal<v8::Module> MakeSynthetic(const std::string& key, const std::string& url,
                                           v8::Local<v8::Array> names,
                                           v8::MaybeLocal<v8::Object> exports);
  // Has the files read ahead that a CommonJS module seems to require.
  void ReadAheadOf(const std::string& url, const std::string& source);
  bool LoadRequests(v8::Local<v8::Module> module, const std::string& url);
  v8::MaybeLocal<v8::Promise> Evaluate(v8::Local<v8::Module> module);
  // A function of what Node's wrapper of a CommonJS module takes.
  v8::MaybeLocal<v8::Function> CompileWrapped(const std::string& url, const std::string& source);
  // Packages have ES modules in .js files whose package.json does not say so, for bundlers: told by
  // what is in them.
  bool IsModuleByItsText(const std::string& path);
  v8::Maybe<std::string> UrlOrThrow(ModuleResolver::Url resolved);
  void Throw(const std::string& code, const std::string& message, bool syntax = false);
  v8::MaybeLocal<v8::String> Text(const std::string& url, const std::string& source);
  void NoteSourceMap(const std::string& url, v8::Local<v8::Value> source_map);
  const std::string& UrlOf(v8::Local<v8::Module> module);
  v8::MaybeLocal<v8::Value> CallHook(const char* name,
                                     std::initializer_list<v8::Local<v8::Value>> args);

  static v8::MaybeLocal<v8::Value> EvaluateSynthetic(v8::Local<v8::Context> context,
                                                     v8::Local<v8::Module> self);
  static v8::MaybeLocal<v8::Module> Link(v8::Local<v8::Context>, v8::Local<v8::String> specifier,
                                         v8::Local<v8::FixedArray> attributes,
                                         v8::Local<v8::Module> referrer);
  static v8::MaybeLocal<v8::Promise> Import(v8::Local<v8::Context>, v8::Local<v8::Data>,
                                            v8::Local<v8::Value> referrer,
                                            v8::Local<v8::String> specifier,
                                            v8::Local<v8::FixedArray> attributes);
  static void ImportMeta(v8::Local<v8::Context>, v8::Local<v8::Module> module,
                         v8::Local<v8::Object> meta);

  Engine& engine_;
  FileClient& files_;
  ModuleFiles found_;
  ModuleResolver resolver_;
  std::map<std::string, v8::Global<v8::Module>> loaded_;  // by URL, with the type before it
  std::unordered_multimap<int, std::pair<v8::Global<v8::Module>, std::string>>
      urls_;  // by identity hash
  v8::Global<v8::Module> entry_;
  struct Synthetic {
    v8::Global<v8::Array> names;
    v8::Global<v8::Object> exports;  // empty: CommonJS
    std::string url;
  };
  std::map<int, Synthetic> synthetic_;  // by identity hash
  std::map<std::string, std::string> source_maps_;
  std::map<std::string, bool> is_module_;  // by path
  // What was compiled to see whether it is CommonJS, and is, by URL, until it runs.
  std::map<std::string, std::pair<std::string, v8::Global<v8::Function>>> compiled_;
};

}  // namespace postern::worker
