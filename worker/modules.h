// Modules: ES modules of a guest: resolving, loading over the files channel, compiling, linking.
#pragma once

#include <v8.h>

#include <map>
#include <string>
#include <unordered_map>

#include "worker/engine.h"
#include "worker/file_client.h"

namespace postern::worker {

class Modules {
 public:
  Modules(Engine& engine, FileClient& files);

  // Compiles `source` as the module `url`, with everything it imports, links and evaluates it. The
  // promise settles with the module. On failure an exception is pending.
  v8::MaybeLocal<v8::Promise> Run(const std::string& url, const std::string& source);
  // The namespace object of the module that Run was given, once it has been evaluated.
  v8::Local<v8::Value> EntryNamespace();
  // A file's bytes as text, for the runtime's own loaders.
  FileClient& files() { return files_; }

 private:
  v8::MaybeLocal<v8::Module> Load(const std::string& url, const std::string& type,
                                  const std::string& importer);
  v8::MaybeLocal<v8::Module> Compile(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> MakeJson(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> MakeBuiltin(const std::string& url, const std::string& importer);
  v8::MaybeLocal<v8::Module> MakeSynthetic(const std::string& key, const std::string& url,
                                           v8::Local<v8::Object> exports);
  bool LoadRequests(v8::Local<v8::Module> module, const std::string& url);
  // The file: URL that `specifier` means; throws otherwise.
  v8::Maybe<std::string> ResolveUrl(const std::string& specifier, const std::string& importer);
  v8::MaybeLocal<v8::Promise> Evaluate(v8::Local<v8::Module> module);
  // "module" or the reason why the file is not one; looks for the nearest package.json.
  std::string NotAModule(const std::string& path);
  void Throw(const std::string& code, const std::string& message, bool syntax = false);
  const std::string& UrlOf(v8::Local<v8::Module> module);

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
  std::map<std::string, v8::Global<v8::Module>> loaded_;  // by URL, JSON ones by "json " + URL
  std::unordered_multimap<int, std::pair<v8::Global<v8::Module>, std::string>>
      urls_;  // by identity hash
  v8::Global<v8::Module> entry_;
  std::map<int, v8::Global<v8::Object>> synthetic_;  // exports, by identity hash
};

}  // namespace postern::worker
