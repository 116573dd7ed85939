#include "policy/address_guard.h"

#include <gtest/gtest.h>

namespace postern::policy {
namespace {

const std::vector<IpAddress> kOwn = {*IpAddress::Parse("10.9.9.9"), *IpAddress::Parse("fd00:9::9"),
                                     *IpAddress::Parse("198.41.0.9")};

bool OpensText(const char* range, const char* address) {
  return Opens(*Cidr::Parse(range), *IpAddress::Parse(address), kOwn);
}

TEST(AddressGuard, AWideRangeDoesNotOpenWhatItIsNotWrittenFor) {
  struct Row {
    const char* range;
    std::vector<const char*> closed, open;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"0.0.0.0/0",
            {"127.0.0.1", "0.0.0.0", "0.1.2.3", "169.254.1.1", "169.254.169.254", "224.0.0.1",
             "255.255.255.255", "100.100.100.200", "168.63.129.16", "10.9.9.9", "198.41.0.9",
             "192.0.0.192"},
            {"10.1.1.1", "198.41.0.4", "100.64.0.1"}},
           {"::/0",
            {"::1",
             "::",
             "fe80::1",
             "ff02::1",
             "fd00:ec2::254",
             "fd20:ce::254",
             "fd00:9::9",
             "::ffff:127.0.0.1",
             "::ffff:0.0.0.0",
             "::ffff:169.254.169.254",
             "::ffff:10.9.9.9",
             "::127.0.0.1",
             "64:ff9b::7f00:1",
             "64:ff9b:1::a9fe:a9fe",
             "2002:7f00:1::",
             "2002:a9fe:a9fe::1",
             "2001:0:1:2:3:4:80ff:fffe",
             "fd00::5efe:7f00:1",
             "::ffff:0:127.0.0.1",
             "2002:a09:909::"},
            {"fd00::1", "2a0f:ffff::1", "::ffff:198.41.0.4", "::ffff:10.1.1.1"}},
           {"::ffff:0:0/96",
            {"::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:169.254.169.254",
             "::ffff:100.100.100.200", "::ffff:10.9.9.9"},
            {"::ffff:10.1.1.1"}},
           {"64:ff9b::/96", {"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"}, {"64:ff9b::a01:101"}},
           {"2002::/16", {"2002:7f00:1::", "2002:a9fe:a9fe::"}, {"2002:a01:101::"}},
           {"100.64.0.0/10", {"100.100.100.200", "100.96.0.96"}, {"100.64.0.1"}},
           {"fd00::/8", {"fd00:ec2::254", "fd00:ec2::23", "fd00:42::42", "fd00:9::9"}, {"fd00::1"}},
           {"169.254.0.0/16", {"169.254.169.254", "169.254.170.2"}, {"169.254.1.1"}},
           {"168.63.129.0/24", {"168.63.129.16"}, {"168.63.129.17"}},
           {"10.0.0.0/8", {"10.9.9.9", "11.0.0.1", "::ffff:10.1.1.1"}, {"10.9.9.8"}},
           {"126.0.0.0/7", {"127.0.0.1"}, {"126.0.0.1"}},
       }) {
    for (const char* address : row.closed) {
      EXPECT_FALSE(OpensText(row.range, address)) << row.range << " " << address;
    }
    for (const char* address : row.open) {
      EXPECT_TRUE(OpensText(row.range, address)) << row.range << " " << address;
    }
  }
}

TEST(AddressGuard, ARangeOfSuchAddressesAndAnAddressItselfOpenThem) {
  for (const auto& [range, address] : std::initializer_list<std::pair<const char*, const char*>>{
           {"127.0.0.0/8", "127.0.0.1"},
           {"127.0.0.0/30", "127.0.0.1"},
           {"::1/128", "::1"},
           {"fe80::/10", "fe80::1"},
           {"::ffff:127.0.0.0/104", "::ffff:127.0.0.1"},
           {"2002:7f00::/24", "2002:7f00:1::"},
           {"169.254.169.254/32", "169.254.169.254"},
           {"fd00:ec2::254/128", "fd00:ec2::254"},
           {"::ffff:169.254.169.254/128", "::ffff:169.254.169.254"},
           {"10.9.9.9/32", "10.9.9.9"},
           {"168.63.129.16", "168.63.129.16"}}) {
    EXPECT_TRUE(OpensText(range, address)) << range << " " << address;
  }
}

}  // namespace
}  // namespace postern::policy
