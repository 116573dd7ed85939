#include "supervisor/doctor.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <map>

#include "base/format.h"
#include "supervisor/memory_cgroup.h"
#include "supervisor/process_layers.h"
#include "supervisor/programs.h"

namespace postern::supervisor {
namespace {

using nlohmann::json;

constexpr auto kReadyWithin = std::chrono::seconds(20);
// Chromium brings a new V8 every four weeks, with what was found until then.
constexpr int64_t kOldDays = 90;

// In the order of the table.
constexpr const char* kLayers[] = {"seccomp", "landlock", "user", "nobody", "net",   "mount",
                                   "root",    "pid",      "ipc",  "uts",    "cgroup"};
constexpr const char* kParts[] = {"worker", "broker-net", "broker-files", "log"};

std::string Remedy(const std::string& layer) {
  if (layer == "landlock")
    return "Linux 5.13 or later with \"landlock\" in /sys/kernel/security/lsm; in a container, a "
           "seccomp profile that allows the landlock_ calls";
  if (layer == "nobody")
    return "to be started as an ordinary user, or as a root that keeps CAP_SETUID and CAP_SETGID";
  if (layer == "root") return "see the mount layer; where that is on, AppArmor refuses to mount";
  if (layer == "user")
    return "let this user make user namespaces: sysctl user.max_user_namespaces above 0, "
           "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
           "where there are such; in a container, a seccomp profile that allows unshare";
  return "user namespaces, or CAP_SYS_ADMIN, and a seccomp profile that allows unshare";
}

Result<nlohmann::json> ExamineParts() {
  const ProcessOptions options;
  boost::asio::io_context io(1);
  nlohmann::json report;
  std::string failed;
  const auto take = [&](const char* part) {
    return ChildProcess::Callbacks{
        [&, part](const channel::ReceivedControl& m) {
          if (const auto* r = std::get_if<channel::Ready>(&m.message))
            report[part] = LayersJson(*r);
          if (const auto* f = std::get_if<channel::StartFailed>(&m.message))
            failed = fmt::format("{}: {}", part, f->reason);
          if (report.size() == std::size(kParts) || !failed.empty()) io.stop();
        },
        [&, part] {
          failed = fmt::format("{} ended unexpectedly", part);
          io.stop();
        }};
  };
  std::vector<std::unique_ptr<ChildProcess>> children;
  const std::pair<const char*, ChildProcess::Program> parts[] = {
      {"worker", WorkerProgram(options)},
      {"broker-net", NetBrokerProgram(options, {}, false)},
      {"broker-files", FilesBrokerProgram(options, {})},
      {"log", LogProgram(options)}};
  for (const auto& [name, program] : parts) {
    auto child = ChildProcess::Start(io, program, take(name));
    if (!child) return child.error();
    children.push_back(*std::move(child));
  }
  io.run_for(kReadyWithin);
  if (!failed.empty()) return Error{failed};
  if (report.size() != std::size(kParts)) return Error{"a part of Postern does not start"};
  return report;
}

// Every layer that a part reports as missing, with what to do about it.
json Missing(const json& parts) {
  json all = json::array();
  for (const char* part : kParts) {
    for (const std::string entry : parts[part]["missing"]) {
      const size_t colon = entry.find(": ");
      const std::string layer = entry.substr(0, colon);
      all.push_back({{"layer", layer},
                     {"part", part},
                     {"reason", colon == std::string::npos ? "" : entry.substr(colon + 2)},
                     {"remedy", Remedy(layer)}});
    }
  }
  return all;
}

json Cgroup() {
  const auto cgroups = MemoryCgroups::Find();
  if (cgroups) return {{"version", cgroups->version()}};
  return {{"reason", cgroups.error().message},
          {"remedy",
           "a service or scope with Delegate=yes in systemd; guests' limits hold without it"}};
}

json V8() {
  json v8 = {{"version", POSTERN_V8_VERSION}, {"node", POSTERN_NODE_VERSION}};
  std::tm date{};
  const std::string released = POSTERN_NODE_RELEASED;
  if (::strptime(released.c_str(), "%Y-%m-%d", &date) != nullptr) {
    v8["released"] = released;
    v8["ageDays"] = (std::time(nullptr) - ::timegm(&date)) / 86'400;
  }
  return v8;
}

// "on", the number of an ABI, "off", or "-" where a part has no use for the layer.
std::string Cell(const json& part, const std::string& layer) {
  for (const std::string on : part["on"]) {
    if (on == layer) return "on";
    if (on.starts_with(fmt::format("{}:", layer)))
      return fmt::format("ABI {}", on.substr(layer.size() + 1));
  }
  for (const std::string missing : part["missing"]) {
    if (missing.starts_with(fmt::format("{}:", layer))) return "off";
  }
  return "-";
}

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string Row(const std::string& first, const std::vector<std::string>& cells) {
  std::string row = Padded(first, 10);
  for (const std::string& cell : cells) row += Padded(cell, 14);
  return fmt::format("{}\n", row.substr(0, row.find_last_not_of(' ') + 1));
}

std::string Age(const json& v8) {
  if (!v8.contains("ageDays")) return ", of an unknown date";
  const int64_t days = v8["ageDays"];
  std::string text =
      fmt::format(", released {}, {} days ago", v8["released"].get<std::string>(), days);
  if (days > kOldDays)
    text += ": old; flaws found since are known to others (docs/v8.md, Updating)";
  return text;
}

std::string CgroupLine(const json& cgroup) {
  if (cgroup.contains("version"))
    return fmt::format("guests' memory cgroups: version {}\n", cgroup["version"].get<int>());
  return fmt::format("guests' memory cgroups: none ({})\n  it takes: {}\n",
                     cgroup["reason"].get<std::string>(), cgroup["remedy"].get<std::string>());
}

}  // namespace

Result<json> Examine() {
  auto parts = ExamineParts();
  if (!parts) return parts.error();
  utsname kernel{};
  ::uname(&kernel);
  return json{{"postern", POSTERN_VERSION}, {"kernel", kernel.release},
              {"user", ::geteuid()},        {"v8", V8()},
              {"memoryCgroup", Cgroup()},   {"missing", Missing(*parts)},
              {"parts", *std::move(parts)}};
}

std::string DoctorTable(const json& report) {
  const auto text = [](const json& value) { return value.get<std::string>(); };
  const json& v8 = report["v8"];
  std::string out = fmt::format("postern {}, Linux {}, user {}\nV8 {} of Node.js {}{}\n{}\n",
                                text(report["postern"]), text(report["kernel"]),
                                report["user"].get<int64_t>(), text(v8["version"]),
                                text(v8["node"]), Age(v8), CgroupLine(report["memoryCgroup"]));
  const json& parts = report["parts"];
  out += Row("layer", {std::begin(kParts), std::end(kParts)});
  for (const char* layer : kLayers) {
    std::vector<std::string> cells;
    for (const char* part : kParts) cells.push_back(Cell(parts[part], layer));
    out += Row(layer, cells);
  }
  if (report["missing"].empty()) return fmt::format("{}\nEvery layer is on.\n", out);
  // What several layers and parts share is said once.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> layers_by_reason;
  for (const json& m : report["missing"]) {
    auto& layers = layers_by_reason[{text(m["reason"]), text(m["remedy"])}];
    if (std::find(layers.begin(), layers.end(), text(m["layer"])) == layers.end())
      layers.push_back(text(m["layer"]));
  }
  for (const auto& [why, layers] : layers_by_reason) {
    std::string names;
    for (const std::string& layer : layers) names += (names.empty() ? "" : ", ") + layer;
    fmt::format_to(std::back_inserter(out), "\noff: {} ({})\n  it takes: {}\n", names, why.first,
                   why.second);
  }
  return out;
}

}  // namespace postern::supervisor
