// Which instruction sets this machine runs, and which one is in use.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"

namespace bptt {

/// The names of the instruction sets that are compiled in and that this processor and operating system run, slowest first.
std::vector<std::string> supported_isas();

/// The one in use: the last of the supported, until another is chosen.
std::string isa();

/// std::invalid_argument for a name that is not among the supported.
void set_isa(const std::string& name);

template <class T> const Kernels<T>& kernels();

}  // namespace bptt
