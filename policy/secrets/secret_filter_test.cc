#include "policy/secrets/secret_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "base/base64.h"
#include "base/text.h"
#include "policy/secrets/placeholder.h"

namespace postern::policy {
namespace {

std::shared_ptr<const SecretIndex> Index(const std::map<std::string, std::string>& secrets) {
  return std::make_shared<const SecretIndex>(secrets);
}

std::string Filtered(std::string_view text, const std::shared_ptr<const SecretIndex>& index,
                     size_t piece = 0) {
  if (piece == 0) return WithoutSecrets(text, index);
  SecretFilter filter(index);
  std::string out;
  for (size_t at = 0; at < text.size(); at += piece) filter.Feed(text.substr(at, piece), out);
  filter.Flush(out);
  return out;
}

using Form = std::function<std::string(const std::string&)>;

std::string EachByte(const std::string& value, const char* format) {
  std::string out;
  for (const char c : value) {
    char text[16];
    std::snprintf(text, sizeof text, format, static_cast<unsigned char>(c));
    out += text;
  }
  return out;
}

std::string Wrapped(const std::string& text, size_t columns, const std::string& line_end) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += columns) {
    out += (at == 0 ? "" : line_end) + text.substr(at, columns);
  }
  return out;
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Json(const std::string& v) { return Replaced(Replaced(v, "\\", "\\\\"), "\"", "\\\""); }

std::string Html(const std::string& v) {
  return Replaced(Replaced(Replaced(v, "&", "&amp;"), "<", "&lt;"), "\"", "&quot;");
}

std::string Mapped(std::string text, int (*change)(int)) {
  for (char& c : text) c = static_cast<char>(change(static_cast<unsigned char>(c)));
  return text;
}

std::string Utf16(const std::string& v, bool big) {
  std::string out;
  for (const char c : v) {
    if (big) out += '\0';
    out += c;
    if (!big) out += '\0';
  }
  return out;
}

// How a value comes back, and how many bytes of the form eight bytes of the value are at most.
struct NamedForm {
  const char* name;
  Form form;
  size_t eight;
};

const std::vector<NamedForm>& Forms() {
  static const std::vector<NamedForm> forms = {
      {"plain", [](const std::string& v) { return v; }, 8},
      {"upper", [](const std::string& v) { return Mapped(v, std::toupper); }, 8},
      {"lower", [](const std::string& v) { return Mapped(v, std::tolower); }, 8},
      {"hex", [](const std::string& v) { return EachByte(v, "%02x"); }, 17},
      {"HEX", [](const std::string& v) { return EachByte(v, "%02X"); }, 17},
      {"hex blanks", [](const std::string& v) { return EachByte(v, "%02x "); }, 26},
      {"hex colons", [](const std::string& v) { return EachByte(v, "%02X:"); }, 26},
      {"hex 0x", [](const std::string& v) { return EachByte(v, "0x%02x, "); }, 52},
      {"hex odd", [](const std::string& v) { return "a" + EachByte(v, "%02x"); }, 18},
      {"decimal", [](const std::string& v) { return EachByte(v, "%u,"); }, 34},
      {"decimal dashes", [](const std::string& v) { return EachByte(v, "%u-"); }, 34},
      {"decimal points", [](const std::string& v) { return EachByte(v, "%u.0, "); }, 58},
      {"decimal indices",
       [](const std::string& v) {
         std::string out;
         for (size_t i = 0; i < v.size(); ++i) {
           out += "\"" + std::to_string(i) + "\":" + EachByte(v.substr(i, 1), "%u") + ",";
         }
         return out;
       },
       90},
      {"each spaced", [](const std::string& v) { return Wrapped(v, 1, " "); }, 16},
      {"each tabbed", [](const std::string& v) { return Wrapped(v, 1, "\t\t"); }, 24},
      {"page ends", [](const std::string& v) { return Wrapped(v, 5, "\f\v"); }, 12},
      {"no-break spaces", [](const std::string& v) { return Wrapped(v, 4, "\xc2\xa0"); }, 14},
      {"soft hyphens", [](const std::string& v) { return Wrapped(v, 3, "\xc2\xad"); }, 16},
      {"zero-width spaces", [](const std::string& v) { return Wrapped(v, 6, "\xe2\x80\x8b"); }, 16},
      {"soft hyphens of html", [](const std::string& v) { return Wrapped(v, 6, "&shy;"); }, 18},
      {"percent", [](const std::string& v) { return EachByte(v, "%%%02X"); }, 26},
      {"percent twice", [](const std::string& v) { return EachByte(v, "%%25%02x"); }, 42},
      {"percent u", [](const std::string& v) { return EachByte(v, "%%u00%02x"); }, 50},
      {"url", [](const std::string& v) { return PercentEncode(v, "-._~"); }, 26},
      {"form", [](const std::string& v) { return Replaced(PercentEncode(v, "*-._"), "%20", "+"); },
       26},
      {"json", Json, 18},
      {"json slash", [](const std::string& v) { return Replaced(Json(v), "/", "\\/"); }, 18},
      {"json twice", [](const std::string& v) { return Json(Json(v)); }, 34},
      {"json u", [](const std::string& v) { return EachByte(v, "\\u%04X"); }, 50},
      {"json u twice", [](const std::string& v) { return EachByte(v, "\\\\u%04x"); }, 58},
      {"json braces", [](const std::string& v) { return EachByte(v, "\\u{%x}"); }, 60},
      {"x escapes", [](const std::string& v) { return EachByte(v, "\\x%02x"); }, 34},
      {"octal", [](const std::string& v) { return EachByte(v, "\\%03o"); }, 34},
      {"html", Html, 50},
      {"html decimal", [](const std::string& v) { return EachByte(v, "&#%d;"); }, 50},
      {"html hex", [](const std::string& v) { return EachByte(v, "&#x%X;"); }, 50},
      {"html zeros", [](const std::string& v) { return EachByte(v, "&#%06d;"); }, 74},
      {"html of html", [](const std::string& v) { return EachByte(v, "&amp;#%d;"); }, 82},
      {"html of json", [](const std::string& v) { return EachByte(v, "&#92;u%04x"); }, 82},
      {"url of json", [](const std::string& v) { return EachByte(v, "%%5Cu%04x"); }, 74},
      {"json of html", [](const std::string& v) { return EachByte(v, "\\u0026#%d;"); }, 90},
      {"quoted-printable", [](const std::string& v) { return EachByte(v, "=%02X"); }, 26},
      {"soft breaks", [](const std::string& v) { return Wrapped(v, 5, "=\r\n"); }, 16},
      {"wrapped 72", [](const std::string& v) { return Wrapped(v, 72, "\n"); }, 9},
      {"wrapped 10", [](const std::string& v) { return Wrapped(v, 10, "\r\n"); }, 11},
      {"wrapped 3", [](const std::string& v) { return Wrapped(v, 3, "\n"); }, 12},
      {"wrapped 1", [](const std::string& v) { return Wrapped(v, 1, "\n"); }, 16},
      {"folded", [](const std::string& v) { return Wrapped(v, 12, "\r\n  "); }, 13},
      {"escaped breaks", [](const std::string& v) { return Wrapped(Json(v), 12, "\\n"); }, 22},
      {"spaced", [](const std::string& v) { return Wrapped(v, 4, " "); }, 11},
      {"utf-16le", [](const std::string& v) { return Utf16(v, false); }, 16},
      {"utf-16be", [](const std::string& v) { return Utf16(v, true); }, 16},
      {"base64", [](const std::string& v) { return EncodeBase64(v); }, 12},
      {"base64 lower", [](const std::string& v) { return Mapped(EncodeBase64(v), std::tolower); },
       12},
      {"base64 behind 1", [](const std::string& v) { return EncodeBase64("x" + v + "yz"); }, 14},
      {"base64 behind 2", [](const std::string& v) { return EncodeBase64("xy" + v + "z"); }, 14},
      {"base64url", [](const std::string& v) { return Base64Digits("u:" + v, kBase64Url); }, 14},
      {"base64 mime", [](const std::string& v) { return Wrapped(EncodeBase64(v), 19, "\r\n"); },
       14},
      {"base64 in json", [](const std::string& v) { return Replaced(EncodeBase64(v), "/", "\\/"); },
       24},
      {"base64 in url", [](const std::string& v) { return PercentEncode(EncodeBase64(v), ""); },
       36},
      {"base64 twice",
       [](const std::string& v) { return EncodeBase64(EncodeBase64("pre" + v + "post")); }, 20},
      {"base64 twice behind 2",
       [](const std::string& v) { return EncodeBase64("ab" + EncodeBase64("a" + v)); }, 20},
  };
  return forms;
}

// No part of `form` that holds eight bytes of the value is in `out`.
void ExpectNothingOf(const NamedForm& form, const std::string& text, const std::string& out,
                     const std::string& context) {
  // What stands around the value in a form is none of its business.
  for (size_t at = 0; at + form.eight <= text.size(); ++at) {
    const std::string part = text.substr(at, form.eight);
    ASSERT_EQ(out.find(part), std::string::npos)
        << form.name << ": \"" << part << "\" of \"" << text << "\" is in \"" << out << "\" "
        << context;
  }
}

const std::map<std::string, std::string> kSecrets = {{"KEY", "s3cr/et+va \"lue\xc3\xbc"},
                                                     {"KEY_2", "another-secret"}};

TEST(SecretFilter, EveryFormIsFound) {
  const auto index = Index(kSecrets);
  for (const NamedForm& form : Forms()) {
    for (const auto& [name, value] : kSecrets) {
      const std::string text = form.form(value);
      const std::string out = Filtered("<" + text + ">", index);
      EXPECT_NE(out.find(Placeholder(name)), std::string::npos) << form.name << ": " << out;
      EXPECT_TRUE(out.starts_with("<") && out.ends_with(">")) << form.name << ": " << out;
      ExpectNothingOf(form, text, out, "");
    }
  }
  EXPECT_EQ(Filtered("nothing to see", index), "nothing to see");
}

TEST(SecretFilter, NothingButTheValueIsReplaced) {
  const auto index = Index(kSecrets);
  const std::string key = "postern-secret-KEY-", other = "postern-secret-KEY_2-";
  for (const NamedForm& form : Forms()) {
    const std::string name = form.name;
    if (name.find("base64") != std::string::npos || name.find("wrapped") != std::string::npos ||
        name == "folded" || name == "decimal indices" || name.find("hex") != std::string::npos ||
        name == "utf-16be") {
      continue;  // digits or line ends of what stands around it
    }
    EXPECT_EQ(Filtered("{\"a\":\"Bearer " + form.form("another-secret") + "\",\"b\":1}", index)
                  .substr(0, 13 + other.size()),
              "{\"a\":\"Bearer " + other)
        << name;
  }
  EXPECT_EQ(Filtered("{\"a\":\"another-secret\",\"b\":[1]}", index),
            "{\"a\":\"" + other + "\",\"b\":[1]}");
  EXPECT_EQ(Filtered("another-secretanother-secret", index), other + other);
  EXPECT_EQ(Filtered("another-secret\nanother-secret\n", index), other + "\n" + other + "\n");
  EXPECT_EQ(Filtered("s3cr/et+va \"lue\xc3\xbc"
                     "another-secret",
                     index),
            key + other);
  EXPECT_EQ(Filtered("another-se", index), other);
  EXPECT_EQ(Filtered("another", index), "another");  // seven characters
  EXPECT_EQ(Filtered("\"another-\",\"x\":1", index), "\"" + other + "\",\"x\":1");
}

// A guest that has an origin repeat guesses sees no difference before it has eight more characters
// right at once.
TEST(SecretFilter, AGuessThatIsPartlyRightLooksAsAWrongOne) {
  const std::string value = "sk-proj-0123456789abcdef";
  const auto index = Index({{"KEY", value}});
  for (size_t right = 0; right < 8; ++right) {
    const std::string guess = value.substr(0, 8 + right);
    for (const size_t longer : {0, 1, 5, 7, 8}) {
      const std::string padding(7 - right + longer, 'Z');
      EXPECT_EQ(Filtered(guess + padding, index),
                Filtered(value.substr(0, 8) + std::string(right, 'Z') + padding, index));
    }
    EXPECT_EQ(Filtered(value.substr(0, right) + std::string(8 - right, 'Z'), index),
              value.substr(0, right) + std::string(8 - right, 'Z'));
  }
}

// In every form a block is eight characters, and the same ones: a known beginning helps nowhere.
TEST(SecretFilter, NoFormIsFoundByFewerCharacters) {
  const std::string value = "sk-proj-0123456789abcdefghij";
  const auto index = Index({{"KEY", value}});
  for (const NamedForm& form : Forms()) {
    for (size_t begin = 0; begin < value.size(); ++begin) {
      for (size_t end = begin + 1; end <= value.size(); ++end) {
        // Does it hold a block, [8 k, 8 k + 8)?
        const size_t block = (begin + 7) / 8 * 8;
        if (block + 8 <= end) continue;
        // Base64's base64 does not have all bits of a block's last character for itself.
        if (block + 7 <= end && std::string_view(form.name).starts_with("base64 twice")) continue;
        const std::string text =
            form.form(std::string(begin, '~') + value.substr(begin, end - begin) +
                      std::string(value.size() - end, '~'));
        EXPECT_EQ(Filtered(text, index), text) << form.name << " [" << begin << "," << end << ")";
      }
    }
  }
}

// How much goes with a block does not depend on the value: neither its length nor its characters.
TEST(SecretFilter, WhatGoesWithABlockTellsNothing) {
  const std::string follows = "zz/z+z.z=z-z_z:zzzzzzzz";
  std::string first;
  for (const char* value :
       {"sk-proj-a", "sk-proj-ab/d+f", "sk-proj-abcdefghijklmnop", "sk-proj-0"}) {
    const std::string out = Filtered("sk-proj-" + follows, Index({{"KEY", value}}));
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << value;
  }
}

// A value that repeats itself, and one whose end has other forms, end where they end.
TEST(SecretFilter, WhatFollowsAWholeValueStays) {
  for (const std::string& value :
       {std::string("0123456789abcdef"), std::string("hunter2/+ \"x\"&\xc3\xbc"),
        std::string("sk-proj-ab/d+f"),
        std::string("0123456789abcdef0123456789abcdef0123456789abcdef"),
        std::string("k%2Fz=3Dq&amp;p+x y")}) {
    const auto index = Index({{"KEY", value}});
    for (const Form& form :
         {Form([](const std::string& v) { return v; }), Form(Json), Form(Html)}) {
      const std::string all = form(value) + form(value) + form(value);
      EXPECT_EQ(
          Filtered("{\"a\":\"Bearer " + all + "\",\"after\":1}\nhost: x\n", index),
          "{\"a\":\"Bearer "
          "postern-secret-KEY-postern-secret-KEY-postern-secret-KEY-\",\"after\":1}\nhost: x\n")
          << value;
      EXPECT_EQ(Filtered("a: " + form(value) + "\nhost: x\n", index),
                "a: postern-secret-KEY-\nhost: x\n")
          << value;
    }
  }
}

// Nobody cut it: all of it goes, whatever stands between its characters.
TEST(SecretFilter, AWholeValueGoesToItsEnd) {
  for (size_t size = 9; size < 40; ++size) {
    const std::string value =
        std::string("Zk3vP9qLw7RtY2xN5bMc8-aH4jD6fG0sK1pQ_eUiOyTz").substr(0, size);
    const auto index = Index({{"KEY", value}});
    for (const NamedForm& form : Forms()) {
      const std::string name = form.name, text = form.form(value);
      if (name.find("base64") != std::string::npos || name == "decimal indices" ||
          name == "hex odd" || name == "escaped breaks")
        continue;  // what stands around it
      const std::string out =
          Replaced(Filtered("<" + text + ">", index), "postern-secret-KEY-", "");
      const std::string_view between("<> \t\r\n\f\v\0,:;=-.0x\xc2\xa0\xad\xe2\x80\x8b&shy", 29);
      EXPECT_EQ(out.find_first_not_of(between), std::string::npos) << name << ": " << out;
    }
  }
}

TEST(SecretFilter, ChunksMakeNoDifference) {
  const auto index = Index(kSecrets);
  std::string text = "begin ";
  for (int i = 0; i < 50; ++i) {
    text += std::string(static_cast<size_t>(i), '.') + kSecrets.at("KEY") + "another-secre" +
            "another-secret" + "aanother-secret";
  }
  for (const NamedForm& form : Forms()) {
    if (form.form("another-secret").find('\n') == std::string::npos) {
      text += form.form("another-secret") + "; ";
    }
  }
  const std::string whole = Filtered(text, index);
  EXPECT_EQ(whole.find("another-"), std::string::npos);
  for (size_t piece = 1; piece < 70; piece += 3) ASSERT_EQ(Filtered(text, index, piece), whole);
}

// How much is held back does not depend on what arrives.
TEST(SecretFilter, TheTailHasAFixedLength) {
  SecretFilter close(Index(kSecrets)), far(Index(kSecrets));
  std::string a, b;
  for (const std::string& bytes : {std::string(3 * SecretFilter::kHeldBytes, 'x'),
                                   std::string("anoth"), std::string("er-s")}) {
    close.Feed(bytes, a);
    far.Feed(std::string(bytes.size(), 'x'), b);
    EXPECT_EQ(a.size(), b.size());
    EXPECT_EQ(a.size() % SecretFilter::kHeldBytes, a.size() - 2 * SecretFilter::kHeldBytes);
  }
}

TEST(SecretFilter, ARecordGoesWhenItEndsAndNothingElseDoes) {
  const auto index = Index({{"KEY", "another-secret"}, {"BRACKET", "k]0123456789"}});
  const auto ready = [&](std::string_view bytes) {
    SecretFilter filter(index);
    std::string out;
    filter.Feed(bytes, out);
    return out;
  };
  EXPECT_EQ(ready("data: one\n\nanother-"), "data: one\n\n");
  EXPECT_EQ(ready("data: one\r\n\r\ndata"), "data: one\r\n\r\n");
  EXPECT_EQ(ready("\nanother-"), "\n");
  EXPECT_EQ(ready("{\"a\":\"another-secret\"}\n\"x\"\r\nan"),
            "{\"a\":\"postern-secret-KEY-\"}\n\"x\"\r\n");
  EXPECT_EQ(ready("[[1]]\n"), "");  // a secret has brackets
  for (const char* open :
       {"another\n", "a,\n", "x: \n \t\n", "\\u{6f}\n", "\n \tx\r\n", "anoth=\r\n"}) {
    EXPECT_EQ(ready("{1}\n;" + std::string(open)), "{1}\n") << open;
  }
  // It is the same whether it comes at once or byte by byte.
  SecretFilter filter(index);
  std::string out;
  for (const char c : std::string_view("data: 1\n\nid: 2\ndata: 3\n\ndata: 4\n")) {
    filter.Feed({&c, 1}, out);
  }
  EXPECT_EQ(out, "data: 1\n\nid: 2\ndata: 3\n\n");
}

std::string RandomValue(std::mt19937& random) {
  static constexpr std::string_view kWords =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  static constexpr std::string_view kAll = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  const size_t size = 8 + random() % 60;
  const unsigned punctuation = random() % 4;  // none, some, more, half
  std::string value;
  while (value.size() < size) {
    const bool other = random() % 8 < punctuation + (punctuation == 3 ? 1 : 0);
    value += other ? kAll[random() % kAll.size()] : kWords[random() % kWords.size()];
    if (value == " ") value.clear();
  }
  if (random() % 5 == 0) value += "\xc3\xbc\xe2\x82\xac";
  while (std::count(value.begin(), value.end(), ' ') + 8 > static_cast<ptrdiff_t>(value.size())) {
    value += 'x';
  }
  if (value.back() == ' ') value.back() = '.';
  return value;
}

// Whole, cut at its end or with its beginning gone, in pieces of any size.
TEST(SecretFilter, NoEightCharactersPass) {
  std::mt19937 random(17);  // NOLINT(cert-msc51-cpp): the same each time
  for (int round = 0; round < 150; ++round) {
    const std::string value = RandomValue(random);
    const auto index = Index({{"KEY", value}, {"OTHER", RandomValue(random)}});
    for (const NamedForm& form : Forms()) {
      std::string part = value;
      const unsigned how = random() % 4;
      if (how == 1) part = value.substr(0, random() % value.size());
      if (how == 2) part = value.substr(random() % value.size());
      // Cut in the middle of a character it has other forms; blanks do not count.
      const bool whole_only =
          std::any_of(value.begin(), value.end(), [](char c) { return c < 0 || c == ' '; });
      if (how != 0 && whole_only) continue;
      const std::string whole = form.form(value);
      std::string text = form.form(part);
      if (how == 3) text.resize(random() % (text.size() + 1));
      std::string stream = std::string(random() % 300, '.') + "\"" + text + "\" tail\n";
      SecretFilter filter(index);
      std::string out;
      for (size_t at = 0; at < stream.size();) {
        const size_t most = random() % 2 == 0 ? 3 : 200;
        const size_t n = 1 + random() % most;
        filter.Feed(std::string_view(stream).substr(at, n), out);
        at += n;
      }
      filter.Flush(out);
      // Of base64 that begins elsewhere, what its surroundings decide too is left out.
      const std::string kept = how == 2 ? text.substr(std::min<size_t>(text.size(), 8)) : whole;
      const size_t size = how == 2 && kept.size() >= 8 ? kept.size() - 8 : kept.size();
      if (part.size() >= 24 || how != 2) {
        ExpectNothingOf(form, kept.substr(0, size), out, " value " + value);
      }
    }
  }
}

// Whatever an origin sends takes time in proportion to its length: matches, and what nearly is one,
// over and over.
TEST(SecretFilter, WorkIsLinear) {
  const std::string value(4096, 'a');
  const auto index = Index({{"KEY", value + "b"}, {"ESC", "%25%25%25%25%25%25%25%25%25%25"}});
  for (const std::string& unit :
       {std::string("a"), std::string("%25"), std::string("\\\\"), std::string("&amp;"),
        std::string("=3D"), std::string("&#x"), std::string("\\ud83d"), std::string("0x")}) {
    SecretFilter filter(index);
    std::string text, out;
    while (text.size() < (1 << 16)) text += unit;
    filter.Feed(text, out);
    filter.Flush(out);
    EXPECT_LE(out.size(), 3 * text.size()) << unit;
  }
}

}  // namespace
}  // namespace postern::policy
