#include "policy/decision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policy/address_guard.h"
#include "policy/explain.h"
#include "policy/file/policy_file.h"

namespace postern::policy {
namespace {

Policy FromYaml(const std::string& rules) {
  const auto file =
      ParsePolicyFile("version: 1\nnetwork:\n  permission: allow\n  rules:\n" + rules, "p.yaml");
  EXPECT_TRUE(file) << file.error().message;
  return file ? file->network : Policy{};
}

Decision Decide(const Policy& p, const std::string& url, std::string_view method = "GET",
                std::vector<std::string> other_methods = {},
                std::vector<std::string> other_paths = {}) {
  const auto parsed = ParseUrl(url);
  EXPECT_TRUE(parsed) << url;
  return Decider(p).Decide({*parsed, method, std::move(other_methods), std::move(other_paths)});
}

TEST(Decision, MethodsAndPaths) {
  const Policy p = FromYaml(R"(
    - {allow: "https://api.test", methods: [GET, POST], paths: [/v1/**, /health]}
    - {deny: "https://api.test/v1/admin/**"}
    - {deny: "https://api.test", methods: [POST], paths: [/v1/locked]}
)");
  EXPECT_TRUE(Decide(p, "https://api.test/v1/users").allow);
  EXPECT_TRUE(Decide(p, "https://api.test/health", "POST").allow);
  EXPECT_TRUE(Decide(p, "https://api.test/v1/locked").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/locked", "POST").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/locked", "post").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/users", "DELETE").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/users", "get").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v2").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/Admin/keys").allow);
  EXPECT_FALSE(Decide(p, "https://api.test/v1/x%2f..%2fadmin").allow);
}

TEST(Decision, AnOverriddenMethodCountsAsWell) {
  const Policy p = FromYaml(R"(
    - {allow: "https://a.test", methods: [GET, POST]}
    - {allow: "https://b.test"}
    - {deny: "https://b.test", methods: [DELETE]}
)");
  EXPECT_FALSE(Decide(p, "https://a.test/", "POST", {"DELETE"}).allow);
  EXPECT_FALSE(Decide(p, "https://a.test/", "POST", {"GET", "DELETE"}).allow);
  EXPECT_TRUE(Decide(p, "https://a.test/", "POST", {"GET"}).allow);
  EXPECT_FALSE(Decide(p, "https://b.test/", "POST", {"delete"}).allow);
  EXPECT_FALSE(Decide(p, "https://b.test/", "POST", {"PATCH", "DELETE"}).allow);
  EXPECT_TRUE(Decide(p, "https://b.test/", "POST", {"PATCH"}).allow);
  EXPECT_EQ(Decide(p, "https://a.test/", "POST", {"GET", "DELETE"}).change,
            "add DELETE to the methods of the rule \"https://a.test\" (p.yaml:6:7)");
}

TEST(Decision, AnOverriddenPathCountsAsWell) {
  const Policy p = FromYaml(R"(
    - {allow: "https://a.test", paths: [/v1/**]}
    - {allow: "https://b.test"}
    - {deny: "https://b.test/admin/**"}
)");
  EXPECT_TRUE(Decide(p, "https://a.test/v1/x", "GET", {}, {"/v1/y"}).allow);
  EXPECT_FALSE(Decide(p, "https://a.test/v1/x", "GET", {}, {"/v1/y", "/v2"}).allow);
  EXPECT_TRUE(Decide(p, "https://b.test/x", "GET", {}, {"/y"}).allow);
  EXPECT_FALSE(Decide(p, "https://b.test/x", "GET", {}, {"/y", "/%61dmin"}).allow);
}

// A deny of an IPv4 address, or of a range of them, is for the IPv6 addresses that embed it too.
TEST(Decision, AnEmbeddedAddressIsDeniedAsWhatItEmbeds) {
  const Policy p = FromYaml(R"(
    - {allow: "::/0"}
    - {allow: "*"}
    - {allow: "10.2.0.1"}
    - {deny: "10.1.0.0/16"}
    - {deny: "10.2.0.7"}
)");
  EXPECT_FALSE(Decide(p, "http://[::ffff:10.1.2.3]/").allow);
  EXPECT_FALSE(Decide(p, "http://[64:ff9b::a01:203]/").allow);
  EXPECT_FALSE(Decide(p, "http://[2002:a01:203::]/").allow);
  EXPECT_FALSE(Decide(p, "http://[::ffff:10.2.0.7]/").allow);
  EXPECT_TRUE(Decide(p, "http://[::ffff:10.2.0.8]/").allow);
}

TEST(Decision, DenialsSayWhatIsNearest) {
  const Policy p = FromYaml(R"(
    - {allow: "https://api.test", methods: [GET], paths: [/v1/**]}
    - {deny: "secret.api.test"}
)");
  EXPECT_EQ(Decide(p, "https://api.test/v1/x", "POST").Sentence(),
            "network access to api.test:443 is denied: the rule \"https://api.test\" (p.yaml:6:7) "
            "allows GET only, not POST; add POST to the methods of the rule \"https://api.test\" "
            "(p.yaml:6:7)");
  EXPECT_EQ(Decide(p, "https://api.test/v2").change,
            "add \"/v2\" to the paths of the rule \"https://api.test\" (p.yaml:6:7)");
  EXPECT_EQ(Decide(p, "https://other.test/").change, "add --allow-net=other.test:443");
  EXPECT_EQ(Decide(p, "https://api.test/v1/x", "post").change,
            "send a method of HTTP's, in upper case, or leave the methods out of the rule "
            "\"https://api.test\" (p.yaml:6:7)");
  EXPECT_EQ(Decide(p, "tcp://db.test:5432").change,
            "add --allow-net=db.test:5432 for HTTP, or --allow-net=tcp://db.test:5432");
  const Decision denied = Decide(p, "https://secret.api.test/");
  EXPECT_EQ(denied.change,
            "take out or narrow the deny \"secret.api.test\" (p.yaml:7:7), and add "
            "--allow-net=secret.api.test:443");
  EXPECT_EQ(denied.rule, &p.rules[1]);
}

TEST(Decision, AStreamWhereRulesAllowHttpWantsATcpRuleAlone) {
  const Policy p = FromYaml(R"(
    - {allow: "api.test", methods: [GET], paths: [/v1]}
    - {allow: "https://secure.test"}
    - {allow: "ported.test:8080"}
    - {allow: "10.0.0.0/8"}
    - {allow: "shut.test"}
    - {deny: "tcp://shut.test:80"}
    - {deny: "denied.test"}
)");
  const Decision d = Decide(p, "tcp://api.test:80", "CONNECT");
  EXPECT_TRUE(!d.allow && d.http_only);
  EXPECT_EQ(d.Sentence(),
            "network access to api.test:80 is denied: its rules allow HTTP, and no TCP stream; add "
            "--allow-net=tcp://api.test:80");
  EXPECT_TRUE(Decide(p, "tcp://secure.test:443", "CONNECT").http_only);
  EXPECT_TRUE(Decide(p, "tcp://10.1.2.3:8080", "CONNECT").http_only);
  for (const char* url : {"tcp://other.test:80", "tcp://ported.test:80", "tcp://secure.test:80",
                          "tcp://shut.test:80", "tcp://denied.test:80", "http://api.test/v2"})
    EXPECT_FALSE(Decide(p, url, "CONNECT").http_only) << url;
  EXPECT_FALSE(Decide({}, "tcp://api.test:80", "CONNECT").http_only);
}

TEST(Decision, TheMostSpecificAllowDecides) {
  const Policy p = FromYaml(R"(
    - allow: "*"
    - allow: "*.b.test"
    - allow: a.b.test
    - allow: "*.test"
    - {allow: "https://a.b.test", methods: [GET]}
    - allow: 10.0.0.0/8
    - allow: 10.1.0.0/16
    - allow: 10.1.1.1
)");
  EXPECT_EQ(Decide(p, "https://a.b.test/").rule, &p.rules[4]);
  EXPECT_EQ(Decide(p, "http://a.b.test/").rule, &p.rules[2]);
  EXPECT_EQ(Decide(p, "https://x.b.test/").rule, &p.rules[1]);
  EXPECT_EQ(Decide(p, "https://c.test/").rule, &p.rules[3]);
  EXPECT_EQ(Decide(p, "https://d.example/").rule, &p.rules[0]);
  EXPECT_EQ(Decide(p, "https://10.1.1.1/").rule, &p.rules[7]);
  EXPECT_EQ(Decide(p, "https://10.1.9.9/").rule, &p.rules[6]);
  EXPECT_EQ(Decide(p, "https://10.9.9.9/").rule, &p.rules[5]);
}

TEST(Decision, RangesWithPortsAndSchemes) {
  const Policy p = FromYaml(R"(
    - allow: "[fd00::/8]:443"
    - allow: tcp://10.0.0.0/8:5432
    - allow: https://192.0.2.0/24
)");
  EXPECT_TRUE(Decide(p, "https://[fd12::1]/").allow);
  EXPECT_FALSE(Decide(p, "http://[fd12::1]/").allow);
  EXPECT_TRUE(Decide(p, "tcp://10.1.2.3:5432").allow);
  EXPECT_FALSE(Decide(p, "http://10.1.2.3:5432/").allow);
  EXPECT_TRUE(Decide(p, "https://192.0.2.1/").allow);
  EXPECT_FALSE(Decide(p, "https://192.0.2.1:444/").allow);
  EXPECT_TRUE(ParseUrl("tcp://db.test:443"));
}

TEST(Decision, ANameMayBeLookedUpByWhoMayAskItsHostForSomething) {
  const Policy p = FromYaml(R"(
    - {allow: "https://api.test", methods: [GET], paths: [/v1/**]}
    - allow: tcp://db.test:5432
    - allow: "*.open.test"
    - deny: shut.open.test
    - deny: part.open.test:80
    - {deny: some.open.test, paths: [/private/**]}
)");
  EXPECT_EQ(Decide(p, "dns://api.test").rule, &p.rules[0]);
  EXPECT_EQ(Decide(p, "dns://DB.test.").rule, &p.rules[1]);
  EXPECT_TRUE(Decide(p, "dns://a.open.test").allow);
  EXPECT_TRUE(Decide(p, "dns://part.open.test").allow);
  EXPECT_TRUE(Decide(p, "dns://some.open.test").allow);
  EXPECT_EQ(
      Decide(p, "dns://shut.open.test").Sentence(),
      "network access to shut.open.test is denied by the rule \"shut.open.test\" (p.yaml:9:7)");
  EXPECT_EQ(
      Decide(p, "dns://other.test").Sentence(),
      "network access to other.test is denied: no rule allows it; add --allow-net=other.test");
  for (const char* bad :
       {"dns://", "dns://a.test:53", "dns://a.test/x", "dns://a@b.test", "dns://a..b"})
    EXPECT_FALSE(ParseUrl(bad)) << bad;
  EXPECT_EQ(ParseUrl("dns://[::1]")->ToString(), "dns://[::1]");
  // An empty query is one (RFC 3986 section 6.2.3).
  EXPECT_EQ(ParseUrl("http://a.test/x?")->ToString(), "http://a.test/x?");
  EXPECT_EQ(ParseUrl("http://a.test/x?#y?")->ToString(), "http://a.test/x?");
  EXPECT_EQ(ParseUrl("http://a.test/x#?")->ToString(), "http://a.test/x");
}

// ---- properties, over random policies and requests of a small world in which much collides

class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {}

  const char* Pick(std::initializer_list<const char*> of) {
    return of.begin()[random_() % of.size()];
  }
  std::string Host() {
    return Pick({"a.test", "b.a.test", "c.b.a.test", "A.TEST.", "xn--bcher-kva.test", "bücher.test",
                 "10.0.0.1", "10.0.0.2", "0xa000001", "10.1", "[fd00::1]", "[fd00:0::2]",
                 "localhost"});
  }
  std::string Path() {
    return Pick({"/", "/v1", "/v1/", "/v1/admin", "/v1/x%2fadmin", "/v1/%2e%2e/admin", "/V1/admin",
                 "/v1//admin", "/v1\\admin", "/v1;x/admin", "/v1/a/b/c", "/%76%31/x", "/v1/%00"});
  }
  std::string Port() { return Pick({"", ":80", ":443", ":8080"}); }
  std::string Method() { return Pick({"GET", "POST", "PUT", "DELETE"}); }
  std::string Url() {
    const std::string scheme = Pick({"http", "https", "ws", "wss", "tcp"});
    const std::string port = scheme == "tcp" ? ":8080" : Port();
    return scheme + "://" + Host() + port + (scheme == "tcp" ? "" : Path());
  }
  Rule RandomRule() {
    static constexpr const char* kRanges[] = {"10.0.0.0/8", "10.0.0.0/31", "fd00::/8",
                                              "fd00::/127"};
    std::string text;
    switch (random_() % 5) {
      case 0:
        text = "*" + Port();
        break;
      case 1:
        text = std::string("*.") + Pick({"test", "a.test", "b.a.test"}) + Port();
        break;
      case 2:
        text = kRanges[random_() % 4];
        break;
      case 3:
        text = std::string(Pick({"http", "https", "wss"})) + "://" + Host() + Port();
        break;
      default:
        text = Host() + Port();
    }
    if (random_() % 8 == 0) text = "tcp://" + Host() + ":8080";
    Rule rule{.allow = random_() % 3 != 0, .text = text, .origin = "test"};
    rule.target = *Target::Parse(text);
    if (rule.target.scheme == "tcp") return rule;
    if (random_() % 3 == 0) rule.methods = {Method(), Method()};
    if (random_() % 3 == 0) {
      rule.paths = {
          *PathPattern::Parse(Pick({"/", "/**", "/v1/**", "/v1/*", "/v1/admin/**", "/v1"}))};
    }
    return rule;
  }
  Policy RandomPolicy() {
    Policy p;
    p.permission = true;
    for (size_t n = random_() % 12; n > 0; --n) p.rules.push_back(RandomRule());
    return p;
  }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
};

TEST(DecisionProperty, OrderNeverMattersAndADenyWins) {
  World world(1);
  for (int i = 0; i < 2'000; ++i) {
    Policy p = world.RandomPolicy();
    const std::string url = world.Url(), method = world.Method();
    const bool before = Decide(p, url, method).allow;
    Policy shuffled = p;
    std::shuffle(shuffled.rules.begin(), shuffled.rules.end(), world.random());
    EXPECT_EQ(Decide(shuffled, url, method).allow, before) << url;
    // Any rule that denies this request denies it wherever it stands.
    Rule deny = world.RandomRule();
    deny.allow = false;
    Policy lone;
    lone.permission = true;
    lone.rules = {deny};
    const bool hits = Decide(lone, url, method).rule != nullptr;
    const auto at =
        p.rules.begin() + static_cast<ptrdiff_t>(world.random()() % (p.rules.size() + 1));
    p.rules.insert(at, deny);
    EXPECT_EQ(Decide(p, url, method).allow, before && !hits) << url << " " << deny.text;
  }
}

// The index finds what a look at every rule finds.
TEST(DecisionProperty, TheIndexMissesNoRule) {
  World world(2);
  for (int i = 0; i < 5'000; ++i) {
    const Policy p = world.RandomPolicy();
    const Url url = *ParseUrl(world.Url());
    bool allowed = false, denied = false;
    for (const Rule& rule : p.rules) {
      Policy lone;
      lone.permission = true;
      lone.rules = {rule};
      const Decision d = Decider(lone).Decide({url, "GET", {}});
      EXPECT_TRUE(d.rule == nullptr || rule.target.Matches(url)) << rule.text;
      allowed |= d.allow;
      denied |= !d.allow && d.rule != nullptr;
    }
    EXPECT_EQ(Decider(p).Decide({url, "GET", {}}).allow, allowed && !denied);
  }
}

TEST(DecisionProperty, ExplainAndBrokerAgree) {
  World world(3);
  for (int i = 0; i < 1'000; ++i) {
    const Policy p = world.RandomPolicy();
    const auto sent = FromJson(ToJson(p));  // as the broker gets it
    ASSERT_TRUE(sent);
    const Decider broker(*sent);
    for (int k = 0; k < 100; ++k) {
      const std::string text = world.Url(), method = world.Method();
      const Url url = *ParseUrl(text);
      const auto explained = Explain(p, method, text);
      ASSERT_TRUE(explained);
      const std::string sent_method = url.scheme == "tcp" ? "CONNECT" : method;
      const Decision decision = broker.Decide({url, sent_method, {}});
      const auto ip = IpAddress::Parse(url.host);
      const bool blocked = decision.allow && ip && p.adapter.kind != AdapterKind::kReplay &&
                           AddressBlocked(*sent, decision.rule, url, *ip, {});
      ASSERT_EQ(explained->allow, decision.allow && !blocked) << method << text;
    }
  }
}

TEST(DecisionProperty, TheSmallestRuleAllowsTheRequest) {
  World world(4);
  for (int i = 0; i < 2'000; ++i) {
    const std::string text = world.Url(), method = world.Method();
    const Url url = *ParseUrl(text);
    const Policy p = FromYaml("    - " + SmallestRule({url, method, {}}).ToYaml() + "\n");
    EXPECT_TRUE(Decider(p).Decide({url, method, {}}).allow) << text;
  }
}

TEST(DecisionProperty, CanonicalFormsAreFixedPoints) {
  World world(5);
  for (int i = 0; i < 2'000; ++i) {
    const Url once = *ParseUrl(world.Url());
    const std::string text = once.scheme + "://" + once.HostPort() + once.path + once.query;
    const auto twice = ParseUrl(text);
    ASSERT_TRUE(twice) << text;
    EXPECT_EQ(twice->HostPort(), once.HostPort());
    if (once.scheme != "tcp") {
      EXPECT_EQ(twice->path, once.path);
    }
    EXPECT_EQ(*CanonicalHost(once.host), once.host);
  }
}

}  // namespace
}  // namespace postern::policy
