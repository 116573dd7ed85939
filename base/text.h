// Small questions about text that several parts of a policy ask.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

inline char AsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string AsciiLower(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

// Percent-decodes once (RFC 3986 section 2.1); a "%" without two hex digits stays as it is.
std::string PercentDecode(std::string_view text);

inline constexpr std::string_view kUpperHex = "0123456789ABCDEF";
// Percent-encodes all but ASCII letters, digits and the characters `kept`.
std::string PercentEncode(std::string_view text, std::string_view kept,
                          std::string_view digits = kUpperHex);

// Well-formed UTF-8 (RFC 3629: no overlong form, no surrogate).
bool IsUtf8(std::string_view text);
// The same, without C0 controls and DEL.
bool IsPrintableUtf8(std::string_view text);

// RFC 9110 section 5.6.2.
bool IsToken(std::string_view text);

// What the commas of a list stand between, with the blanks around it: one empty text of an empty
// list (RFC 9110 section 5.6.1).
std::vector<std::string_view> SplitList(std::string_view list);

// RFC 9110 section 5.5: what a field's value may hold, without white space at its ends.
bool IsFieldValue(std::string_view text);

// How many letters must change to make `b` of `a`, of which two that changed places count as one
// (optimal string alignment).
size_t EditDistance(std::string_view a, std::string_view b);
// Of `names` the one that was meant by `word`, or that it begins; empty where it is another word
// altogether.
std::string Nearest(std::string_view word, const std::vector<std::string>& names);

// What is said of a guest's absolute path that is in no mount.
std::string OutsideMounts(const std::string& path);

// A directory of the guest's as a working directory: without ".", ".." and a slash at its end.
// Nothing where the path is not absolute.
std::optional<std::string> WorkingDirectory(const std::string& path);
// The path of `name` in a directory.
std::string InDirectory(const std::string& directory, const std::string& name);
// The file: URL of an absolute path.
std::string FileUrl(const std::string& path);
// The URL of code that is in no file, as if it stood in `directory`: what it imports is looked for
// from there. Its name, such as "[eval]", is no file's: its brackets are not encoded. `extension`
// says what it is, as a file's does; "" leaves that to its text.
std::string CodeUrl(const std::string& directory, const std::string& name,
                    const std::string& extension);
// The last part of that, and of its path.
std::string CodeName(const std::string& name, const std::string& extension);
// Whether CodeUrl gives such a path.
bool IsCode(const std::string& path);
// Whether an extension, without its dot, is one that code may have; and those that there are, for a
// sentence.
bool IsCodeExtension(std::string_view extension);
inline constexpr const char* kCodeExtensions = "js, mjs, cjs, ts, mts, cts, tsx and jsx";

}  // namespace postern
