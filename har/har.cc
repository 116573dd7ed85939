#include "har/har.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "policy/text.h"

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

std::string Narrow(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool two = (c == 0xc2 || c == 0xc3) && i + 1 < text.size();
    out += two ? static_cast<char>((c & 3) << 6 | (text[++i] & 0x3f)) : text[i];
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
  return std::none_of(body.begin(), body.end(), escaped) && policy::IsUtf8(body);
}

ordered_json RequestToJson(const Exchange& e, ordered_json& ours) {
  ordered_json request = {{"method", e.method},
                          {"url", e.url},
                          {"httpVersion", e.http_version},
                          {"cookies", ordered_json::array()},
                          {"headers", FieldsToJson(e.request_fields)},
                          {"queryString", QueryToJson(e.url)},
                          {"headersSize", -1},
                          {"bodySize", e.request_body.size()}};
  if (e.request_body.empty()) return request;
  const bool text = IsText(e.request_body);
  request["postData"] = {{"mimeType", TypeOf(e.request_fields)},
                         {"text", text ? e.request_body : ""}};
  if (!text) ours["requestBody"] = EncodeBase64(e.request_body);
  return request;
}

ordered_json ResponseToJson(const Exchange& e, ordered_json& ours) {
  ordered_json content = {{"size", e.response_body.size()},
                          {"mimeType", TypeOf(e.response_fields)}};
  if (IsText(e.response_body)) {
    content["text"] = e.response_body;
  } else {
    content["text"] = EncodeBase64(e.response_body);
    content["encoding"] = "base64";
  }
  if (e.body_omitted) {
    content["comment"] = "larger than a recorded body may be; left out";
    ours["bodyOmitted"] = true;
  }
  const std::string* location = FindField(e.response_fields, "location");
  ordered_json response = {{"status", e.status},
                           {"statusText", Widen(e.status_text)},
                           {"httpVersion", e.http_version},
                           {"cookies", ordered_json::array()},
                           {"headers", FieldsToJson(e.response_fields)},
                           {"content", content},
                           {"redirectURL", location == nullptr ? "" : Widen(*location)},
                           {"headersSize", -1},
                           {"bodySize", e.response_body.size()}};
  if (e.failure) {
    response["_error"] = e.failure->error;
    ours["failure"] = {
        {"error", e.failure->error}, {"code", e.failure->code}, {"details", e.failure->details}};
  }
  return response;
}

// Fields of a browser's HAR that no longer hold, since its body is decoded.
bool Outdated(std::string_view name) {
  return name == "content-encoding" || name == "content-length" || name == "transfer-encoding";
}

Fields ReadFields(const json& list, bool ours) {
  Fields fields;
  for (const json& f : list) {
    std::string name = policy::AsciiLower(f.at("name").get<std::string>());
    std::string value = Narrow(f.at("value").get<std::string>());
    if (!policy::IsToken(name) || !policy::IsFieldValue(value)) continue;  // ":status" and the like
    if (ours || !Outdated(name)) fields.push_back({std::move(name), std::move(value)});
  }
  return fields;
}

Exchange ReadEntry(const json& entry) {
  const json& request = entry.at("request");
  const json& response = entry.at("response");
  const json ours = entry.value("_postern", json());
  Exchange e;
  e.method = request.at("method");
  e.url = request.at("url");
  if (request.contains("postData")) e.request_body = request["postData"].value("text", "");
  e.status = response.at("status");
  e.status_text = Narrow(response.value("statusText", ""));
  e.response_fields = ReadFields(response.at("headers"), ours.is_object());
  const json& content = response.at("content");
  e.response_body = content.value("text", "");
  if (content.value("encoding", "") == "base64") {
    e.response_body = DecodeBase64(e.response_body).value_or("");
  }
  if (ours.is_object()) {
    if (ours.contains("requestBody")) {
      e.request_body = DecodeBase64(ours["requestBody"].get<std::string>()).value_or("");
    }
    e.body_omitted = ours.value("bodyOmitted", false);
    if (ours.contains("failure")) {
      const json& f = ours["failure"];
      e.failure = Failure{f.at("error"), f.at("code"), f.at("details")};
    }
  } else if (e.status == 0) {
    e.failure = Failure{"proxy_internal_error", "ERR_REPLAY_FAILED",
                        "the recorded request failed: " + response.value("_error", "unknown")};
  }
  if (!e.failure && (e.status < 200 || e.status > 599)) {
    throw std::out_of_range("status " + std::to_string(e.status));
  }
  return e;
}

}  // namespace

std::string FormatEntry(const Exchange& e) {
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

std::string PackHead(const Exchange& e) {
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
               nullptr,        e.body_omitted,
               e.address,      {t.queue, t.dns, t.connect, t.tls, t.first_byte, t.total}};
  if (e.failure) head[8] = {e.failure->error, e.failure->code, e.failure->details};
  std::string packed;
  json::to_cbor(head, packed);
  return packed;
}

Result<Exchange> UnpackHead(std::string_view packed) try {
  const json head = json::from_cbor(packed);
  const auto fields = [](const json& list) {
    Fields out;
    for (const json& f : list) out.push_back({f.at(0), f.at(1)});
    return out;
  };
  const json& t = head.at(11);
  Exchange e{.time = head.at(0),
             .method = head.at(1),
             .url = head.at(2),
             .request_fields = fields(head.at(3)),
             .status = head.at(4),
             .status_text = head.at(5),
             .http_version = head.at(6),
             .response_fields = fields(head.at(7)),
             .body_omitted = head.at(9),
             .address = head.at(10),
             .timings = {t.at(0), t.at(1), t.at(2), t.at(3), t.at(4), t.at(5)}};
  if (const json& f = head.at(8); !f.is_null()) e.failure = Failure{f.at(0), f.at(1), f.at(2)};
  return e;
} catch (const json::exception& error) {
  return Error{std::string("a recorded exchange is malformed: ") + error.what()};
}

std::string_view Beginning() {
  return "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"postern\",\"version\":\"0.1.0\"},"
         "\"pages\":[],\"entries\":[\n";
}

std::string_view Ending() { return "\n]}}\n"; }

Result<std::vector<Exchange>> Parse(std::string_view text) {
  std::vector<Exchange> out;
  try {
    const json har = json::parse(text);
    for (const json& entry : har.at("log").at("entries")) out.push_back(ReadEntry(entry));
  } catch (const json::parse_error& e) {
    return Error{"byte " + std::to_string(e.byte) + ": no valid JSON"};
  } catch (const std::exception& e) {
    const std::string what = e.what();
    const size_t detail = what.find("] ");  // after nlohmann's "[json.exception.…]"
    return Error{"entry " + std::to_string(out.size() + 1) + ": " +
                 (detail == std::string::npos ? what : what.substr(detail + 2))};
  }
  return out;
}

}  // namespace postern::har
