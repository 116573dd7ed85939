#include "broker/net/request_target.h"

#include <gtest/gtest.h>

namespace postern::broker {
namespace {

channel::Fields Request(const std::string& method, const std::string& scheme,
                        const std::string& authority, const std::string& path) {
  return {{":method", method}, {":scheme", scheme}, {":authority", authority}, {":path", path}};
}

TEST(RequestTarget, OfEachKind) {
  struct Case {
    channel::Fields fields;
    RequestKind kind;
    const char *method, *url;
    bool tls;
  };
  const Case cases[] = {
      {Request("GET", "http", "a.test", "/x?q"), RequestKind::kHttp, "GET", "http://a.test/x?q",
       false},
      {Request("POST", "https", "A.test:8443", "/"), RequestKind::kHttp, "POST",
       "https://a.test:8443/", true},
      {{{":method", "CONNECT"}, {":authority", "a.test:5432"}},
       RequestKind::kTcp,
       "CONNECT",
       "tcp://a.test:5432",
       false},
      {{{":method", "CONNECT"}, {":authority", "a.test:5432"}, {"postern-tls", "on"}},
       RequestKind::kTcp,
       "CONNECT",
       "tcp://a.test:5432",
       true},
      {{{":method", "CONNECT"},
        {":protocol", "websocket"},
        {":scheme", "https"},
        {":authority", "a.test"},
        {":path", "/chat"}},
       RequestKind::kWebSocket,
       "GET",
       "wss://a.test/chat",
       true},
      {Request("GET", "dns", "a.test", "/"), RequestKind::kLookup, "LOOKUP", "dns://a.test", false},
  };
  for (const Case& c : cases) {
    RequestTarget target;
    const auto why = ReadRequestTarget(c.fields, target);
    ASSERT_EQ(why, std::nullopt) << *why;
    EXPECT_EQ(target.kind, c.kind) << c.url;
    EXPECT_EQ(target.method, c.method);
    EXPECT_EQ(target.url.ToString(), c.url);
    EXPECT_EQ(target.tls, c.tls) << c.url;
  }
}

TEST(RequestTarget, WhatIsNoneIsRefused) {
  const std::pair<channel::Fields, const char*> refused[] = {
      {{}, "the method is not allowed"},
      {Request("TRACE", "http", "a.test", "/"), "the method is not allowed"},
      {Request("TRACK", "http", "a.test", "/"), "the method is not allowed"},
      {Request("GET", "ftp", "a.test", "/"), "a request needs an http or https URL"},
      {{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}},
       "a request needs an http or https URL"},
      {Request("GET", "http", "u:p@a.test", "/"),
       "a URL with user info is refused; send an Authorization header"},
      {{{":method", "CONNECT"}}, "CONNECT needs a host and a port"},
      {{{":method", "CONNECT"}, {":authority", "u@a.test:1"}}, "a URL with user info is refused"},
      {{{":method", "CONNECT"}, {":authority", "a.test:1"}, {":protocol", "webtransport"}},
       "CONNECT is for TCP streams and WebSockets"},
      {{{":method", "CONNECT"},
        {":authority", "a.test"},
        {":protocol", "websocket"},
        {":scheme", "ws"},
        {":path", "/"}},
       "CONNECT is for TCP streams and WebSockets"},
  };
  for (const auto& [fields, why] : refused) {
    RequestTarget target;
    EXPECT_EQ(ReadRequestTarget(fields, target), why);
    EXPECT_EQ(target.url.host, "");  // nothing that could be connected to
  }
}

}  // namespace
}  // namespace postern::broker
