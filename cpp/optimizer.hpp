// One update of parameters, which are one flat vector, by their gradient.
#pragma once

#include "kernels/kernels.hpp"

namespace bptt {

/// What is done to the gradient first: it is divided by `scale`; if its norm is then above `norm`, multiplied by
/// norm / (its norm + 1e-6); each element is brought into [-value, value]. Infinity: no such bound.
struct Clipping {
  double scale, norm, value;
};

/// The numbers of `Update`'s equations.
struct Rates {
  double rate, decay, keep, beta1, beta2, root, eps;
};

/// Updates `count` parameters and what the rule keeps of earlier gradients (null: what it does not keep). The norm of
/// gradient / scale, summed in double precision in an order that follows from `count` alone; where it is not finite, nothing is
/// changed.
template <class T>
double update(Rule, Index count, T* parameters, const T* gradient, T* first, T* second, const Clipping&, const Rates&);

}  // namespace bptt
