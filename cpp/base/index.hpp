// The type that counts and indexes everything.
#pragma once

#include <cstddef>

namespace bptt {

using Index = std::ptrdiff_t;

}  // namespace bptt
