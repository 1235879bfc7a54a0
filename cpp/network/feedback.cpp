// The network whose only recurrence runs from its output to the hidden units (figure 10.4). Where every step sees the target before
// it (teacher forcing, figure 10.6), no step waits for another. Else it runs step by step, and back-propagation through time goes
// through its outputs.
#include <numeric>
#include <optional>

#include "base/philox.hpp"
#include "network/activity.hpp"
#include "network/gradient_sums.hpp"
#include "network/networks.hpp"
#include "network/readout.hpp"
#include "sequence/tape.hpp"

namespace bptt {
namespace {

constexpr double least_W_for_columns = 6e3;  // elements: two products then take several times what two barriers do

template <class T> LayerInput<T> input_of(const Context<T>& ctx, const Parameters<const T>& p, const Batch<T>& batch) {
  const auto& layer = p.chain[0];
  if (ctx.network.input == Input::token) return {ctx, layer.U, layer.b, sort(batch.tokens, ctx.timeline)};
  return {ctx, layer.U, layer.b, sort(batch.x, ctx.timeline)};
}

template <class T> class Feedback {
 public:
  Feedback(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing)
      : ctx_(network, batch.lengths),
        p_(network, parameters),
        layer_(ctx_, 0, p_.chain[0], input_of(ctx_, p_, batch), no_reset_),
        readout_(ctx_, p_, batch),
        activity_(ctx_, batch.activity),
        reset_(sort(batch.reset, ctx_.timeline), ctx_.timeline.lengths, ctx_.timeline.tau, false),
        forcing_(forcing),
        n_(network.n(0)),
        m_(network.n_out),
        softmax_(network.output == Output::softmax),
        runs_free_(forcing.p < 1),
        r0_given_(!batch.r0.empty()) {
    const Timeline& timeline = ctx_.timeline;
    layer_.penalize(batch.activity);
    r0_ = zeros<T>(timeline.batch * m_);
    const Matrix<T> r0 = r0_.matrix(timeline.batch, m_);
    if (r0_given_) gather(sort(batch.r0[0], timeline), single_step(timeline.batch), 0, timeline.batch, r0);
    reset_.mask(timeline.windows[0], 0, 0, r0);
    r_last_ = Array<T>(timeline.batch * m_);
    r_window_ = Array<T>(timeline.largest * m_);
    barred_window_ = Array<char>(timeline.largest);
    const Index threads = ctx_.call.most();
    if (runs_free_) scratch_ = Array<T>(2 * m_ * std::max(timeline.batch, threads * std::min(timeline.batch, 2 * threads)));
    no_state_ = zeros<T>(timeline.batch * n_);
    if (!softmax_ || forcing.p <= 0) return;
    class_window_ = Array<std::int32_t>(timeline.largest);
    class_table_ = Array<T>((m_ + 1) * n_);
    for (Index j = 0; j < n_; ++j) {  // with tokens, b is in their table
      const T b = layer_.input.is_token() ? T(0) : p_.chain[0].b[j];
      for (Index y = 0; y < m_; ++y) class_table_[y * n_ + j] = b + p_.chain[0].W(j, y);
      class_table_[m_ * n_ + j] = b;
    }
  }

  void forward(const ForwardResults<T>& results) {
    const Timeline& timeline = ctx_.timeline;
    const Rows<T> h = sort(results.h[0], timeline), o = sort(results.o, timeline);
    const bool h_in_place = h.given() && is_dense(h, timeline, n_), o_in_place = is_dense(o, timeline, m_);
    for_each_window([&](const Window& w) { return h_in_place ? h(w.begin, 0) : nullptr; },
                    [&](const Window& w) { return o_in_place ? o(w.begin, 0) : nullptr; },
                    [&](const Window& w, Matrix<const T> h_w, Matrix<T> o_w) {
                      if ((h_in_place || !h.given()) && o_in_place) return;
                      ctx_.for_each_row_block(w, [&](Index from, Index to) {
                        if (h.given() && !h_in_place) scatter(h_w, w, from, to, h);
                        if (!o_in_place) scatter(o_w, w, from, to, o);
                      });
                    });
    give_last(results.r_last[0]);
  }

  double loss(const Rows<double>& each) {
    readout_.send_losses_to(each);
    double total = 0;
    const auto anywhere = [](const Window&) -> T* { return nullptr; };
    for_each_window(anywhere, anywhere, [&](const Window& w, Matrix<const T> h, Matrix<T> o) {
      ctx_.for_each_row_block(w, [&](Index from, Index to) { readout_.losses(w, from, to, o, false); });
      total += readout_.total(w.size());
      activity_.collect(w, h);
    });
    return total + activity_.total();
  }

  double loss_and_gradients(const GradientResults<T>& results, Index memory_limit, const OwnLoss<T>& own) {
    const Timeline& timeline = ctx_.timeline;
    std::optional<Tape<T>> tape;  // before anything is written: it may refuse the limit
    if (runs_free_) tape.emplace(timeline, Widths{n_}, memory_limit);
    GradientSums<T> sums(ctx_, results.flat, softmax_ && forcing_.p > 0);
    std::vector<double> losses(timeline.windows.size(), 0.0);  // added up from first to last, as loss() does
    layer_.prepare_back();
    readout_.prepare_back();
    if (results.x.given()) layer_.input.send_back_to(sort(results.x, timeline), false);
    da_window_ = Array<T>(timeline.largest * n_);
    da_next_ = Array<T>(timeline.batch * n_);
    r_next_ = Array<T>(timeline.batch * m_);
    barred_next_ = Array<char>(timeline.batch);
    dr_shared_ = Array<T>(timeline.batch * m_);

    if (own.given()) readout_.take_gradients(own.d_o);
    d_h_ = sort(own.d_h, timeline);
    if (d_h_.given()) d_h_window_ = Array<T>(timeline.largest * n_);
    const Rows<const T> own_h = own.given() ? sort(own.h[0], timeline) : Rows<const T>();
    const bool in_place = own.given() && is_dense(own_h, timeline, n_);

    std::vector<ChainTerms<T>> terms(1);
    const auto back = [&](const Window& w, Matrix<const T> before, Matrix<const T> h) {
      ctx_.check_interruption(w);
      const Matrix<T> d_o = readout_.window(w), da = da_window_.matrix(w.size(), n_);
      if (runs_free_) outputs_again(w, before, h, d_o);
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        layer_.input.fetch_for_sums(w, from, to);
        readout_.losses(w, from, to, d_o, true);
        if (d_h_.given()) gather(d_h_, w, from, to, d_h_window_.matrix(w.size(), n_));
        if (!runs_free_) step_back(d_o, h, da, from, to);
      });
      losses[std::size_t(w.index)] = readout_.total(w.size());
      activity_.collect(w, h);
      if (runs_free_)
        ctx_.for_each_part(w.steps, operations(w), [&](Index first, Index last) {  // from the last step
          for_each_slice(
              w, [&](const ThreadSlice& slice) { back_through_time(w, slice, w.steps - first, w.steps - last, h, d_o, da); });
        });
      layer_.input.backward(w, da);

      terms[0].da = da;
      terms[0].h = h;
      terms[0].r = r_window_.matrix(dense_rows(w), m_);
      terms[0].r_class = class_table_.data() != nullptr ? class_window_.data() : nullptr;
      if (layer_.input.is_token())
        terms[0].x_token = layer_.input.tokens();
      else
        terms[0].x = layer_.input.rows_for_sums(w);
      sums.collect(w, terms, d_o, h);
      std::copy_n(da.data, w.rows * n_, da_next_.data());
      std::copy_n(r_window_.data(), w.rows * m_, r_next_.data());
      std::copy_n(barred_window_.data(), w.rows, barred_next_.data());
    };
    if (runs_free_) {
      const auto forward = [&](const Window& w, const PerLayer<const T>& before, const PerLayer<T>& h) {
        states(w, before[0], h[0], readout_.window(w));
      };
      if (in_place)
        tape->borrow({before_first()}, {Matrix<const T>(own_h(0, 0), timeline.stored - timeline.batch, n_)});
      else if (own.given())
        tape->record({before_first()}, [&](const Window& w, const PerLayer<const T>&, const PerLayer<T>& h) {
          ctx_.check_interruption(w);
          ctx_.for_each_row_block(w, [&](Index from, Index to) { gather(own_h, w, from, to, h[0]); });
        });
      else
        tape->record({before_first()}, forward);
      tape->rewind(forward,
                   [&](const Window& w, const PerLayer<const T>& before, const PerLayer<const T>& h) { back(w, before[0], h[0]); });
    } else {  // nothing is kept: every window stands by itself
      const Array<T> h_window(timeline.largest * n_);
      for (std::size_t i = timeline.windows.size(); i-- > 0;) {
        const Window& w = timeline.windows[i];
        const Matrix<T> h = h_window.matrix(w.size(), n_);
        if (!own.given()) {
          states(w, {}, h, readout_.window(w));
          back(w, {}, h);
          continue;
        }
        ctx_.for_each_row_block(w, [&](Index from, Index to) {
          decide(w, from, to);
          if (!in_place) gather(own_h, w, from, to, h);
        });
        back(w, {}, in_place ? Matrix<const T>(own_h(w.begin, 0), w.size(), n_) : Matrix<const T>(h));
      }
    }
    if (!own.given()) give_last(results.r_last[0]);
    sums.close();

    const Matrix<T> dr0(r_next_.data(), timeline.batch, m_);  // dL/dr(0) = W^T da(1)
    ctx_.multiply(ctx_.zero.data(), da_next_.matrix(timeline.batch, n_), layer_.W_packed(), dr0);
    for (Index i = 0; i < timeline.batch; ++i)
      if (barred_next_[i]) std::fill_n(dr0.row(i), m_, T(0));
    scatter(dr0, single_step(timeline.batch), 0, timeline.batch, sort(results.r0[0], timeline));
    return std::accumulate(losses.begin(), losses.end(), 0.0) + activity_.total();
  }

 private:
  // ---- What a step sees: r(t-1), in r_window_ or, where it is a target's class, as an index into the table of b + W r ----

  bool is_forced(Index t, Index i) const {
    if (t == 0 || forcing_.p <= 0) return false;
    return forcing_.p >= 1 ||
           uniform(forcing_.seed, std::uint64_t(t), std::uint64_t(ctx_.timeline.order[std::size_t(i)])) < forcing_.p;
  }

  Index target_class(Index t, Index i) const {  // m for none
    const Index target = readout_.target_class(t, i);
    return target < 0 ? m_ : target;
  }

  // y(t) as r(t): one-hot for a class, 0 where there is none.
  void target_vector(Index t, Index i, T* r) const {
    if (!softmax_) return readout_.target_vector(t, i, r);
    std::fill_n(r, m_, T(0));
    const Index y = target_class(t, i);  // read once: the caller's other threads may be changing it
    if (y < m_) r[y] = T(1);
  }

  // The rows of a window whose r(t-1) is in r_window_; of the others it is known from the class alone.
  Index dense_rows(const Window& w) const {
    if (runs_free_ || !softmax_) return w.size();
    return w.begin == 0 && r0_given_ ? w.rows : 0;
  }

  // For rows [from, to): whether no gradient goes from the step to the one before it (barred), and there, and in the first step of
  // all, what it sees. What the others see is the network's own output: see `feed_back`.
  void decide(const Window& w, Index from, Index to) {
    const Index dense = dense_rows(w);
    for_each_row(w, from, to, [&](Index f, Index step, Index i) {
      const Index t = w.begin + step;
      const bool is_reset = reset_.any_at(w, step) && reset_.at(t, i), forced = !is_reset && is_forced(t, i);
      barred_window_[f] = is_reset || forced;
      if (class_table_.data() != nullptr) class_window_[f] = std::int32_t(forced ? target_class(t - 1, i) : m_);
      if (f >= dense) return;
      T* const r = r_window_.data() + f * m_;
      if (t == 0 && !is_reset)
        std::copy_n(r0_.data() + i * m_, m_, r);
      else if (forced && !softmax_)
        target_vector(t - 1, i, r);
      else if (barred_window_[f])
        std::fill_n(r, m_, T(0));
    });
  }

  void feed(const T* o, Index rows, T* r) const { bptt::feed_back(ctx_.network, ctx_.k, o, rows, r); }

  // The network's own outputs o of some rows to r(t-1) of the rows from `row` on that see them: to r, a copy of these rows of
  // r_window_ that gets the others too, or these rows themselves.
  void feed_back(const T* o, Index rows, Index row, T* r) const {
    for (Index i = 0, count; i < rows; i += count) {
      const char barred = barred_window_[row + i];
      for (count = 1; i + count < rows && barred_window_[row + i + count] == barred;) ++count;
      const T* const there = r_window_.data() + (row + i) * m_;
      if (!barred)
        feed(o + i * m_, count, r + i * m_);
      else if (there != r + i * m_)
        std::copy_n(there, count * m_, r + i * m_);
    }
  }
  void feed_back(const T* o, Index rows, Index row) const { feed_back(o, rows, row, r_window_.data() + row * m_); }

  // r(t-1) of the window's first step, from h before it (r(0) is there already).
  void feed_back_first(const Window& w, Matrix<const T> before) {
    if (w.begin == 0) return;
    const Array<T> o(w.rows * m_);
    readout_.outputs(before, o.matrix(w.rows, m_));
    feed_back(o.data(), w.rows, 0);
  }

  // What the step after its last would see, for the sequences that end with this window.
  void keep_last(const Window& w, Matrix<const T> o) {
    for (Index i = w.continuing; i < w.rows; ++i) {
      const Index end = w.begin + w.steps;
      T* const r = r_last_.data() + i * m_;
      is_forced(end, i) ? target_vector(end - 1, i, r) : feed(o.row(w.size() - w.rows + i), 1, r);
    }
  }

  void give_last(const Rows<T>& to) const {
    scatter(r_last_.matrix(ctx_.timeline.batch, m_), single_step(ctx_.timeline.batch), 0, ctx_.timeline.batch,
            sort(to, ctx_.timeline));
  }

  // ---- Left to right ----

  Matrix<const T> before_first() const { return no_state_.matrix(ctx_.timeline.batch, n_); }  // r(0), not h(0), is given

  // All windows, holding the states of one at a time. Places tell where h and o go, null for anywhere.
  template <class PlaceH, class PlaceO, class Work>
  void for_each_window(const PlaceH& place_h, const PlaceO& place_o, const Work& work) {
    const Array<T> h_window(ctx_.timeline.largest * n_), before(ctx_.timeline.batch * n_);
    std::copy_n(no_state_.data(), ctx_.timeline.batch * n_, before.data());
    for (const Window& w : ctx_.timeline.windows) {
      T *const to_h = place_h(w), *const to_o = place_o(w);
      const Matrix<T> h(to_h != nullptr ? to_h : h_window.data(), w.size(), n_);
      const Matrix<T> o = to_o != nullptr ? Matrix<T>(to_o, w.size(), m_) : readout_.window(w);
      states(w, before.matrix(w.rows, n_), h, o);
      work(w, h, o);
      std::copy_n(h.row(w.size() - w.rows), w.rows * n_, before.data());
    }
  }

  // The window's steps in slices: blocks of rows, or the columns of h and of o, with a barrier after either.
  template <class Work> void for_each_slice(const Window& w, const Work& work) const {
    const int threads = ctx_.call.threads();
    const bool few_rows = w.rows < 2 * threads;
    if (threads > 1 && few_rows && double(n_) * double(m_) > least_W_for_columns)
      return ctx_.for_each_member(w, std::max(ctx_.panels(n_), ctx_.panels(m_)), work);
    ctx_.for_each_thread_slice(w, operations(w), work);
  }

  // Multiply-adds of a window's steps, at most.
  double operations(const Window& w) const { return double(w.size()) * double(2 * m_ + ctx_.network.n_in) * double(n_); }

  Steps columns_of(const ThreadSlice& slice, Index columns) const {
    Steps steps;
    steps.column_from = ctx_.column_from(slice, columns);
    steps.column_to = ctx_.column_to(slice, columns);
    return steps;
  }

  // Room for two rows of o for each of the slice's rows.
  T* scratch_of(const ThreadSlice& slice) const {
    return scratch_.data() + 2 * m_ * (slice.by_rows() ? slice.row_from : slice.member->rank * slice.rows());
  }

  // b + U x(t), plus W r(t-1) where that is a class: the sum that a(t) begins with, of rows [first, first + rows).
  void start(const Window& w, Index first, Index rows, Sum<T>& a) const {
    if (class_table_.data() != nullptr)
      a.from({class_table_.data(), m_ + 1, n_}, class_window_.data() + first, 0);
    else
      a.from(p_.chain[0].b);
    if (!layer_.input.is_token()) a.plus(layer_.input.rows(w).middle_rows(first, rows), layer_.input.U_transposed());
  }

  // The same into rows [from, to) of a.
  void start_into(const Window& w, Index from, Index to, Matrix<T> a) const {
    if (!layer_.input.is_token()) {
      Sum<T> sum(ctx_.k);
      start(w, from, to - from, sum);
      return sum.into(a.middle_rows(from, to - from));
    }
    layer_.input.sum_into(w, from, to, a);
    for (Index f = from; class_table_.data() != nullptr && f < to; ++f) {
      const T* const column = class_table_.data() + class_window_[f] * n_;
      for (Index j = 0; j < n_; ++j) a(f, j) += column[j];
    }
  }

  // h(t) and o(t) of the window.
  void states(const Window& w, Matrix<const T> before, Matrix<T> h, Matrix<T> o) {
    ctx_.check_interruption(w);
    if (!runs_free_) {
      ctx_.for_each_row_block(w, [&](Index from, Index to) {
        layer_.input.fetch(w, from, to);
        decide(w, from, to);
        all_at_once(w, from, to, h);
        readout_.outputs(h.middle_rows(from, to - from), o.middle_rows(from, to - from));
      });
      return keep_last(w, o);
    }
    const bool hoisted = layer_.input.is_token() || layer_.hoists(w, layer_.input.U_transposed());
    ctx_.for_each_row_block(w, [&](Index from, Index to) {
      layer_.input.fetch(w, from, to);
      decide(w, from, to);
      if (hoisted) start_into(w, from, to, h);
    });
    feed_back_first(w, before);
    ctx_.for_each_part(w.steps, operations(w), [&](Index first, Index last) {
      for_each_slice(w, [&](const ThreadSlice& slice) { run_free(w, slice, first, last, hoisted, h, o); });
    });
    keep_last(w, o);
  }

  // h(t) and o(t) of a slice's rows at steps [first, last), after the steps before them.
  void run_free(const Window& w, const ThreadSlice& slice, Index first, Index last, bool hoisted, Matrix<T> h, Matrix<T> o) const {
    const Index rows = slice.rows();
    const Steps h_columns = columns_of(slice, n_), o_columns = columns_of(slice, m_);
    T* const copy = scratch_of(slice);  // of r(t-1), where another thread writes it to r_window_
    for (Index t = first; t < last; ++t) {
      const Index row = t * w.rows + slice.row_from, next = row + w.rows;
      const Matrix<T> h_t = h.middle_rows(row, rows), o_t = o.middle_rows(row, rows);
      const bool copied = t > first && !slice.is_first();
      Sum<T> a(ctx_.k);
      hoisted ? void(a.from(h_t)) : start(w, row, rows, a);
      layer_.step(a, Matrix<const T>(copied ? copy : r_window_.data() + row * m_, rows, m_), {}, h_t, h_columns);  // 10.8, 10.9
      slice.barrier();
      readout_.outputs(h_t, o_t, o_columns);  // 10.10
      slice.barrier();
      if (t + 1 < w.steps) feed_back(o_t.data, rows, next, slice.is_first() ? r_window_.data() + next * m_ : copy);  // 10.11
    }
  }

  // h(t) of rows [from, to), which see nothing of the network's own.
  void all_at_once(const Window& w, Index from, Index to, Matrix<T> h) const {
    const Index dense_to = std::clamp(dense_rows(w), from, to);  // the first rows
    const auto some = [&](Index begin, Index end, bool is_dense) {
      if (begin == end) return;
      const Matrix<T> h_rows = h.middle_rows(begin, end - begin);
      Matrix<const T> r;
      if (is_dense) r = {r_window_.data() + begin * m_, end - begin, m_};
      Sum<T> a(ctx_.k);
      if (layer_.input.is_token()) {
        start_into(w, begin, end, h);
        a.from(h_rows);
      } else if (is_dense && softmax_) {  // in the order of the class table, so that a one-hot r gives the bits of its class
        a.from(p_.chain[0].b)
            .plus(r, layer_.W_transposed())
            .plus(layer_.input.rows(w).middle_rows(begin, end - begin), layer_.input.U_transposed());
        r = {};
      } else {
        start(w, begin, end - begin, a);
      }
      layer_.step(a, r, {}, h_rows);
    };
    some(from, dense_to, true);
    some(dense_to, to, false);
  }

  // ---- Right to left ----

  // What dh(t) of rows [first, first + rows) begins with, beside what comes through o(t).
  Sum<T> above(Index first, Index rows) const {
    Sum<T> dh(ctx_.k);
    if (d_h_.given())
      dh.from(Matrix<const T>(d_h_window_.data() + first * n_, rows, n_));
    else
      dh.from(ctx_.zero.data());
    return dh;
  }

  // da(t) = (V^T do(t)) f'(a(t)) of rows [from, to), where no gradient comes from the step after.
  void step_back(Matrix<const T> d_o, Matrix<const T> h, Matrix<T> da, Index from, Index to) const {
    Sum<T> dh = above(from, to - from);
    dh.plus(d_o.middle_rows(from, to - from), readout_.V_packed());
    layer_.step_back(dh, {}, h.middle_rows(from, to - from), da.middle_rows(from, to - from));
  }

  // o(t) of the window and what its steps see, from h(t).
  void outputs_again(const Window& w, Matrix<const T> before, Matrix<const T> h, Matrix<T> o) {
    decide(w, 0, w.rows);
    feed_back_first(w, before);
    ctx_.for_each_row_block(w, [&](Index from, Index to) {
      readout_.outputs(h.middle_rows(from, to - from), o.middle_rows(from, to - from));
      const Index next_to = std::min(to + w.rows, w.size()), next_from = std::min(from + w.rows, next_to);
      decide(w, next_from, next_to);
      feed_back(o.row(from), next_to - next_from, next_from);
    });
  }

  // do(t) += J^T dr(t) of some rows, where dr(t) = W^T da(t+1): through the output r that a step saw. dr is overwritten.
  void back_through_output(const T* r, const char* barred, Matrix<T> dr, Matrix<T> d_o) const {
    for (Index i = 0; i < d_o.rows; ++i)
      if (barred[i]) std::fill_n(dr.row(i), m_, T(0));
    if (ctx_.network.recurrence == Recurrence::o || ctx_.network.output == Output::linear) {
      for (Index j = 0; j < d_o.rows * m_; ++j) d_o.data[j] += dr.data[j];
    } else if (softmax_) {
      ctx_.k.softmax_back(r, dr.data, d_o.rows, m_, d_o.data);
    } else {
      ctx_.k.sigmoid_back(r, dr.data, d_o.rows * m_, d_o.data);
    }
  }

  // da(t) = (V^T do(t)) f'(a(t)) of a slice's rows, from step first_step - 1 down to last_step, after the steps that follow them.
  void back_through_time(const Window& w, const ThreadSlice& slice, Index first_step, Index last_step, Matrix<const T> h,
                         Matrix<T> d_o, Matrix<T> da) const {
    const Index from = slice.row_from, all = slice.rows();
    const Steps h_columns = columns_of(slice, n_), o_columns = columns_of(slice, m_);
    const Matrix<T> dr_mine(scratch_of(slice), all, m_), do_mine(scratch_of(slice) + all * m_, all, m_);
    const Matrix<T> dr = slice.by_rows() ? dr_mine : Matrix<T>(dr_shared_.data(), all, m_);
    for (Index t = first_step - 1; t >= last_step; --t) {
      const Index first = t * w.rows + from, next = first + w.rows;
      const bool last = t + 1 == w.steps;
      const Index rows = last ? std::clamp(w.continuing, from, slice.row_to) - from : all;  // beyond: sequences that end here
      const Matrix<const T> da_after(last ? da_next_.data() + from * n_ : da.data + next * n_, rows, n_);
      Sum<T>(ctx_.k)
          .from(ctx_.zero.data())
          .plus(da_after, layer_.W_packed())
          .into(dr.middle_rows(0, rows), Epilogue::identity, o_columns);
      slice.barrier();
      const Matrix<T> do_t = d_o.middle_rows(first, all);
      if (!slice.by_rows()) {
        std::copy_n(dr.data, rows * m_, dr_mine.data);
        std::copy_n(do_t.data, all * m_, do_mine.data);
      }
      const Matrix<T> do_here = slice.by_rows() ? do_t : do_mine;
      back_through_output(last ? r_next_.data() + from * m_ : r_window_.data() + next * m_,
                          last ? barred_next_.data() + from : barred_window_.data() + next, dr_mine, do_here.middle_rows(0, rows));
      Sum<T> dh = above(first, all);
      dh.plus(do_here, readout_.V_packed());
      layer_.step_back(dh, {}, h.middle_rows(first, all), da.middle_rows(first, all), h_columns);
      slice.barrier();
      if (!slice.by_rows() && slice.is_first()) std::copy_n(do_mine.data, all * m_, do_t.data);  // nobody reads it any more
    }
  }

  const Context<T> ctx_;
  const Parameters<const T> p_;
  const ResetFlags no_reset_;  // the layer itself has no recurrence to reset
  RecurrentLayer<T> layer_;
  Readout<T> readout_;
  Activity<T> activity_;
  const ResetFlags reset_;
  const TeacherForcing forcing_;
  const Index n_, m_;  // n_hidden, n_out
  const bool softmax_;
  const bool runs_free_;  // some step sees the network's own output
  const bool r0_given_;
  Array<T> class_table_, no_state_, r0_, r_last_, r_window_, r_next_, da_window_, da_next_, dr_shared_, scratch_;
  Rows<const T> d_h_;  // of a loss of the caller's own
  Array<T> d_h_window_;
  Array<std::int32_t> class_window_;
  Array<char> barred_window_, barred_next_;
};

}  // namespace

template <class T> Calls<T> feedback() { return calls_of<Feedback, T>(); }
template Calls<float> feedback();
template Calls<double> feedback();

}  // namespace bptt
