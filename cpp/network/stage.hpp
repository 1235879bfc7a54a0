// Consecutive layers in one direction: they go through a window together, from bottom to top, and back from top to bottom.
#pragma once

#include <vector>

#include "network/gradient_sums.hpp"
#include "network/layer.hpp"

namespace bptt {

template <class T> class Stage {
 public:
  /// Layers [layer, layer + inputs.size()) of the network in one direction, `inputs` telling what each sees below it.
  Stage(const Context<T>& ctx, const Parameters<const T>& p, const Batch<T>& batch, Index layer, bool reverse,
        std::vector<LayerInput<T>> inputs)
      : ctx_(ctx),
        reset_(sort(batch.reset, ctx.timeline), ctx.timeline.lengths, ctx.timeline.tau, reverse),
        begins_as_learned_(batch.r0.empty() && ctx.network.learn_h0),
        first_chain_(layer * ctx.network.directions() + (reverse ? 1 : 0)) {
    layers_.reserve(inputs.size());
    for (LayerInput<T>& input : inputs) {
      const Index l = Index(layers_.size());
      layers_.emplace_back(ctx, layer + l, p.chain[std::size_t(first_chain_ + l)], std::move(input), reset_);
      if (batch.disturbance.noise > 0)
        layers_.back().disturb(Noise<T>(ctx, first_chain_ + l, layers_.back().n, batch.disturbance, reverse));
      layers_.back().penalize(batch.activity);
      widths_.push_back(layers_.back().n);
    }
    const Index sequences = ctx.timeline.batch;
    h0_ = LayerRows<T>(widths_, sequences);
    h_last_ = LayerRows<T>(widths_, sequences);
    if (ctx.network.leaky()) v_ = LayerRows<T>(widths_, sequences);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Matrix<T> h0 = h0_.rows(l, 0, sequences), state = ctx.network.leaky() ? carried(l) : h0;
      const T* const first = layers_[l].first();
      if (begins_as_learned_)
        for (Index i = 0; i < sequences; ++i) std::copy_n(first, state.cols, state.row(i));
      else if (batch.r0.empty())
        std::fill_n(state.data, sequences * state.cols, T(0));
      else
        gather(sort(batch.r0[std::size_t(first_chain_) + l], ctx.timeline), single_step(sequences), 0, sequences, state);
      reset_.mask(ctx.timeline.windows[0], 0, 0, state, first);
      if (ctx.network.leaky()) values_of(ctx.network, ctx.k, Matrix<const T>(state), h0);
    }
  }
  Stage(const Stage&) = delete;

  const Widths& widths() const { return widths_; }

  // ---- Left to right ----

  /// h(0) of each layer.
  PerLayer<const T> initial() const {
    PerLayer<const T> h0;
    for (std::size_t l = 0; l < layers_.size(); ++l) h0.push_back(h0_.rows(l, 0, ctx_.timeline.batch));
    return h0;
  }

  /// v of each leaky layer, [batch, n]: v(0) at first, then that of the last step that was taken. None of plain ones.
  PerLayer<T> carried() const {
    PerLayer<T> v;
    for (std::size_t l = 0; ctx_.network.leaky() && l < layers_.size(); ++l) v.push_back(carried(l));
    return v;
  }

  /// h(t) of the window, layer by layer; and the last states of the sequences that end with it. Of leaky layers v(t) goes to `v`,
  /// where that has a place for it.
  void forward(const Window& w, const PerLayer<const T>& before, const PerLayer<T>& h, const PerLayer<T>& v = {}) {
    ctx_.check_interruption(w);
    const auto carry = [&](std::size_t l) -> LayerCarry<T> {
      if (!ctx_.network.leaky()) return {};
      return {carried(l), v.empty() ? Matrix<T>() : v[l]};
    };
    for (std::size_t l = 1; l < layers_.size(); ++l) layers_[l].input.look_at(h[l - 1]);
    if (pipelines(w)) {
      layers_[0].hoist_input(w, h[0]);
      for_each_chunk(w, [&](std::size_t l, Index first, Index last) {
        if (l > 0) layers_[l].hoist_input(w, first, last, h[l]);
        layers_[l].forward_steps(w, ThreadSlice::all_rows(w), first, last, before[l], h[l], carry(l));
      });
    } else {
      for (std::size_t l = 0; l < layers_.size(); ++l) layers_[l].forward(w, before[l], h[l], carry(l));
    }
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      keep_last(w, l, h[l]);
      if (const Matrix<T> all = carry(l).all; all.rows > 0)
        std::copy_n(all.row(w.size() - w.rows), w.rows * all.cols, carried(l).data);
    }
  }

  /// Keeps the last states of the sequences that end with the window.
  void keep_last(const Window& w, std::size_t l, Matrix<const T> h) const {
    for (Index i = w.continuing; i < w.rows; ++i) std::copy_n(h.row(w.size() - w.rows + i), layers_[l].n, h_last_.row(l, i));
  }

  /// The last state of each sequence, of the top layer.
  Matrix<const T> last_of_top() const { return h_last_.rows(layers_.size() - 1, 0, ctx_.timeline.batch); }

  /// The last state of each sequence: h, or v of leaky layers. After the last window.
  void give_last(const std::vector<Rows<T>>& to) const {
    for (std::size_t l = 0; l < layers_.size(); ++l)
      give(ctx_.network.leaky() ? carried(l) : h_last_.rows(l, 0, ctx_.timeline.batch), to[std::size_t(first_chain_) + l]);
  }

  // ---- Right to left ----

  /// Where dL/dx(t) of the lowest layer goes.
  template <class Place> void send_back_to(const Place& dx, bool adds = false) { layers_.front().input.send_back_to(dx, adds); }

  /// Before the first window of the way back. `own_da`: whether the top layer's da(t) has no place elsewhere.
  void prepare_back(bool own_da = true) {
    terms_.resize(layers_.size());
    Widths own = widths_;
    if (!own_da) own.back() = 0;
    da_ = LayerRows<T>(own, ctx_.timeline.largest);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      layers_[l].prepare_back();
      if (l > 0) layers_[l].input.pack_back();
    }
  }

  /// Room for the top layer's da(t) of a window.
  Matrix<T> da_of_top(const Window& w) const { return da_.rows(layers_.size() - 1, 0, w.size()); }

  /// In blocks of rows, before `backward`: what the sums read, and what of dh(t) does not wait for the step after.
  void prepare_block(const Window& w, const Above<T>& above, Index from, Index to, Matrix<T> da) const {
    layers_.front().input.fetch_for_sums(w, from, to);
    layers_.back().hoist_block(w, above, from, to, da);
  }

  /// da(t) of the window, layer by layer from the top; what enters the layers below; and the window's part of the gradients.
  /// `above` and `da` are the top layer's. d_o is what the readout adds to the gradients, and h_read what it has read; no rows
  /// where it adds nothing.
  void backward(const Window& w, const Above<T>& above, Matrix<T> da, const PerLayer<const T>& before, const PerLayer<const T>& h,
                Matrix<const T> d_o, Matrix<const T> h_read, GradientSums<T>& sums) {
    ctx_.check_interruption(w);
    const std::size_t top = layers_.size() - 1;
    for (std::size_t l = 0; l <= top; ++l) {
      const LayerInput<T>& input = layers_[l].input;
      if (l > 0) layers_[l].input.look_at(h[l - 1]);
      if (l > 0 && input.drops()) ctx_.for_each_row_block(w, [&](Index from, Index to) { input.fetch_for_sums(w, from, to); });
      terms_[l].da = l == top ? da : da_.rows(l, 0, w.size());
    }
    const auto above_of = [&](std::size_t l) {
      if (l == top) return above;
      const LayerInput<T>& input = layers_[l + 1].input;
      return Above<T>::product_of(terms_[l + 1].da, input.U_packed(), input.dropout());
    };
    if (pipelines(w)) {
      layers_[top].hoist_window(w, above, da);
      for_each_chunk(w, [&](std::size_t i, Index first, Index last) {  // from the top, and from the last step
        const std::size_t l = top - i;
        const Index from = w.steps - last, to = w.steps - first;
        if (l < top) layers_[l].hoist_block(w, above_of(l), from * w.rows, to * w.rows, terms_[l].da);
        layers_[l].backward_steps(w, ThreadSlice::all_rows(w), above_of(l), to, from, h[l], terms_[l].da);
      });
      for (std::size_t l = 0; l <= top; ++l) layers_[l].keep_first(w, terms_[l].da);
    } else {
      for (std::size_t l = top + 1; l-- > 0;) {
        const RecurrentLayer<T>& layer = layers_[l];
        if (l < top && layer.hoists(w, above_of(l)))
          ctx_.for_each_row_block(w, [&](Index from, Index to) { layer.hoist_block(w, above_of(l), from, to, terms_[l].da); });
        layer.backward(w, above_of(l), h[l], terms_[l].da);
      }
    }
    for (std::size_t l = 0; l <= top; ++l) {
      terms_[l].chain = first_chain_ + Index(l);
      terms_[l].before = before[l];
      terms_[l].h = h[l];
      terms_[l].reset = &reset_;
      if (layers_[l].input.is_token())
        terms_[l].x_token = layers_[l].input.tokens();
      else
        terms_[l].x = layers_[l].input.rows_for_sums(w);
    }
    layers_.front().input.backward(w, terms_[0].da);
    sums.collect(w, terms_, d_o, h_read);
  }

  /// dL/dh(0), or dL/dv(0), of each layer, after the first window: of each sequence and, where it is learned, of the parameter.
  void give_initial_gradients(const std::vector<Rows<T>>& to, GradientSums<T>& sums) const {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Array<T> dh0(ctx_.timeline.batch * layers_[l].n);
      layers_[l].initial_gradient(h0_.rows(l, 0, ctx_.timeline.batch), dh0.matrix(ctx_.timeline.batch, layers_[l].n));
      const Matrix<const T> each = dh0.matrix(ctx_.timeline.batch, layers_[l].n);
      give(each, to[std::size_t(first_chain_) + l]);
      if (!ctx_.network.learn_h0) continue;
      const Array<double> sum = zeros<double>(layers_[l].n);
      for (Index i = 0; begins_as_learned_ && i < each.rows; ++i)
        for (Index j = 0; j < each.cols; ++j) sum[j] += double(each(i, j));
      if (reset_.given()) layers_[l].add_first_gradient(sums.da_of_resets(first_chain_ + Index(l)), sum.data());
      sums.collect_first(first_chain_ + Index(l), layers_[l].first_h(), sum.data());
    }
  }

 private:
  Matrix<T> carried(std::size_t l) const { return v_.rows(l, 0, ctx_.timeline.batch); }

  static constexpr Index steps_per_chunk = 16;
  static constexpr double least_W_for_chunks = 1e3;  // elements: a chunk of steps then takes several times what a barrier does

  // True if the layers go side by side: with fewer rows than threads, layer l + 1 is at a chunk of steps while layer l is at the
  // next.
  bool pipelines(const Window& w) const {
    if (layers_.size() == 1 || w.rows >= ctx_.call.threads() || w.steps < 2 * steps_per_chunk) return false;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const RecurrentLayer<T>& layer = layers_[l];
      if (layer.shares_columns(w) || double(layer.n) * double(layer.n) < least_W_for_chunks) return false;
      if (l > 0 && ctx_.exceeds_half_L2(layer.input.U_transposed())) return false;
    }
    return true;
  }

  // work(i, first, last) for the layers i and chunks of steps [first, last): after work(i, ...) of the chunk before, and after
  // work(i - 1, ...) of the same chunk. In each round, layer i is i chunks behind layer 0.
  template <class Work> void for_each_chunk(const Window& w, const Work& work) const {
    const Index chunks = (w.steps + steps_per_chunk - 1) / steps_per_chunk, layers = Index(layers_.size());
    ctx_.for_each_member(w, layers, [&](const ThreadSlice& slice) {
      for (Index round = 0; round < chunks + layers - 1; ++round) {
        for (Index i = slice.member->rank; i < layers; i += slice.member->size)
          if (const Index chunk = round - i; chunk >= 0 && chunk < chunks)
            work(std::size_t(i), chunk * steps_per_chunk, std::min(w.steps, (chunk + 1) * steps_per_chunk));
        slice.barrier();
      }
    });
  }

  void give(Matrix<const T> rows, const Rows<T>& to) const {
    scatter(rows, single_step(ctx_.timeline.batch), 0, ctx_.timeline.batch, sort(to, ctx_.timeline));
  }

  const Context<T>& ctx_;
  const ResetFlags reset_;
  const bool begins_as_learned_;  // what the first steps see is the parameter
  const Index first_chain_;
  std::vector<RecurrentLayer<T>> layers_;
  Widths widths_;
  LayerRows<T> h0_, h_last_, v_, da_;
  std::vector<ChainTerms<T>> terms_;
};

}  // namespace bptt
