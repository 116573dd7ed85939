#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/characters.h"
#include "base/format.h"

namespace postern {
namespace {

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7f; }

}  // namespace

std::string AsciiLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = AsciiLower(c);
  return out;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return AsciiLower(x) == AsciiLower(y); });
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool encoded = text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
                         HexDigit(text[i + 2]) >= 0;
    if (encoded) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string PercentEncode(std::string_view text, std::string_view kept, std::string_view digits) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z');
    if (plain || kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

bool IsPrintableUtf8(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return IsControl(c); }) &&
         IsUtf8(text);
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || i + size > text.size()) return false;
    uint32_t point = size == 1 ? lead : lead & (0x7f >> size);
    for (size_t k = 1; k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    if (size == 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return false;
    if (size == 4 && (point < 0x10000 || point > 0x10ffff)) return false;
    i += size;
  }
  return true;
}

bool IsToken(std::string_view text) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t'; };
  if (text.empty()) return true;
  if (space(text.front()) || space(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\t' || !IsControl(static_cast<unsigned char>(c)); });
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1), above(row), before(row);  // `before`: two rows above
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::vector<std::string_view> SplitList(std::string_view list) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

namespace {

// Nobody mistypes a word's first letter, but for the one that follows it.
bool BeginsAlike(std::string_view word, std::string_view name) {
  return word.front() == name.front() ||
         (word.size() > 1 && word[1] == name.front() && name.size() > 1 && name[1] == word[0]);
}

}  // namespace

std::string Nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t kLettersToBegin = 3;  // of a word that is only the beginning of a name
  std::string nearest;
  size_t least = SIZE_MAX;
  for (const std::string& name : names) {
    if (word.empty() || name.empty() || !BeginsAlike(word, name)) continue;
    const size_t distance = EditDistance(word, name);
    const size_t most = std::max<size_t>(1, std::min(word.size(), name.size()) / 3);
    if (distance > most || distance >= least) continue;
    least = distance;
    nearest = name;
  }
  if (!nearest.empty() || word.size() < kLettersToBegin) return nearest;
  for (const std::string& name : names) {
    if (!name.starts_with(word)) continue;
    if (!nearest.empty()) return {};  // it may be either
    nearest = name;
  }
  return nearest;
}

std::string OutsideMounts(const std::string& path) {
  // What the kernel makes up there is nothing to show to a guest.
  const std::string prefix = fmt::format("{}/", path);
  for (const char* kernels : {"/dev/", "/proc/", "/sys/"})
    if (prefix.starts_with(kernels)) return fmt::format("{} is outside what is mounted", path);
  const std::string above = path.substr(0, path.rfind('/', path.find_last_not_of('/')));
  if (above.empty())
    return fmt::format(
        "{} is outside what is mounted; add --mount=HOST:GUEST for a directory of another name",
        path);
  return fmt::format(
      "{} is outside what is mounted; add --mount={}, or --mount=HOST:{} for a directory of "
      "another name",
      path, above, above);
}

std::optional<std::string> WorkingDirectory(const std::string& path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::string normal = std::filesystem::path(path).lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

std::string InDirectory(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : fmt::format("{}/{}", directory, name);
}

std::string FileUrl(const std::string& path) {
  return fmt::format("file://{}", PercentEncode(path, "-._~!$&'()*+,;=:@/"));
}

std::string CodeUrl(const std::string& directory, const std::string& name,
                    const std::string& extension) {
  return FileUrl(InDirectory(directory, "")) + CodeName(name, extension);
}

std::string CodeName(const std::string& name, const std::string& extension) {
  return extension.empty() ? name : fmt::format("{}.{}", name, extension);
}

bool IsCodeExtension(std::string_view extension) {
  constexpr std::string_view kKnown[] = {"js", "mjs", "cjs", "ts", "mts", "cts", "tsx", "jsx"};
  return std::find(std::begin(kKnown), std::end(kKnown), extension) != std::end(kKnown);
}

bool IsCode(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const std::string stem = name.substr(0, name.find('.'));
  return stem == "[eval]" || stem == "[stdin]" || stem == "[code]";
}

}  // namespace postern
