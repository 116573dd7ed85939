// Natives for URL: ada, the host executable's own, which is current with it. The broker parses what
// it decides about itself (policy/rules/url.h), with the ada that this tree builds.
#include <dlfcn.h>

#include <memory>

#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

// ada's C interface (ada_c.h of ada 4), as far as it is used here.
struct AdaString {
  const char* data;
  size_t length;
};
using AdaUrl = void*;

// By dlsym, since this library has an older ada of its own linked into it.
template <class Function>
Function* Ada(const char* name) {
  static void* const executable = ::dlopen(nullptr, RTLD_LAZY);
  return reinterpret_cast<Function*>(::dlsym(executable, name));
}

struct FreeUrl {
  void operator()(void* url) const {
    static auto* const free_url = Ada<void(AdaUrl)>("ada_free");
    free_url(url);
  }
};
using OwnUrl = std::unique_ptr<void, FreeUrl>;

bool Valid(const OwnUrl& url) {
  static auto* const is_valid = Ada<bool(AdaUrl)>("ada_is_valid");
  return is_valid(url.get());
}

OwnUrl Parse(const std::string& input) {
  static auto* const parse = Ada<AdaUrl(const char*, size_t)>("ada_parse");
  return OwnUrl(parse(input.data(), input.size()));
}

// [href, protocol, username, password, host, hostname, port, pathname, search, hash, origin]
v8::Local<v8::Value> Parts(v8::Isolate* isolate, const OwnUrl& url) {
  using Getter = AdaString(AdaUrl);
  static Getter* const getters[] = {
      Ada<Getter>("ada_get_href"),     Ada<Getter>("ada_get_protocol"),
      Ada<Getter>("ada_get_username"), Ada<Getter>("ada_get_password"),
      Ada<Getter>("ada_get_host"),     Ada<Getter>("ada_get_hostname"),
      Ada<Getter>("ada_get_port"),     Ada<Getter>("ada_get_pathname"),
      Ada<Getter>("ada_get_search"),   Ada<Getter>("ada_get_hash")};
  static auto* const origin_of = Ada<Getter>("ada_get_origin");
  static auto* const free_string = Ada<void(AdaString)>("ada_free_owned_string");
  constexpr size_t kGetters = std::size(getters);
  v8::Local<v8::Value> values[kGetters + 1];
  for (size_t i = 0; i < kGetters; ++i) {
    const AdaString part = getters[i](url.get());
    values[i] = Str(isolate, {part.data, part.length});
  }
  const AdaString origin = origin_of(url.get());
  values[kGetters] = Str(isolate, {origin.data, origin.length});
  free_string(origin);
  return v8::Array::New(isolate, values, std::size(values));
}

// urlParse(input, base | undefined): parts, or undefined where it is no URL
void UrlParse(const Args& args) {
  static auto* const parse_with_base =
      Ada<AdaUrl(const char*, size_t, const char*, size_t)>("ada_parse_with_base");
  v8::Isolate* isolate = args.GetIsolate();
  const std::string input = Text(args, 0);
  OwnUrl url;
  if (args[1]->IsUndefined()) {
    url = Parse(input);
  } else {
    const std::string base = Text(args, 1);
    url.reset(parse_with_base(input.data(), input.size(), base.data(), base.size()));
  }
  if (Valid(url)) args.GetReturnValue().Set(Parts(isolate, url));
}

// urlSet(href, part index, value): the new parts; undefined where an href is no URL
void UrlSet(const Args& args) {
  using Setter = bool(AdaUrl, const char*, size_t);
  static Setter* const setters[] = {
      Ada<Setter>("ada_set_href"),     Ada<Setter>("ada_set_protocol"),
      Ada<Setter>("ada_set_username"), Ada<Setter>("ada_set_password"),
      Ada<Setter>("ada_set_host"),     Ada<Setter>("ada_set_hostname"),
      Ada<Setter>("ada_set_port"),     Ada<Setter>("ada_set_pathname")};
  using LastSetter = void(AdaUrl, const char*, size_t);
  static LastSetter* const last_setters[] = {Ada<LastSetter>("ada_set_search"),
                                             Ada<LastSetter>("ada_set_hash")};
  v8::Isolate* isolate = args.GetIsolate();
  const OwnUrl url = Parse(Text(args, 0));
  if (!Valid(url)) return;
  const std::string value = Text(args, 2);
  const auto part = Size(args, 1);
  if (part < std::size(setters)) {
    if (!setters[part](url.get(), value.data(), value.size()) && part == 0) return;
  } else if (part < std::size(setters) + std::size(last_setters)) {
    last_setters[part - std::size(setters)](url.get(), value.data(), value.size());
  }
  args.GetReturnValue().Set(Parts(isolate, url));
}

}  // namespace

std::span<const Native> UrlNatives() {
  static constexpr Native kNatives[] = {{"urlParse", UrlParse}, {"urlSet", UrlSet}};
  return kNatives;
}

}  // namespace postern::worker
