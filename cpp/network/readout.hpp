// From h(t) to o(t), the loss and dL/do(t): what every network has above its hidden layers.
#pragma once

#include <vector>

#include "network/context.hpp"
#include "network/layer.hpp"

namespace bptt {

template <class T> class Readout {
 public:
  Readout(const Context<T>&, const Parameters<const T>&, const Batch<T>&);

  bool every_step() const { return ctx_.network.readout == ReadoutFrom::all; }

  // ---- o(t) ----

  /// What is read of h(t) of a window: h(t) itself, or what dropout leaves of it, after `outputs_of_...`.
  Matrix<const T> read_of(const Window& w, Matrix<const T> h) const {
    return dropout_.given() ? Matrix<const T>(read_.matrix(w.size(), h.cols)) : h;
  }
  /// The same of the last steps.
  Matrix<const T> read_of_last(Matrix<const T> h) const {
    if (!dropout_.given()) return h;
    dropout_.of_last(h, read_.matrix(h.rows, h.cols));
    return read_.matrix(h.rows, h.cols);
  }
  const Dropout<T>& dropout() const { return dropout_; }

  /// Of all rows of the window, where V is too large for blocks of rows; before the blocks.
  void outputs_of_window(const Window& w, Matrix<const T> h, Matrix<T> o) const;
  /// Of rows [from, to), where it is not.
  void outputs_of_block(const Window& w, Matrix<const T> h, Matrix<T> o, Index from, Index to) const;
  /// Of any rows at once.
  void outputs(Matrix<const T> h, Matrix<T> o, const Steps& columns = {}) const;

  /// Room for o(t) of a window, and then for do(t).
  Matrix<T> window(const Window& w) const { return o_.matrix(w.size(), ctx_.network.n_out); }
  /// Room for the one output of every sequence.
  Matrix<T> last() const { return o_.matrix(ctx_.timeline.batch, ctx_.network.n_out); }
  void last_outputs(Matrix<const T> h) const;

  // ---- The loss ----

  /// The losses of rows [from, to) of the window and, with `gradient`, do(t) in place of o(t).
  void losses(const Window&, Index from, Index to, Matrix<T> o, bool gradient) const;
  /// The losses of rows [0, rows), added up.
  double total(Index rows) const;
  double last_loss(Matrix<const T> h, bool gradient) const;
  /// From now on the loss of each row goes there too.
  void send_losses_to(const Rows<double>& each) {
    if (each.given()) each_ = sort(each, ctx_.timeline);
  }

  /// From now on a loss of the caller's own takes the place of the network's: do(t) is given, or 0, and o(t) is not needed.
  void take_gradients(const Rows<const T>& d_o) {
    own_loss_ = true;
    d_o_ = sort(d_o, ctx_.timeline);
    loss_ = zeros<double>(std::max(ctx_.timeline.largest, ctx_.timeline.batch));
  }

  // ---- The way back ----

  void prepare_back() { V_packed_ = pack<T>(ctx_.k, V_, ctx_.call.threads()); }
  /// What enters the layer below: do(t) V.
  Above<T> above(Matrix<const T> d_o) const { return Above<T>::product_of(d_o, V_packed_, dropout_); }
  /// dh += do V, for rows [from, to) of a window.
  void add_above(const Window& w, Matrix<const T> d_o, Matrix<T> dh, Index from, Index to) const {
    add_above(w, d_o, V_packed_, dh, from, to);
  }
  /// The same with V's columns of the forward direction alone.
  void add_above(const Window& w, Matrix<const T> d_o, const Packed<T>& V, Matrix<T> dh, Index from, Index to) const {
    const Index count = to - from;
    const Matrix<T> rows = dh.middle_rows(from, count);
    if (!dropout_.given()) {
      Sum<T>(ctx_.k).from(Matrix<const T>(rows)).plus(d_o.middle_rows(from, count), V).into(rows);
      return;
    }
    const Matrix<T> part = back_.matrix(w.size(), dh.cols);
    Sum<T>(ctx_.k).from(ctx_.zero.data()).plus(d_o.middle_rows(from, count), V).into(part.middle_rows(from, count));
    dropout_.of_direction(0, w, false, from, to, part, part);
    for (Index f = from; f < to; ++f)
      for (Index j = 0; j < dh.cols; ++j) dh(f, j) += part(f, j);
  }
  /// dh = do V of the last steps, all at once.
  void backward_last(Matrix<T> dh) const {
    ctx_.multiply(ctx_.zero.data(), last(), V_packed_, dh);
    if (dropout_.given()) dropout_.of_last(dh, dh);
  }

  const Packed<T>& V_transposed() const { return V_transposed_; }
  const Packed<T>& V_packed() const { return V_packed_; }

  // ---- Targets, in the order of work ----

  /// The class of a sequence's step, or -1 for none.
  Index target_class(Index t, Index i) const {
    return has_target(t, i, 0) ? Index(targets_.clamped(t, i, -1, ctx_.network.n_out - 1)) : -1;
  }
  /// y(t) of a sequence, 0 where there is none.
  void target_vector(Index t, Index i, T* y) const {
    for (Index j = 0; j < ctx_.network.n_out; ++j) {
      const T y_j = has_target(t, i, j) ? y_(t, i)[j] : T(0);
      y[j] = y_j == y_j ? y_j : T(0);
    }
  }

 private:
  bool has_target(Index t, Index i, Index j) const {
    return !weight_.given() || weight_(t, i)[weights_per_step_ == 1 ? 0 : j] != T(0);
  }

  const Context<T>& ctx_;
  const Matrix<const T> V_;
  const T* const c_;
  Packed<T> V_transposed_, V_packed_;
  const Dropout<T> dropout_;
  Array<T> read_, back_;  // of a window, with dropout
  const IndexRows targets_;
  const Rows<const T> y_, weight_;
  const Index weights_per_step_;
  Rows<const T> d_o_;
  bool own_loss_ = false;
  Array<T> o_;
  Array<std::int32_t> target_window_;
  Array<T> y_window_, weight_window_;
  Array<double> loss_;
  Rows<double> each_;
};

}  // namespace bptt
