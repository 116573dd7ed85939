// Natives for URL: ada, the same parser that the broker decides with.
#include <ada.h>

#include "worker/natives.h"

namespace postern::worker {
namespace {

// [href, protocol, username, password, host, hostname, port, pathname, search, hash, origin]
v8::Local<v8::Value> Parts(v8::Isolate* isolate, const ada::url_aggregator& url) {
  const std::string origin = url.get_origin();
  const std::string_view parts[] = {url.get_href(),
                                    url.get_protocol(),
                                    url.get_username(),
                                    url.get_password(),
                                    url.get_host(),
                                    url.get_hostname(),
                                    url.get_port(),
                                    url.get_pathname(),
                                    url.get_search(),
                                    url.get_hash(),
                                    origin};
  v8::Local<v8::Value> values[std::size(parts)];
  for (size_t i = 0; i < std::size(parts); ++i) values[i] = Str(isolate, parts[i]);
  return v8::Array::New(isolate, values, std::size(parts));
}

// urlParse(input, base | undefined): parts, or undefined where it is no URL
void UrlParse(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  ada::result<ada::url_aggregator> base;
  if (!args[1]->IsUndefined()) {
    base = ada::parse<ada::url_aggregator>(Utf8(isolate, args[1]));
    if (!base) return;
  }
  const auto url = ada::parse<ada::url_aggregator>(Utf8(isolate, args[0]),
                                                   args[1]->IsUndefined() ? nullptr : &*base);
  if (url) args.GetReturnValue().Set(Parts(isolate, *url));
}

// urlSet(href, part index, value): the new parts; undefined where an href is no URL
void UrlSet(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  auto url = ada::parse<ada::url_aggregator>(Utf8(isolate, args[0]));
  if (!url) return;
  const std::string value = Utf8(isolate, args[2]);
  switch (args[1].As<v8::Int32>()->Value()) {
    case 0:
      if (!url->set_href(value)) return;
      break;
    case 1:
      url->set_protocol(value);
      break;
    case 2:
      url->set_username(value);
      break;
    case 3:
      url->set_password(value);
      break;
    case 4:
      url->set_host(value);
      break;
    case 5:
      url->set_hostname(value);
      break;
    case 6:
      url->set_port(value);
      break;
    case 7:
      url->set_pathname(value);
      break;
    case 8:
      url->set_search(value);
      break;
    case 9:
      url->set_hash(value);
      break;
    default:
      return;
  }
  args.GetReturnValue().Set(Parts(isolate, *url));
}

}  // namespace

std::span<const Native> UrlNatives() {
  static constexpr Native kNatives[] = {{"urlParse", UrlParse}, {"urlSet", UrlSet}};
  return kNatives;
}

}  // namespace postern::worker
