// ApiProblem: why the run API refuses a request.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace postern::run_api {

// An HTTP status, a code for programs, a sentence for people: RFC 9457's, in docs/openapi.yaml.
struct ApiProblem {
  int status = 400;
  std::string code, detail;

  // What `detail` quotes may be as long as the body that it is about.
  void Shorten() {
    constexpr size_t kMost = 2'000;  // bytes
    detail.resize(std::min(detail.size(), kMost));
  }
};

// Of what is caught as the answer: the request is not what it should be.
[[noreturn]] inline void RefuseRequest(const std::string& detail) {
  throw ApiProblem{400, "bad_request", detail};
}

}  // namespace postern::run_api
