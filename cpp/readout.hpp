// From h(t) to o(t), y_hat(t), the loss and dL/do(t): shared by all networks. Knows no recurrence.
#pragma once

#include "bptt.hpp"
#include "products.hpp"

namespace bptt {

/// The losses of the rows of a window, and in place of o(t) their gradients.
template <class T> class Losses {
 public:
  Losses(const Network&, const Kernels<T>&, const Batch<T>& in_order_of_work, Index rows);

  /// For rows [from, to) of the window, whose outputs are rows [from, to) of o.
  void operator()(const Window&, Index from, Index to, Matrix<T> o, bool gradient);

  /// Adds up what the calls since the last `total` for rows [0, rows) found.
  double total(Index rows) const;

 private:
  const Network& network_;
  const Kernels<T>& kernels_;
  const Batch<T>& batch_;
  Array<std::int32_t> target_;
  Array<T> y_, weight_;
  Array<double> loss_;
};

/// The window that holds every sequence's one output, where the readout is the last step's.
Window single_step(Index batch);

}  // namespace bptt
