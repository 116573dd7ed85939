#include "worker/files/memory_files.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>

namespace postern::worker {
namespace {

int Number(const Status& s) { return s ? 0 : s.error().errnum; }

class MemoryFilesTest : public ::testing::Test {
 protected:
  int Write(const std::string& path, const std::string& bytes, WriteHow how = WriteHow::kWrite,
            size_t offset = 0, int64_t truncate = -1) {
    return Number(files_.Write(path, bytes, how, offset, truncate));
  }
  std::string Read(const std::string& path) {
    const auto node = files_.Find(path);
    return node ? (*node)->bytes : "?" + std::to_string(node.error().errnum);
  }
  double clock_ = 5;
  MemoryFiles files_{"/tmp", [this] { return clock_; }};
};

TEST_F(MemoryFilesTest, WritesInEveryWay) {
  EXPECT_EQ(Write("/tmp/a", "hello"), 0);
  EXPECT_EQ(Write("/tmp/a", " world", WriteHow::kAppend), 0);
  EXPECT_EQ(Read("/tmp/a"), "hello world");
  EXPECT_EQ(Write("/tmp/a", "HE", WriteHow::kUpdate, 0), 0);
  EXPECT_EQ(Write("/tmp/a", "!", WriteHow::kUpdate, 12), 0);
  EXPECT_EQ(Read("/tmp/a"), std::string("HEllo world\0!", 13));
  EXPECT_EQ(Write("/tmp/a", "", WriteHow::kUpdate, 0, 2), 0);
  EXPECT_EQ(Read("/tmp/a"), "HE");
  EXPECT_EQ(Write("/tmp/a", "x", WriteHow::kNew), EEXIST);
  EXPECT_EQ(Write("/tmp/b", "x", WriteHow::kNew), 0);
  EXPECT_EQ(Write("/tmp/c", "x", WriteHow::kUpdate), ENOENT);
  EXPECT_EQ(Write("/tmp/none/c", "x"), ENOENT);
  EXPECT_EQ(Write("/tmp/a/c", "x"), ENOTDIR);
  EXPECT_EQ(Write("/tmp/a/c/d/e", "x"), ENOTDIR);
  EXPECT_EQ(Read("/tmp/a/c"), "?" + std::to_string(ENOTDIR));
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/a/c/d", true)), ENOTDIR);
  EXPECT_EQ(Number(files_.Remove("/tmp/a/c", false, false)), ENOTDIR);
  EXPECT_EQ(Number(files_.Move("/tmp/a/c", "/tmp/x")), ENOTDIR);
  EXPECT_EQ(Write("/tmp", "x"), EISDIR);
  EXPECT_EQ(Write("/tmp/" + std::string(5000, 'x'), ""), ENAMETOOLONG);
}

TEST_F(MemoryFilesTest, DirectoriesAndMoves) {
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/d/e", false)), ENOENT);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/d/e/", true)), 0);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/d/e", true)), 0);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/d", false)), EEXIST);
  EXPECT_EQ(Write("/tmp/d/e/f", "1"), 0);
  EXPECT_EQ(Number(files_.Remove("/tmp/d", true, false)), ENOTEMPTY);
  EXPECT_EQ(Number(files_.Remove("/tmp/d", false, false)), EISDIR);
  EXPECT_EQ(Number(files_.Move("/tmp/d", "/tmp/d/e/g")), EINVAL);
  EXPECT_EQ(Number(files_.Move("/tmp/d", "/tmp/h")), 0);
  EXPECT_EQ(Read("/tmp/h/e/f"), "1");
  EXPECT_EQ(Read("/tmp/d/e/f"), "?" + std::to_string(ENOENT));
  EXPECT_EQ(Write("/tmp/i", "2"), 0);
  EXPECT_EQ(Number(files_.Move("/tmp/i", "/tmp/h")), EISDIR);
  EXPECT_EQ(Number(files_.Move("/tmp/i", "/tmp/h/e/f")), 0);
  EXPECT_EQ(Read("/tmp/h/e/f"), "2");
  const auto names = files_.List("/tmp/h");
  ASSERT_TRUE(names);
  EXPECT_EQ(*names, (std::vector<std::pair<std::string, bool>>{{"e", true}}));
  EXPECT_EQ(Number(files_.Remove("/tmp/h", true, true)), 0);
  EXPECT_EQ(Read("/tmp/h"), "?" + std::to_string(ENOENT));
  EXPECT_EQ(Number(files_.Remove("/tmp", true, true)), EBUSY);
}

TEST_F(MemoryFilesTest, KeepsTimesApart) {
  const auto times = [&](const std::string& path) {
    const FileTimes& t = (*files_.Find(path))->times;
    return std::array{t.accessed, t.modified, t.changed};
  };
  EXPECT_EQ(Write("/tmp/a", "x"), 0);
  EXPECT_EQ(times("/tmp/a"), (std::array{5.0, 5.0, 5.0}));
  clock_ = 6;
  EXPECT_EQ(Write("/tmp/a", "y"), 0);
  EXPECT_EQ(times("/tmp/a"), (std::array{5.0, 6.0, 6.0}));
  clock_ = 7;
  EXPECT_EQ(Number(files_.SetTimes("/tmp/a", 1, -2)), 0);
  EXPECT_EQ(times("/tmp/a"), (std::array{1.0, -2.0, 7.0}));
  clock_ = 8;
  EXPECT_EQ(Number(files_.Move("/tmp/a", "/tmp/b")), 0);
  EXPECT_EQ(times("/tmp/b"), (std::array{1.0, -2.0, 8.0}));
  EXPECT_EQ(Number(files_.SetTimes("/tmp/a", 1, 2)), ENOENT);
}

TEST_F(MemoryFilesTest, GivesNoModeThatIsTooWide) {
  EXPECT_EQ(Number(files_.Write("/tmp/a", "", WriteHow::kNew, 0, -1, 07777)), 0);
  EXPECT_EQ(Number(files_.Write("/tmp/b", "", WriteHow::kWrite, 0, -1, 0600)), 0);
  EXPECT_EQ(Number(files_.Write("/tmp/b", "", WriteHow::kWrite, 0, -1, 0644)), 0);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/d", false, 07777)), 0);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/e/f", true, 0700)), 0);
  const auto mode = [&](const std::string& path) { return (*files_.Find(path))->mode; };
  EXPECT_EQ(mode("/tmp/a"), 0644u);
  EXPECT_EQ(mode("/tmp/b"), 0600u);
  EXPECT_EQ(mode("/tmp/d"), 0755u);
  EXPECT_EQ(mode("/tmp/e"), 0700u);
  EXPECT_EQ(mode("/tmp/e/f"), 0700u);
}

TEST_F(MemoryFilesTest, HasLimits) {
  const std::string half(MemoryFiles::kMaxBytes / 2, 'x');
  EXPECT_EQ(Write("/tmp/a", half), 0);
  EXPECT_EQ(Write("/tmp/b", half), 0);
  EXPECT_EQ(Write("/tmp/c", "x"), ENOSPC);
  EXPECT_EQ(Write("/tmp/a", "x", WriteHow::kAppend), ENOSPC);
  EXPECT_EQ(Write("/tmp/a", "x", WriteHow::kUpdate, SIZE_MAX - 1), ENOSPC);
  EXPECT_EQ(Number(files_.Remove("/tmp/a", false, false)), 0);
  EXPECT_EQ(Write("/tmp/c", "x"), 0);
  for (size_t i = 3; i < MemoryFiles::kMaxFiles; ++i)
    ASSERT_EQ(Write("/tmp/n" + std::to_string(i), ""), 0);
  EXPECT_EQ(Write("/tmp/last", ""), ENOSPC);
  EXPECT_EQ(Number(files_.MakeDirectory("/tmp/last", false)), ENOSPC);
}

}  // namespace
}  // namespace postern::worker
