// Attempts: what machine code with the rights of a guest tries in order to get out, by name.
//
// Each returns what came of it: "got …" is an escape; "refused: …" names the errno; "kept: …" says
// what held where no call could fail. Most never return: the call itself kills the process.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "channel/guest_order.h"

namespace postern::hostile {

using Attempt = std::function<std::string(const channel::GuestOrder&)>;

// Attempts by name: "socket-inet", "ptrace-zygote", …
const std::map<std::string, Attempt>& Attempts();

}  // namespace postern::hostile
