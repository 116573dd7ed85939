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
  static Result<Replay> Parse(std::string_view har, const har::Files& files = {});

  struct RequestBody {
    std::string_view type;  // Content-Type
    std::string_view bytes;
  };
  // How far one guest has come: equal requests get the recorded answers in order, then the last one
  // again. By the first of the answers.
  using Cursor = std::map<size_t, size_t>;
  // The recorded exchange for exactly this request, or a sentence that names the nearest one.
  // `url` is canonical. Bodies of forms are equal if their fields are.
  Result<const har::HarEntry*> Find(Cursor& cursor, const std::string& method,
                                    const std::string& url, const RequestBody& body) const;

 private:
  std::vector<har::HarEntry> exchanges_;  // their requests' bodies as Comparable() has them
  std::map<std::string, std::vector<size_t>> by_request_;  // "METHOD URL" -> exchanges
};

}  // namespace postern::broker
