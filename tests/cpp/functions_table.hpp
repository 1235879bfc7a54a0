// The functions of kernels/functions.hpp that have no place of their own in the table of kernels, for each instruction set.
#pragma once

#include "base/index.hpp"

namespace bptt {

/// y = f(x), element by element; `count` is a multiple of a vector.
template <class T> using Function = void (*)(const T* x, Index count, T* y);

struct Functions {
  Function<float> exp32, log1p32;
  Function<double> exp64, log1p64, log64;
};

namespace baseline {
extern const Functions functions;
}
namespace v3 {
extern const Functions functions;
}
namespace v4 {
extern const Functions functions;
}
namespace neon {
extern const Functions functions;
}

}  // namespace bptt
