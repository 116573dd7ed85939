// A decision alone, with 10 to 10 000 rules: it must not grow with them.
#include <benchmark/benchmark.h>

#include "policy/decision.h"

namespace {

using namespace postern::policy;

Policy WithRules(int64_t n) {
  Policy p;
  p.permission = true;
  for (int64_t i = 0; i < n; ++i) {
    const std::string number = std::to_string(i);
    std::string text;
    switch (i % 4) {
      case 0:
        text = "https://host" + number + ".example.com";
        break;
      case 1:
        text = "*.below" + number + ".example.com";
        break;
      case 2:
        text = "10." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + ".0/24";
        break;
      default:
        text = "api" + number + ".example.org:443";
    }
    Rule rule{.allow = i % 10 != 9, .text = text, .origin = "bench"};
    rule.target = *Target::Parse(text);
    if (i % 3 == 0) rule.paths.push_back(*PathPattern::Parse("/v1/**"));
    p.rules.push_back(std::move(rule));
  }
  return p;
}

void BM_Decide(benchmark::State& state) {
  const Policy policy = WithRules(state.range(0));
  const Decider decider(policy);
  const Url urls[] = {*ParseUrl("https://host0.example.com/v1/users/7"),
                      *ParseUrl("https://a.b.below1.example.com/x"), *ParseUrl("http://10.0.2.9/"),
                      *ParseUrl("https://api3.example.org/v1/a%20b"),
                      *ParseUrl("https://nothing.example.net/")};
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(decider.Decide({urls[i++ % std::size(urls)], "GET", {}}));
  }
}
BENCHMARK(BM_Decide)->Arg(10)->Arg(100)->Arg(1000)->Arg(10000);

}  // namespace

BENCHMARK_MAIN();
