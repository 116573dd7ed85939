#include "base/result.h"

#include "base/format.h"

namespace postern {

Error SystemError(std::string_view what, int errnum) {
  return Error{fmt::format("{}: {}", what, std::strerror(errnum)), errnum};
}

}  // namespace postern
