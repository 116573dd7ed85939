// ObservedPolicy: what report mode saw, as the smallest policy that allows it.
#pragma once

#include <map>
#include <set>
#include <string>

namespace postern::policy {

class ObservedPolicy {
 public:
  // `url`: as the broker logs it. `denied`: the policy in force would have denied the request.
  void Add(const std::string& method, const std::string& url, bool denied);
  // YAML, valid for --policy.
  std::string ToYaml() const;

 private:
  struct Seen {
    std::set<std::string> methods;
    bool any_method = false;
    bool denied = false;
  };
  // By origin, then by path; "" stands for any.
  std::map<std::string, std::map<std::string, Seen>> origins_;
  size_t path_bytes_ = 0;
  bool more_origins_ = false;  // than can be kept
};

}  // namespace postern::policy
