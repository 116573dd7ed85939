// TraceContext: the W3C traceparent field, which joins what several programs did for one request.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::policy {

// Whether `text` is a traceparent of version 00: "00-TRACE-PARENT-FLAGS", neither id all zeros.
bool IsTraceParent(std::string_view text);

// The traceparent of a child of `parent` whose span has the id `span` (8 bytes).
std::string ChildTraceParent(std::string_view parent, std::string_view span);

}  // namespace postern::policy
