// Arguments: how a native takes what JavaScript gave it. None of these runs JavaScript: what is of
// another kind than the native takes counts as the default, and no valueOf or toString of a guest's
// is asked, which could detach or shrink the bytes of another argument. Conversions are made in the
// runtime's JavaScript, before the call. Elements is the exception, and so it comes before Bytes.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "worker/engine/v8_values.h"

namespace postern::worker {

// `otherwise` for what is no number, and for NaN.
inline double Number(const Args& args, int i, double otherwise = 0) {
  if (!args[i]->IsNumber()) return otherwise;
  const double number = args[i].As<v8::Number>()->Value();
  return std::isnan(number) ? otherwise : number;
}

// The nearest integer that an Integer can be, towards zero: C++ leaves open what a cast gives.
template <class Integer>
Integer Nearest(double number) {
  using Limits = std::numeric_limits<Integer>;
  // Of 64 bits the highest is no double: what is not below the next one is it.
  if (number >= std::ldexp(1.0, Limits::digits)) return Limits::max();
  if (number <= static_cast<double>(Limits::min())) return Limits::min();
  return static_cast<Integer>(number);
}
inline int Int(const Args& args, int i) { return Nearest<int>(Number(args, i)); }
inline uint32_t Uint32(const Args& args, int i) { return Nearest<uint32_t>(Number(args, i)); }
inline size_t Size(const Args& args, int i) { return Nearest<size_t>(Number(args, i)); }
inline int64_t Int64(const Args& args, int i, int64_t otherwise) {
  return args[i]->IsNumber() ? Nearest<int64_t>(Number(args, i)) : otherwise;
}

// The empty string for what is no string.
inline v8::Local<v8::String> StringOf(const Args& args, int i) {
  return args[i]->IsString() ? args[i].As<v8::String>() : v8::String::Empty(args.GetIsolate());
}
// As UTF-8. Of other primitive values their text; "" of objects and symbols.
inline std::string Text(const Args& args, int i) {
  return args[i]->IsObject() ? std::string() : Utf8(args.GetIsolate(), args[i]);
}

// The elements of an array; nullopt, with an exception pending, where a getter of it throws. May
// run JavaScript.
inline std::optional<std::vector<v8::Local<v8::Value>>> Elements(const Args& args, int i) {
  std::vector<v8::Local<v8::Value>> elements;
  if (!args[i]->IsArray()) return elements;
  const auto array = args[i].As<v8::Array>();
  for (uint32_t at = 0; at < array->Length(); ++at) {
    v8::Local<v8::Value> element;
    if (!array->Get(args.GetIsolate()->GetCurrentContext(), at).ToLocal(&element))
      return std::nullopt;
    elements.push_back(element);
  }
  return elements;
}

}  // namespace postern::worker
