// JsonLine: one JSON object, written member by member: the audit log is on every request's way.
#pragma once

#include <charconv>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "base/format.h"

namespace postern::broker {

class JsonLine {
 public:
  explicit JsonLine(size_t reserve = 0) { text_.reserve(reserve); }

  // Bytes beyond ASCII stand as the code points of the same number: text of unknown coding.
  JsonLine& Text(std::string_view name, std::string_view value) {
    Name(name);
    Quote(value);
    return *this;
  }
  JsonLine& Number(std::string_view name, int64_t value) {
    Name(name);
    char number[24];
    text_.append(number, std::to_chars(number, std::end(number), value).ptr);
    return *this;
  }
  // With three digits behind the point.
  JsonLine& Milliseconds(std::string_view name, double value) {
    const auto micros = static_cast<int64_t>(value * 1000);
    char number[32];
    char* end = std::to_chars(number, number + 24, micros / 1000).ptr;
    *end++ = '.';
    for (int64_t digit = 100; digit > 0; digit /= 10) {
      *end++ = static_cast<char>('0' + micros / digit % 10);
    }
    Name(name);
    text_.append(number, end);
    return *this;
  }
  JsonLine& Raw(std::string_view name, std::string_view json) {
    Name(name);
    text_ += json;
    return *this;
  }
  // Members of another object, without its braces.
  JsonLine& Members(std::string_view members) {
    text_ += text_.size() == 1 ? "" : ",";
    text_ += members;
    return *this;
  }

  std::string Build() {
    text_ += '}';
    return std::move(text_);
  }
  std::string BuildMembers() { return text_.substr(1); }

 private:
  void Name(std::string_view name) {
    text_ += text_.size() == 1 ? "\"" : ",\"";
    text_ += name;
    text_ += "\":";
  }
  void Quote(std::string_view value) {
    text_ += '"';
    for (size_t at = 0;;) {
      size_t end = at;
      while (end < value.size() && IsPlain(value[end])) ++end;
      text_.append(value, at, end - at);
      if (end == value.size()) break;
      fmt::format_to(std::back_inserter(text_), "\\u{:04x}",
                     static_cast<unsigned char>(value[end]));
      at = end + 1;
    }
    text_ += '"';
  }
  static bool IsPlain(char c) { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\'; }

  std::string text_ = "{";
};

}  // namespace postern::broker
