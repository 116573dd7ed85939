#include "supervisor/memory_cgroup.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;

// A tree of files as a cgroup file system has them. What the kernel would do with what is written
// is not there: tests/whole_program/test_memory.py has the real one, of version 1.
class MemoryCgroup2 : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("postern-cgroup-" + std::to_string(::getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_ / "service");
    for (const char* file : {"cgroup.procs", "cgroup.subtree_control"}) Write("service", file, "");
    Write("service", "cgroup.controllers", "cpu memory pids");
    Write("", "self", "0::/service\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& cgroup, const std::string& file, const std::string& text) {
    std::ofstream(root_ / cgroup / file) << text;
  }
  std::string Read(const std::string& cgroup, const std::string& file) {
    std::ifstream in(root_ / cgroup / file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // As the kernel does when a directory is made there.
  void MakeCgroup(const std::string& cgroup) {
    fs::create_directory(root_ / cgroup);
    for (const char* file : {"cgroup.procs", "memory.max", "memory.swap.max"})
      Write(cgroup, file, "");
  }
  bool Mark(const std::string& cgroup) {
    return ::setxattr((root_ / cgroup).c_str(), "user.delegate", "1", 1, 0) == 0 ||
           ::setxattr((root_ / cgroup).c_str(), "trusted.delegate", "1", 1, 0) == 0;
  }
  Result<MemoryCgroups> Find() { return MemoryCgroups::Find(root_, root_ / "self"); }

  fs::path root_;
};

TEST_F(MemoryCgroup2, IsUsedWhereDelegated) {
  if (!Mark("service")) GTEST_SKIP() << "no extended attributes here";
  MakeCgroup("service/postern");
  const auto cgroups = Find();
  ASSERT_TRUE(cgroups) << cgroups.error().message;
  EXPECT_EQ(cgroups->version(), 2);
  EXPECT_EQ(Read("service/postern", "cgroup.procs"), std::to_string(::getpid()));
  EXPECT_EQ(Read("service", "cgroup.subtree_control"), "+memory");

  MakeCgroup("service/postern-guest-77");
  {
    const auto guest = cgroups->Confine(77, 1000);
    ASSERT_TRUE(guest) << guest.error().message;
    EXPECT_EQ(Read("service/postern-guest-77", "memory.max"), "1000");
    EXPECT_EQ(Read("service/postern-guest-77", "memory.swap.max"), "0");
    EXPECT_EQ(Read("service/postern-guest-77", "cgroup.procs"), "77");
    EXPECT_FALSE((*guest)->KilledInside());
    Write("service/postern-guest-77", "memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n");
    EXPECT_TRUE((*guest)->KilledInside());
    for (const auto& file : fs::directory_iterator(root_ / "service/postern-guest-77"))
      fs::remove(file);
  }
  EXPECT_FALSE(fs::exists(root_ / "service/postern-guest-77"));
}

TEST_F(MemoryCgroup2, TheSubgroupThatSystemdMadeIsALeafAlready) {
  fs::create_directory(root_ / "service/main");
  Write("", "self", "0::/service/main\n");
  Write("service/main", "cgroup.controllers", "memory");
  Write("service", "cgroup.subtree_control", "cpu memory");
  if (!Mark("service")) GTEST_SKIP() << "no extended attributes here";
  const auto cgroups = Find();
  ASSERT_TRUE(cgroups) << cgroups.error().message;
  EXPECT_EQ(Read("service", "cgroup.subtree_control"), "cpu memory");  // as it was
  EXPECT_FALSE(fs::exists(root_ / "service/postern"));
}

TEST_F(MemoryCgroup2, TheRootOfANamespaceIsOurs) {
  Write("", "self", "0::/\n");
  Write("", "cgroup.controllers", "memory");
  for (const char* file : {"cgroup.procs", "cgroup.subtree_control"}) Write("", file, "");
  auto cgroups = Find();
  ASSERT_FALSE(cgroups);  // this machine's own root: it has no cgroup.type
  EXPECT_EQ(cgroups.error().message, "the cgroup / is not delegated");
  Write("", "cgroup.type", "domain");
  MakeCgroup("postern");
  cgroups = Find();
  EXPECT_TRUE(cgroups) << cgroups.error().message;
}

TEST_F(MemoryCgroup2, IsFoundAgainFromItsLeaf) {
  Write("", "self", "0::/postern\n");
  Write("", "cgroup.subtree_control", "memory");
  fs::create_directory(root_ / "postern");
  Write("postern", "cgroup.controllers", "memory");
  const auto cgroups = Find();
  ASSERT_TRUE(cgroups) << cgroups.error().message;
  EXPECT_EQ(cgroups->version(), 2);
}

TEST_F(MemoryCgroup2, SaysWhyThereIsNone) {
  EXPECT_EQ(Find().error().message, "the cgroup /service is not delegated");
  Write("", "self", "0::/elsewhere\n");
  EXPECT_EQ(Find().error().message, "the cgroup /elsewhere cannot be seen from here");
  Write("", "self", "");
  EXPECT_EQ(Find().error().message, "this kernel has no memory cgroups");
  Write("", "self", "4:memory:/a\n0::/service\n");
  EXPECT_EQ(Find().error().message, "the memory cgroup /a cannot be seen from here");
  Write("", "self", "0::/service\n");
  Write("service", "cgroup.controllers", "cpu");
  if (!Mark("service")) GTEST_SKIP() << "no extended attributes here";
  EXPECT_EQ(Find().error().message, "the cgroup /service has no memory controller");
}

TEST_F(MemoryCgroup2, LeavesAllAsItWasWhereTheControllerCannotBeHad) {
  if (!Mark("service")) GTEST_SKIP() << "no extended attributes here";
  MakeCgroup("service/postern");
  fs::remove(root_ / "service/cgroup.subtree_control");
  fs::create_directory(root_ / "service/cgroup.subtree_control");  // cannot be written
  EXPECT_FALSE(Find());
  EXPECT_EQ(Read("service", "cgroup.procs"), std::to_string(::getpid()));
}

}  // namespace
}  // namespace postern::supervisor
