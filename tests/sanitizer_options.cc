// How the sanitizers behave in the asan build's programs. Brokers are started without an
// environment, and in their cage nothing can be symbolised, and no thread can look for leaks.
extern "C" __attribute__((visibility("default"), used)) const char* __asan_default_options() {
  return "detect_leaks=0:symbolize=0:exitcode=99:allocator_may_return_null=1";
}
extern "C" __attribute__((visibility("default"), used)) const char* __ubsan_default_options() {
  return "print_stacktrace=1:symbolize=0:exitcode=99";
}
