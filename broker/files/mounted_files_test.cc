#include "broker/files/mounted_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace postern::broker {
namespace {

namespace fs = std::filesystem;
using channel::FileKind;
using channel::WriteHow;

// A directory of its own, mounted at /data (writable) and at /only (not).
class MountedFilesTest : public testing::Test {
 protected:
  MountedFilesTest() {
    std::string name = testing::TempDir() + "mounted-XXXXXX";
    root_ = ::mkdtemp(name.data());
    fs::create_directory(root_ / "sub");
    std::ofstream(root_ / "a.txt") << "0123456789";
    fs::create_symlink("sub/../a.txt", root_ / "link");
    fs::create_symlink("/etc/passwd", root_ / "outside");
    std::vector<BrokerMount> mounts;
    mounts.push_back({"/data", Directory(), true});
    mounts.push_back({"/only", Directory(), false});
    table_.emplace(std::move(mounts));
    files_.emplace(*table_);
  }
  ~MountedFilesTest() override { fs::remove_all(root_); }

  UniqueFd Directory() const { return UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY)); }
  std::string BytesOf(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(root_ / name).rdbuf();
    return out.str();
  }
  // What came of writing `bytes`.
  Status Write(const std::string& path, channel::WriteFile how, std::string_view bytes) {
    auto writer = files_->OpenToWrite(path, how);
    if (!writer) return writer.error();
    files_->Write(*writer, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    return writer->Finish();
  }

  fs::path root_;
  std::optional<MountTable> table_;
  std::optional<MountedFiles> files_;
};

TEST_F(MountedFilesTest, SayWhatIsThere) {
  const auto file = files_->Stat("/data/a.txt", {});
  ASSERT_TRUE(file);
  EXPECT_EQ(file->status->kind, FileKind::kFile);
  EXPECT_EQ(file->status->size, 10);
  EXPECT_TRUE(file->status->writable);
  EXPECT_FALSE(files_->Stat("/only/a.txt", {})->status->writable);
  // Numbers of the guest's own: the same for the same file alone.
  EXPECT_EQ(file->status->inode, files_->Stat("/only/a.txt", {})->status->inode);
  EXPECT_NE(file->status->inode, files_->Stat("/data/sub", {})->status->inode);
  struct stat real {};
  ASSERT_EQ(::stat((root_ / "a.txt").c_str(), &real), 0);
  EXPECT_NE(static_cast<uint64_t>(file->status->inode), real.st_ino);
}

TEST_F(MountedFilesTest, SayWhereLinksLead) {
  EXPECT_EQ(files_->Stat("/data/link", {})->real, "/data/a.txt");
  const auto link = files_->Stat("/data/link", {.follow = false});
  EXPECT_EQ(link->status->kind, FileKind::kLink);
  EXPECT_EQ(link->target, "sub/../a.txt");
  // A path of the host's is none of the guest's.
  EXPECT_EQ(files_->Stat("/data/outside", {.follow = false})->target, "");
  EXPECT_FALSE(files_->Stat("/data/outside", {}));
}

TEST_F(MountedFilesTest, GiveAPieceOfAFile) {
  const auto opened = files_->Open("/data/a.txt", {.offset = 4, .length = 3});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->left, 3);
  char bytes[4] = {};
  EXPECT_EQ(::read(opened->file.get(), bytes, 3), 3);
  EXPECT_STREQ(bytes, "456");
  EXPECT_EQ(files_->Open("/data/a.txt", {.most = 9}).error().errnum, EFBIG);
  EXPECT_TRUE(files_->Open("/data/a.txt", {.offset = 1, .most = 9}));
  EXPECT_TRUE(files_->Open("/data/a.txt", {.offset = 100}));  // beyond its end: nothing
  EXPECT_EQ(files_->Open("/data/sub", {}).error().errnum, EISDIR);
}

TEST_F(MountedFilesTest, ListADirectory) {
  const auto names = files_->List("/data", {});
  ASSERT_TRUE(names);
  EXPECT_EQ(names->size(), 4u);
  EXPECT_EQ(files_->List("/data", {.most = 3}).error().errnum, EFBIG);
  EXPECT_EQ(files_->List("/data/a.txt", {}).error().errnum, ENOTDIR);
}

TEST_F(MountedFilesTest, WriteInEachWay) {
  ASSERT_TRUE(Write("/data/b", {.how = WriteHow::kWrite, .mode = 04777}, "first"));
  EXPECT_EQ(BytesOf("b"), "first");
  struct stat st {};
  ASSERT_EQ(::stat((root_ / "b").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777 & ~0644u, 0u);  // never more than a guest may
  EXPECT_EQ(Write("/data/b", {.how = WriteHow::kNew}, "x").error().errnum, EEXIST);
  ASSERT_TRUE(Write("/data/b", {.how = WriteHow::kAppend}, "+"));
  EXPECT_EQ(BytesOf("b"), "first+");
  ASSERT_TRUE(Write("/data/b", {.how = WriteHow::kUpdate, .offset = 1}, "I"));
  EXPECT_EQ(BytesOf("b"), "fIrst+");
  ASSERT_TRUE(Write("/data/b", {.how = WriteHow::kUpdate, .truncate = 3}, ""));
  EXPECT_EQ(BytesOf("b"), "fIr");
  ASSERT_TRUE(Write("/data/b", {.how = WriteHow::kWhole}, "whole"));
  EXPECT_EQ(BytesOf("b"), "whole");
  EXPECT_EQ(Write("/only/b", {}, "x").error().errnum, EACCES);
}

TEST_F(MountedFilesTest, WhatIsNotWholeLeavesNothing) {
  {
    auto writer = files_->OpenToWrite("/data/w", {.how = WriteHow::kWhole});
    ASSERT_TRUE(writer);
    const uint8_t byte[] = {'x'};
    files_->Write(*writer, byte);
    FileWriter moved = *std::move(writer);  // as it is moved into the stream's body
    EXPECT_EQ(files_->List("/data", {})->size(), 5u);
  }
  EXPECT_EQ(files_->List("/data", {})->size(), 4u);
  EXPECT_FALSE(fs::exists(root_ / "w"));
}

TEST_F(MountedFilesTest, AFileHasABoundWhereverItIsWritten) {
  for (const int64_t offset : {kMaxFileBytes, kMaxFileBytes + 1, INT64_MAX}) {
    const Status written = Write("/data/a.txt", {.how = WriteHow::kUpdate, .offset = offset}, "x");
    ASSERT_FALSE(written) << offset;
    EXPECT_EQ(written.error().errnum, EFBIG);
  }
  EXPECT_EQ(BytesOf("a.txt"), "0123456789");
  const channel::WriteFile longer{.how = WriteHow::kUpdate, .truncate = kMaxFileBytes + 1};
  EXPECT_EQ(Write("/data/a.txt", longer, "").error().errnum, EFBIG);
}

TEST_F(MountedFilesTest, MakeMoveAndRemove) {
  ASSERT_TRUE(files_->Make("/data/x/y/z", {.all = true}));
  ASSERT_TRUE(files_->Make("/data/x/y/z", {.all = true}));
  EXPECT_EQ(files_->Make("/data/x", {}).error().errnum, EEXIST);
  EXPECT_EQ(files_->Make("/data/a.txt/y", {.all = true}).error().errnum, ENOTDIR);
  ASSERT_TRUE(files_->Move("/data/a.txt", {"/data/x/a"}));
  EXPECT_EQ(BytesOf("x/a"), "0123456789");
  EXPECT_EQ(files_->Move("/data/x/a", {"/only/a"}).error().errnum, EACCES);
  EXPECT_EQ(files_->Remove("/data/x", {.directory = true}).error().errnum, ENOTEMPTY);
  EXPECT_EQ(files_->Remove("/data/x", {}).error().errnum, EISDIR);
  ASSERT_TRUE(files_->Remove("/data/x", {.all = true}));
  EXPECT_FALSE(fs::exists(root_ / "x"));
  EXPECT_EQ(files_->Remove("/data", {.all = true}).error().errnum, EBUSY);
}

TEST_F(MountedFilesTest, SetTimesBefore1970Too) {
  ASSERT_TRUE(files_->SetTimes("/data/a.txt", {.accessed = -1'000'000, .modified = 1'500'000'000}));
  const auto found = files_->Stat("/data/a.txt", {});
  EXPECT_DOUBLE_EQ(found->status->times.accessed, -1);
  EXPECT_DOUBLE_EQ(found->status->times.modified, 1500);
}

}  // namespace
}  // namespace postern::broker
