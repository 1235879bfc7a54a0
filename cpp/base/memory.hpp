// Memory for the core's arrays: aligned, and kept between calls.
#pragma once

#include <cstddef>

namespace bptt {

constexpr std::size_t alignment = 64;  // bytes: a cache line, and the widest vector

/// Memory aligned to a cache line. Blocks that are given back are kept for the next call.
void* take_memory(std::size_t bytes);
void give_back_memory(void* memory);

}  // namespace bptt
