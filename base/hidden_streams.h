// The streams that hidden static archives print to (cmake/HiddenArchive.cmake). Included by one
// source file of each library that links such an archive.
#pragma once

#include <cstdio>

extern "C" {
__attribute__((weak, visibility("hidden"))) FILE* postern_stdout = stdout;
__attribute__((weak, visibility("hidden"))) FILE* postern_stderr = stderr;
}
