// The network whose only recurrence runs from its output to the hidden units (figure 10.4). Where every step sees the target before
// it (teacher forcing, figure 10.6), no step waits for another; else it runs step by step, and back-propagation through time goes
// through its outputs. Knows no instruction set.
#include "networks.hpp"
#include "philox.hpp"
#include "tape.hpp"
#include "unfolded.hpp"

namespace bptt::jordan {
namespace {

constexpr double worth_meeting = 6e3;  // elements of W: two products that take some times what two meetings do

template <class T> class Jordan : Unfolded<T> {
  using Base = Unfolded<T>;
  using Base::ahead, Base::large, Base::multiply, Base::outputs, Base::pieces, Base::zero;
  using Base::call, Base::k, Base::n, Base::net, Base::o_window, Base::p, Base::r0, Base::r_last, Base::real, Base::timeline;
  using Base::sorted, Base::U_transposed, Base::V_transposed, Base::W_transposed;
  using typename Base::Sums;

 public:
  Jordan(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing_)
      : Base(network, parameters, batch),
        forcing(forcing_),
        m(network.n_out),
        softmax(network.output == Output::softmax),
        own_seen(forcing_.p < 1),
        r0_given(batch.r0.given()) {
    r_window = Array<T>(timeline.largest * m);
    cut_window = Array<char>(timeline.largest);
    const Index threads = call.threads();
    if (own_seen) scratch = Array<T>(2 * m * std::max(timeline.batch, threads * std::min(timeline.batch, 2 * threads)));
    nothing = Array<T>(timeline.batch * n);
    std::fill_n(nothing.data(), timeline.batch * n, T(0));
    if (!softmax || forcing.p <= 0) return;
    target_window = Array<std::int32_t>(timeline.largest);
    table = Array<T>((m + 1) * n);
    for (Index j = 0; j < n; ++j) {  // with tokens, b is elsewhere
      const T b = real ? p.b[j] : T(0);
      for (Index target = 0; target < m; ++target) table[target * n + j] = b + p.W(j, target);
      table[m * n + j] = b;
    }
  }

  void forward(const States<T>& results) {
    const Rows<T> h = timeline.sort(results.h), o = timeline.sort(results.o);
    const bool h_in_place = is_dense(h, timeline, n), o_in_place = is_dense(o, timeline, m);
    const auto o_of = [&](const Window& w) { return Matrix<T>(o_in_place ? o(w.begin, 0) : o_window.data(), w.size(), m); };
    Base::walk(
        before_first(), [&](const Window& w) { return h_in_place ? h(w.begin, 0) : nullptr; },
        [&](const Window& w, Matrix<const T> before, Matrix<T> h_w) { states(w, before, h_w, o_of(w)); },
        [&](const Window& w, Matrix<const T> h_w) {
          if (h_in_place && o_in_place) return;
          pieces(w, [&](Index from, Index to) {
            if (!h_in_place) scatter(h_w.data, w, n, from, to, h);
            if (!o_in_place) scatter(o_window.data(), w, m, from, to, o);
          });
        });
    Base::give_last(results.r_last);
  }

  double loss() {
    Losses<T> losses(net, k, sorted, timeline.largest);
    double total = 0;
    Base::walk(
        before_first(), [](const Window&) { return nullptr; },
        [&](const Window& w, Matrix<const T> before, Matrix<T> h) { states(w, before, h, o_of(w)); },
        [&](const Window& w, Matrix<const T>) {
          pieces(w, [&](Index from, Index to) { losses(w, from, to, o_of(w), false); });
          total += losses.total(w.size());
        });
    return total;
  }

  double loss_and_gradients(const Gradients<T>& results, Index memory_limit) {
    Sums sums(*this, results);
    TokenGradient<T> dW_of_targets(k, softmax && forcing.p > 0 ? sums.d.W : Matrix<T>(sums.d.W.data, 0, 0), timeline.largest, true);
    Losses<T> losses(net, k, sorted, timeline.largest);
    std::vector<double> window_losses(timeline.windows.size(), 0.0);  // added up from first to last, as loss() does
    W_packed = pack<T>(k, p.W, call.threads());
    V_packed = pack<T>(k, p.V, call.threads());
    da_window = Array<T>(timeline.largest * n);
    da_next = Array<T>(timeline.batch * n);
    r_next = Array<T>(timeline.batch * m);
    cut_next = Array<char>(timeline.batch);
    dr_shared = Array<T>(timeline.batch * m);

    const auto back = [&](const Window& w, Matrix<const T> before, Matrix<const T> h) {
      const Matrix<T> d_o = o_of(w), da = da_window.matrix(w.size(), n);
      if (own_seen) outputs_again(w, before, h, d_o);
      pieces(w, [&](Index from, Index to) {
        Base::fetch_for_sums(w, from, to);
        losses(w, from, to, d_o, true);
        if (!own_seen) {
          Sum<T> dh(k);
          dh.from(zero.data()).plus(d_o.middle_rows(from, to - from), V_packed);
          dh.times_derivative_into(h.middle_rows(from, to - from), da.middle_rows(from, to - from));
        }
      });
      window_losses[std::size_t(&w - timeline.windows.data())] = losses.total(w.size());
      if (own_seen) steps(w, [&](const Share& share) { back_through_time(w, share, h, d_o, da); });

      sums.begin(w, {}, h, d_o, da);
      if (const Index rows = dense_rows(w); rows > 0) sums.dW.add(da.middle_rows(0, rows), r_window.matrix(rows, m), sums.products);
      sums.add(w, h, d_o, da, {table.data() != nullptr ? &dW_of_targets : nullptr, target_window.data(), da});
      std::copy_n(da.data, w.rows * n, da_next.data());
      std::copy_n(r_window.data(), w.rows * m, r_next.data());
      std::copy_n(cut_window.data(), w.rows, cut_next.data());
    };
    const auto run = [&](const Window& w, Matrix<const T> before, Matrix<T> h) { states(w, before, h, o_of(w)); };
    if (own_seen) {
      Tape<T> tape(timeline, n, memory_limit);
      tape.record(before_first(), run);
      tape.rewind(run, back);
    } else {  // nothing is kept: every window stands by itself
      const Array<T> h_window(timeline.largest * n);
      for (std::size_t i = timeline.windows.size(); i-- > 0;) {
        const Window& w = timeline.windows[i];
        const Matrix<T> h = h_window.matrix(w.size(), n);
        run(w, {}, h);
        back(w, {}, h);
      }
    }
    Base::give_last(results.r_last);

    sums.finish();
    dW_of_targets.finish();
    const Matrix<T> dr0(r_next.data(), timeline.batch, m);  // dL/dr(0) = W^T da(1)
    multiply(zero.data(), da_next.matrix(timeline.batch, n), W_packed, dr0);
    for (Index i = 0; i < timeline.batch; ++i)
      if (cut_next[i]) std::fill_n(dr0.row(i), m, T(0));
    scatter(dr0.data, single_step(timeline.batch), m, 0, timeline.batch, timeline.sort(results.r0));
    return std::accumulate(window_losses.begin(), window_losses.end(), 0.0);
  }

 private:
  // ---- What a step sees: r(t-1), in r_window or, where it is a target's class, as an index into the table of b + W r ----

  bool forced(Index t, Index i) const {
    if (t == 0 || forcing.p <= 0) return false;
    return forcing.p >= 1 || uniform(forcing.seed, std::uint64_t(t), std::uint64_t(timeline.order[std::size_t(i)])) < forcing.p;
  }

  bool has_target(Index t, Index i) const { return !sorted.weight.given() || *sorted.weight(t, i) != T(0); }

  Index target_class(Index t, Index i) const {  // m for none
    const Index target = has_target(t, i) ? std::clamp<Index>(*sorted.targets(t, i), -1, m - 1) : -1;
    return target < 0 ? m : target;
  }

  // y(t) as r(t): one-hot for a class, 0 where there is none.
  void target_vector(Index t, Index i, T* r) const {
    std::fill_n(r, m, T(0));
    if (softmax && target_class(t, i) < m) r[target_class(t, i)] = T(1);
    if (!softmax && has_target(t, i)) std::copy_n(sorted.y(t, i), m, r);
  }

  // The rows of a window whose r(t-1) is in r_window; of the others it is known from the index alone.
  Index dense_rows(const Window& w) const {
    if (own_seen || !softmax) return w.size();
    return w.begin == 0 && r0_given ? w.rows : 0;
  }

  // For rows [from, to): whether no gradient goes from the step to the one before it (cut), and there, and in the first step of
  // all, what it sees. What the others see is the network's own output: see `feed_back`.
  void decide(const Window& w, Index from, Index to) {
    const Index dense = dense_rows(w);
    for (Index f = from; f < to; ++f) {
      const Index t = w.begin + f / w.rows, i = f % w.rows;
      const bool is_reset = Base::resets_at(w, f / w.rows) && *Base::reset(t, i) != 0, is_forced = !is_reset && forced(t, i);
      cut_window[f] = is_reset || is_forced;
      if (table.data() != nullptr) target_window[f] = std::int32_t(is_forced ? target_class(t - 1, i) : m);
      if (f >= dense) continue;
      T* const r = r_window.data() + f * m;
      if (t == 0 && !is_reset)
        std::copy_n(r0.data() + i * m, m, r);
      else if (is_forced && !softmax)
        target_vector(t - 1, i, r);
      else if (cut_window[f])
        std::fill_n(r, m, T(0));
    }
  }

  // r = the unit's value of o, or o itself
  void feed(const T* o, Index rows, T* r) const {
    if (net.recurrence == Recurrence::o || net.output == Output::linear)
      std::copy_n(o, rows * m, r);
    else if (softmax)
      k.softmax(o, rows, m, r);
    else
      k.sigmoid(o, rows * m, r);
  }

  // The network's own outputs o of some rows to r(t-1) of the rows from `row` on that see them.
  void feed_back(const T* o, Index rows, Index row) const { feed_back(o, rows, row, r_window.data() + row * m); }

  // The same to a copy r of these rows of r_window, which gets the others too.
  void feed_back(const T* o, Index rows, Index row, T* r) const {
    for (Index i = 0, count; i < rows; i += count) {
      const char cut = cut_window[row + i];
      for (count = 1; i + count < rows && cut_window[row + i + count] == cut; ++count) {
      }
      const T* const there = r_window.data() + (row + i) * m;
      if (!cut)
        feed(o + i * m, count, r + i * m);
      else if (there != r + i * m)
        std::copy_n(there, count * m, r + i * m);
    }
  }

  // r(t-1) of the window's first step, from h before it (r(0) is there already).
  void feed_back_first(const Window& w, Matrix<const T> before) {
    if (w.begin == 0) return;
    const Array<T> o(w.rows * m);
    outputs(before, o.matrix(w.rows, m));
    feed_back(o.data(), w.rows, 0);
  }

  // What the step after its last would see, for the sequences that end with this window.
  void keep_last(const Window& w, Matrix<const T> o) {
    for (Index i = w.continue_; i < w.rows; ++i) {
      const Index end = w.begin + w.steps;
      T* const r = r_last.data() + i * m;
      forced(end, i) ? target_vector(end - 1, i, r) : feed(o.row(w.size() - w.rows + i), 1, r);
    }
  }

  // ---- Left to right ----

  Matrix<T> o_of(const Window& w) const { return o_window.matrix(w.size(), m); }
  Matrix<const T> before_first() const { return nothing.matrix(timeline.batch, n); }  // r(0), not h(0), is given

  // What one thread takes through all steps of a window: a block of rows, or blocks of the columns of h and of o, of all rows. Then
  // it meets the others after either.
  struct Share {
    Index row_from, row_to, h_from, h_to, o_from, o_to;
    const Team::Member* member;
    Index rows() const { return row_to - row_from; }
    bool alone() const { return member == nullptr; }
    bool first() const { return member == nullptr || member->rank == 0; }
    void meet() const {
      if (member != nullptr) member->meet();
    }
  };

  // Room for two rows of o for each of the share's rows.
  T* scratch_of(const Share& share) const {
    return scratch.data() + 2 * m * (share.alone() ? share.row_from : share.member->rank * share.rows());
  }

  template <class Work> void steps(const Window& w, const Work& work) const {
    if (call.threads() > 1 && w.rows < 2 * call.threads() && double(n) * double(m) > worth_meeting) {
      const Index h_panels = (n + k.panel - 1) / k.panel, o_panels = (m + k.panel - 1) / k.panel;
      return Team::run(int(std::min<Index>(call.threads(), std::max(h_panels, o_panels))), [&](const Team::Member& member) {
        const auto part = [&](Index panels, int rank) { return panels * rank / member.size * k.panel; };
        work(Share{0, w.rows, part(h_panels, member.rank), part(h_panels, member.rank + 1), part(o_panels, member.rank),
                   part(o_panels, member.rank + 1), &member});
      });
    }
    const double operations = double(w.size()) * double((2 * m + net.n_in) * n);
    const int threads = int(std::min<Index>(w.rows, Base::threads_for(operations)));
    parallel(threads, threads,
             [&](Index i) { work(Share{w.rows * i / threads, w.rows * (i + 1) / threads, 0, n, 0, m, nullptr}); });
  }

  // b + U x(t), plus W r(t-1) where that is a class: the sum that a(t) begins with, of rows [first, first + rows).
  void start(const Window& w, Index first, Index rows, Sum<T>& a) const {
    if (table.data() != nullptr)
      a.from({table.data(), m + 1, n}, target_window.data() + first, 0);
    else
      a.from(p.b);
    if (real) a.plus(Base::inputs(w).middle_rows(first, rows), U_transposed);
  }

  // The same into a; of tokens, a column of U is added.
  void start_into(const Window& w, Index first, Matrix<T> a) const {
    if (real) {
      Sum<T> sum(k);
      start(w, first, a.rows, sum);
      return sum.into(a);
    }
    for (Index f = 0; f < a.rows; ++f) {
      const std::int32_t token = Base::token_window[first + f];
      T* const row = a.row(f);
      if (Base::has_token_table())
        std::copy_n(Base::token_table.data() + token * n, n, row);
      else
        for (Index j = 0; j < n; ++j) row[j] = p.b[j] + p.U(j, token);
      if (table.data() == nullptr) continue;
      const T* const column = table.data() + target_window[first + f] * n;
      for (Index j = 0; j < n; ++j) row[j] += column[j];
    }
  }

  // h(t) and o(t) of the window.
  void states(const Window& w, Matrix<const T> before, Matrix<T> h, Matrix<T> o) {
    if (!own_seen) {
      pieces(w, [&](Index from, Index to) {
        const Index rows = to - from;
        Base::fetch(w, from, to);
        decide(w, from, to);
        all_at_once(w, from, h.middle_rows(from, rows));
        outputs(h.middle_rows(from, rows), o.middle_rows(from, rows));
      });
      return keep_last(w, o);
    }
    const bool start_in_place = !real || ahead(w, U_transposed);  // h holds a(t) - W r(t-1) when its step is taken
    pieces(w, [&](Index from, Index to) {
      Base::fetch(w, from, to);
      decide(w, from, to);
      if (start_in_place) start_into(w, from, h.middle_rows(from, to - from));
    });
    feed_back_first(w, before);
    steps(w, [&](const Share& share) {
      const Index rows = share.rows();
      T* const copy = scratch_of(share);  // of r(t-1), where another thread writes it to r_window
      for (Index t = 0; t < w.steps; ++t) {
        const Index first = t * w.rows + share.row_from;
        const Matrix<T> h_t = h.middle_rows(first, rows), o_t = o.middle_rows(first, rows);
        const bool copied = t > 0 && !share.first();
        Sum<T> a(k);
        start_in_place ? void(a.from(h_t)) : start(w, first, rows, a);
        a.plus(Matrix<const T>(copied ? copy : r_window.data() + first * m, rows, m), W_transposed);
        a.only_columns(share.h_from, share.h_to).tanh_into(h_t);
        share.meet();
        Sum<T>(k).from(p.c).plus(h_t, V_transposed).only_columns(share.o_from, share.o_to).into(o_t);
        share.meet();
        const Index next = first + w.rows;
        if (t + 1 < w.steps) feed_back(o_t.data, rows, next, share.first() ? r_window.data() + next * m : copy);
      }
    });
    keep_last(w, o);
  }

  // h(t) of rows of the window that see nothing of the network's own.
  void all_at_once(const Window& w, Index first, Matrix<T> h) const {
    const Index dense = std::clamp<Index>(dense_rows(w) - first, 0, h.rows);  // the first rows
    const auto some = [&](Index from, Index rows, bool r_is_dense) {
      if (rows == 0) return;
      const Matrix<T> h_rows = h.middle_rows(from, rows);
      if (!real) start_into(w, first + from, h_rows);
      Sum<T> a(k);
      real ? start(w, first + from, rows, a) : void(a.from(h_rows));
      if (r_is_dense) a.plus(Matrix<const T>(r_window.data() + (first + from) * m, rows, m), W_transposed);
      a.tanh_into(h_rows);
    };
    some(0, dense, true);
    some(dense, h.rows - dense, false);
  }

  // ---- Right to left ----

  // o(t) of the window and what its steps see, from h(t).
  void outputs_again(const Window& w, Matrix<const T> before, Matrix<const T> h, Matrix<T> o) {
    decide(w, 0, w.rows);
    feed_back_first(w, before);
    pieces(w, [&](Index from, Index to) {
      outputs(h.middle_rows(from, to - from), o.middle_rows(from, to - from));
      const Index next_to = std::min(to + w.rows, w.size()), next_from = std::min(from + w.rows, next_to);
      decide(w, next_from, next_to);
      feed_back(o.row(from), next_to - next_from, next_from);
    });
  }

  // do(t) += J^T dr(t) of some rows, where dr(t) = W^T da(t+1): through the output r that a step saw. dr is overwritten.
  void back_through_output(const T* r, const char* cut, Matrix<T> dr, Matrix<T> d_o) const {
    for (Index i = 0; i < d_o.rows; ++i)
      if (cut[i]) std::fill_n(dr.row(i), m, T(0));
    if (net.recurrence == Recurrence::o || net.output == Output::linear) {
      for (Index j = 0; j < d_o.rows * m; ++j) d_o.data[j] += dr.data[j];
    } else if (softmax) {
      k.softmax_back(r, dr.data, d_o.rows, m, d_o.data);
    } else {
      k.sigmoid_back(r, dr.data, d_o.rows * m, d_o.data);
    }
  }

  // da(t) = (V^T do(t)) * (1 - h(t)^2), from the last step of the window to its first.
  void back_through_time(const Window& w, const Share& share, Matrix<const T> h, Matrix<T> d_o, Matrix<T> da) const {
    const Index from = share.row_from, all = share.rows();
    const Matrix<T> dr_mine(scratch_of(share), all, m), do_mine(scratch_of(share) + all * m, all, m);
    const Matrix<T> dr = share.alone() ? dr_mine : Matrix<T>(dr_shared.data(), all, m);
    for (Index t = w.steps - 1; t >= 0; --t) {
      const Index first = t * w.rows + from, next = first + w.rows;
      const bool last = t + 1 == w.steps;
      const Index rows = last ? std::clamp(w.continue_, from, share.row_to) - from : all;  // beyond: sequences that end here
      const Matrix<const T> da_after(last ? da_next.data() + from * n : da.data + next * n, rows, n);
      Sum<T>(k).from(zero.data()).plus(da_after, W_packed).only_columns(share.o_from, share.o_to).into(dr.middle_rows(0, rows));
      share.meet();
      const Matrix<T> do_t = d_o.middle_rows(first, all);
      if (!share.alone()) {
        std::copy_n(dr.data, rows * m, dr_mine.data);
        std::copy_n(do_t.data, all * m, do_mine.data);
      }
      const Matrix<T> do_here = share.alone() ? do_t : do_mine;
      back_through_output(last ? r_next.data() + from * m : r_window.data() + next * m,
                          last ? cut_next.data() + from : cut_window.data() + next, dr_mine, do_here.middle_rows(0, rows));
      Sum<T> dh(k);
      dh.from(zero.data()).plus(do_here, V_packed).only_columns(share.h_from, share.h_to);
      dh.times_derivative_into(h.middle_rows(first, all), da.middle_rows(first, all));
      share.meet();
      if (!share.alone() && share.first()) std::copy_n(do_mine.data, all * m, do_t.data);  // nobody reads it any more
    }
  }

  const TeacherForcing forcing;
  const Index m;  // n_out
  const bool softmax;
  const bool own_seen;  // by some step, of the network's own outputs
  const bool r0_given;
  Packed<T> W_packed, V_packed;
  Array<T> table, nothing, r_window, r_next, da_window, da_next, dr_shared, scratch;
  Array<std::int32_t> target_window;
  Array<char> cut_window, cut_next;
};

}  // namespace

template <class T> void forward(const Network& network, const T* parameters, const Batch<T>& batch, const States<T>& results) {
  Jordan<T>(network, parameters, batch, {0, 0}).forward(results);
}

template <class T>
double loss(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing) {
  return Jordan<T>(network, parameters, batch, forcing).loss();
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                          const Gradients<T>& results, Index memory_limit) {
  return Jordan<T>(network, parameters, batch, forcing).loss_and_gradients(results, memory_limit);
}

template void forward(const Network&, const float*, const Batch<float>&, const States<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const States<double>&);
template double loss(const Network&, const float*, const Batch<float>&, const TeacherForcing&);
template double loss(const Network&, const double*, const Batch<double>&, const TeacherForcing&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const TeacherForcing&,
                                   const Gradients<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const TeacherForcing&,
                                   const Gradients<double>&, Index);

}  // namespace bptt::jordan
