#include "policy/file/resolv_conf.h"

#include <sstream>

namespace postern::policy {

std::vector<std::string> ParseResolvConf(std::string_view text) {
  std::vector<std::string> servers;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line) && servers.size() < 3;) {
    std::istringstream words(line);
    std::string key, value;
    if (words >> key >> value && key == "nameserver") servers.push_back(value);
  }
  return servers;
}

}  // namespace postern::policy
