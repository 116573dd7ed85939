// Text of Boost.Beast's, whose string_view need not be std's.
#pragma once

#include <boost/beast/core/string.hpp>
#include <string_view>

namespace postern::broker {

inline std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace postern::broker
