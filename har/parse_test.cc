#include <gtest/gtest.h>

#include "har/har.h"

namespace postern::har {
namespace {

std::string File(const std::string& entries, const std::string& tool = "other") {
  return R"({"log":{"version":"1.2","creator":{"name":")" + tool + R"("},"entries":[)" + entries +
         "]}}";
}

// An entry of GET https://a.test/ with this "response", and more members of the entry.
std::string Answer(const std::string& response, const std::string& more = "") {
  return R"({"request":{"method":"GET","url":"https://a.test/"},"response":)" + response + more +
         "}";
}

// A 200 with this "content".
std::string With(const std::string& content, const std::string& headers = "[]") {
  return Answer(R"({"status":200,"headers":)" + headers + R"(,"content":)" + content + "}");
}

HarEntry Only(const std::string& entry, const std::string& tool = "other") {
  auto read = Parse(File(entry, tool));
  EXPECT_TRUE(read) << entry << read.error().message;
  if (!read || read->size() != 1) return {};
  return (*read)[0];
}

// What a guest is told in place of the response; empty where there is one.
std::string Told(const HarEntry& e) { return e.failure ? e.failure->details : ""; }

TEST(Parse, WhatIsNotThereIsNeverAnEmptyBody) {
  const struct {
    const char *response, *why;
  } kCases[] = {
      // Chrome, which no longer had the body when it was exported.
      {R"({"status":200,"headers":[],"content":{"size":5120,"mimeType":"image/png"},"bodySize":5120})",
       "only its size of 5120 bytes"},
      // Firefox with bodies left out.
      {R"({"status":200,"headers":[],"content":{"size":-1,"mimeType":"","comment":"Response bodies are not included."}})",
       "(Response bodies are not included.)"},
      // Safari: a size, and no text.
      {R"({"status":200,"headers":[],"content":{"size":77,"mimeType":"font/woff2","compression":0}})",
       "77 bytes"},
      {R"({"status":200,"headers":[],"content":{"size":0,"mimeType":"text/css"},"bodySize":812})",
       "not in the recording"},
      {R"({"status":200,"headers":[{"name":"Content-Length","value":"9"}],"content":{"size":0,"text":""}})",
       "not in the recording"},
      {R"({"status":200,"headers":[],"content":{"text":""},"bodySize":3})", "not in the recording"},
      {R"({"status":200,"headers":[],"content":{"size":3,"text":""}})", "not in the recording"},
      {R"({"status":200,"headers":[],"content":{}})", "not in the recording"},
      {R"({"status":200,"headers":[],"content":null})", "not in the recording"},
      {R"({"status":200,"headers":[]})", "not in the recording"},
      // mitmproxy, of a body that it passed on as a stream.
      {R"({"status":200,"headers":[],"content":{"size":0,"compression":0,"text":null},"bodySize":0})",
       "not in the recording"},
      // A body that is no text, read as one: by Playwright, and by mitmproxy.
      {R"({"status":200,"headers":[],"content":{"size":4,"text":"caf\ufffd"}})", "does not tell"},
      {R"({"status":200,"headers":[],"content":{"text":"caf\ufffd"}})", "does not tell"},
      {R"({"status":200,"headers":[],"content":{"size":4,"text":"caf\udce9"}})", "does not tell"},
      {R"({"status":200,"headers":[],"content":{"size":4,"text":"\ud83dcaf"}})", "does not tell"},
      // Playwright, whose bodies are files beside the HAR, or in its zip file.
      {R"({"status":200,"headers":[],"content":{"size":4,"mimeType":"text/plain","_file":"0a1b.txt"}})",
       "0a1b.txt"},
      {R"({"status":200,"headers":[],"content":{"size":4,"mimeType":"text/plain","_sha1":"0a1b.txt"}})",
       "content: 'embed'"},
      {R"({"status":200,"headers":[],"content":{"text":"aGk","encoding":"gzip"}})", "\"gzip\""},
      {R"({"status":200,"headers":[],"content":{"text":"a*k=","encoding":"base64"}})", "damaged"},
      {R"({"status":200,"headers":[],"content":{"text":"aGkhI","encoding":"base64"}})", "damaged"},
      {R"({"status":200,"headers":[],"content":{"size":9,"text":"aGk=","encoding":"base64"}})",
       "2 of 9 bytes"},
      {R"({"status":200,"headers":[],"content":{"size":1048577,"text":"cut"}})",
       "3 of 1048577 bytes"},
      {R"({"status":200,"headers":[{"name":"content-encoding","value":"gzip"}],"content":{"text":"H4sI","encoding":"base64"}})",
       "still compressed"},
      {R"({"status":200,"headers":[{"name":"Content-Type","value":"text/html; charset=Shift_JIS"}],"content":{"size":4,"text":"日本"}})",
       "shift_jis"},
  };
  for (const auto& [response, why] : kCases) {
    const HarEntry e = Only(Answer(response));
    EXPECT_EQ(e.status, 0) << response;
    EXPECT_EQ(e.failure ? e.failure->code : "", "ERR_REPLAY_MISS") << response;
    EXPECT_EQ(Told(e).find("the recording's entry 1 (GET https://a.test/): "), 0U) << Told(e);
    EXPECT_NE(Told(e).find(why), std::string::npos) << response << "\n" << Told(e);
  }
}

TEST(Parse, WhatIsEmptyMayBe) {
  for (
      const char* response :
      {R"({"status":204,"headers":[],"content":{"size":0,"mimeType":"x-unknown"}})",
       R"({"status":304,"headers":[{"name":"Content-Length","value":"9"}],"content":{"size":9}})",
       R"({"status":204,"headers":[]})",
       R"({"status":200,"headers":[],"content":{"size":0,"mimeType":"text/plain"},"bodySize":-1})",
       R"({"status":200,"headers":[],"content":{"size":0,"text":""},"bodySize":5})",
       R"({"status":200,"headers":[],"content":{"text":""}})",
       R"({"status":200,"headers":[{"name":"content-length","value":"0"}],"content":{}})",
       R"({"status":200,"headers":[{"name":"content-length","value":"20"},{"name":"content-encoding","value":"gzip"}],"content":{"size":0,"text":""}})",
       R"({"status":302,"headers":[{"name":"location","value":"/x"}],"content":{"size":0}})"}) {
    const HarEntry e = Only(Answer(response));
    EXPECT_EQ(Told(e), "") << response;
    EXPECT_EQ(e.response_body.bytes, "");
  }
  const HarEntry head = Only(
      R"({"request":{"method":"HEAD","url":"https://a.test/"},"response":{"status":200,"headers":[{"name":"Content-Length","value":"12"}],"content":{"size":-1},"bodySize":-1}})");
  EXPECT_EQ(Told(head), "");
  ASSERT_EQ(head.response_fields.size(), 1U);  // what it would have been
}

TEST(Parse, ARedirectIsFollowedWithoutItsBody) {
  const HarEntry e = Only(Answer(
      R"({"status":301,"headers":[{"name":"Location","value":"/x"}],"content":{"size":162}})"));
  EXPECT_EQ(e.status, 301);
  EXPECT_NE(Told(e).find("162 bytes"), std::string::npos);
}

TEST(Parse, SizesOfManyTools) {
  const std::string coded = R"([{"name":"content-encoding","value":"gzip"}])";
  const std::string latin = R"([{"name":"content-type","value":"text/html; charset=ISO-8859-1"}])";
  const struct {
    std::string content, headers, bytes;
  } kCases[] = {
      {R"({"size":5,"text":"café"})", "[]", "caf\xc3\xa9"},
      {R"({"size":-1,"text":"café"})", "[]", "caf\xc3\xa9"},
      {R"({"size":6,"text":"caf\ufffd"})", "[]", "caf\xef\xbf\xbd"},
      {R"({"size":5,"text":"\ud83d\ude00!"})", "[]", "\xf0\x9f\x98\x80!"},
      {R"({"size":null,"text":"fine"})", "[]", "fine"},
      // In UTF-16's units, as tools in JavaScript count.
      {R"({"size":4,"text":"caf日"})", "[]", "caf\xe6\x97\xa5"},
      // mitmproxy: of the coded body, which for a small one is longer.
      {R"({"size":24,"compression":-20,"text":"fine"},"bodySize":24)", coded, "fine"},
      {R"({"size":3,"compression":1,"text":"fine"},"bodySize":3)", coded, "fine"},
      {R"({"size":24,"compression":-20,"text":"café"},"bodySize":24)", latin, "caf\xe9"},
      // Chrome's text of a page in Latin-1, and of one that begins with a byte order mark.
      {R"({"size":4,"text":"café"})", latin, "caf\xe9"},
      {R"({"text":"café"})", latin, "caf\xe9"},
      // Base64 in lines.
      {R"({"size":4,"text":"Zml\r\nuZQ==","encoding":"base64"})", "[]", "fine"},
  };
  for (const auto& [content, headers, bytes] : kCases) {
    const HarEntry e = Only(With(content, headers));
    EXPECT_EQ(Told(e), "") << content;
    EXPECT_EQ(e.response_body.bytes, bytes) << content;
  }
}

TEST(Parse, AByteOrderMarkIsNotInventedForEveryTool) {
  const std::string coded = R"([{"name":"content-encoding","value":"gzip"}])";
  for (const auto& entry :
       {With(R"({"size":7,"text":"fine"})"),
        With(R"({"size":7,"compression":-17,"text":"ZmluZQ==","encoding":"base64"},"bodySize":24)",
             coded)}) {
    for (const char* tool : {"WebInspector", "mitmproxy"})
      EXPECT_EQ(Only(entry, tool).response_body.bytes,
                "\xef\xbb\xbf"
                "fine");
    for (const char* tool : {"Firefox", "k6", ""})
      EXPECT_NE(Told(Only(entry, tool)).find("cut short: 4 of 7"), std::string::npos) << tool;
  }
}

TEST(Parse, ANumberIsAWholeOne) {
  for (const char* response : {R"({"status":200.5,"headers":[],"content":{"size":0,"text":""}})",
                               R"({"status":200,"headers":[],"content":{"size":1.5,"text":"a"}})"})
    EXPECT_NE(Told(Only(Answer(response))).find("no whole number"), std::string::npos) << response;
}

TEST(Parse, HalfACharacterIsNoByteOfABody) {
  for (const char* content :
       {R"({"size":4,"text":"a\ud800"})", R"({"size":4,"text":"a\udc00"})",
        R"({"size":-1,"text":"a\ud800"})", R"({"size":7,"text":"a\ud800\ufffd"})"})
    EXPECT_NE(Told(Only(With(content))).find("does not tell"), std::string::npos) << content;
  EXPECT_EQ(Only(With(R"({"size":4,"text":"a\ufffd"})")).response_body.bytes, "a\xef\xbf\xbd");
}

TEST(Parse, FieldsOfManyTools) {
  const HarEntry chrome = Only(With(
      R"({"size":4,"text":"fine"})",
      R"([{"name":":status","value":"200"},{"name":"set-cookie","value":"a=1\nb=2; Path=/"},{"name":"content-encoding","value":"br"},{"name":"Content-Length","value":"3"}])"));
  ASSERT_EQ(chrome.response_fields.size(), 2U);
  EXPECT_EQ(chrome.response_fields[0].value, "a=1");
  EXPECT_EQ(chrome.response_fields[1].name, "set-cookie");
  EXPECT_EQ(chrome.response_fields[1].value, "b=2; Path=/");

  const HarEntry bare =
      Only(Answer(R"({"status":200,"content":{"mimeType":"application/json","text":"{}"}})"));
  ASSERT_EQ(bare.response_fields.size(), 1U);
  EXPECT_EQ(bare.response_fields[0].value, "application/json");
  const HarEntry redirect = Only(
      Answer(R"({"status":302,"redirectURL":"/x","content":{"size":0,"mimeType":"x-unknown"}})"));
  ASSERT_EQ(redirect.response_fields.size(), 1U);
  EXPECT_EQ(redirect.response_fields[0].name, "location");
}

TEST(Parse, RequestsThatFailedWhenTheyWereRecorded) {
  for (
      const char* response :
      {R"({"status":0,"statusText":"","headers":[],"content":{"size":0,"mimeType":"x-unknown"},"_error":"net::ERR_BLOCKED_BY_CLIENT"})",
       R"({"status":-1,"headers":[],"content":{"size":-1},"_failureText":"net::ERR_BLOCKED_BY_CLIENT"})"}) {
    const HarEntry e = Only(Answer(response));
    EXPECT_EQ(e.failure ? e.failure->code : "", "ERR_REPLAY_FAILED");
    EXPECT_NE(Told(e).find("net::ERR_BLOCKED_BY_CLIENT"), std::string::npos);
  }
}

TEST(Parse, AResponseThatBrokeMidwayBreaksAgain) {
  const HarEntry e = Only(Answer(
      R"({"status":200,"headers":[{"name":"content-length","value":"99"}],"content":{"size":4,"text":"half"},"_error":"net::ERR_CONTENT_LENGTH_MISMATCH"})"));
  EXPECT_EQ(e.status, 200);
  EXPECT_EQ(e.response_body.bytes, "half");
  EXPECT_EQ(Told(e), "the recorded request failed: net::ERR_CONTENT_LENGTH_MISMATCH");
}

TEST(Parse, OneEntryThatCannotBeReplayedLeavesTheOthers) {
  for (const char* response :
       {R"({"status":101,"headers":[],"content":{"size":0}})", R"({"status":999,"headers":[]})",
        R"({"status":"200","headers":[]})", R"({"status":1e300,"headers":[]})", R"({})", R"(7)",
        R"({"status":200,"headers":{"a":"b"}})", R"({"status":200,"headers":[7]})",
        R"({"status":200,"headers":[{"name":"a b","value":""}]})",
        R"({"status":200,"headers":[{"name":"a","value":"\u0001"}]})",
        R"({"status":200,"content":{"text":7}})", R"({"status":200,"content":{"size":"7"}})",
        R"({"status":200,"statusText":[],"content":{"text":"x"}})",
        R"({"status":200,"content":{"text":"x","encoding":{}}})"}) {
    const auto read = Parse(File(Answer(response) + "," + With(R"({"text":"fine"})")));
    ASSERT_TRUE(read) << response;
    EXPECT_NE(Told((*read)[0]), "") << response;
    EXPECT_EQ((*read)[1].response_body.bytes, "fine");
  }
  const HarEntry failure =
      Only(Answer(R"({"status":0})", R"(,"_postern":{"failure":{"error":"a; b","code":"c"}})"));
  EXPECT_NE(Told(failure).find("_postern.failure"), std::string::npos);
}

TEST(Parse, AnEntryWithoutItsRequestIsAnErrorOfTheFile) {
  for (const char* entry : {"1", "{}", R"({"request":{"url":"https://a.test/"}})",
                            R"({"request":{"method":"GET","url":7}})", R"({"request":[]})"}) {
    const auto read = Parse(File(With(R"({"text":""})") + "," + entry));
    ASSERT_FALSE(read) << entry;
    EXPECT_EQ(read.error().message.find("entry 2: "), 0U) << read.error().message;
  }
  EXPECT_FALSE(Parse(std::string(1'000'000, '[')));
  EXPECT_FALSE(Parse(R"({"log":{"version":1e999,"entries":[]}})"));  // found by fuzzing
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_NE(Told(Only(With(R"({"text":)" + deep + "}"))), "");
}

TEST(Parse, BodiesOfRequests) {
  const auto body = [](const std::string& rest) {
    return Only(R"({"request":{"method":"POST","url":"https://a.test/",)" + rest +
                R"(},"response":{"status":204}})")
        .request_body;
  };
  EXPECT_EQ(body(R"("postData":{"mimeType":"text/plain","text":"ask"})").bytes, "ask");
  EXPECT_EQ(body(R"("postData":{"mimeType":"x/y","text":"AP8=","encoding":"base64"})").bytes,
            std::string("\x00\xff", 2));
  // Playwright has both; params alone are what their values were before they were escaped.
  EXPECT_EQ(
      body(
          R"("postData":{"mimeType":"application/x-www-form-urlencoded","text":"","params":[{"name":"a b","value":"1&2"},{"name":"c","value":""}]})")
          .bytes,
      "a%20b=1%262&c=");
  EXPECT_EQ(
      body(
          R"("postData":{"mimeType":"multipart/form-data; boundary=x","params":[{"name":"a","value":"1"},{"name":"f","fileName":"f.txt","contentType":"text/plain","value":"2"}]})")
          .bytes,
      "--postern\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
      "--postern\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n"
      "Content-Type: text/plain\r\n\r\n2\r\n--postern--\r\n");
  EXPECT_EQ(body(R"("bodySize":0)").missing, "");
  for (const char* unknown :
       {R"("bodySize":3)", R"("bodySize":3,"postData":{"mimeType":"x/y","text":""})",
        R"("postData":{"mimeType":"x/y","text":"","_file":"0a1b.dat"})",
        R"("postData":{"mimeType":"x/y","text":7})", R"("postData":{"mimeType":"x/y","text":null})",
        R"("postData":{"mimeType":"x/y","params":[{"name":"a","value":"1"}]})",
        R"("postData":{"mimeType":"multipart/form-data","params":[{"name":"a","fileName":"f"}]})",
        R"("postData":{"mimeType":"x/y","text":"A*","encoding":"base64"})"}) {
    EXPECT_NE(body(unknown).missing, "") << unknown;
  }
}

TEST(Parse, BodiesInFilesBesideIt) {
  const std::string entry =
      R"({"request":{"method":"POST","url":"https://a.test/","bodySize":2,"postData":{"mimeType":"x/y","text":"","_file":"in.dat"}},"response":{"status":200,"content":{"size":3,"_file":"out.dat"}}})";
  const auto read = Parse(File(entry), {{"in.dat", "\xff\x01"}, {"out.dat", "\xfe\x02\x03"}});
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)[0].request_body.bytes, "\xff\x01");
  EXPECT_EQ((*read)[0].response_body.bytes, "\xfe\x02\x03");
  const auto cut = Parse(File(entry), {{"in.dat", "\xff\x01"}, {"out.dat", "\xfe"}});
  ASSERT_TRUE(cut);
  EXPECT_NE(Told((*cut)[0]).find("1 of 3 bytes"), std::string::npos);
}

TEST(Parse, BodiesThatWeDidNotKeep) {
  HarEntry large{.method = "PUT", .url = "https://a.test/"};
  large.status = 200;
  large.response_body = {.size = 20'000'000, .missing = std::string(kTooLarge)};
  const HarEntry down = Only(FormatEntry(large));
  EXPECT_NE(Told(down).find("20000000 bytes (larger than"), std::string::npos) << Told(down);
  large.request_body = {.size = 30'000'000, .missing = std::string(kTooLarge)};
  const HarEntry up = Only(FormatEntry(large));
  EXPECT_NE(up.request_body.missing.find("too large"), std::string::npos);
  // As Postern wrote them before.
  const HarEntry before = Only(With(R"({"size":0,"text":""})", R"([],"bodySize":0,"x":0)")
                                   .insert(1, R"("_postern":{"bodyOmitted":true},)"));
  EXPECT_NE(Told(before).find("not in the recording"), std::string::npos) << Told(before);
}

}  // namespace
}  // namespace postern::har
