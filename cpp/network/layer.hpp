// A layer in one direction: the equations of a step, left to right through a window, and right to left. Its gradients dU, dW and db
// (10.22-10.28) are sums over all steps: gradient_sums.hpp. dL/dx(t) is in input.hpp.
// Leaky units carry v from step to step. On the way back nothing of v is needed: f'(v(t)) follows from h(t).
#pragma once

#include <optional>

#include "network/input.hpp"
#include "network/step.hpp"
#include "sequence/layer_rows.hpp"
#include "sequence/resets.hpp"

namespace bptt {

/// What enters a layer from above on the way back, row by row of a window.
template <class T> struct Above {
  enum Kind {
    in_place,  // dh(t) lies where da(t) will be
    product,   // dh(t) = d(t) weights: do(t) V, or da^(l+1)(t) U^(l+1)
    last_step  // only each sequence's last step has one: `last`
  };
  Kind kind = in_place;
  Matrix<const T> d;
  const Packed<T>* weights = nullptr;
  const T* last = nullptr;              // [batch, n]
  const Dropout<T>* dropout = nullptr;  // of a product

  static Above product_of(Matrix<const T> d, const Packed<T>& weights, const Dropout<T>& dropout) {
    return {product, d, &weights, nullptr, dropout.given() ? &dropout : nullptr};
  }
  static Above only_last(const T* last) { return {last_step, {}, nullptr, last, nullptr}; }
};

/// v of a leaky layer: of the step before [batch, n], where each step's takes the place of the one before it, or is copied to at
/// the end of a window whose v(t) are all wanted; and these [rows of the window, n], or no rows.
template <class T> struct LayerCarry {
  Matrix<T> last, all;
};

template <class T> class RecurrentLayer {
 public:
  RecurrentLayer(const Context<T>& ctx, Index layer, const typename Parameters<const T>::Chain& p, LayerInput<T> input_,
                 const ResetFlags& reset)
      : input(std::move(input_)),
        n(p.U.rows),
        ctx_(&ctx),
        W_(p.W),
        reset_(&reset),
        step_(ctx.k, ctx.network, layer, p.W, ctx.call.threads()) {
    if (reset.given()) masked_ = Array<T>(ctx.timeline.batch * n);
    if (reset.given() && step_.leaky()) masked_v_ = Array<T>(ctx.timeline.batch * n);
    if (p.h0 == nullptr) return;
    first_ = Array<T>(n);
    std::copy_n(p.h0, n, first_.data());
    if (!step_.leaky()) return;
    first_h_ = Array<T>(n);
    values_of(ctx.network, ctx.k, Matrix<const T>(first_.data(), 1, n), first_h_.matrix(1, n));
  }

  /// What every sequence begins with where it is learned: h(0), or v(0) of leaky units; and h(0). Else null.
  const T* first() const { return first_.data(); }
  const T* first_h() const { return step_.leaky() ? first_h_.data() : first_.data(); }

  /// From now on a(t) has noise.
  void disturb(Noise<T> noise) { noise_.emplace(std::move(noise)); }

  /// From now on the loss has `activity` times h(t)^2 of every unit more.
  void penalize(double activity) { pull_ = T(2 * activity); }

  // ---- The equations of a step ----

  /// Left to right: see RecurrentStep.
  void step(Sum<T>& a, Matrix<const T> r, const Carry<T>& v, Matrix<T> h, const Steps& steps = {}) const {
    step_(a, r, v, h, steps);
  }

  /// dh(t) = what comes from above + W^T da(t+1)     (10.19-10.21)
  /// da(t) = dh(t) f'(a(t))                          (the diag(1 - h(t)^2) dh(t) of 10.23-10.28)
  /// f'(a(t)) follows from h = h(t): 1 - h(t)^2 for tanh; for relu 1 where h(t) > 0, else 0.
  /// Leaky units: dv(t) = f'(v(t)) dh(t) + (1 - alpha) dv(t+1), da(t) = alpha dv(t); so     (N.3, N.4)
  /// da(t) = (1 - alpha) da(t+1) + alpha f'(v(t)) dh(t)
  void step_back(Sum<T>& dh, Matrix<const T> da_after, Matrix<const T> h, Matrix<T> da, const Steps& steps = {}) const {
    if (da_after.rows > 0) dh.plus(da_after, W_packed_, steps.out);
    if (step_.leaky()) {
      const bool last = da_after.rows == 0;
      dh.leak(step_.alpha.data(), last ? Matrix<const T>(ctx_->zero.data(), 1, n, 0) : da_after, nullptr, last ? 0 : steps.out);
    }
    if (pull_ != T(0)) dh.plus_h(pull_);  // and 2 kappa h(t), of a cost of activity     (N.8)
    dh.into(da, step_.unit.derivative, h, steps);
  }

  /// dL/dr(0) = W^T da(1); of leaky units dL/dv(0) = f'(v(0)) W^T da(1) + (1 - alpha) dv(1), where f'(v(0)) follows from h0 = h(0).
  void initial_gradient(Matrix<const T> h0, Matrix<T> dr0) const {
    const Matrix<const T> da = da_next_.matrix(ctx_->timeline.batch, n);
    ctx_->multiply(ctx_->zero.data(), da, W_packed_, dr0);
    if (!step_.leaky()) return;
    for (Index j = 0; j < n; ++j) {
      const T alpha = step_.alpha[j], of_da = T((1 - double(alpha)) / double(alpha));
      for (Index i = 0; i < dr0.rows; ++i) {
        const T derivative = derivative_at(h0(i, j));
        dr0(i, j) = alpha == 1 ? derivative * dr0(i, j) : derivative * dr0(i, j) + of_da * da(i, j);
      }
    }
  }

  /// Adds to dL/dh(0), or dL/dv(0), what sequences that begin in the middle of a stream send to it; `da` is the sum of theirs. The
  /// same equations, in double precision.
  void add_first_gradient(const double* da, double* sums) const {
    const Array<double> dh = zeros<double>(n);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) dh[j] += double(W_(i, j)) * da[i];
    for (Index j = 0; j < n; ++j) {
      if (!step_.leaky()) {
        sums[j] += dh[j];
        continue;
      }
      const double alpha = double(step_.alpha[j]), h = double(first_h_[j]);
      sums[j] += derivative_at(h) * dh[j] + (1 - alpha) / alpha * da[j];
    }
  }

  // ---- Left to right ----

  /// h(t) of the window, from h(t-1) of the step before it; and v(t), of leaky units.
  void forward(const Window& w, Matrix<const T> before, Matrix<T> h, const LayerCarry<T>& v) const {
    assert(before.rows == w.rows && h.rows == w.size());
    hoist_input(w, h);
    ctx_->for_each_part(w.steps, operations(w), [&](Index first, Index last) {
      for_each_slice(w, [&](const ThreadSlice& slice) { forward_steps(w, slice, first, last, before, h, v); });
    });
  }

  /// What of a(t) does not wait for the step before, for all steps of the window.
  void hoist_input(const Window& w, Matrix<T> h) const {
    const bool hoisted = hoists_input(w), in_blocks = input.is_token() || !ctx_->exceeds_half_L2(input.U_transposed());
    if (hoisted || shares_columns(w))
      ctx_->for_each_row_block(w, [&](Index from, Index to) {
        input.fetch(w, from, to);
        if (!hoisted || !in_blocks) return;
        input.sum_into(w, from, to, h);
        if (noise_) noise_->add(w, from, to, h);
      });
    if (!hoisted || in_blocks) return;
    input.sum_into(w, h);
    if (noise_) ctx_->for_each_row_block(w, [&](Index from, Index to) { noise_->add(w, from, to, h); });
  }

  /// The same for steps [first, last), on this thread alone.
  void hoist_input(const Window& w, Index first, Index last, Matrix<T> h) const {
    if (!hoists_input(w)) return;
    input.fetch(w, first * w.rows, last * w.rows);
    input.sum_into(w, first * w.rows, last * w.rows, h);
    if (noise_) noise_->add(w, first * w.rows, last * w.rows, h);
  }

  /// h(t) of a slice's rows at steps [first_step, last_step), after the steps before them.
  void forward_steps(const Window& w, const ThreadSlice& slice, Index first_step, Index last_step, Matrix<const T> before,
                     Matrix<T> h, const LayerCarry<T>& v) const {
    const bool hoisted = hoists_input(w), fetched = hoisted || shares_columns(w);
    const Index rows = slice.rows();
    Steps steps = columns_of(slice);
    steps.out = w.rows * n;
    for (Index t = first_step; t < last_step; t += steps.count) {
      const Index first = t * w.rows + slice.row_from;
      steps.count = 1;  // steps whose h(t-1) is already in place are computed in one call
      if (slice.by_rows() && t > 0 && !reset_->any_at(w, t))
        while (t + steps.count < last_step && !reset_->any_at(w, t + steps.count)) ++steps.count;
      steps.backwards = !slice.by_rows() && t % 2 != 0;
      if (!fetched)
        for (Index i = 0; i < steps.count; ++i) input.fetch(w, first + i * w.rows, first + i * w.rows + rows);
      const Matrix<T> h_t = h.middle_rows(first, rows);
      const Matrix<const T> h_before = t == 0 ? before.middle_rows(slice.row_from, rows) : h.middle_rows(first - w.rows, rows);
      Sum<T> a(ctx_->k);
      hoisted ? void(a.from(h_t, w.rows * n)) : input.sum(w, first, rows, a);
      step(a, masked(w, t, slice, h_before, masked_, first_h()), carry(w, t, slice, v), h_t, steps);
      if (t + 1 < last_step) slice.barrier();
    }
  }

  // ---- Right to left ----

  /// Before the first window of the way back.
  void prepare_back() {
    W_packed_ = pack<T>(ctx_->k, W_, ctx_->call.threads());
    da_next_ = Array<T>(ctx_->timeline.batch * n);
  }

  /// True if dh(t) is made from what is above before the loop over time, into da: by `hoist_block`, or by `hoist_window` where what
  /// is above is too large for blocks of rows.
  bool hoists(const Window& w, const Above<T>& above) const {
    return above.kind == Above<T>::product && (above.dropout != nullptr || hoists(w, *above.weights));
  }

  void hoist_block(const Window& w, const Above<T>& above, Index from, Index to, Matrix<T> da) const {
    if (!hoists(w, above) || by_window(above)) return;
    Sum<T>(ctx_->k)
        .from(ctx_->zero.data())
        .plus(above.d.middle_rows(from, to - from), *above.weights)
        .into(da.middle_rows(from, to - from));
    if (above.dropout != nullptr) above.dropout->of_direction(0, w, false, from, to, da, da);
  }

  void hoist_window(const Window& w, const Above<T>& above, Matrix<T> da) const {
    if (hoists(w, above) && by_window(above)) ctx_->multiply(ctx_->zero.data(), above.d, *above.weights, da);
  }

  /// da(t) of the window, from its last step to its first. da of the step after it is known from the call before. What
  /// `hoist_block` makes is there already.
  void backward(const Window& w, const Above<T>& above, Matrix<const T> h, Matrix<T> da) const {
    assert(h.rows == w.size() && da.rows == w.size());
    hoist_window(w, above, da);
    ctx_->for_each_part(w.steps, operations(w), [&](Index first, Index last) {  // from the last step
      for_each_slice(w, [&](const ThreadSlice& slice) { backward_steps(w, slice, above, w.steps - first, w.steps - last, h, da); });
    });
    keep_first(w, da);
  }

  /// da(t) of a slice's rows, from step first_step - 1 down to last_step, after the steps that follow them.
  void backward_steps(const Window& w, const ThreadSlice& slice, const Above<T>& above, Index first_step, Index last_step,
                      Matrix<const T> h, Matrix<T> da) const {
    const Index from = slice.row_from, to = slice.row_to;
    Steps steps = columns_of(slice);
    steps.out = steps.h = -w.rows * n;
    const auto back = [&](Index t, Index begin, Index end, Matrix<const T> da_after) {
      const Index first = t * w.rows + begin, rows = end - begin;
      if (rows == 0) return;
      Sum<T> dh(ctx_->k);
      start(w, above, first, begin, da_after.rows == 0, da.middle_rows(first, rows), dh);
      step_back(dh, da_after, h.middle_rows(first, rows), da.middle_rows(first, rows), steps);
    };
    Index t = first_step - 1;
    if (first_step == w.steps) {
      const Index goes_on = std::clamp(w.continuing, from, to);  // beyond: sequences that end here
      back(t, from, goes_on, {da_next_.data() + from * n, goes_on - from, n});
      back(t, goes_on, to, {});
      if (t > last_step) slice.barrier();
      --t;
    }
    for (; t >= last_step; t -= steps.count) {
      steps.count = 1;
      if (slice.by_rows() && !reset_->any_at(w, t + 1))
        while (t - steps.count >= last_step && !reset_->any_at(w, t + 1 - steps.count)) ++steps.count;
      steps.backwards = !slice.by_rows() && (w.steps - 1 - t) % 2 != 0;
      back(t, from, to, masked(w, t + 1, slice, da.middle_rows((t + 1) * w.rows + from, to - from), masked_));
      if (t > last_step) slice.barrier();
    }
  }

  /// Keeps da of the window's first step for the window before.
  void keep_first(const Window& w, Matrix<const T> da) const {
    std::copy_n(da.data, w.rows * n, da_next_.data());
    reset_->mask(w, 0, 0, da_next_.matrix(w.rows, n));
  }

  const Packed<T>& W_packed() const { return W_packed_; }
  const Packed<T>& W_transposed() const { return step_.W_transposed; }

  /// With few rows a step is hardly more than a product of a matrix and a vector. Then what is not recurrent, a product with
  /// `other`, is hoisted out of the loop over time: it becomes a product over many steps. With many rows one tile does the whole
  /// step, where both matrices stay in L2.
  bool hoists(const Window& w, const Packed<T>& other) const {
    return w.rows < ctx_->k.tile_rows || ctx_->exceeds_half_L2(step_.W_transposed) || ctx_->exceeds_half_L2(other);
  }

  /// True if the threads share each step's columns, with a barrier after every step: where there are hardly more rows than threads,
  /// or where W is so large that each should read only its part of it.
  bool shares_columns(const Window& w) const {
    const int threads = ctx_->call.threads();
    return threads > 1 && double(n) * double(n) > least_W_for_columns &&
           (w.rows < 2 * threads || ctx_->exceeds_half_L2(step_.W_transposed));
  }

  LayerInput<T> input;
  const Index n;  // units

 private:
  static constexpr double least_W_for_columns = 2.5e4;  // elements: a step then takes several times what a barrier does

  // What dh(t) of some rows begins with: what enters from above.
  void start(const Window& w, const Above<T>& above, Index first, Index sequence, bool ends_here, Matrix<const T> da,
             Sum<T>& dh) const {
    if (above.kind == Above<T>::in_place || hoists(w, above))
      dh.from(da, -w.rows * n);
    else if (above.kind == Above<T>::product)
      dh.from(ctx_->zero.data()).plus(above.d.middle_rows(first, da.rows), *above.weights, -w.rows * above.d.cols);
    else if (ends_here)
      dh.from(Matrix<const T>(above.last + sequence * n, da.rows, n));
    else
      dh.from(ctx_->zero.data());
  }

  // Of a product that is hoisted: true if it is made of all rows at once.
  bool by_window(const Above<T>& above) const { return above.dropout == nullptr && ctx_->exceeds_half_L2(*above.weights); }

  // True if h holds b + U x(t), and the noise, when its step is taken.
  bool hoists_input(const Window& w) const {
    return noise_ || (input.is_token() ? !input.has_token_table() : hoists(w, input.U_transposed()));
  }

  template <class Work> void for_each_slice(const Window& w, const Work& work) const {
    if (shares_columns(w)) return ctx_->for_each_member(w, ctx_->panels(n) / 2, work);
    ctx_->for_each_thread_slice(w, operations(w), work);
  }

  // Multiply-adds of a window's steps, at most.
  double operations(const Window& w) const {
    return double(w.size()) * double(n) * double(n + input.width() + ctx_->network.n_out);
  }

  Steps columns_of(const ThreadSlice& slice) const {
    Steps steps;
    steps.column_from = ctx_->column_from(slice, n);
    steps.column_to = ctx_->column_to(slice, n);
    return steps;
  }

  // v(t-1) of the slice's rows, and where v(t) goes.
  Carry<T> carry(const Window& w, Index t, const ThreadSlice& slice, const LayerCarry<T>& v) const {
    if (!step_.leaky()) return {};
    const Index first = t * w.rows + slice.row_from, rows = slice.rows();
    const Matrix<T> last = v.last.middle_rows(slice.row_from, rows);
    const bool keeps = v.all.rows > 0;
    Carry<T> carry = Carry<T>::in_place(keeps ? v.all.middle_rows(first, rows) : last);
    carry.before = masked(w, t, slice, keeps && t > 0 ? v.all.middle_rows(first - w.rows, rows) : last, masked_v_, first_.data());
    carry.step = keeps ? w.rows * n : 0;
    return carry;
  }

  // f'(v) by h = f(v).
  template <class Real> Real derivative_at(Real h) const {
    return ctx_->network.activation == Activation::tanh ? 1 - h * h : Real(h > 0);
  }

  // The slice's rows of h(t-1), v(t-1) or da(t): as they are, or a copy in which those of new sequences are `first`, or 0.
  Matrix<const T> masked(const Window& w, Index t, const ThreadSlice& slice, Matrix<const T> rows, const Array<T>& copies,
                         const T* first = nullptr) const {
    if (!reset_->any_at(w, t)) return rows;
    const Matrix<T> copy(copies.data() + slice.row_from * n, rows.rows, n);
    if (slice.is_first()) {
      std::copy_n(rows.data, rows.rows * n, copy.data);
      reset_->mask(w, t, slice.row_from, copy, first);
    }
    slice.barrier();
    return copy;
  }

  const Context<T>* ctx_;
  Matrix<const T> W_;
  const ResetFlags* reset_;
  RecurrentStep<T> step_;
  std::optional<Noise<T>> noise_;
  T pull_ = 0;
  Packed<T> W_packed_;
  Array<T> masked_, masked_v_, da_next_, first_, first_h_;
};

}  // namespace bptt
