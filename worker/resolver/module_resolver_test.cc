#include "worker/resolver/module_resolver.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "worker/resolver/tsconfig.h"

namespace postern::worker {
namespace {

using How = ModuleResolver::How;

using Files = std::map<std::string, std::string>;

const std::string kImporter = "file:///app/src/main.mjs";

// Files by path; what is not beneath /app is not mounted.
class Tree : public FileTree {
 public:
  explicit Tree(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Kind Stat(const std::string& path) override {
    if (path != "/app" && !path.starts_with("/app/")) return Kind::kDenied;
    if (files_.contains(path)) return Kind::kFile;
    const auto below = files_.lower_bound(path + "/");
    return below != files_.end() && below->first.starts_with(path + "/") ? Kind::kDirectory
                                                                         : Kind::kNone;
  }
  std::string WhyDenied(const std::string& path) override { return path + " is outside"; }
  std::optional<std::string> ReadFile(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return std::nullopt;
    return found->second;
  }
  std::string RealPath(const std::string& path) override {
    if (const auto link = links.find(path); link != links.end()) return link->second;
    return path;
  }
  std::map<std::string, std::string> links;  // from files that are there

 private:
  std::map<std::string, std::string> files_;
};

std::string In(Tree tree, const std::string& specifier, How how = How::kImport,
               const std::string& importer = kImporter) {
  ModuleResolver resolver(tree);
  const auto result = resolver.Resolve(specifier, importer, how);
  const auto* url = std::get_if<std::string>(&result);
  return url != nullptr ? *url : std::get<ModuleError>(result).code;
}
std::string Resolved(const std::string& specifier) { return In(Tree(Files{}), specifier); }

TEST(ModuleResolver, PathsAndFileUrls) {
  EXPECT_EQ(Resolved("./a.mjs"), "file:///app/src/a.mjs");
  EXPECT_EQ(Resolved("../a.mjs?v=1#x"), "file:///app/a.mjs?v=1#x");
  EXPECT_EQ(Resolved("../../../../a.mjs"), "file:///a.mjs");
  EXPECT_EQ(Resolved("/etc/passwd"), "file:///etc/passwd");
  EXPECT_EQ(Resolved("."), "file:///app/src/");
  EXPECT_EQ(Resolved("./a b.mjs"), "file:///app/src/a%20b.mjs");
  EXPECT_EQ(Resolved("file:///x/../y.mjs"), "file:///y.mjs");
  EXPECT_EQ(Resolved("postern:sockets"), "postern:sockets");
}

TEST(ModuleResolver, NamesThatNoFileCanHave) {
  const Files files = {{"/app/node_modules/p/package.json", "{}"}};
  for (const char* start : {"p/x", "./x"}) {
    const std::string specifier = start + std::string("\0y", 2);
    EXPECT_EQ(In(Tree(files), specifier), "ERR_INVALID_MODULE_SPECIFIER") << start;
    EXPECT_NE(In(Tree(files), specifier, How::kRequire).find("MODULE"), std::string::npos) << start;
  }
  EXPECT_EQ(In(Tree(files), "p/a%20b"), "file:///app/node_modules/p/a%20b");
  EXPECT_EQ(In(Tree(files), "p/%2f"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(In(Tree(files), "./%2F"), "ERR_INVALID_MODULE_SPECIFIER");
}

TEST(ModuleResolver, LinksLeadToTheFileThatIsMeant) {
  Tree tree(Files{{"/app/node_modules/a/package.json", R"({"exports": "./main.js"})"},
                  {"/app/node_modules/a/main.js", ""},
                  {"/app/src/b.js", ""}});
  tree.links = {{"/app/node_modules/a/main.js", "/app/store/a b/main.js"},
                {"/app/src/b.js", "/app/lib/c.js"}};
  for (const How how : {How::kImport, How::kRequire}) {
    EXPECT_EQ(In(tree, "a", how), "file:///app/store/a%20b/main.js");
    EXPECT_EQ(In(tree, "./b.js", how), "file:///app/lib/c.js");
  }
  EXPECT_EQ(In(tree, "./b.js?v=1#x"), "file:///app/lib/c.js?v=1#x");
}

TEST(ModuleResolver, DotsGoWhereverTheyStand) {
  EXPECT_EQ(Resolved("/.x/../y.mjs"), "file:///y.mjs");
  EXPECT_EQ(Resolved("./.x/./.y/../../z.mjs"), "file:///app/src/z.mjs");
  EXPECT_EQ(Resolved("/.x/.y/.."), "file:///.x/");
}

TEST(ModuleResolver, WhatIsNoFile) {
  EXPECT_EQ(Resolved("//host/a.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("file://host/a.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a%2fb.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a%2Fb.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a.mjs%00.json"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("https://example.com/a.mjs"), "ERR_UNSUPPORTED_ESM_URL_SCHEME");
  EXPECT_EQ(Resolved("lodash"), "ERR_MODULE_NOT_FOUND");
  EXPECT_EQ(Resolved(""), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("@scope"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("a\\b"), "ERR_INVALID_MODULE_SPECIFIER");
}

TEST(ModuleResolver, DataUrls) {
  EXPECT_EQ(Resolved("data:text/javascript,1"), "data:text/javascript,1");
  EXPECT_EQ(Resolved("DATA:,a b#c"), "data:,a b#c");
  EXPECT_EQ(In(Tree(Files{}), "data:,1", How::kRequire), "ERR_UNSUPPORTED_ESM_URL_SCHEME");
  Tree tree(Files{{"/node_modules/a/index.js", ""}});
  ModuleResolver resolver(tree);
  const auto from_data = [&](const std::string& specifier) {
    const auto found = resolver.Resolve(specifier, "data:text/javascript,1", How::kImport);
    const auto* url = std::get_if<std::string>(&found);
    return url != nullptr ? *url : std::get<ModuleError>(found).code;
  };
  EXPECT_EQ(from_data("node:fs"), "node:fs");
  EXPECT_EQ(from_data("fs"), "node:fs");
  EXPECT_EQ(from_data("data:,2"), "data:,2");
  EXPECT_EQ(from_data("file:///x.mjs"), "file:///x.mjs");
  for (const char* lost : {"a", "#a", "@a/b", ""})
    EXPECT_EQ(from_data(lost), "ERR_UNSUPPORTED_RESOLVE_REQUEST") << lost;
  for (const char* lost : {"./a", "../a", "/a"})
    EXPECT_EQ(from_data(lost), "ERR_INVALID_MODULE_SPECIFIER") << lost;
}

TEST(ModuleResolver, Builtins) {
  EXPECT_EQ(Resolved("node:fs"), "node:fs");
  EXPECT_EQ(Resolved("fs"), "node:fs");
  EXPECT_EQ(Resolved("path/posix"), "node:path/posix");
  EXPECT_EQ(In(Tree(Files{}), "util", How::kRequire), "node:util");
  EXPECT_EQ(Resolved("fs/nothing"), "ERR_MODULE_NOT_FOUND");
}

TEST(ModuleResolver, Paths) {
  EXPECT_EQ(PathOfUrl("file:///a/%C3%A4%20b.mjs?q#h"), "/a/\u00e4 b.mjs");
  EXPECT_EQ(PathOfUrl("file:///a%252f"), "/a%2f");
  EXPECT_EQ(PathOfUrl("https://example.com/a"), "");
  EXPECT_EQ(PathOfUrl("nonsense"), "");
  for (const char* path : {"/a b/\u00e4.js", "/100%/x?y#z.js", "/a\\b.js", "/x"})
    EXPECT_EQ(PathOfUrl(UrlOfPath(path)), path);
}

TEST(ModuleResolver, PackagesAreLookedForUpwards) {
  const Tree tree(Files{{"/app/node_modules/a/package.json", R"({"main": "lib/a"})"},
                        {"/app/node_modules/a/lib/a.js", ""},
                        {"/app/node_modules/a/sub.js", ""},
                        {"/app/node_modules/@s/b/index.js", ""},
                        {"/app/src/node_modules/c/index.js", ""},
                        {"/app/node_modules/c/index.js", ""}});
  EXPECT_EQ(In(tree, "a"), "file:///app/node_modules/a/lib/a.js");
  EXPECT_EQ(In(tree, "a", How::kRequire), "file:///app/node_modules/a/lib/a.js");
  EXPECT_EQ(In(tree, "a/sub.js"), "file:///app/node_modules/a/sub.js");
  EXPECT_EQ(In(tree, "a/sub"),
            "file:///app/node_modules/a/sub");  // which is not there: import adds nothing
  EXPECT_EQ(In(tree, "a/sub", How::kRequire), "file:///app/node_modules/a/sub.js");
  EXPECT_EQ(In(tree, "@s/b"), "file:///app/node_modules/@s/b/index.js");
  EXPECT_EQ(In(tree, "c"), "file:///app/src/node_modules/c/index.js");
  EXPECT_EQ(In(tree, "c", How::kImport, "file:///app/x.mjs"),
            "file:///app/node_modules/c/index.js");
  EXPECT_EQ(In(tree, "a/nothing", How::kRequire), "MODULE_NOT_FOUND");
  EXPECT_EQ(In(tree, "nothing", How::kRequire), "MODULE_NOT_FOUND");
}

const char kExports[] = R"({
  "name": "p",
  "exports": {
    ".": {"require": "./r.cjs", "postern": "./p.mjs", "import": "./i.mjs", "default": "./d.js"},
    "./only-required": {"require": "./r.cjs"},
    "./nested": {"browser": "./b.js", "import": {"worker": "./w.js", "default": {"postern": "./n.mjs"}}, "default": "./d.js"},
    "./empty-condition": {"import": {"browser": "./b.js"}, "default": "./d.js"},
    "./*.js": "./src/*.js",
    "./*": "./any/*/*.mjs",
    "./private/*": null,
    "./list": ["not-relative", "./d.js"],
    "./out": "./../out.js",
    "./into": "./node_modules/x/index.js",
    "./absolute": "/etc/passwd",
    "./number": 7
  },
  "imports": {"#own": "./own.mjs", "#dep": {"postern": "q", "default": "./x.js"}, "#dep/*": "./deps/*.mjs",
              "#fs": "fs", "#url": "https://x/", "#loop": "#own", "#up": "../x.js"}
})";

TEST(ModuleResolver, ExportsAndConditions) {
  const Tree tree(Files{{"/app/node_modules/p/package.json", kExports}});
  const std::string at = "file:///app/node_modules/p/";
  EXPECT_EQ(In(tree, "p"), at + "p.mjs");
  EXPECT_EQ(In(tree, "p", How::kRequire), at + "r.cjs");
  EXPECT_EQ(In(tree, "p/only-required"), "ERR_PACKAGE_PATH_NOT_EXPORTED");
  EXPECT_EQ(In(tree, "p/nested"), at + "n.mjs");
  EXPECT_EQ(In(tree, "p/nested", How::kRequire), at + "d.js");
  EXPECT_EQ(In(tree, "p/empty-condition"), at + "d.js");
  EXPECT_EQ(In(tree, "p/x.js"), at + "src/x.js");
  EXPECT_EQ(In(tree, "p/a/b"), at + "any/a/b/a/b.mjs");
  EXPECT_EQ(In(tree, "p/private/x"), "ERR_PACKAGE_PATH_NOT_EXPORTED");
  EXPECT_EQ(In(tree, "p/list"), at + "d.js");
  for (const char* name :
       {"p/out", "p/into", "p/absolute", "p/number", "p/../x", "p/%2e%2e/x", "p/node_modules/x"})
    EXPECT_EQ(In(tree, name), "ERR_INVALID_PACKAGE_TARGET") << name;
}

TEST(ModuleResolver, SelfReferencesAndImports) {
  const Tree tree(Files{{"/app/package.json", kExports}, {"/app/node_modules/q/index.js", ""}});
  EXPECT_EQ(In(tree, "p"), "file:///app/p.mjs");
  EXPECT_EQ(In(tree, "#own"), "file:///app/own.mjs");
  EXPECT_EQ(In(tree, "#dep"), "file:///app/node_modules/q/index.js");
  EXPECT_EQ(In(tree, "#dep/a"), "file:///app/deps/a.mjs");
  EXPECT_EQ(In(tree, "#fs"), "node:fs");
  EXPECT_EQ(In(tree, "#url"), "ERR_INVALID_PACKAGE_TARGET");
  EXPECT_EQ(In(tree, "#up"), "ERR_INVALID_PACKAGE_TARGET");
  EXPECT_EQ(In(tree, "#loop"), "ERR_MODULE_NOT_FOUND");
  EXPECT_EQ(In(tree, "#nothing"), "ERR_PACKAGE_IMPORT_NOT_DEFINED");
  EXPECT_EQ(In(tree, "#"), "ERR_PACKAGE_IMPORT_NOT_DEFINED");
}

TEST(ModuleResolver, RequireLooksForFiles) {
  const Tree tree(Files{{"/app/src/a.js", ""},
                        {"/app/src/b/package.json", R"({"main": "./main.cjs"})"},
                        {"/app/src/b/main.cjs", ""},
                        {"/app/src/c/index.json", ""},
                        {"/app/src/100%.js", ""}});
  EXPECT_EQ(In(tree, "./a", How::kRequire), "file:///app/src/a.js");
  EXPECT_EQ(In(tree, "./b", How::kRequire), "file:///app/src/b/main.cjs");
  EXPECT_EQ(In(tree, "./c/", How::kRequire), "file:///app/src/c/index.json");
  EXPECT_EQ(In(tree, "./100%", How::kRequire), "file:///app/src/100%25.js");
  EXPECT_EQ(In(tree, "./d", How::kRequire), "MODULE_NOT_FOUND");
}

TEST(ModuleResolver, DamagedPackages) {
  for (const char* json : {R"({"main": 7, "exports": null, "type": []})",
                           R"({"exports": {"a": "./x.js", "./b": 1}})"}) {
    const Tree tree(
        Files{{"/app/node_modules/p/package.json", json}, {"/app/node_modules/p/index.js", ""}});
    const std::string url = In(tree, "p");
    EXPECT_TRUE(url == "file:///app/node_modules/p/index.js" ||
                url == "ERR_PACKAGE_PATH_NOT_EXPORTED")
        << json << url;
  }
  for (const char* json : {"", "[]", "{", "7", "{bad", "null"}) {
    const Files files = {{"/app/node_modules/p/package.json", json},
                         {"/app/node_modules/p/index.js", ""},
                         {"/app/node_modules/p/sub/package.json", json},
                         {"/app/node_modules/p/sub/index.js", ""}};
    const std::string invalid = "ERR_INVALID_PACKAGE_CONFIG",
                      own = "file:///app/node_modules/p/index.js";
    for (const How how : {How::kImport, How::kRequire}) {
      EXPECT_EQ(In(Tree(files), "p", how), invalid) << json;
      EXPECT_EQ(In(Tree(files), "p/sub", how), invalid) << json;
      EXPECT_EQ(In(Tree(files), "#x", how, own), invalid) << json;
      EXPECT_EQ(In(Tree(files), "q", how, own), invalid) << json;
      EXPECT_EQ(In(Tree(files), "fs", how, own), "node:fs") << json;
    }
    EXPECT_EQ(In(Tree(files), "./sub", How::kRequire, own), invalid) << json;
    Tree tree(files);
    ModuleResolver resolver(tree);
    EXPECT_TRUE(
        std::holds_alternative<ModuleError>(resolver.FormatOf("/app/node_modules/p/index.js")));
    EXPECT_TRUE(std::holds_alternative<FileFormat>(resolver.FormatOf("/app/node_modules/p/a.mjs")));
  }
  std::string deep = "\"./x.js\"";
  for (int i = 0; i < 100; ++i) deep = "{\"default\": " + deep + "}";
  EXPECT_EQ(
      In(Tree(Files{{"/app/node_modules/p/package.json", "{\"exports\": " + deep + "}"}}), "p"),
      "ERR_INVALID_PACKAGE_TARGET");
}

TEST(ModuleResolver, TypeScriptNamesFilesAsBundlersDo) {
  const Tree tree(Files{{"/app/src/a.ts", ""},
                        {"/app/src/b.tsx", ""},
                        {"/app/src/c.mts", ""},
                        {"/app/src/both.js", ""},
                        {"/app/src/both.ts", ""},
                        {"/app/src/d/index.ts", ""},
                        {"/app/node_modules/p/main.ts", ""},
                        {"/app/node_modules/p/x.ts", ""}});
  const auto from = [&](const std::string& importer, const std::string& specifier, How how) {
    return In(tree, specifier, how, importer);
  };
  for (const How how : {How::kImport, How::kRequire}) {
    const auto resolved = [&](const std::string& specifier) {
      return from("file:///app/src/main.ts", specifier, how);
    };
    EXPECT_EQ(resolved("./a"), "file:///app/src/a.ts");
    EXPECT_EQ(resolved("./a.js"), "file:///app/src/a.ts");
    EXPECT_EQ(resolved("./a.ts"), "file:///app/src/a.ts");
    EXPECT_EQ(resolved("./b.js"), "file:///app/src/b.tsx");
    EXPECT_EQ(resolved("./b.jsx"), "file:///app/src/b.tsx");
    EXPECT_EQ(resolved("./c.mjs"), "file:///app/src/c.mts");
    EXPECT_EQ(resolved("./both.js"), "file:///app/src/both.js");
    EXPECT_EQ(resolved("./both"), "file:///app/src/both.ts");
    EXPECT_EQ(resolved("./d"), "file:///app/src/d/index.ts");
    EXPECT_EQ(resolved("./d/"), "file:///app/src/d/index.ts");
  }
  EXPECT_EQ(from("file:///app/src/main.ts", "./a?v=1", How::kImport), "file:///app/src/a.ts?v=1");
  // JavaScript, and what is installed, names a file as Node.js has it.
  EXPECT_EQ(from("file:///app/src/main.mjs", "./a", How::kImport), "file:///app/src/a");
  EXPECT_EQ(from("file:///app/node_modules/p/main.ts", "./x", How::kImport),
            "file:///app/node_modules/p/x");
}

TEST(ModuleResolver, PathsOfTsconfig) {
  Tree tree(Files{
      {"/app/tsconfig.json",
       "{ // comments, and commas\n \"extends\": [\"./base\", \"conf/strict.json\"],\n"
       " \"compilerOptions\": {\"paths\": {\"@/*\": [\"./none/*\", \"./src/*\",], \"@/only\": "
       "[\"lib/one.ts\"], \"out/*\": [\"../outside/*\"], \"a*z\": [\"lib/*\"], \"node:x\": "
       "[\"lib/one\"]},},\n"
       " /* , } */ }"},
      {"/app/base.json", R"({"extends": "./tsconfig.json", "compilerOptions": {"baseUrl": "./lib",
         "jsx": "react", "target": "ES2020", "paths": {"gone": ["x"]}}})"},
      {"/app/node_modules/conf/strict.json",
       R"({"compilerOptions": {"jsx": "react-jsx", "baseUrl": "${configDir}/lib"}})"},
      {"/app/src/x.ts", ""},
      {"/app/lib/one.ts", ""},
      {"/app/lib/lib/one.ts", ""},
      {"/app/lib/lib/mid.ts", ""},
      {"/app/lib/based.ts", ""},
      {"/app/node_modules/p/index.js", ""}});
  ModuleResolver resolver(tree);
  resolver.SetProject("/app/src");
  const auto in = [&](const std::string& specifier,
                      const std::string& importer = "file:///app/src/main.ts") {
    const auto result = resolver.Resolve(specifier, importer, How::kImport);
    const auto* url = std::get_if<std::string>(&result);
    return url != nullptr ? *url : std::get<ModuleError>(result).message;
  };
  EXPECT_EQ(in("@/only"), "file:///app/lib/lib/one.ts");
  EXPECT_EQ(in("amidz"), "file:///app/lib/lib/mid.ts");
  EXPECT_EQ(in("based"), "file:///app/lib/based.ts");
  EXPECT_EQ(in("p"), "file:///app/node_modules/p/index.js");
  EXPECT_EQ(in("node:x"), "node:x");
  EXPECT_NE(in("out/y").find("'out/y' is /app/outside/y"), 0U);
  EXPECT_NE(in("based", "file:///app/src/main.mjs").find("cannot find the package"),
            std::string::npos);
  EXPECT_EQ(resolver.Project().options(), R"({"target":"ES2020","jsx":"react-jsx"})");
}

TEST(ModuleResolver, TsconfigThatSaysNothing) {
  for (const char* text :
       {"", "[]", "{", "{\"extends\": 5}", "{\"extends\": [[[]]]}", "{\"compilerOptions\": [1]}",
        "{\"compilerOptions\": {\"paths\": [1], \"baseUrl\": {}}}", "{\"extends\": \"./tsconfig\"}",
        "{\"compilerOptions\": {\"paths\": {\"*\": 5, \"\": \"\", \"**\": [\"*\"]}}}", "{\"a\": \"",
        "/*", "//"}) {
    Tree tree(Files{{"/app/tsconfig.json", text}});
    ModuleResolver resolver(tree);
    resolver.SetProject("/app/src");
    const bool object = nlohmann::json::parse(text, nullptr, false).is_object();
    EXPECT_EQ(resolver.Project().error().has_value(), !object) << text;
    EXPECT_EQ(resolver.Project().options(), "{}") << text;
    (void)resolver.Resolve("x/y", "file:///app/src/main.ts", How::kImport);
    (void)resolver.Resolve("", "file:///app/src/main.ts", How::kRequire);
  }
}

TEST(ModuleResolver, Formats) {
  Tree tree(Files{{"/app/package.json", R"({"type": "module"})"},
                  {"/app/c/package.json", R"({"type": "commonjs"})"},
                  {"/app/n/package.json", "{}"}});
  ModuleResolver resolver(tree);
  const auto format = [&](const std::string& path) {
    const auto result = resolver.FormatOf(path);
    if (const auto* error = std::get_if<ModuleError>(&result)) return error->code;
    const auto& found = std::get<FileFormat>(result);
    return std::string(found.format == ModuleFormat::kModule     ? "module"
                       : found.format == ModuleFormat::kCommonJs ? "commonjs"
                                                                 : "json") +
           (found.typescript ? " ts" : "") + (found.by_its_text ? "?" : "");
  };
  EXPECT_EQ(format("/app/x.js"), "module");
  EXPECT_EQ(format("/app/c/x.js"), "commonjs");
  EXPECT_EQ(format("/app/n/x.js"), "commonjs?");
  EXPECT_EQ(format("/app/n/x"), "commonjs?");
  EXPECT_EQ(format("/app/c/x.mjs"), "module");
  EXPECT_EQ(format("/app/x.cjs"), "commonjs");
  EXPECT_EQ(format("/app/x.json"), "json");
  EXPECT_EQ(format("/app/n/x.ts"), "commonjs ts?");
  EXPECT_EQ(format("/app/c/x.ts"), "commonjs ts");
  EXPECT_EQ(format("/app/c/x.mts"), "module ts");
  EXPECT_EQ(format("/app/x.cts"), "commonjs ts");
  EXPECT_EQ(format("/app/node_modules/p/x.js"), "commonjs?");
  EXPECT_EQ(format("/app/x.tsx"), "module ts");
  EXPECT_EQ(format("/app/n/x.jsx"), "commonjs ts?");
  EXPECT_EQ(format("/app/[code]"), "commonjs?");
  EXPECT_EQ(format("/app/[stdin].tsx"), "commonjs ts?");
  EXPECT_EQ(format("/app/[eval].mts"), "module ts");
  for (const char* path : {"/app/x.node", "/app/x.wasm", "/app/x.vue"})
    EXPECT_TRUE(format(path).starts_with("ERR_")) << path;
}

}  // namespace
}  // namespace postern::worker
