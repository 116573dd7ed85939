// ApiProblem: why the run API refuses a request.
#pragma once

#include <string>

namespace postern::run_api {

// An HTTP status, a code for programs, a sentence for people: RFC 9457's, in docs/openapi.yaml.
struct ApiProblem {
  int status = 400;
  std::string code, detail;
};

}  // namespace postern::run_api
