// Which layers of confinement are put on: all of them, always. Only a build with
// POSTERN_TEST_LAYERS, which is a test's, can leave some out, to show what each one stops alone: it
// does without those that the file "layers" names, in a directory above the program's.
#pragma once

#ifdef POSTERN_TEST_LAYERS
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#endif
#include <string_view>

namespace postern::sandbox {

#ifdef POSTERN_TEST_LAYERS
// Read once, before the program's root is another.
inline const std::set<std::string, std::less<>> kLeftOut = [] {
  namespace fs = std::filesystem;
  std::set<std::string, std::less<>> layers;
  std::error_code error;
  for (fs::path at = fs::read_symlink("/proc/self/exe", error); at.has_relative_path();) {
    at = at.parent_path();
    if (!fs::exists(at / "layers", error)) continue;
    std::ifstream file(at / "layers");
    for (std::string word; file >> word;) layers.insert(word);
    break;
  }
  return layers;
}();
inline bool LayerWanted(std::string_view layer) { return !kLeftOut.contains(layer); }
#else
constexpr bool LayerWanted(std::string_view /*layer*/) { return true; }
#endif

}  // namespace postern::sandbox
