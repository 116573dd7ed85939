// A request of files as lines "name: value": read as a request, or refused with a sentence; what
// was read says the same when it is written again. The same of a response.
#include <algorithm>
#include <string>
#include <string_view>

#include "channel/files_protocol.h"

namespace {

postern::channel::Fields FieldsOf(std::string_view text) {
  postern::channel::Fields fields;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    fields.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
  }
  return fields;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::channel;
  const Fields fields = FieldsOf({reinterpret_cast<const char*>(data), size});
  if (const auto request = DecodeFilesRequest(fields)) {
    const auto again = DecodeFilesRequest(EncodeFilesRequest(*request));
    if (!again || *again != *request) __builtin_trap();
  } else if (request.error().message.empty()) {
    __builtin_trap();
  }
  // Of a time microseconds are written, so that it is what was written that stays.
  if (const auto response = DecodeFilesResponse(fields)) {
    const Fields written = EncodeFilesResponse(*response);
    const auto again = DecodeFilesResponse(written);
    if (!again || EncodeFilesResponse(*again) != written) __builtin_trap();
  }
  return 0;
}
