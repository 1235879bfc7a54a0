// Networks whose recurrence runs from hidden to hidden units, in one direction (figure 10.3; figure 10.5 where only the last step
// is read out; figure 10.13 (a) with several layers): forward left to right, back-propagation through time right to left.
#include <numeric>

#include "network/activity.hpp"
#include "network/networks.hpp"
#include "network/readout.hpp"
#include "network/stage.hpp"
#include "sequence/tape.hpp"

namespace bptt {
namespace {

// The states of a window, layer by layer, in the memory of one window; what comes before the next one is kept.
template <class T> class WindowStates {
 public:
  WindowStates(const Timeline& timeline, const Widths& widths, const PerLayer<const T>& initial)
      : h(widths.size()), before(widths.size()), widths_(widths), store_(widths, timeline.largest), kept_(widths, timeline.batch) {
    for (std::size_t l = 0; l < widths.size(); ++l) std::copy_n(initial[l].data, timeline.batch * widths[l], kept_.row(l, 0));
  }
  /// `places`: where the caller wants the states of a layer; null for anywhere.
  void open(const Window& w, const InlineVector<T*>& places) {
    for (std::size_t l = 0; l < widths_.size(); ++l) {
      h[l] = {places.empty() || places[l] == nullptr ? store_.row(l, 0) : places[l], w.size(), widths_[l]};
      before[l] = kept_.rows(l, 0, w.rows);
    }
  }
  void close(const Window& w) {
    for (std::size_t l = 0; l < widths_.size(); ++l) std::copy_n(h[l].row(w.size() - w.rows), w.rows * widths_[l], kept_.row(l, 0));
  }

  PerLayer<T> h;
  PerLayer<const T> before;

 private:
  const Widths widths_;
  const LayerRows<T> store_, kept_;
};

template <class T> std::vector<LayerInput<T>> inputs(const Context<T>& ctx, const Parameters<const T>& p, const Batch<T>& batch) {
  std::vector<LayerInput<T>> all;
  all.reserve(p.chain.size());
  for (const auto& layer : p.chain) {
    if (const Index below = Index(all.size()) - 1; below >= 0) {
      all.emplace_back(ctx, layer.U, layer.b);
      all.back().drop(Dropout<T>(ctx, below, batch.disturbance));
    } else if (ctx.network.input == Input::token)
      all.emplace_back(ctx, layer.U, layer.b, sort(batch.tokens, ctx.timeline));
    else
      all.emplace_back(ctx, layer.U, layer.b, sort(batch.x, ctx.timeline));
  }
  return all;
}

template <class T> class Stack {
 public:
  Stack(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing&)
      : ctx_(network, batch.lengths),
        p_(network, parameters),
        stage_(ctx_, p_, batch, 0, false, inputs(ctx_, p_, batch)),
        readout_(ctx_, p_, batch),
        activity_(ctx_, batch.activity) {}

  void forward(const ForwardResults<T>& results) {
    const Timeline& timeline = ctx_.timeline;
    const Rows<T> o = sort(results.o, timeline);
    const bool every_step = readout_.every_step(), o_in_place = every_step && is_dense(o, timeline, ctx_.network.n_out);
    std::vector<Rows<T>> h;
    h.reserve(results.h.size());
    InlineVector<char> in_place;
    for (std::size_t l = 0; l < results.h.size(); ++l) {
      h.push_back(sort(results.h[l], timeline));
      in_place.push_back(h[l].given() && is_dense(h[l], timeline, ctx_.network.n(Index(l))));
    }
    std::vector<Rows<T>> v;
    for (const Rows<T>& rows : results.v) v.push_back(sort(rows, timeline));
    const LayerRows<T> v_store(v.empty() ? Widths() : stage_.widths(), timeline.largest);
    PerLayer<T> v_window(v.size());
    InlineVector<T*> places(h.size());
    WindowStates<T> states(timeline, stage_.widths(), stage_.initial());
    for (const Window& w : timeline.windows) {
      for (std::size_t l = 0; l < h.size(); ++l) places[l] = in_place[l] ? h[l](w.begin, 0) : nullptr;
      for (std::size_t l = 0; l < v.size(); ++l)
        if (v[l].given()) v_window[l] = v_store.rows(l, 0, w.size());
      states.open(w, places);
      stage_.forward(w, states.before, states.h, v_window);
      const Matrix<const T> top = states.h.back();
      const Matrix<T> o_w = o_in_place ? Matrix<T>(o(w.begin, 0), w.size(), ctx_.network.n_out) : readout_.window(w);
      if (every_step) readout_.outputs_of_window(w, top, o_w);
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        for (std::size_t l = 0; l < h.size(); ++l)
          if (h[l].given() && !in_place[l]) scatter(states.h[l], w, from, to, h[l]);
        for (std::size_t l = 0; l < v.size(); ++l)
          if (v[l].given()) scatter(v_window[l], w, from, to, v[l]);
        if (!every_step) return;
        readout_.outputs_of_block(w, top, o_w, from, to);
        if (!o_in_place) scatter(o_w, w, from, to, o);
      });
      states.close(w);
    }
    stage_.give_last(results.r_last);
    if (every_step) return;
    readout_.last_outputs(stage_.last_of_top());
    scatter(readout_.last(), single_step(timeline.batch), 0, timeline.batch, o);
  }

  double loss(const Rows<double>& each) {
    readout_.send_losses_to(each);
    double total = 0;
    WindowStates<T> states(ctx_.timeline, stage_.widths(), stage_.initial());
    for (const Window& w : ctx_.timeline.windows) {
      states.open(w, {});
      stage_.forward(w, states.before, states.h);
      if (readout_.every_step()) total += loss_of(w, states.h.back());
      activity_.collect(w, states.h);
      states.close(w);
    }
    if (!readout_.every_step()) total = readout_.last_loss(stage_.last_of_top(), false);
    return total + activity_.total();
  }

  double loss_and_gradients(const GradientResults<T>& results, Index memory_limit, const OwnLoss<T>& own) {
    const Timeline& timeline = ctx_.timeline;
    Tape<T> tape(timeline, stage_.widths(), memory_limit, stage_.carried());
    const auto forward = [&](const Window& w, const PerLayer<const T>& before, const PerLayer<T>& h) {
      stage_.forward(w, before, h);
    };
    if (own.given()) {
      take_states(own, tape);
      readout_.take_gradients(own.d_o);
    } else {
      tape.record(stage_.initial(), forward);
      stage_.give_last(results.r_last);
    }

    // Right to left: o(t), the loss and da(t) are made window by window.
    if (results.x.given()) stage_.send_back_to(sort(results.x, timeline));
    stage_.prepare_back();
    readout_.prepare_back();
    GradientSums<T> sums(ctx_, results.flat);
    std::vector<double> losses(timeline.windows.size(), 0.0);  // added up from first to last, as loss() does
    const bool every_step = readout_.every_step(), prefetches = tape.exceeds(4 * L2_bytes);

    Above<T> last;
    Array<T> dh_last;
    if (!every_step) {
      const Matrix<const T> h = stage_.last_of_top();
      losses[0] = readout_.last_loss(h, true);
      dh_last = Array<T>(h.rows * h.cols);
      readout_.backward_last(dh_last.matrix(h.rows, h.cols));
      last = Above<T>::only_last(dh_last.data());
      sums.collect(single_step(timeline.batch), {}, readout_.last(), readout_.read_of_last(h));
    }
    const Rows<const T> d_h = sort(own.d_h, timeline);
    tape.rewind(forward, [&](const Window& w, const PerLayer<const T>& before, const PerLayer<const T>& h) {
      const Matrix<const T> top = h.back();
      const Matrix<T> d_o = readout_.window(w), da = stage_.da_of_top(w);
      const Above<T> above = d_h.given() ? Above<T>() : every_step ? readout_.above(d_o) : last;
      if (every_step) readout_.outputs_of_window(w, top, d_o);
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        if (every_step) {
          readout_.outputs_of_block(w, top, d_o, from, to);
          readout_.losses(w, from, to, d_o, true);
        }
        for (std::size_t l = 0; prefetches && l < h.size(); ++l)
          if (tape.holds_before(w, h[l], l)) prefetch(h[l].row(from) - w.size() * h[l].cols, (to - from) * h[l].cols);
        if (d_h.given()) {
          gather(d_h, w, from, to, da);
          if (every_step) readout_.add_above(w, d_o, da, from, to);
        }
        stage_.prepare_block(w, above, from, to, da);
      });
      if (every_step) losses[std::size_t(w.index)] = readout_.total(w.size());
      activity_.collect(w, h);
      if (d_h.given() && !every_step) add_last(w, dh_last, da);
      stage_.backward(w, above, da, before, h, every_step ? d_o : Matrix<T>(), readout_.read_of(w, top), sums);
    });
    stage_.give_initial_gradients(results.r0, sums);
    sums.close();
    return std::accumulate(losses.begin(), losses.end(), 0.0) + activity_.total();
  }

 private:
  // The states that the caller has kept: in place, or copied to the tape.
  void take_states(const OwnLoss<T>& own, Tape<T>& tape) {
    std::vector<Rows<const T>> h;
    PerLayer<const T> whole;
    bool in_place = true;
    for (std::size_t l = 0; l < own.h.size(); ++l) {
      h.push_back(sort(own.h[l], ctx_.timeline));
      const Index n = ctx_.network.n(Index(l));
      in_place = in_place && is_dense(h[l], ctx_.timeline, n);
      whole.push_back({h[l](0, 0), ctx_.timeline.stored - ctx_.timeline.batch, n});
    }
    if (in_place) {
      tape.borrow(stage_.initial(), whole);
      const Window& w = ctx_.timeline.windows.back();  // all sequences end with it
      for (std::size_t l = 0; l < h.size(); ++l)
        stage_.keep_last(w, l, whole[l].middle_rows(w.first - ctx_.timeline.batch, w.size()));
      return;
    }
    tape.record(stage_.initial(), [&](const Window& w, const PerLayer<const T>&, const PerLayer<T>& states) {
      ctx_.check_interruption(w);
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        for (std::size_t l = 0; l < h.size(); ++l) gather(h[l], w, from, to, states[l]);
      });
      for (std::size_t l = 0; l < h.size(); ++l) stage_.keep_last(w, l, states[l]);
    });
  }

  // dh += what comes from the output of each sequence's last step.
  static void add_last(const Window& w, const Array<T>& dh_last, Matrix<T> dh) {
    for (Index i = w.continuing; i < w.rows; ++i)
      for (Index j = 0; j < dh.cols; ++j) dh(w.size() - w.rows + i, j) += dh_last[i * dh.cols + j];
  }

  double loss_of(const Window& w, Matrix<const T> h) {
    const Matrix<T> o = readout_.window(w);
    readout_.outputs_of_window(w, h, o);
    ctx_.for_each_row_block(w, [&](Index from, Index to) {
      readout_.outputs_of_block(w, h, o, from, to);
      readout_.losses(w, from, to, o, false);
    });
    return readout_.total(w.size());
  }

  // What the window before this one will read.
  static void prefetch(const T* from, Index count) {
    for (Index i = 0; i < count; i += Index(alignment / sizeof(T))) __builtin_prefetch(from + i, 0, 2);
  }

  const Context<T> ctx_;
  const Parameters<const T> p_;
  Stage<T> stage_;
  Readout<T> readout_;
  Activity<T> activity_;
};

}  // namespace

template <class T> Calls<T> stack() { return calls_of<Stack, T>(); }
template Calls<float> stack();
template Calls<double> stack();

}  // namespace bptt
