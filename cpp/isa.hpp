// Which instruction sets this machine runs, and which one is in use. Knows no networks.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace bptt {

/// The names of the instruction sets that are compiled in and that this processor and operating system run, slowest first.
std::vector<std::string> supported_isas();

/// The one in use: the last of the supported, until another is chosen.
std::string isa();

/// std::invalid_argument for a name that is not among the supported.
void set_isa(const std::string& name);

template <class T> const Kernels<T>& kernels();

/// Within its scope numbers too small for a normal float are taken as 0: arithmetic on them is up to a hundred times slower, and
/// vanishing gradients are full of them. The thread's mode is as before afterwards.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned long long before_;
};

}  // namespace bptt
