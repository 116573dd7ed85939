// ModuleSources: the texts of a guest's modules as JavaScript, and which of them are ES modules.
//
// Where neither a file's name nor its package says what it is, its text does, as in Node.js: it is
// CommonJS where it can be, else an ES module.
#pragma once

#include <v8.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "worker/engine/engine.h"
#include "worker/modules/module_files.h"
#include "worker/modules/transpiler.h"
#include "worker/resolver/module_resolver.h"

namespace postern::worker {

v8::ScriptOrigin OriginOf(v8::Isolate* isolate, const std::string& url, bool is_module);

class ModuleSources {
 public:
  ModuleSources(Engine& engine, FileClient& client, ModuleFiles& files, ModuleResolver& resolver)
      : engine_(engine), client_(client), files_(files), resolver_(resolver), transpiler_(engine) {}

  // The program itself, whose text is not read from a file.
  void SetEntry(const std::string& path, const std::string& source);
  bool IsThere(const std::string& path);

  // Where these give nothing, an exception is pending.
  v8::Maybe<FileFormat> Format(const std::string& path);
  // Its text as JavaScript.
  v8::Maybe<std::string> Source(const std::string& path, FileFormat format);
  // The text of code that is TypeScript or JSX, for a script.
  v8::Maybe<std::string> Transpiled(const std::string& path, const std::string& source,
                                    Transpiler::Kind kind);
  // Whether the file's text is JavaScript; and whether it could be that of a file `as`, which has
  // another extension.
  bool IsJavaScript(const std::string& path);
  bool IsOfLanguage(const std::string& path, const std::string& as);
  // The text as JavaScript where `source`, of which `error` says why it is none, is TypeScript.
  // Nothing where it is neither: `error` has then that of the language it is nearer to.
  v8::Maybe<std::string> AsTypeScript(const std::string& path, const std::string& source,
                                      v8::TryCatch& error);

  // A function of what Node's wrapper of a CommonJS module takes.
  v8::MaybeLocal<v8::Function> CompileCommonJs(const std::string& url, const std::string& source);
  // Whether it can be CommonJS; an exception is pending where it cannot.
  bool IsCommonJs(const std::string& url, const std::string& source);
  v8::MaybeLocal<v8::Module> CompileModule(const std::string& url, const std::string& source);
  // Whether a text that is no CommonJS, for the reason `words` of V8, is an ES module.
  bool IsModule(const std::string& words, const std::string& url, const std::string& source);

  // Where the source map of a script or module is: itself, or as its last line says.
  std::string SourceMapOf(const std::string& url) const;
  v8::MaybeLocal<v8::String> Text(const std::string& url, const std::string& source);
  void Throw(const std::string& code, const std::string& message, bool syntax = false);
  // The guest waits: what can be made again is given back.
  void Forget() { transpiler_.Forget(); }

 private:
  const FileClient::FileReply& Read(const std::string& path);
  const FileClient::FileReply* ReadOrThrow(const std::string& path);
  bool IsModuleByItsText(const std::string& path, const std::string& source);
  std::string Keep(const std::string& path, Transpiler::Kind kind, Transpiler::Script script);
  std::variant<Transpiler::Script, Transpiler::TranspileError> Transpile(const std::string& path,
                                                                         const std::string& source,
                                                                         Transpiler::Kind kind);
  void Note(const std::string& url, v8::Local<v8::Value> source_map);
  void ThrowFailure(const Transpiler::TranspileError& failure, const std::string& path,
                    const std::string& source);

  Engine& engine_;
  FileClient& client_;
  ModuleFiles& files_;
  ModuleResolver& resolver_;
  Transpiler transpiler_;
  std::string entry_path_;
  FileClient::FileReply main_module_;
  std::map<std::string, bool> is_module_;          // by path
  std::map<std::string, std::string> transpiled_;  // by path, until it is asked for
  std::map<std::string, std::string> made_maps_;   // by path: source maps
  std::map<std::string, std::string> named_maps_;  // by URL: where they are
  // What was compiled to see whether it is CommonJS, and is, by URL, until it runs.
  std::map<std::string, std::pair<std::string, v8::Global<v8::Function>>> compiled_;
};

}  // namespace postern::worker
