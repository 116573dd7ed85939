#include "channel/files_protocol.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace postern::channel {
namespace {

// One of each, with every member other than its default, and one with none.
const FileOperation kEachOperation[] = {
    StatFile{false},
    StatFile{},
    ReadFile{.offset = 1, .length = 2, .most = 3},
    ReadFile{},
    ListDirectory{7},
    ListDirectory{},
    WriteFile{.how = WriteHow::kWhole, .offset = 1, .truncate = 0, .mode = 0600},
    WriteFile{},
    MakeDirectory{true, 0700},
    MakeDirectory{},
    RemoveFile{true, true},
    RemoveFile{},
    MoveFile{"/data/b \xff%.txt"},
    SetFileTimes{-1, 1'000'000'007},
};

TEST(FilesProtocol, EachRequestIsReadAsItWasWritten) {
  for (const FileOperation& operation : kEachOperation) {
    const FilesRequest request{"/data/\xc3\xa4 %41\n", operation};
    const Fields fields = EncodeFilesRequest(request);
    EXPECT_TRUE(CheckFields(fields));
    const auto read = DecodeFilesRequest(fields);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, request);
  }
}

TEST(FilesProtocol, EachWayToWriteAndKindOfFileHasAName) {
  for (const WriteHow how :
       {WriteHow::kWrite, WriteHow::kNew, WriteHow::kAppend, WriteHow::kUpdate, WriteHow::kWhole}) {
    const FilesRequest request{"/a", WriteFile{.how = how}};
    EXPECT_EQ(*DecodeFilesRequest(EncodeFilesRequest(request)), request);
  }
  for (const FileKind kind :
       {FileKind::kFile, FileKind::kDirectory, FileKind::kLink, FileKind::kOther}) {
    const FilesResponse response{.status = FileStatus{.kind = kind}};
    EXPECT_EQ(*DecodeFilesResponse(EncodeFilesResponse(response)), response);
  }
}

TEST(FilesProtocol, EachResponseIsReadAsItWasWritten) {
  const FilesResponse responses[] = {
      {},
      {.real = "/data/a"},
      {.target = "../b",
       .status = FileStatus{.kind = FileKind::kLink,
                            .size = 1,
                            .times = {.accessed = -1.5, .modified = 1.7e12, .changed = 0.25},
                            .mode = 0644,
                            .writable = true,
                            .inode = 5,
                            .device = 2}}};
  for (const FilesResponse& response : responses) {
    const auto read = DecodeFilesResponse(EncodeFilesResponse(response));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, response);
  }
}

TEST(FilesProtocol, WhatIsNoRequestIsRefusedWithASentence) {
  const std::pair<Fields, const char*> refused[] = {
      {{}, "a path begins with a slash"},
      {{{":method", "GET"}, {"postern-path", "a"}}, "a path begins with a slash"},
      {{{":method", "PATCH"}, {"postern-path", "/a"}}, "there is no such request of files"},
      {{{"postern-path", "/a"}}, "there is no such request of files"},
      {{{":method", "GET"}, {"postern-path", "/a"}, {"postern-offset", "-1"}},
       "the field postern-offset is missing or malformed"},
      {{{":method", "GET"}, {"postern-path", "/a"}, {"postern-length", "9223372036854775808"}},
       "the field postern-length is missing or malformed"},
      {{{":method", "GET"}, {"postern-path", "/a"}, {"postern-most", "1x"}},
       "the field postern-most is missing or malformed"},
      {{{":method", "PUT"}, {"postern-path", "/a"}},
       "the field postern-how is missing or malformed"},
      {{{":method", "PUT"}, {"postern-path", "/a"}, {"postern-how", "WRITE"}},
       "the field postern-how is missing or malformed"},
      {{{":method", "MOVE"}, {"postern-path", "/a"}},
       "the field postern-to is missing or malformed"},
      {{{":method", "DELETE"}, {"postern-path", "/a"}, {"postern-all", "yes"}},
       "the field postern-all is missing or malformed"},
      {{{":method", "PROPPATCH"}, {"postern-path", "/a"}, {"postern-accessed", "1"}},
       "the field postern-modified is missing or malformed"},
  };
  for (const auto& [fields, why] : refused) {
    const auto read = DecodeFilesRequest(fields);
    ASSERT_FALSE(read) << why;
    EXPECT_EQ(read.error().message, why);
    EXPECT_EQ(read.error().errnum, EINVAL);
  }
}

TEST(FilesProtocol, AMalformedResponseIsAnError) {
  Fields fields = EncodeFilesResponse({.status = FileStatus{}});
  for (Field& f : fields) {
    if (f.name == ":status") continue;
    const std::string before = std::exchange(f.value, "?");
    EXPECT_FALSE(DecodeFilesResponse(fields)) << f.name;
    f.value = before;
  }
  EXPECT_TRUE(DecodeFilesResponse(fields));
}

}  // namespace
}  // namespace postern::channel
