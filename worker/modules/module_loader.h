// ModuleLoader: the modules of a guest: found (module_resolver.h), loaded over the files channel,
// compiled, linked. CommonJS is run by the runtime (runtime/modules/commonjs.js), which asks here
// for what it needs.
#pragma once

#include <v8.h>

#include <map>
#include <string>
#include <unordered_map>

#include "worker/engine/engine.h"
#include "worker/files/file_client.h"
#include "worker/modules/module_files.h"
#include "worker/modules/module_sources.h"
#include "worker/resolver/module_resolver.h"

namespace postern::worker {

class ModuleLoader {
 public:
  ModuleLoader(Engine& engine, FileClient& files);

  // Runs `source` as the program `url`, with everything it imports. The promise settles with it. On
  // failure an exception is pending.
  v8::MaybeLocal<v8::Promise> Run(const std::string& url, const std::string& source);
  // The same as an ES module, whatever the URL says.
  v8::MaybeLocal<v8::Promise> RunModule(const std::string& url, const std::string& source);
  // The program is `source`, which is at `url`.
  void SetEntry(const std::string& url, const std::string& source);
  // The namespace object of the module that Run was given, once it has been evaluated.
  v8::MaybeLocal<v8::Value> EntryNamespace();
  // The same where it is an ES module and that was evaluated; else nothing.
  v8::MaybeLocal<v8::Value> ModuleNamespace();

  // For the natives. Where they give nothing, an exception is pending.
  v8::Maybe<std::string> Resolve(const std::string& specifier, const std::string& importer,
                                 ModuleResolver::How how);
  // A function of exports, require, module, __filename and __dirname.
  v8::MaybeLocal<v8::Function> CompileCommonJs(const std::string& url, const std::string& source);
  // ":line:column" of what a message is about, in what was written; "" where that was added.
  std::string WhereThrown(const std::string& url, v8::Local<v8::Message> message);
  // The namespace of the ES module `url`, for require: evaluated now, which one that awaits at its
  // top cannot be.
  v8::MaybeLocal<v8::Value> Require(const std::string& url);
  ModuleSources& sources() { return sources_; }
  ModuleResolver& resolver() { return resolver_; }
  FileClient& files() { return files_; }
  // The guest waits: what was seen of files may be so no longer.
  void ForgetFiles() {
    found_.Forget();
    sources_.Forget();
  }

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
  v8::MaybeLocal<v8::Promise> RunCompiled(v8::Local<v8::Module> module, const std::string& url);
  v8::MaybeLocal<v8::Promise> RunCommonJs(const std::string& url, const std::string& source);
  v8::Maybe<std::string> UrlOrThrow(ModuleResolver::Url resolved);
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
  ModuleSources sources_;
  std::map<std::string, v8::Global<v8::Module>> loaded_;  // by URL, with the type before it
  std::unordered_multimap<int, std::pair<v8::Global<v8::Module>, std::string>>
      urls_;  // by identity hash
  v8::Global<v8::Module> main_module_;
  std::string common_js_;  // the program's URL, where it is that, and no module yet
  struct Synthetic {
    v8::Global<v8::Array> names;
    v8::Global<v8::Object> exports;  // empty: CommonJS
    std::string url;
  };
  std::map<int, Synthetic> synthetic_;  // by identity hash
};

}  // namespace postern::worker
