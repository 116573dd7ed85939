// Result<T>: a value, or an Error that says what failed, why (errno) and what to do next.
//
// Postern reports failures as values: process set-up and anything that touches hostile input must
// not unwind. A function that can fail returns Result<T>; the caller looks before it uses.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace postern {

struct Error {
  std::string message;  // a sentence a person can act on
  int errnum = 0;       // errno where a system call failed, else 0
};

// "what: strerror(errno)". `what` names the thing and, where there is one, the next step.
Error SystemError(std::string_view what, int errnum = errno);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace postern
