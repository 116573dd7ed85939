#include "har/har.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::har {
namespace {

using channel::Failure;
using channel::Fields;
using channel::FindField;
using nlohmann::json;
using nlohmann::ordered_json;

// Header values are bytes; in JSON each stands as the code point of the same number.
std::string Widen(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    if (c >= 0x80) out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
  }
  return out;
}

ordered_json FieldsToJson(const Fields& fields) {
  ordered_json list = ordered_json::array();
  for (const channel::Field& f : fields) {
    list.push_back({{"name", f.name}, {"value", Widen(f.value)}});
  }
  return list;
}

ordered_json QueryToJson(std::string_view url) {
  ordered_json list = ordered_json::array();
  const size_t mark = url.find('?');
  std::string_view rest = mark == std::string_view::npos ? "" : url.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const size_t eq = std::min(pair.find('='), pair.size());
    list.push_back({{"name", Widen(pair.substr(0, eq))},
                    {"value", Widen(pair.substr(std::min(eq + 1, pair.size())))}});
  }
  return list;
}

std::string TypeOf(const Fields& fields) {
  const std::string* type = FindField(fields, "content-type");
  return type == nullptr ? "application/octet-stream" : Widen(*type);
}

// Text that JSON holds without becoming many times as long: UTF-8 of which no byte becomes six.
bool IsText(std::string_view body) {
  const auto escaped = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  };
  return std::none_of(body.begin(), body.end(), escaped) && IsUtf8(body);
}

ordered_json RequestToJson(const HarEntry& e, ordered_json& ours) {
  ordered_json request = {{"method", e.method},
                          {"url", e.url},
                          {"httpVersion", e.http_version},
                          {"cookies", ordered_json::array()},
                          {"headers", FieldsToJson(e.request_fields)},
                          {"queryString", QueryToJson(e.url)},
                          {"headersSize", -1},
                          {"bodySize", e.request_body.size}};
  const auto& [bytes, size, missing] = e.request_body;
  if (size == 0) return request;
  ordered_json& data = request["postData"];
  data["mimeType"] = TypeOf(e.request_fields);
  if (!missing.empty()) {
    data["comment"] = missing;
    ours["requestBodyOmitted"] = true;
    return request;
  }
  const bool text = IsText(bytes);
  data["text"] = text ? bytes : "";
  if (!text) ours["requestBody"] = EncodeBase64(bytes);
  return request;
}

ordered_json ContentToJson(const HarEntry& e, ordered_json& ours) {
  const auto& [bytes, size, missing] = e.response_body;
  ordered_json content = {{"size", size}, {"mimeType", TypeOf(e.response_fields)}};
  if (!missing.empty()) {
    content["comment"] = missing;
    ours["responseBodyOmitted"] = true;
  } else if (IsText(bytes)) {
    content["text"] = bytes;
  } else {
    content["text"] = EncodeBase64(bytes);
    content["encoding"] = "base64";
  }
  return content;
}

ordered_json ResponseToJson(const HarEntry& e, ordered_json& ours) {
  const std::string* location = FindField(e.response_fields, "location");
  ordered_json response = {{"status", e.status},
                           {"statusText", Widen(e.status_text)},
                           {"httpVersion", e.http_version},
                           {"cookies", ordered_json::array()},
                           {"headers", FieldsToJson(e.response_fields)},
                           {"content", ContentToJson(e, ours)},
                           {"redirectURL", location == nullptr ? "" : Widen(*location)},
                           {"headersSize", -1},
                           {"bodySize", e.response_body.size}};
  if (e.failure) {
    response["_error"] = e.failure->error;
    ours["failure"] = {
        {"error", e.failure->error}, {"code", e.failure->code}, {"details", e.failure->details}};
  }
  return response;
}

}  // namespace

std::string FormatEntry(const HarEntry& e) {
  ordered_json ours = ordered_json::object();
  const Timings& t = e.timings;
  const double connect = t.connect < 0 ? -1 : t.connect + std::max(t.tls, 0.0);
  const double before = std::max(t.queue, 0.0) + std::max(t.dns, 0.0) + std::max(connect, 0.0);
  const double wait = t.first_byte < 0 ? 0 : std::max(t.first_byte - before, 0.0);
  ordered_json request = RequestToJson(e, ours);
  ordered_json response = ResponseToJson(e, ours);
  const ordered_json entry = {{"startedDateTime", e.time},
                              {"time", t.total},
                              {"request", std::move(request)},
                              {"response", std::move(response)},
                              {"cache", ordered_json::object()},
                              {"timings",
                               {{"blocked", t.queue},
                                {"dns", t.dns},
                                {"connect", connect},
                                {"ssl", t.tls},
                                {"send", 0},
                                {"wait", wait},
                                {"receive", std::max(t.total - before - wait, 0.0)}}},
                              {"serverIPAddress", e.address},
                              {"_postern", std::move(ours)}};
  return entry.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string PackHead(const HarEntry& e) {
  const auto body = [](const Body& b) { return json::array({b.size, b.missing}); };
  const auto fields = [](const Fields& list) {
    json out = json::array();
    for (const channel::Field& f : list) out.push_back({f.name, f.value});
    return out;
  };
  const Timings& t = e.timings;
  json head = {e.time,         e.method,
               e.url,          fields(e.request_fields),
               e.status,       e.status_text,
               e.http_version, fields(e.response_fields),
               nullptr,        {body(e.request_body), body(e.response_body)},
               e.address,      {t.queue, t.dns, t.connect, t.tls, t.first_byte, t.total}};
  if (e.failure) head[8] = {e.failure->error, e.failure->code, e.failure->details};
  std::string packed;
  json::to_cbor(head, packed);
  return packed;
}

Result<HarEntry> UnpackHead(std::string_view packed) try {
  const json head = json::from_cbor(packed);
  const auto fields = [](const json& list) {
    Fields out;
    for (const json& f : list) out.push_back({f.at(0), f.at(1)});
    return out;
  };
  const auto body = [](const json& b) { return Body{.size = b.at(0), .missing = b.at(1)}; };
  const json& t = head.at(11);
  HarEntry e{.time = head.at(0),
             .method = head.at(1),
             .url = head.at(2),
             .request_fields = fields(head.at(3)),
             .request_body = body(head.at(9).at(0)),
             .status = head.at(4),
             .status_text = head.at(5),
             .http_version = head.at(6),
             .response_fields = fields(head.at(7)),
             .response_body = body(head.at(9).at(1)),
             .address = head.at(10),
             .timings = {t.at(0), t.at(1), t.at(2), t.at(3), t.at(4), t.at(5)}};
  if (const json& f = head.at(8); !f.is_null()) e.failure = Failure{f.at(0), f.at(1), f.at(2)};
  return e;
} catch (const json::exception& error) {
  return Error{fmt::format("a recorded exchange is malformed: {}", error.what())};
}

std::string_view Beginning() {
  return "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"postern\",\"version\":\"0.1.0\"},"
         "\"pages\":[],\"entries\":[\n";
}

std::string_view Ending() { return "\n]}}\n"; }

}  // namespace postern::har
