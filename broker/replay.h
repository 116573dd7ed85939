// Replay: answers from a recording (HAR) instead of from the network.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "har/har.h"

namespace postern::broker {

class Replay {
 public:
  static Result<Replay> Parse(std::string_view har);

  // How far one guest has come: equal requests get the recorded answers in order, then the last one
  // again.
  using Cursor = std::map<std::string, size_t>;
  // The recorded exchange for exactly this request, or a sentence that names the nearest one.
  // `url` is canonical.
  Result<const har::Exchange*> Find(Cursor& cursor, const std::string& method,
                                    const std::string& url, std::string_view body) const;

 private:
  std::vector<har::Exchange> exchanges_;
  std::map<std::string, std::vector<size_t>> by_request_;  // "METHOD URL" -> exchanges
};

}  // namespace postern::broker
