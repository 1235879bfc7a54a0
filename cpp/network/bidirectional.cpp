// Networks with two directions (figure 10.11): in every layer a second chain of steps runs from the end of each sequence to its
// beginning. A layer ends in both directions before the one above it begins, so what lies between two layers is kept whole.
#include <memory>
#include <numeric>

#include "network/activity.hpp"
#include "network/networks.hpp"
#include "network/readout.hpp"
#include "network/stage.hpp"
#include "sequence/tape.hpp"

namespace bptt {
namespace {

template <class T> class Bidirectional {
 public:
  Bidirectional(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing&)
      : ctx_(network, batch.lengths),
        p_(network, parameters),
        batch_(batch),
        row_of_step_(ctx_.timeline.row_of_step()),
        readout_(ctx_, p_, batch),
        activity_(ctx_, batch.activity),
        layers_(std::size_t(network.layers())),
        h_window_(std::max(ctx_.timeline.largest, ctx_.timeline.batch) * network.n_top()) {}

  void forward(const ForwardResults<T>& results) {
    const Timeline& timeline = ctx_.timeline;
    const Index top = ctx_.network.layers() - 1;
    for (Index l = 0; l <= top; ++l) {
      compute(l, {}, results.v.empty() ? Rows<T>() : results.v[std::size_t(l)]);
      for (const Chain& chain : layer(l)) chain.stage->give_last(results.r_last);
      if (l > 0) layer(l - 1).clear();  // nobody reads it any more
      if (l == top || !results.h[std::size_t(l)].given()) continue;
      const Rows<T> h = sort(results.h[std::size_t(l)], timeline);
      const Array<T> window(timeline.largest * ctx_.network.width(l));
      const BothDirections<const T> both = states(l);
      for (const Window& w : timeline.windows)
        ctx_.for_each_row_block(w, [&](Index from, Index to) {
          const Matrix<T> h_w = window.matrix(w.size(), ctx_.network.width(l));
          gather(both, w, false, from, to, h_w);
          scatter(h_w, w, from, to, h);
        });
    }
    const Rows<T> h = sort(results.h.back(), timeline), o = sort(results.o, timeline);
    const Index n_top = ctx_.network.n_top(), n_out = ctx_.network.n_out;
    const bool every_step = readout_.every_step();
    const bool h_in_place = h.given() && is_dense(h, timeline, n_top), o_in_place = every_step && is_dense(o, timeline, n_out);
    for (const Window& w : timeline.windows) {
      const Matrix<T> h_w = h_in_place ? Matrix<T>(h(w.begin, 0), w.size(), n_top) : h_window(w);
      const Matrix<T> o_w = o_in_place ? Matrix<T>(o(w.begin, 0), w.size(), n_out) : readout_.window(w);
      for_each_output(w, h_w, o_w, [&](Index from, Index to) {
        if (h.given() && !h_in_place) scatter(h_w, w, from, to, h);
        if (every_step && !o_in_place) scatter(o_w, w, from, to, o);
      });
    }
    if (every_step) return;
    readout_.last_outputs(last_states());
    scatter(readout_.last(), single_step(timeline.batch), 0, timeline.batch, o);
  }

  double loss(const Rows<double>& each) {
    readout_.send_losses_to(each);
    for (Index l = 0; l < ctx_.network.layers(); ++l) {
      compute(l);
      if (l > 0) layer(l - 1).clear();
    }
    if (!readout_.every_step()) return readout_.last_loss(last_states(), false) + activity_.total();
    double total = 0;
    for (const Window& w : ctx_.timeline.windows) {
      const Matrix<T> o = readout_.window(w);
      for_each_output(w, h_window(w), o, [&](Index from, Index to) { readout_.losses(w, from, to, o, false); });
      total += readout_.total(w.size());
    }
    return total + activity_.total();
  }

  double loss_and_gradients(const GradientResults<T>& results, Index memory_limit, const OwnLoss<T>& own) {
    check(memory_limit);
    for (Index l = 0; l < ctx_.network.layers(); ++l) {
      compute(l, own);
      for (const Chain& chain : layer(l))
        if (!own.given()) chain.stage->give_last(results.r_last);
    }
    if (own.given()) readout_.take_gradients(own.d_o);
    readout_.prepare_back();
    GradientSums<T> sums(ctx_, results.flat);
    const Index top = ctx_.network.layers() - 1;
    const bool every_step = readout_.every_step();
    double total = every_step ? 0 : backward_last_output(sums);
    Gradient d_h, d_below;
    if (every_step) d_h = Gradient(*this, top, 1);
    if (!every_step && own.d_h.given()) {
      d_h = Gradient(*this, top, 0);
      take_gradients(own, d_h);
    }
    for (Index l = top; l >= 0; --l) {
      if (l > 0) d_below = Gradient(*this, l - 1, 0);
      for (Index d = 0; d < 2; ++d) {
        const Chain& chain = layer(l)[std::size_t(d)];
        if (l > 0) chain.stage->send_back_to(d_below.both, d == 1);  // both directions add to it
        if (l == 0 && results.x.given()) chain.stage->send_back_to(in_direction(results.x, d == 1), d == 1);
        if (every_step && l == top && d == 0)
          total = backward_with_outputs(chain, own, d_h, sums);
        else
          backward(chain, d, d_h, sums);
        chain.stage->give_initial_gradients(results.r0, sums);
      }
      d_h = std::move(d_below);
      layer(l).clear();
    }
    sums.close();
    return total + activity_.total();
  }

 private:
  // A layer in one direction, with all its states.
  struct Chain {
    std::unique_ptr<Stage<T>> stage;
    std::unique_ptr<Tape<T>> tape;
  };
  using Layer = std::vector<Chain>;

  // dL/dh of a layer's chains from `first` on, whole; then da in its place.
  struct Gradient {
    Gradient() = default;
    Gradient(const Bidirectional& of, Index l, Index first) {
      const Index rows = of.ctx_.timeline.stored - of.ctx_.timeline.batch, n = of.ctx_.network.n(l);
      both.timeline = &of.ctx_.timeline;
      both.row_of_step = of.row_of_step_.data();
      for (Index d = first; d < 2; ++d) {
        memory[d] = Array<T>(product(rows, n));
        both.chain[d] = memory[d].matrix(rows, n);
      }
    }
    bool whole() const { return both.timeline != nullptr; }
    Matrix<T> window(const Window& w, Index d, Index batch) const { return both.chain[d].middle_rows(w.first - batch, w.size()); }
    BothDirections<T> both;
    Array<T> memory[2];
  };

  Layer& layer(Index l) { return layers_[std::size_t(l)]; }

  BothDirections<const T> states(Index l) {
    BothDirections<const T> both;
    both.timeline = &ctx_.timeline;
    both.row_of_step = row_of_step_.data();
    for (int d = 0; d < 2; ++d) both.chain[d] = layer(l)[std::size_t(d)].tape->all(0);
    return both;
  }

  LayerInput<T> input(Index l, bool reverse) {
    const auto& p = p_.chain[std::size_t(2 * l + (reverse ? 1 : 0))];
    if (l > 0) {
      LayerInput<T> input(ctx_, p.U, p.b, states(l - 1), reverse);
      input.drop(Dropout<T>(ctx_, l - 1, batch_.disturbance));
      return input;
    }
    if (ctx_.network.input == Input::token) return {ctx_, p.U, p.b, in_direction(batch_.tokens, reverse)};
    return {ctx_, p.U, p.b, in_direction(batch_.x, reverse)};
  }

  // The caller's rows in the order of work, each sequence reversed within its own length in the second direction.
  template <class R> R in_direction(const R& rows, bool reverse) const {
    const R sorted = sort(rows, ctx_.timeline);
    return reverse ? sorted.reversed(ctx_.timeline.lengths) : sorted;
  }

  // One direction's half of rows that have both side by side.
  template <class V> Rows<V> columns_of(Rows<V> both, Index n, bool reverse) const {
    for (std::size_t i = 0; reverse && i < both.base.size(); ++i) both.base[i] += n;
    return in_direction(both, reverse);
  }

  // ---- Left to right, and right to left ----

  // The states of a layer. Of leaky units v(t) goes to `v`, if that is given.
  void compute(Index l, const OwnLoss<T>& own = {}, const Rows<T>& v = {}) {
    const Index n = ctx_.network.n(l);
    const Array<T> v_store(v.given() ? ctx_.timeline.largest * n : 0);
    for (const bool reverse : {false, true}) {
      std::vector<LayerInput<T>> inputs;
      inputs.push_back(input(l, reverse));
      Chain chain;
      chain.stage = std::make_unique<Stage<T>>(ctx_, p_, batch_, l, reverse, std::move(inputs));
      chain.tape = std::make_unique<Tape<T>>(ctx_.timeline, chain.stage->widths(), Index(-1));
      Rows<const T> kept;  // by the caller
      if (own.given()) kept = columns_of(own.h[std::size_t(l)], n, reverse);
      const Rows<T> v_kept = v.given() ? columns_of(v, n, reverse) : Rows<T>();
      chain.tape->record(chain.stage->initial(), [&](const Window& w, const PerLayer<const T>& before, const PerLayer<T>& h) {
        if (v.given()) {
          const Matrix<T> v_window = v_store.matrix(w.size(), n);
          chain.stage->forward(w, before, h, {v_window});
          return ctx_.for_each_row_block(w, [&](Index from, Index to) { scatter(v_window, w, from, to, v_kept); });
        }
        if (!own.given()) {
          chain.stage->forward(w, before, h);
          return activity_.collect(w, h);
        }
        ctx_.check_interruption(w);
        ctx_.for_each_row_block(w, [&](Index from, Index to) { gather(kept, w, from, to, h[0]); });
        chain.stage->keep_last(w, 0, h[0]);
      });
      layer(l).push_back(std::move(chain));
    }
  }

  Matrix<T> h_window(const Window& w) const { return h_window_.matrix(w.size(), ctx_.network.n_top()); }

  // work(from, to) on the window's rows, whose states of both directions, in h, and outputs, in o if every step has one, are there.
  template <class Work> void for_each_output(const Window& w, Matrix<T> h, Matrix<T> o, const Work& work) {
    ctx_.check_interruption(w);
    const BothDirections<const T> top = states(ctx_.network.layers() - 1);
    const bool large = readout_.every_step() && ctx_.exceeds_half_L2(readout_.V_transposed());
    if (large) {
      ctx_.for_each_row_block(w, [&](Index from, Index to) { gather(top, w, false, from, to, h); });
      readout_.outputs_of_window(w, h, o);
    }
    ctx_.for_each_row_block(w, [&](Index from, Index to) {
      if (!large) gather(top, w, false, from, to, h);
      if (readout_.every_step()) readout_.outputs_of_block(w, h, o, from, to);
      work(from, to);
    });
  }

  // Each direction's own last state, side by side.
  Matrix<const T> last_states() {
    const Index batch = ctx_.timeline.batch, n = ctx_.network.n(ctx_.network.layers() - 1);
    const Matrix<T> both = h_window_.matrix(batch, 2 * n);
    for (Index d = 0; d < 2; ++d) {
      const Matrix<const T> h = layers_.back()[std::size_t(d)].stage->last_of_top();
      for (Index i = 0; i < batch; ++i) std::copy_n(h.row(i), n, both.row(i) + d * n);
    }
    return both;
  }

  // ---- The way back ----

  void check(Index memory_limit) const {
    Index units = 0;
    for (Index l = 0; l < ctx_.network.layers(); ++l) units += ctx_.network.width(l);
    const Index bytes = ctx_.timeline.stored * units * Index(sizeof(T));
    if (memory_limit < 0 || memory_limit >= bytes) return;
    throw std::invalid_argument("memory_limit: expected at least " + std::to_string(bytes) + " bytes for these sequences, got " +
                                std::to_string(memory_limit));
  }

  // The forward chain of the top layer goes back together with the outputs, window by window: the loss, dV and dc, and dh = do V.
  // What enters the reverse chain is kept for its own way back.
  double backward_with_outputs(const Chain& chain, const OwnLoss<T>& own, const Gradient& d_h, GradientSums<T>& sums) {
    const Rows<const T> own_d_h = sort(own.d_h, ctx_.timeline);
    const Index n = ctx_.network.n(ctx_.network.layers() - 1), n_out = ctx_.network.n_out;
    const Packed<T> V_forward = pack<T>(ctx_.k, {p_.V.data, n_out, n, 2 * n}, ctx_.call.threads());
    const Packed<T> V_reverse = pack<T>(ctx_.k, {p_.V.data + n, n_out, n, 2 * n}, ctx_.call.threads());
    const Array<T> dh_window(ctx_.timeline.largest * n);
    std::vector<double> losses(ctx_.timeline.windows.size());  // added up from first to last, as loss() does
    chain.stage->prepare_back();
    chain.tape->rewind(no_forward, [&](const Window& w, const PerLayer<const T>& before, const PerLayer<const T>& h) {
      const Matrix<T> d_o = readout_.window(w), da = chain.stage->da_of_top(w), dh = dh_window.matrix(w.size(), n);
      const Above<T> above = own_d_h.given() ? Above<T>() : Above<T>::product_of(d_o, V_forward, readout_.dropout());
      for_each_output(w, h_window(w), d_o, [&](Index from, Index to) {
        readout_.losses(w, from, to, d_o, true);
        if (own_d_h.given()) {
          gather(own_d_h, w, from, to, da);
          readout_.add_above(w, d_o, V_forward, da, from, to);
        }
        chain.stage->prepare_block(w, above, from, to, da);
      });
      ctx_.multiply(ctx_.zero.data(), d_o, V_reverse, dh);
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        if (readout_.dropout().given()) readout_.dropout().of_direction(1, w, false, from, to, dh, dh);
        for_each_row(w, from, to, [&](Index f, Index t, Index i) {
          for (Index j = 0; own_d_h.given() && j < n; ++j) dh(f, j) += own_d_h(w.begin + t, i)[n + j];
          std::copy_n(dh.row(f), n, d_h.both.at(1, w.begin + t, i));
        });
      });
      losses[std::size_t(w.index)] = readout_.total(w.size());
      sums.collect(w, {}, d_o, readout_.read_of(w, h_window(w)));
      chain.stage->backward(w, above, da, before, h, {}, {}, sums);
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

  // The loss of the last outputs, dV and dc, and dL/dh of each direction's last state.
  double backward_last_output(GradientSums<T>& sums) {
    const Matrix<const T> h = last_states();
    const double loss = readout_.last_loss(h, true);
    const Index n = h.cols / 2;
    const Array<T> both(h.rows * h.cols);
    readout_.backward_last(both.matrix(h.rows, h.cols));
    for (Index d = 0; d < 2; ++d) {
      dh_last_[d] = Array<T>(h.rows * n);
      for (Index i = 0; i < h.rows; ++i) std::copy_n(both.data() + i * h.cols + d * n, n, dh_last_[d].data() + i * n);
    }
    sums.collect(single_step(h.rows), {}, readout_.last(), readout_.read_of_last(h));
    return loss;
  }

  // dL/dh of both chains of the top layer, where the network's own output is read from their last steps.
  void take_gradients(const OwnLoss<T>& own, const Gradient& d_h) const {
    const Rows<const T> given = sort(own.d_h, ctx_.timeline);
    const Index n = ctx_.network.n(ctx_.network.layers() - 1);
    for (Index i = 0; i < ctx_.timeline.batch; ++i) {
      const Index length = ctx_.timeline.lengths[std::size_t(i)];
      for (Index d = 0; d < 2; ++d)
        for (Index t = 0; t < length; ++t) {
          T* const row = d_h.both.at(d, t, i);
          const bool is_last = t == (d == 0 ? length - 1 : 0);
          for (Index j = 0; j < n; ++j) row[j] = given(t, i)[d * n + j] + (is_last ? dh_last_[d][i * n + j] : T(0));
        }
    }
  }

  // A chain's way back, from dL/dh of its layer.
  void backward(const Chain& chain, Index d, const Gradient& d_h, GradientSums<T>& sums) {
    chain.stage->prepare_back(!d_h.whole());
    const Above<T> above = d_h.whole() ? Above<T>() : Above<T>::only_last(dh_last_[d].data());
    chain.tape->rewind(no_forward, [&](const Window& w, const PerLayer<const T>& before, const PerLayer<const T>& h) {
      const Matrix<T> da = d_h.whole() ? d_h.window(w, d, ctx_.timeline.batch) : chain.stage->da_of_top(w);
      ctx_.for_each_row_block(w, [&](Index from, Index to) { chain.stage->prepare_block(w, above, from, to, da); });
      chain.stage->backward(w, above, da, before, h, {}, {}, sums);
    });
  }

  static void no_forward(const Window&, const PerLayer<const T>&, const PerLayer<T>&) {}  // all states are there

  const Context<T> ctx_;
  const Parameters<const T> p_;
  const Batch<T>& batch_;
  const std::vector<Index> row_of_step_;
  Readout<T> readout_;
  Activity<T> activity_;
  std::vector<Layer> layers_;
  const Array<T> h_window_;  // of the top layer, both directions
  Array<T> dh_last_[2];
};

}  // namespace

template <class T> Calls<T> bidirectional() { return calls_of<Bidirectional, T>(); }
template Calls<float> bidirectional();
template Calls<double> bidirectional();

}  // namespace bptt
