#include "broker/upstream/http_fields.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postern::broker {
namespace {

TEST(HttpFields, ALengthIsDigitsAndOneNumber) {
  for (const auto& [text, number] : std::vector<std::pair<std::string, std::string>>{
           {"0", "0"},
           {"5", "5"},
           {" 5\t", "5"},
           {"005", "5"},
           {"5, 5", "5"},
           {"5,05 , 5", "5"},
           {"9223372036854775807", "9223372036854775807"}}) {
    EXPECT_EQ(LengthIn(text), number) << text;
  }
  for (const char* bad : {"", " ", "+5", "-5", "-0", "0x5", "5.0", "5 5", "5;", "5,6", "5,", ",5",
                          "9223372036854775808", "99999999999999999999", "five", "\xb2"}) {
    EXPECT_EQ(LengthIn(bad), std::nullopt) << bad;
  }
}

TEST(HttpFields, TransferCodingsThatNobodyAskedFor) {
  for (const char* text : {"chunked", "CHUNKED", " chunked ", "identity, chunked"})
    EXPECT_EQ(TransferCodingIn(text), TransferCoding::kChunked) << text;
  EXPECT_EQ(TransferCodingIn("identity"), TransferCoding::kIdentity);
  for (const char* text : {"", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked",
                           "chunked, identity", "chunked;a=b", "chun ked", "xchunked", ","})
    EXPECT_EQ(TransferCodingIn(text), TransferCoding::kUnknown) << text;
}

TEST(HttpFields, ANameIsWrittenAsItIsOnlyWhereItIsThatName) {
  const std::string names = "X-Own,SOAPAction,x-OWN,X-A\r\nx-injected: 1,,HOST";
  const Spellings spellings(&names);
  EXPECT_EQ(spellings.Of("x-own"), "X-Own");  // the first of two
  EXPECT_EQ(spellings.Of("soapaction"), "SOAPAction");
  EXPECT_EQ(spellings.Of("x-a"), "x-a");
  EXPECT_EQ(spellings.Of("x-other"), "x-other");
  EXPECT_EQ(Spellings(nullptr).Of("x-own"), "x-own");
}

TEST(HttpFields, NamesInLowerCaseNeedNoList) {
  EXPECT_EQ(JoinNames({"a", "b-c"}), "");
  EXPECT_EQ(JoinNames({"a", "B-c", "a"}), "a,B-c,a");
  EXPECT_EQ(JoinNames({}), "");
}

TEST(HttpFields, WhatMayBeSentAgain) {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
    EXPECT_TRUE(IsIdempotent(method)) << method;
  for (const char* method : {"POST", "PATCH", "get", "PURGE", ""})
    EXPECT_FALSE(IsIdempotent(method)) << method;
}

}  // namespace
}  // namespace postern::broker
