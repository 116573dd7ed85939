// The body of POST /v1/runs: what is taken stays within the server's policy; what is not has a
// sentence.
#include "server/runs/admission.h"

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const policy::PolicyFile ceiling = [] {
    auto file = policy::ParsePolicyFile(
        "version: 1\n"
        "network: {permission: allow, rules: [{allow: \"https://*.test\", paths: [/v1/**]}],"
        " limits: {concurrent: 8, rate: 100/s}}\n"
        "limits: {wall: 10s, memory: 64MiB}\n",
        "server");
    if (!file) __builtin_trap();
    return *std::move(file);
  }();
  const auto parsed = server::AdmitRun({reinterpret_cast<const char*>(data), size}, ceiling);
  if (const auto* problem = std::get_if<run_api::ApiProblem>(&parsed)) {
    if (problem->detail.empty() || problem->status < 400) __builtin_trap();
    return 0;
  }
  const auto& run = std::get<server::AdmittedRun>(parsed);
  const policy::PolicyFile& p = run.policy;
  const bool within = p.limits.wall <= ceiling.limits.wall &&
                      p.limits.memory <= ceiling.limits.memory &&
                      p.network.limits.concurrent <= ceiling.network.limits.concurrent &&
                      p.network.limits.rate > 0 && p.network.rules.size() == 1 &&
                      p.secrets.empty() && p.mounts.empty();
  if (!within) __builtin_trap();
  const auto order = channel::GuestOrder::Decode(run.order.Encode());
  if (!order || order->source != run.order.source || order->files != run.order.files)
    __builtin_trap();
  return 0;
}
