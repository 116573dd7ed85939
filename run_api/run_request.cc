#include "run_api/run_request.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::run_api {
namespace {

using nlohmann::json;

constexpr size_t kMaxFiles = 10'000;
constexpr size_t kMaxPath = 4'096;  // bytes
constexpr size_t kMaxDepth = 64;    // of the body's JSON
constexpr size_t kMaxValues =
    200'000;  // of the body's JSON: each takes more room than it has bytes

// How deep JSON is nested, for the parser calls itself for each level; and how many values it has
// at most.
struct Shape {
  size_t depth = 0, values = 1;
  explicit Shape(std::string_view text) {
    size_t open = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (quoted) {
        if (c == '\\') ++i;
        if (c == '"') quoted = false;
      } else if (c == '"') {
        quoted = true;
      } else if (c == '[' || c == '{') {
        depth = std::max(depth, ++open);
        ++values;
      } else if (c == ']' || c == '}') {
        if (open > 0) --open;
      } else if (c == ',') {
        ++values;
      }
    }
  }
};

// A parser's callback: a key that stands twice in an object is refused, for two programs might take
// different ones (RFC 8259 section 4).
json::parser_callback_t KeysOnce() {
  return [objects = std::vector<std::set<std::string>>()](int, json::parse_event_t event,
                                                          json& value) mutable {
    if (event == json::parse_event_t::object_start) objects.emplace_back();
    if (event == json::parse_event_t::object_end) objects.pop_back();
    if (event == json::parse_event_t::key &&
        !objects.back().insert(value.get_ref<const std::string&>()).second)
      RefuseRequest(fmt::format("the key \"{}\" stands twice in one object",
                                value.get_ref<const std::string&>().substr(0, 100)));
    return true;
  };
}

const std::string& Text(const json& value, const std::string& what) {
  if (!value.is_string()) RefuseRequest(fmt::format("{} must be a string", what));
  return value.get_ref<const std::string&>();
}

bool Boolean(const json& value, const std::string& what) {
  if (!value.is_boolean()) RefuseRequest(fmt::format("{} must be true or false", what));
  return value.get<bool>();
}

std::string Directory(const std::string& path) {
  if (path.size() > kMaxPath) RefuseRequest(fmt::format("cwd is longer than {} bytes", kMaxPath));
  const auto directory = WorkingDirectory(path);
  if (!directory) RefuseRequest(fmt::format("cwd must be an absolute path, not {}", path));
  return *directory;
}

// An absolute path without "." and "..".
std::string FilePath(const std::string& path) {
  const std::string absolute =
      path.starts_with('/') ? path : fmt::format("{}/{}", RunRequest::kHome, path);
  const std::string names = fmt::format("{}/", absolute);
  const bool bad = path.empty() || path.size() > kMaxPath || path.find('\0') != std::string::npos ||
                   absolute.find("//") != std::string::npos || absolute.ends_with('/') ||
                   names.find("/../") != std::string::npos ||
                   names.find("/./") != std::string::npos;
  if (bad)
    RefuseRequest(
        fmt::format("files: \"{}\" is no path of a file, as in \"main.mjs\" or \"/app/lib/a.mjs\"",
                    path.substr(0, 100)));
  return absolute;
}

// Text, or bytes in base64.
std::string Content(const json& value, const std::string& what) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() || value.size() != 1 || !value.contains("base64"))
    RefuseRequest(fmt::format("{} must be a string, or {{\"base64\": …}}", what));
  auto bytes = DecodeBase64(Text(value["base64"], what));
  if (!bytes) RefuseRequest(fmt::format("{} is no base64", what));
  return *std::move(bytes);
}

void ReadFiles(const json& value, std::map<std::string, std::string>& files) {
  if (!value.is_object()) RefuseRequest("files must be an object: path to content");
  if (value.size() > kMaxFiles)
    RefuseRequest(fmt::format("files: more than {} are too many", kMaxFiles));
  for (const auto& [path, content] : value.items()) {
    if (!files.emplace(FilePath(path), Content(content, fmt::format("files: what {} holds", path)))
             .second)
      RefuseRequest(fmt::format("files: {} stands twice", path));
  }
  // Nothing is a file and a directory.
  for (const auto& [path, content] : files) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      if (files.contains(path.substr(0, slash)))
        RefuseRequest(
            fmt::format("files: {} is a file, and {} lies below it", path.substr(0, slash), path));
    }
  }
}

void ReadTexts(const json& value, const std::string& name, std::vector<std::string>& to) {
  if (!value.is_array()) RefuseRequest(fmt::format("{} must be a list of strings", name));
  for (const json& item : value) to.push_back(Text(item, fmt::format("what stands in {}", name)));
}

void ReadMounts(const json& value, std::vector<RunRequest::Mount>& to) {
  std::vector<std::string> texts;
  ReadTexts(value, "mounts", texts);
  for (std::string& guest : texts) {
    if (guest.size() > kMaxPath)
      RefuseRequest(fmt::format("a mount's path is longer than {} bytes", kMaxPath));
    const bool writable = guest.ends_with(":rw");
    if (writable) guest.resize(guest.size() - 3);
    to.push_back({guest, writable});
  }
}

void ReadEnv(const json& value, std::map<std::string, std::string>& env) {
  if (!value.is_object()) RefuseRequest("env must be an object: name to value");
  for (const auto& [name, content] : value.items()) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
      RefuseRequest("env: a variable's name is not empty and has no \"=\"");
    env[name] = Text(content, fmt::format("env: {}", name));
  }
}

using Field = std::pair<const char*, std::function<void(const json&)>>;

void ReadFields(const json& body, const std::vector<Field>& fields) {
  for (const auto& [name, value] : body.items()) {
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&, n = name](const Field& f) { return n == f.first; });
    if (field != fields.end()) {
      field->second(value);
      continue;
    }
    std::string known;
    for (const Field& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.first);
    RefuseRequest(
        fmt::format("there is no field \"{}\"; the fields are {}", name.substr(0, 100), known));
  }
}

RunRequest Read(const json& body) {
  RunRequest run;
  ReadFields(body, {{"code", [&](const json& v) { run.code = Text(v, "code"); }},
                    {"ext",
                     [&](const json& v) {
                       run.extension = Text(v, "ext");
                       if (!IsCodeExtension(run.extension))
                         RefuseRequest(fmt::format("ext is one of {}", kCodeExtensions));
                     }},
                    {"files", [&](const json& v) { ReadFiles(v, run.files); }},
                    {"entry", [&](const json& v) { run.entry = FilePath(Text(v, "entry")); }},
                    {"eval", [&](const json& v) { run.eval = Boolean(v, "eval"); }},
                    {"arguments", [&](const json& v) { ReadTexts(v, "arguments", run.arguments); }},
                    {"env", [&](const json& v) { ReadEnv(v, run.env); }},
                    {"cwd", [&](const json& v) { run.cwd = Directory(Text(v, "cwd")); }},
                    {"policy", [&](const json& v) { run.policy = v; }},
                    {"limits", [&](const json& v) { run.limits = v; }},
                    {"print", [&](const json& v) { run.print = Boolean(v, "print"); }},
                    {"mounts", [&](const json& v) { ReadMounts(v, run.mounts); }},
                    {"stdin",
                     [&](const json& v) {
                       run.input_comes = v.is_boolean() && v.get<bool>();
                       if (!v.is_boolean()) run.input = Content(v, "stdin");
                     }},
                    {"console",
                     [&](const json& v) {
                       const std::string where = Text(v, "console");
                       if (where != "events" && where != "outcome")
                         RefuseRequest("console is \"events\" or \"outcome\"");
                       run.console_events = where == "events";
                     }},
                    {"wait", [&](const json& v) { run.wait = Boolean(v, "wait"); }}});
  if (run.code.has_value() == !run.entry.empty())
    RefuseRequest(run.code ? "a run has one of code and entry"
                           : "a run needs code, or files and the entry among them");
  if (run.eval && !run.code) RefuseRequest("eval is for code");
  if (!run.extension.empty() && !run.code) RefuseRequest("ext is for code");
  if (!run.code && !run.files.contains(run.entry))
    RefuseRequest(fmt::format("the entry {} is none of the files", run.entry));
  return run;
}

}  // namespace

std::string ToJson(const RunRequest& request) {
  json body = json::object();
  if (request.code) {
    body["code"] = *request.code;
    if (request.eval) body["eval"] = true;
    if (request.print) body["print"] = true;
    if (!request.extension.empty()) body["ext"] = request.extension;
  } else {
    body["entry"] = request.entry;
  }
  for (const auto& [path, bytes] : request.files)
    body["files"][path] = {{"base64", EncodeBase64(bytes)}};
  if (!request.arguments.empty()) body["arguments"] = request.arguments;
  if (!request.env.empty()) body["env"] = request.env;
  if (!request.cwd.empty()) body["cwd"] = request.cwd;
  if (!request.policy.is_null()) body["policy"] = request.policy;
  if (!request.limits.is_null()) body["limits"] = request.limits;
  for (const RunRequest::Mount& m : request.mounts)
    body["mounts"].push_back(m.guest + (m.writable ? ":rw" : ""));
  if (request.input_comes)
    body["stdin"] = true;
  else if (!request.input.empty())
    body["stdin"] = {{"base64", EncodeBase64(request.input)}};
  if (!request.console_events) body["console"] = "outcome";
  if (!request.wait) body["wait"] = false;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::variant<RunRequest, ApiProblem> ParseRunRequest(std::string_view body) try {
  const Shape shape(body);
  if (shape.depth > kMaxDepth) RefuseRequest("the body is nested too deeply");
  if (shape.values > kMaxValues)
    RefuseRequest(fmt::format("the body has more than {} values", kMaxValues));
  const json parsed = json::parse(body, KeysOnce(), false);
  if (parsed.is_discarded()) RefuseRequest("the body is no JSON");
  if (!parsed.is_object()) RefuseRequest("the body must be a JSON object");
  return Read(parsed);
} catch (ApiProblem& problem) {
  problem.Shorten();
  return std::move(problem);
}

}  // namespace postern::run_api
