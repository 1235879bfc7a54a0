// The network whose recurrence runs from hidden to hidden units (figure 10.3; figure 10.5 where only the last step is read out):
// forward left to right, back-propagation through time right to left. Knows no instruction set.
#include "networks.hpp"
#include "tape.hpp"
#include "unfolded.hpp"

namespace bptt::elman {
namespace {

constexpr double worth_meeting = 2.5e4;  // elements of W: a step that takes some times what a meeting does

template <class T> class Elman : Unfolded<T> {
  using Base = Unfolded<T>;
  using Base::ahead, Base::large, Base::last_states, Base::multiply, Base::outputs, Base::pieces, Base::resets_at, Base::zero;
  using Base::call, Base::k, Base::n, Base::net, Base::o_window, Base::p, Base::r0, Base::r_last, Base::real, Base::timeline;
  using Base::U_transposed, Base::V_transposed, Base::W_transposed;
  using typename Base::Sums;

 public:
  Elman(const Network& network, const T* parameters, const Batch<T>& batch) : Base(network, parameters, batch) {
    if (Base::reset.given()) cut = Array<T>(timeline.batch * n);
  }

  void forward(const States<T>& results) {
    const Rows<T> h = timeline.sort(results.h), o = timeline.sort(results.o);
    const bool h_in_place = is_dense(h, timeline, n), o_in_place = is_dense(o, timeline, net.n_out) && net.readout == Readout::all;
    walk([&](const Window& w) { return h_in_place ? h(w.begin, 0) : nullptr; },
         [&](const Window& w, Matrix<const T> h_w) {
           const Matrix<T> o_w(o_in_place ? o(w.begin, 0) : o_window.data(), w.size(), net.n_out);
           if (net.readout == Readout::all && large(V_transposed)) multiply(p.c, h_w, V_transposed, o_w);
           pieces(w, [&](Index from, Index to) {
             if (!h_in_place) scatter(h_w.data, w, n, from, to, h);
             if (net.readout == Readout::last) return;
             if (!large(V_transposed)) outputs(h_w.middle_rows(from, to - from), o_w.middle_rows(from, to - from));
             if (!o_in_place) scatter(o_w.data, w, net.n_out, from, to, o);
           });
         });
    Base::give_last(results.r_last);
    if (net.readout == Readout::last) {
      multiply(p.c, last_states(), V_transposed, o_window.matrix(timeline.batch, net.n_out));
      scatter(o_window.data(), single_step(timeline.batch), net.n_out, 0, timeline.batch, o);
    }
  }

  double loss() {
    Losses<T> losses(net, k, Base::sorted, std::max(timeline.largest, timeline.batch));
    double total = 0;
    walk([](const Window&) { return nullptr; },
         [&](const Window& w, Matrix<const T> h) {
           if (net.readout == Readout::last) return;
           const Matrix<T> o = o_window.matrix(w.size(), net.n_out);
           if (large(V_transposed)) multiply(p.c, h, V_transposed, o);
           pieces(w, [&](Index from, Index to) {
             if (!large(V_transposed)) outputs(h.middle_rows(from, to - from), o.middle_rows(from, to - from));
             losses(w, from, to, o, false);
           });
           total += losses.total(w.size());
         });
    return net.readout == Readout::last ? last_loss(losses, false) : total;
  }

  double loss_and_gradients(const Gradients<T>& results, Index memory_limit) {
    Tape<T> tape(timeline, n, memory_limit);
    const auto run = [&](const Window& w, Matrix<const T> before, Matrix<T> h) {
      states(w, before, h);
      keep_last(w, h);
    };
    tape.record(r0.matrix(timeline.batch, n), run);
    Base::give_last(results.r_last);

    // Right to left: o(t), the loss and da(t) are made window by window.
    Sums sums(*this, results);
    W_packed = pack<T>(k, p.W, call.threads());
    V_packed = pack<T>(k, p.V, call.threads());
    da_window = Array<T>(timeline.largest * n);
    da_next = Array<T>(timeline.batch * n);
    Losses<T> losses(net, k, Base::sorted, std::max(timeline.largest, timeline.batch));
    std::vector<double> window_losses(timeline.windows.size(), 0.0);  // added up from first to last, as loss() does

    if (net.readout == Readout::last) {
      window_losses[0] = last_loss(losses, true);
      const Matrix<T> d_o = o_window.matrix(timeline.batch, net.n_out);
      dh_last = Array<T>(timeline.batch * n);
      multiply(zero.data(), d_o, V_packed, dh_last.matrix(timeline.batch, n));
      sums.dV.add(d_o, last_states(), sums.products);
      sums.run({{d_o, sums.d.c}});
    }

    const bool far = tape.beyond(4 * near_memory), every_step = net.readout == Readout::all;
    tape.rewind(run, [&](const Window& w, Matrix<const T> before, Matrix<const T> h) {
      const Matrix<T> d_o = o_window.matrix(w.size(), net.n_out), da = da_window.matrix(w.size(), n);
      if (every_step && large(V_transposed)) multiply(p.c, h, V_transposed, d_o);
      pieces(w, [&](Index from, Index to) {
        const Index rows = to - from;
        Base::fetch_for_sums(w, from, to);
        if (!every_step) return;
        if (!large(V_transposed)) outputs(h.middle_rows(from, rows), d_o.middle_rows(from, rows));
        losses(w, from, to, d_o, true);
        if (far && tape.has_before(w, h.data)) prefetch(h.row(from) - w.size() * n, rows * n);
        if (ahead(w, V_packed) && !large(V_packed))
          Sum<T>(k).from(zero.data()).plus(d_o.middle_rows(from, rows), V_packed).into(da.middle_rows(from, rows));
      });
      if (every_step && large(V_packed)) multiply(zero.data(), d_o, V_packed, da);
      if (every_step) window_losses[std::size_t(&w - timeline.windows.data())] = losses.total(w.size());
      steps(w, [&](const Share& share) { back_through_time(w, share, h, d_o, da); });

      std::copy_n(da.data, w.rows * n, da_next.data());
      Base::zero_where_reset(w, 0, 0, da_next.matrix(w.rows, n));
      const Matrix<const T> d_o_w = every_step ? d_o : Matrix<const T>();
      const bool cut = Base::resets_in(w, 0, w.steps);
      sums.begin(w, before, h, d_o_w, da);
      if (!cut) sums.add_dW(w, before, h, da);
      sums.add(w, h, d_o_w, da);
      if (!cut) return;
      for (Index t = 0; t < w.steps; ++t)
        for (Index i = 0; resets_at(w, t) && i < w.rows; ++i)
          if (*Base::reset(w.begin + t, i) != 0) sums.leave_out(t * w.rows + i, da);
      sums.add_dW(w, before, h, da);
      sums.run({});
    });

    sums.finish();
    const Matrix<T> dh0 = da_window.matrix(timeline.batch, n);  // dL/dh(0) = W^T da(1)
    multiply(zero.data(), da_next.matrix(timeline.batch, n), W_packed, dh0);
    scatter(dh0.data, single_step(timeline.batch), n, 0, timeline.batch, timeline.sort(results.r0));
    return std::accumulate(window_losses.begin(), window_losses.end(), 0.0);
  }

 private:
  // What one thread takes through steps [first, last) of a window, counted in the order of work.
  struct Share {
    Index row_from, row_to, column_from, column_to, first, last;
    const Team::Member* member;  // where the columns are shared
    Index rows() const { return row_to - row_from; }
  };

  // Whether the threads share each step's columns, to meet after every step: where there are hardly more rows than threads, or
  // where W is so large that each should read only its part of it.
  bool by_columns(const Window& w) const {
    const double size = double(n) * double(n);
    return call.threads() > 1 && size > worth_meeting && (w.rows < 2 * call.threads() || large(W_transposed));
  }

  // Takes the batch through all steps of the window: in blocks of rows, each by itself, or in blocks of columns.
  template <class Work> void steps(const Window& w, const Work& work) const {
    if (by_columns(w)) {
      const Index panels = (n + k.panel - 1) / k.panel;
      Team::run(int(std::min<Index>(call.threads(), panels / 2)), [&](const Team::Member& member) {
        const Index from = panels * member.rank / member.size * k.panel, to = panels * (member.rank + 1) / member.size * k.panel;
        for (Index t = 0; t < w.steps; ++t) {
          work(Share{0, w.rows, from, to, t, t + 1, &member});
          if (t + 1 < w.steps) member.meet();
        }
      });
      return;
    }
    const double operations = double(w.size()) * double((n + net.n_in + net.n_out) * n);
    const int threads = int(std::min<Index>(w.rows, Base::threads_for(operations)));
    parallel(threads, threads,
             [&](Index i) { work(Share{w.rows * i / threads, w.rows * (i + 1) / threads, 0, n, 0, w.steps, nullptr}); });
  }

  // h(t) of the window, from h(t-1) of the step before it.
  void states(const Window& w, Matrix<const T> before, Matrix<T> h) {
    const bool start_in_place =
        real ? ahead(w, U_transposed) : !Base::has_token_table();  // h holds a(t) - W h(t-1) when its step is taken
    const Matrix<const T> x_w = Base::inputs(w);
    if (start_in_place || by_columns(w)) {
      pieces(w, [&](Index from, Index to) {
        Base::fetch(w, from, to);
        const Index rows = to - from;
        if (!start_in_place || (real && large(U_transposed))) return;
        if (real) return Sum<T>(k).from(p.b).plus(x_w.middle_rows(from, rows), U_transposed).into(h.middle_rows(from, rows));
        for (Index f = from; f < to; ++f)
          for (Index j = 0; j < n; ++j) h(f, j) = p.b[j] + p.U(j, Base::token_window[f]);
      });
      if (start_in_place && real && large(U_transposed)) multiply(p.b, x_w, U_transposed, h);
    }
    steps(w, [&](const Share& share) {
      const Index rows = share.rows();
      const auto run = [&](Index t, Index count, Matrix<const T> h_before) {
        const Index first = t * w.rows + share.row_from;
        if (!start_in_place && !by_columns(w))
          for (Index i = 0; i < count; ++i) Base::fetch(w, first + i * w.rows, first + i * w.rows + rows);
        const Matrix<T> h_t = h.middle_rows(first, rows);
        Sum<T> a(k);
        if (start_in_place)
          a.from(h_t, w.rows * n);
        else if (real)
          a.from(p.b).plus(x_w.middle_rows(first, rows), U_transposed, w.rows * net.n_in);
        else
          a.from({Base::token_table.data(), net.n_in, n}, Base::token_window.data() + first, w.rows);
        a.plus(h_before, W_transposed, w.rows * n)
            .repeat(count)
            .only_columns(share.column_from, share.column_to, share.first % 2 != 0);
        a.tanh_into(h_t, w.rows * n);
      };
      for (Index t = share.first, count; t < share.last; t += count) {
        const Matrix<const T> h_before =
            t == 0 ? before.middle_rows(share.row_from, rows) : h.middle_rows((t - 1) * w.rows + share.row_from, rows);
        count = 1;  // steps whose h(t-1) is where the one before them has put it go together
        if (t > 0 && !resets_at(w, t))
          while (t + count < share.last && !resets_at(w, t + count)) ++count;
        run(t, count, seen(w, t, share, h_before));
      }
    });
  }

  // The share's rows of h(t-1) or da(t), as they are or, where new sequences begin at step t, a copy with zeros.
  Matrix<const T> seen(const Window& w, Index t, const Share& share, Matrix<const T> rows) const {
    if (!resets_at(w, t)) return rows;
    const Matrix<T> copy(cut.data() + share.row_from * n, rows.rows, n);
    if (share.member == nullptr || share.member->rank == 0) {
      std::copy_n(rows.data, rows.rows * n, copy.data);
      Base::zero_where_reset(w, t, share.row_from, copy);
    }
    if (share.member != nullptr) share.member->meet();
    return copy;
  }

  // What the window before this one will read.
  static void prefetch(const T* from, Index count) {
    for (Index i = 0; i < count; i += Index(alignment / sizeof(T))) __builtin_prefetch(from + i, 0, 2);
  }

  // The sequences that end with this window.
  void keep_last(const Window& w, Matrix<const T> h) {
    for (Index i = w.continue_; i < w.rows; ++i) std::copy_n(h.row(w.size() - w.rows + i), n, r_last.data() + i * n);
  }

  template <class Place, class Work> void walk(const Place& place, const Work& work) {
    const auto run = [&](const Window& w, Matrix<const T> before, Matrix<T> h) {
      states(w, before, h);
      keep_last(w, h);
    };
    Base::walk(r0.matrix(timeline.batch, n), place, run, work);
  }

  double last_loss(Losses<T>& losses, bool gradient) {
    const Matrix<T> o = o_window.matrix(timeline.batch, net.n_out);
    multiply(p.c, last_states(), V_transposed, o);
    losses(single_step(timeline.batch), 0, timeline.batch, o, gradient);
    return losses.total(timeline.batch);
  }

  // da(t) = (V^T do(t) + W^T da(t+1)) * (1 - h(t)^2), from the last step of the window to its first.
  void back_through_time(const Window& w, const Share& share, Matrix<const T> h, Matrix<const T> d_o, Matrix<T> da) const {
    const Index step = -w.rows * n;
    const auto run = [&](Index t, Index count, Index begin, Index end, Matrix<const T> da_after) {
      const Index first = t * w.rows + begin, rows = end - begin;
      if (count == 0 || rows == 0) return;
      Sum<T> dh(k);
      if (net.readout == Readout::last)
        da_after.data != nullptr ? dh.from(zero.data()) : dh.from(Matrix<const T>(dh_last.data() + begin * n, rows, n));
      else if (ahead(w, V_packed))
        dh.from(da.middle_rows(first, rows), step);
      else
        dh.from(zero.data()).plus(d_o.middle_rows(first, rows), V_packed, -w.rows * net.n_out);
      if (da_after.data != nullptr) dh.plus(da_after, W_packed, step);
      dh.repeat(count).only_columns(share.column_from, share.column_to, share.first % 2 != 0);
      dh.times_derivative_into(h.middle_rows(first, rows), da.middle_rows(first, rows), step);
    };
    const Index from = share.row_from, to = share.row_to, least = w.steps - share.last;
    Index t = w.steps - 1 - share.first, count;
    if (share.first == 0) {
      const Index goes_on = std::clamp(w.continue_, from, to);  // beyond: sequences that end here
      run(t, 1, from, goes_on, {da_next.data() + from * n, goes_on - from, n});
      run(t, 1, goes_on, to, {});
      --t;
    }
    for (; t >= least; t -= count) {
      count = 1;
      if (!resets_at(w, t + 1))
        while (t - count >= least && !resets_at(w, t + 1 - count)) ++count;
      run(t, count, from, to, seen(w, t + 1, share, da.middle_rows((t + 1) * w.rows + from, to - from)));
    }
  }

  Packed<T> W_packed, V_packed;
  Array<T> cut, dh_last, da_window, da_next;  // cut: see `seen`
};

}  // namespace

template <class T> void forward(const Network& network, const T* parameters, const Batch<T>& batch, const States<T>& results) {
  Elman<T>(network, parameters, batch).forward(results);
}

template <class T> double loss(const Network& network, const T* parameters, const Batch<T>& batch) {
  return Elman<T>(network, parameters, batch).loss();
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const Gradients<T>& results,
                          Index memory_limit) {
  return Elman<T>(network, parameters, batch).loss_and_gradients(results, memory_limit);
}

template void forward(const Network&, const float*, const Batch<float>&, const States<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const States<double>&);
template double loss(const Network&, const float*, const Batch<float>&);
template double loss(const Network&, const double*, const Batch<double>&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const Gradients<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const Gradients<double>&, Index);

}  // namespace bptt::elman
