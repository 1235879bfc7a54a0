// Outputs, losses and output units.
#include "network/readout.hpp"

#include "base/denormals.hpp"

namespace bptt {

constexpr Index elements_at_a_time = 1 << 16;  // of an output unit: then the call may be stopped
constexpr double operations_of_exp = 16;       // multiply-adds

template <class T>
Readout<T>::Readout(const Context<T>& ctx, const Parameters<const T>& p, const Batch<T>& batch)
    : ctx_(ctx),
      V_(p.V),
      c_(p.c),
      V_transposed_(pack_transposed<T>(ctx.k, p.V, ctx.call.threads())),
      dropout_(ctx, ctx.network.layers() - 1, batch.disturbance),
      targets_(sort(batch.targets, ctx.timeline)),
      y_(sort(batch.y, ctx.timeline)),
      weight_(sort(batch.weight, ctx.timeline)),
      weights_per_step_(batch.weights_per_step) {
  const Index rows = std::max(ctx.timeline.largest, ctx.timeline.batch);
  o_ = Array<T>(rows * ctx.network.n_out);
  if (dropout_.given()) {
    read_ = Array<T>(rows * ctx.network.n_top());
    back_ = Array<T>(rows * ctx.network.n_top());
  }
  if (!targets_.given() && !y_.given()) return;
  loss_ = Array<double>(rows);
  if (targets_.given()) target_window_ = Array<std::int32_t>(rows);
  if (y_.given()) y_window_ = Array<T>(rows * ctx.network.n_out);
  if (weight_.given()) weight_window_ = Array<T>(rows * weights_per_step_);
}

template <class T> void Readout<T>::outputs_of_window(const Window& w, Matrix<const T> h, Matrix<T> o) const {
  if (own_loss_ || !ctx_.exceeds_half_L2(V_transposed_)) return;
  const Matrix<const T> read = read_of(w, h);
  if (dropout_.given())
    ctx_.for_each_row_block(w, [&](Index from, Index to) { dropout_(w, false, from, to, h, read_.matrix(w.size(), h.cols)); });
  ctx_.multiply(c_, read, V_transposed_, o);
}

template <class T>
void Readout<T>::outputs_of_block(const Window& w, Matrix<const T> h, Matrix<T> o, Index from, Index to) const {
  const bool of_window = !own_loss_ && ctx_.exceeds_half_L2(V_transposed_);
  if (of_window) return;
  if (dropout_.given()) dropout_(w, false, from, to, h, read_.matrix(w.size(), h.cols));
  if (!own_loss_) outputs(read_of(w, h).middle_rows(from, to - from), o.middle_rows(from, to - from));
}

template <class T> void Readout<T>::outputs(Matrix<const T> h, Matrix<T> o, const Steps& columns) const {
  Sum<T>(ctx_.k).from(c_).plus(h, V_transposed_).into(o, Epilogue::identity, columns);  // o(t) = c + V h(t): 10.10
}

template <class T> void Readout<T>::last_outputs(Matrix<const T> h) const {
  ctx_.multiply(c_, read_of_last(h), V_transposed_, last());
}

template <class T> void Readout<T>::losses(const Window& w, Index from, Index to, Matrix<T> o, bool gradient) const {
  const Index n_out = ctx_.network.n_out;
  if (own_loss_) {
    if (d_o_.given())
      gather(d_o_, w, from, to, o);
    else
      for (Index f = from; f < to; ++f) std::fill_n(o.row(f), n_out, T(0));
    return;
  }
  Loss<T> rows;
  rows.rows = to - from;
  rows.n = n_out;
  rows.o = o.row(from);
  rows.o_stride = o.stride;
  rows.loss = loss_.data() + from;
  rows.gradient = gradient;
  if (weight_.given()) {
    gather(weight_, w, from, to, weight_window_.matrix(w.size(), weights_per_step_));
    rows.weight = weight_window_.data() + from * weights_per_step_;
    rows.each_output_has_weight = weights_per_step_ > 1;
  }
  if (ctx_.network.output == Output::softmax) {
    gather(targets_, w, -1, n_out - 1, from, to, target_window_.data());
    rows.target = target_window_.data() + from;
    ctx_.k.softmax_loss(rows);  // L(t) = -log y_hat(t)[y(t)]: 10.14; do(t) = y_hat(t) - y(t): 10.18
  } else {
    gather(y_, w, from, to, y_window_.matrix(w.size(), n_out));
    rows.y = y_window_.data() + from * n_out;
    rows.y_stride = n_out;
    (ctx_.network.output == Output::sigmoid ? ctx_.k.sigmoid_loss : ctx_.k.squared_loss)(rows);
  }
  if (each_.given()) scatter(loss_.matrix(w.size(), 1), w, from, to, each_);
}

template <class T> double Readout<T>::total(Index rows) const {
  double sum = 0;
  for (Index r = 0; r < rows; ++r) sum += loss_[r];  // L = sum of L(t): 10.12, 10.13
  return sum;
}

template <class T> double Readout<T>::last_loss(Matrix<const T> h, bool gradient) const {
  if (!own_loss_) last_outputs(h);
  losses(single_step(ctx_.timeline.batch), 0, ctx_.timeline.batch, last(), gradient);
  return total(ctx_.timeline.batch);
}

template <class T> void output_unit(Output output, const T* o, Index rows, Index n_out, T* y_hat) {
  const FlushDenormals flush;
  const Kernels<T>& k = kernels<T>();
  Interruption interruption;
  const Index at_a_time = 1 + elements_at_a_time / n_out;
  for (Index count; rows > 0; rows -= count, o += count * n_out, y_hat += count * n_out) {
    count = std::min(rows, at_a_time);
    interruption.check(double(count * n_out) * operations_of_exp);
    if (output == Output::softmax)
      k.softmax(o, count, n_out, y_hat);  // 10.11
    else if (output == Output::sigmoid)
      k.sigmoid(o, count * n_out, y_hat);
    else
      std::copy_n(o, count * n_out, y_hat);
  }
}

template class Readout<float>;
template class Readout<double>;
template void output_unit(Output, const float*, Index, Index, float*);
template void output_unit(Output, const double*, Index, Index, double*);

}  // namespace bptt
