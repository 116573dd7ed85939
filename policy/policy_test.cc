#include "policy/policy.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "policy/address_guard.h"
#include "policy/decision.h"
#include "policy/explain.h"
#include "policy/file/policy_file.h"

namespace postern::policy {
namespace {

Policy Allowing(std::initializer_list<const char*> allows,
                std::initializer_list<const char*> denies = {}) {
  Policy p;
  p.permission = true;
  for (const char* text : allows)
    p.rules.push_back(
        {.allow = true, .text = text, .origin = "test", .target = *Target::Parse(text)});
  for (const char* text : denies)
    p.rules.push_back(
        {.allow = false, .text = text, .origin = "test", .target = *Target::Parse(text)});
  return p;
}

bool Allowed(const Policy& p, const char* url) {
  const auto parsed = ParseUrl(url);
  return parsed && Decider(p).Decide({*parsed, "GET", {}}).allow;
}

TEST(Decide, WithoutPermissionNothingPasses) {
  Policy p = Allowing({"*"});
  p.permission = false;
  const Url url = *ParseUrl("https://api.example.com/");
  const Decision d = Decider(p).Decide({url, "GET", {}});
  EXPECT_FALSE(d.allow);
  EXPECT_NE(d.Sentence().find("--allow-net=api.example.com:443"), std::string::npos);
}

TEST(Decide, OneCanonicalFormForEverySpelling) {
  const Policy p = Allowing({"api.example.com:443", "127.0.0.1:80", "[::1]:80", "bücher.example"});
  EXPECT_TRUE(Allowed(p, "https://API.example.COM/"));
  EXPECT_TRUE(Allowed(p, "https://api.example.com./"));
  EXPECT_TRUE(Allowed(p, "https://api.example.com:443/"));
  EXPECT_FALSE(Allowed(p, "https://api.example.com:444/"));
  EXPECT_FALSE(Allowed(p, "http://api.example.com/"));
  for (const char* spelling :
       {"http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/"}) {
    EXPECT_TRUE(Allowed(p, spelling)) << spelling;
  }
  EXPECT_TRUE(Allowed(p, "http://[0:0::1]/"));
  EXPECT_TRUE(Allowed(p, "https://xn--bcher-kva.example/"));
}

TEST(Decide, DenyWinsWhateverTheOrder) {
  const Policy p = Allowing({"*.example.org"}, {"secret.example.org"});
  EXPECT_TRUE(Allowed(p, "https://www.example.org/"));
  EXPECT_FALSE(Allowed(p, "https://secret.example.org/"));
  EXPECT_FALSE(Allowed(p, "https://example.org/"));
  EXPECT_FALSE(Allowed(p, "https://notexample.org/"));
}

TEST(Decide, SchemesAndTcp) {
  const Policy p = Allowing({"https://a.test", "tcp://db.test:5432"});
  EXPECT_TRUE(Allowed(p, "https://a.test/"));
  EXPECT_TRUE(Allowed(p, "wss://a.test/"));
  EXPECT_FALSE(Allowed(p, "http://a.test:443/"));
  EXPECT_TRUE(Allowed(p, "tcp://db.test:5432"));
  EXPECT_FALSE(Allowed(p, "http://db.test:5432/"));
  EXPECT_FALSE(Allowed(Allowing({"*"}), "tcp://db.test:5432"));
}

TEST(Target, BadRulesSayWhatIsWrong) {
  for (const char* bad : {"", "http://", "a.test:0", "a.test:x", "ftp://a.test", "a*.test",
                          "10.0.0.0/33", "user@a.test", "*.10.0.0.1", "a b", "tcp://a.test"}) {
    EXPECT_FALSE(Target::Parse(bad)) << bad;
  }
}

std::optional<std::string> Blocked(const char* rule, const char* url, const char* address,
                                   std::vector<IpAddress> own = {}) {
  const Policy p = Allowing({rule});
  const auto parsed = ParseUrl(url);
  return AddressBlocked(p, &p.rules[0], *parsed, *IpAddress::Parse(address), own);
}

TEST(AddressGuard, EveryClassIsRefusedBehindAName) {
  for (const char* a : {"0.0.0.0",
                        "0.1.2.3",
                        "10.1.2.3",
                        "100.64.0.1",
                        "127.0.0.1",
                        "127.9.9.9",
                        "169.254.169.254",
                        "169.254.1.1",
                        "172.16.0.1",
                        "172.31.255.255",
                        "192.0.0.1",
                        "192.0.2.1",
                        "192.168.1.1",
                        "198.18.0.1",
                        "198.19.255.255",
                        "198.51.100.1",
                        "203.0.113.9",
                        "224.0.0.1",
                        "239.1.1.1",
                        "240.0.0.1",
                        "255.255.255.255",
                        "::",
                        "::1",
                        "::ffff:127.0.0.1",
                        "::ffff:8.8.8.8",
                        "::10.0.0.1",
                        "64:ff9b::a00:1",
                        "64:ff9b:1::1",
                        "2002:7f00:1::",
                        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                        "fe80::1",
                        "fc00::1",
                        "fd00:ec2::254",
                        "ff02::1",
                        "2001:db8::1",
                        "fec0::1",
                        "2606:4700::5efe:a00:1",
                        "2606:4700::200:5efe:a00:1",
                        "100::1",
                        "5f00::1",
                        "3fff::1"}) {
    EXPECT_TRUE(Blocked("*", "https://a.test/", a)) << a;
  }
  for (const char* a :
       {"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"}) {
    EXPECT_FALSE(Blocked("*", "https://a.test/", a)) << a;
  }
}

TEST(AddressGuard, EmbeddedAddressesAreNamed) {
  EXPECT_EQ(Blocked("*", "https://a.test/", "::ffff:127.0.0.1"), "IPv4-mapped loopback");
  EXPECT_EQ(Blocked("*", "https://a.test/", "2002:a00:1::"), "6to4 private");
  EXPECT_EQ(Blocked("*", "https://a.test/", "169.254.169.254"), "cloud metadata");
}

TEST(AddressGuard, OnlyLiteralsAndNamedRangesOpenAnAddress) {
  EXPECT_FALSE(Blocked("127.0.0.1:80", "http://127.0.0.1/", "127.0.0.1"));
  EXPECT_TRUE(Blocked("a.test", "http://a.test/", "127.0.0.1"));
  EXPECT_FALSE(Blocked("localhost", "http://localhost/", "127.0.0.1"));
  EXPECT_TRUE(Blocked("localhost", "http://localhost/", "10.0.0.1"));
  EXPECT_FALSE(Blocked("10.0.0.0/8", "http://10.1.1.1/", "10.1.1.1"));
  EXPECT_TRUE(Blocked("0.0.0.0/0", "http://127.0.0.1/", "127.0.0.1"));
  EXPECT_FALSE(Blocked("127.0.0.0/8", "http://127.0.0.1/", "127.0.0.1"));
  EXPECT_TRUE(Blocked("*", "https://a.test/", "8.8.8.8", {*IpAddress::Parse("8.8.8.8")}));
}

TEST(Url, CredentialsSchemesAndPorts) {
  EXPECT_TRUE(ParseUrl("http://u:p@a.test/")->has_credentials);
  EXPECT_FALSE(ParseUrl("file:///etc/passwd"));
  EXPECT_FALSE(ParseUrl("http://a.test:0/"));
  EXPECT_FALSE(ParseUrl("http://a.test:65536/"));
  for (const char* host : {"a.test..", ".a.test", "a..test", "."}) {
    EXPECT_FALSE(ParseUrl("http://" + std::string(host) + "/")) << host;
    EXPECT_FALSE(CanonicalHost(host)) << host;
  }
  EXPECT_EQ(ParseUrl("http://[::1]:8080/x")->HostPort(), "[::1]:8080");
}

TEST(ConnectPorts, AreThoseOfTheRulesAndOfDns) {
  Policy p = Allowing({"a.test:8080", "https://b.test"}, {"c.test:99"});
  p.dns.servers = {"127.0.0.1:5353", "::1", "[::1]:54"};
  EXPECT_EQ(ConnectPorts(p), (std::vector<uint16_t>{53, 5353, 54, 8080, 443}));
  EXPECT_EQ(ConnectPorts(Allowing({"a.test:80", "b.test"})), std::nullopt);
}

TEST(ConnectPorts, FollowTheAdapter) {
  Policy p = Allowing({"a.test"});
  p.adapter = {AdapterKind::kProxy, "http://proxy.test:3128"};
  EXPECT_EQ(ConnectPorts(p), (std::vector<uint16_t>{53, 3128}));
  p.adapter = {AdapterKind::kReplay, "a.har"};
  EXPECT_EQ(ConnectPorts(p), std::vector<uint16_t>{});
  Policy reports = Allowing({"a.test:80"});
  reports.report = true;
  EXPECT_EQ(ConnectPorts(reports), std::nullopt);
}

TEST(AddressGuard, InReportModeNothingIsOpened) {
  const Policy p = Allowing({});
  const Url url = *ParseUrl("http://10.0.0.1/");
  EXPECT_EQ(AddressBlocked(p, nullptr, url, *IpAddress::Parse("10.0.0.1"), {}), "private");
  EXPECT_EQ(AddressBlocked(p, nullptr, url, *IpAddress::Parse("1.1.1.1"), {}), std::nullopt);
}

TEST(AddressGuard, DeniedAddressesAreFoundInsideOthers) {
  Policy p = Allowing({"::ffff:0:0/96"});
  p.denied_addresses.push_back(*Cidr::Parse("198.41.0.4"));
  const Url url = *ParseUrl("http://[::ffff:198.41.0.4]/");
  const auto why = AddressBlocked(p, &p.rules[0], url, *IpAddress::Parse("::ffff:198.41.0.4"), {});
  EXPECT_EQ(why, "denied by addresses: {deny: [198.41.0.4/32]}");
}

TEST(ProxyUrl, Forms) {
  const auto socks = ParseProxyUrl("socks5h://u%40x:p%3a@Proxy.test");
  ASSERT_TRUE(socks);
  EXPECT_EQ(socks->scheme + socks->host + socks->user + socks->password, "socks5hproxy.testu@xp:");
  EXPECT_EQ(socks->port, 1080);
  EXPECT_EQ(ParseProxyUrl("socks5h://p.test:80")->port, 80);
  EXPECT_EQ(ParseProxyUrl("http://p.test")->port, 80);
  EXPECT_EQ(ParseProxyUrl("https://[::1]")->port, 443);
  EXPECT_TRUE(ParseProxyUrl("https://[::1]")->host_is_ip);
}

TEST(Explain, SaysWhatWillBeDone) {
  const auto file = ParsePolicyFile(R"(version: 1
secrets: {KEY: {env: KEY}}
network:
  permission: allow
  adapter: {proxy: "http://p.test:3128", resolve: remote}
  rules:
    - allow: https://a.test
      headers: {authorization: "Bearer ${secret:KEY}"}
      tls: {certificate: c, key: k, pins: ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}
    - allow: localhost:80
    - allow: "*"
)",
                                    "p.yaml");
  ASSERT_TRUE(file) << file.error().message;
  Policy p = file->network;
  const auto part = [&](const char* url, const char* name) -> std::string {
    const auto e = Explain(p, "GET", url);
    if (!e) return e.error().message;
    for (const auto& [key, text] : e->parts) {
      if (std::string_view(key) == name) return text;
    }
    return "";
  };
  EXPECT_EQ(part("https://a.test/", "adapter"),
            "proxy http://p.test:3128, which looks names up: without the address guard");
  EXPECT_EQ(part("https://a.test/", "sets headers"), "authorization");
  EXPECT_EQ(part("https://a.test/", "secrets"), "KEY");
  EXPECT_EQ(part("https://a.test/", "client certificate"), "c");
  EXPECT_EQ(part("http://localhost/", "addresses"), "loopback ones");
  EXPECT_EQ(part("http://127.0.0.1/", "decision"), "deny");
  EXPECT_EQ(part("http://127.0.0.1/", "reason"),
            "127.0.0.1 is blocked (loopback): ERR_ADDRESS_BLOCKED");
  EXPECT_NE(part("http://1.1.1.1/", "addresses").find("1.1.1.1, unless"), std::string::npos);
  EXPECT_NE(part("http://u:p@a.test/", "decision").find("user info"), std::string::npos);
  p.report = true;
  p.rules.clear();
  EXPECT_NE(part("http://b.test/", "mode").find("let through"), std::string::npos);
  p.adapter = {AdapterKind::kNone};
  EXPECT_NE(part("http://b.test/", "adapter").find("ERR_NO_NETWORK_ADAPTER"), std::string::npos);
  p.adapter = {AdapterKind::kReplay, "a.har"};
  EXPECT_EQ(part("http://b.test/", "adapter"), "replay of a.har");
  p.adapter = {};
  EXPECT_EQ(part("http://b.test/", "adapter"), "direct");
  p.permission = false;
  EXPECT_EQ(part("tcp://b.test:1", "change"),
            "set permission: allow, and add the rule {allow: \"tcp://b.test:1\"}, or "
            "--allow-net=b.test:1 for HTTP, or --allow-net=tcp://b.test:1");
}

TEST(Policy, JsonRoundTrip) {
  Policy p = Allowing({"a.test", "10.0.0.0/8"}, {"b.test:99"});
  p.rules[0].addresses.push_back(*Cidr::Parse("127.0.0.0/8"));
  p.limits.connect_timeout = 123;
  p.dns.hosts["a.test"] = {"127.0.0.1"};
  p.rules[0].methods = {"GET"};
  p.rules[0].paths.push_back(*PathPattern::Parse("/x/**"));
  p.rules[0].headers.push_back({"a", "b"});
  p.rules[0].secrets = {"K"};
  p.rules[0].tls.pins = {"sha256/x"};
  p.secrets["K"] = "value";
  p.adapter = {AdapterKind::kProxy, "http://p.test", true};
  const auto back = FromJson(ToJson(p));
  ASSERT_TRUE(back);
  EXPECT_EQ(ToJson(*back), ToJson(p));
  EXPECT_FALSE(FromJson("{}"));
  EXPECT_FALSE(FromJson("nonsense"));
}

TEST(PolicyFile, ReadsWhatDesignSays) {
  const auto file = ParsePolicyFile(R"(version: 1
network:
  permission: allow
  adapter: direct
  rules:
    - allow: https://api.example.com
    - allow: db.internal:8080
      addresses: [10.1.2.0/24]
    - deny: "*.example.net"
  limits: {connect_timeout: 300ms, concurrent: 8, response_bytes: 1GiB}
  dns: {servers: ["127.0.0.1:5353"], hosts: {a.test: 127.0.0.1}}
limits: {wall: 30s, memory: 64MiB}
env: {LANG: C}
)",
                                    "p.yaml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->network.permission);
  EXPECT_EQ(file->network.rules.size(), 3u);
  EXPECT_EQ(file->network.rules[1].origin, "p.yaml:7:7");
  EXPECT_EQ(file->network.limits.connect_timeout, 300);
  EXPECT_EQ(file->limits.wall, 30'000);
  EXPECT_EQ(file->env.at("LANG"), "C");
}

TEST(PolicyFile, ErrorsNameThePlaceAndTheNearestKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"version: 1\nnetwork:\n  permision: allow\n",
       "p.yaml:3:3: unknown key \"permision\" in network; did you mean \"permission\"?"},
      {"version: 2\n", "p.yaml:1:10: version must be one of 1, not \"2\""},
      {"network: {}\n", "p.yaml:1:1: the policy must begin with \"version: 1\""},
      {"version: 1\nnetwork: {limits: {connect_timeout: soon}}\n",
       "p.yaml:2:37: \"soon\" is no duration; write 300ms, 5s, 2m or 1h"},
      {"version: 1\nversion: 1\n", "p.yaml:2:1: key \"version\" stands twice in the policy"},
      {"version: [\n", "p.yaml:"},
      {"", "p.yaml:1:1: the policy must be a mapping"},
  };
  for (const auto& [text, message] : cases) {
    const auto file = ParsePolicyFile(text, "p.yaml");
    ASSERT_FALSE(file) << text;
    EXPECT_TRUE(file.error().message.starts_with(message)) << file.error().message;
  }
}

TEST(Units, DurationsAndSizes) {
  EXPECT_EQ(*ParseDuration("1.5s"), 1500);
  EXPECT_EQ(*ParseBytes("2MiB"), 2 << 20);
  for (const char* bad : {"", "5", "-1s", "nan", "s", "1e300h", "5 s"})
    EXPECT_FALSE(ParseDuration(bad)) << bad;
}

}  // namespace
}  // namespace postern::policy
