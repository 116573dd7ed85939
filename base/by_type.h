// ByType: for std::visit, one function a type; one with (const auto&) takes all others.
#pragma once

namespace postern {

template <typename... Functions>
struct ByType : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
ByType(Functions...) -> ByType<Functions...>;

}  // namespace postern
