// The cost of activity. Its way back is in the layers: see `RecurrentLayer::penalize`.
#pragma once

#include <vector>

#include "network/context.hpp"
#include "sequence/layer_rows.hpp"

namespace bptt {

constexpr double operations_of_square = 4;  // multiply-adds: the squares are those of doubles

/// Window by window, in double precision. The order of a sum follows from the sizes of its window alone.
template <class T> class Activity {
 public:
  Activity(const Context<T>& ctx, double kappa) : ctx_(ctx), kappa_(kappa), windows_(ctx.timeline.windows.size(), 0.0) {
    if (given()) parts_ = Array<double>(parts_of(ctx.timeline.largest));
  }

  bool given() const { return kappa_ > 0; }

  /// The h(t) [rows of the window, n] of a layer; each layer and direction of each window once.
  void collect(const Window& w, Matrix<const T> h) {
    if (!given()) return;
    assert(h.rows == w.size() && h.stride == h.cols);
    const Index parts = parts_of(h.rows);
    parallel(parts, ctx_.threads_for(operations_of_square * double(h.rows) * double(h.cols)), [&](Index i) {
      const Index from = i * rows_per_block, to = std::min(h.rows, from + rows_per_block);
      parts_[i] = ctx_.k.sum_of_squares(h.row(from), (to - from) * h.cols);
    });
    for (Index i = 0; i < parts; ++i) windows_[std::size_t(w.index)] += parts_[i];
  }
  template <class V> void collect(const Window& w, const PerLayer<V>& h) {
    for (const Matrix<V>& layer : h) collect(w, Matrix<const T>(layer));
  }

  /// kappa times the sum of h(t)^2 over the hidden units, from the first window to the last     (N.7)
  double total() const {
    double sum = 0;
    for (const double of_window : windows_) sum += of_window;
    return given() ? kappa_ * sum : 0;
  }

 private:
  static Index parts_of(Index rows) { return (rows + rows_per_block - 1) / rows_per_block; }

  const Context<T>& ctx_;
  const double kappa_;
  std::vector<double> windows_;
  Array<double> parts_;
};

}  // namespace bptt
