// The network whose recurrence runs from hidden to hidden units (figure 10.3; figure 10.5 where only the last step is read out):
// forward left to right, back-propagation through time right to left. Knows no instruction set.
#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "bptt.hpp"
#include "isa.hpp"
#include "products.hpp"
#include "readout.hpp"
#include "threads.hpp"
#include "tokens.hpp"

namespace bptt {
namespace {

constexpr Index rows_per_window = 400;         // a window of h, o and their gradients stays in near memory
constexpr Index rows_per_piece = 24;           // of a product over a window: a multiple of every tile's rows
constexpr double near_memory = 1 << 20;        // bytes that a core has at hand
constexpr double operations_per_thread = 1e5;  // what is less than this is not worth a meeting of threads
constexpr double worth_meeting = 2.5e4;        // elements of W: a step that takes some times what a meeting does

template <class T> class Elman {
 public:
  Elman(const Network& network, const T* parameters, const Batch<T>& batch)
      : net(network),
        k(kernels<T>()),
        p(network, parameters),
        timeline(batch.lengths, rows_per_window),
        n(network.n_hidden),
        call(double(timeline.stored) * double((net.n_in + n + net.n_out) * n)) {
    x = timeline.sort(batch.x);
    tokens = timeline.sort(batch.tokens);
    sorted.targets = timeline.sort(batch.targets);
    sorted.y = timeline.sort(batch.y);
    sorted.weight = timeline.sort(batch.weight);
    h0 = Array<T>(timeline.batch * n);
    if (batch.h0.given())
      gather(timeline.sort(batch.h0), single_step(timeline.batch), n, 0, timeline.batch, h0.data());
    else
      std::fill_n(h0.data(), timeline.batch * n, T(0));
    zero = Array<T>(std::max(n, net.n_in));
    std::fill_n(zero.data(), std::max(n, net.n_in), T(0));
    W_transposed = pack_transposed<T>(k, p.W, call.threads());
    V_transposed = pack_transposed<T>(k, p.V, call.threads());
    o_window = Array<T>(std::max(timeline.largest, timeline.batch) * net.n_out);
    h_last = Array<T>(timeline.batch * n);
    if (net.input == Input::real) {
      U_transposed = pack_transposed<T>(k, p.U, call.threads());
      x_window = Array<T>(timeline.largest * net.n_in);
      x_is_dense = is_dense(x, timeline, net.n_in);
      reads_x_in_place = x_is_dense && net.n_in % k.lanes == 0;  // kernels may read to the end of a row's last vector
    } else {
      token_window = Array<std::int32_t>(timeline.largest);
      if (net.n_in <= timeline.stored) make_token_table();
    }
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
    const Window all = single_step(timeline.batch);
    scatter(h_last.data(), all, n, 0, timeline.batch, timeline.sort(results.h_last));
    if (net.readout == Readout::last) {
      multiply(p.c, last_states(), V_transposed, o_window.matrix(timeline.batch, net.n_out));
      scatter(o_window.data(), all, net.n_out, 0, timeline.batch, o);
    }
  }

  double loss() {
    Losses<T> losses(net, k, sorted, std::max(timeline.largest, timeline.batch));
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
    // Left to right: the states are stored, all of them or, to save memory, those before each segment and those of the last.
    const Index bytes_per_row = n * Index(sizeof(T));
    const Segments segments = cut_into_segments(timeline, memory_limit < 0 ? timeline.stored : memory_limit / bytes_per_row);
    if (segments.list.empty())
      throw std::invalid_argument("memory_limit: expected at least " + std::to_string(segments.smallest * bytes_per_row) +
                                  " bytes for these sequences, got " + std::to_string(memory_limit));
    const Array<T> kept(segments.kept * n), store(segments.longest * n);
    const auto run_through = [&](const Segment& segment, const T* before_first) {
      const Window& first = timeline.windows[std::size_t(segment.from)];
      Matrix<const T> before(before_first, first.rows, n);
      for (Index i = segment.from; i < segment.to; ++i) {
        const Window& w = timeline.windows[std::size_t(i)];
        const Matrix<T> h(store.data() + (w.first - first.first) * n, w.size(), n);
        states(w, before, h);
        keep_last(w, h);
        before = h.middle_rows(w.size() - w.rows, w.continue_);
      }
      return before;  // the next segment's
    };
    std::vector<const T*> before_segment;
    Matrix<const T> before_next(h0.data(), timeline.batch, n);
    T* place = kept.data();
    for (const Segment& segment : segments.list) {
      std::copy_n(before_next.data, before_next.rows * n, place);
      before_segment.push_back(place);
      place += before_next.rows * n;
      before_next = run_through(segment, before_segment.back());
    }
    scatter(h_last.data(), single_step(timeline.batch), n, 0, timeline.batch, timeline.sort(results.h_last));

    // Right to left: o(t), the loss and da(t) are made window by window.
    const Parameters<T> d(net, results.flat);
    const WeightGradient<T> dW(k, d.W), dV(k, d.V);
    std::fill_n(d.b, n, T(0));
    std::fill_n(d.c, net.n_out, T(0));
    const bool real = net.input == Input::real;
    const WeightGradient<T> dU(k, real ? d.U : Matrix<T>(d.U.data, 0, 0));
    TokenGradient<T> dU_of_tokens(k, real ? Matrix<T>(d.U.data, 0, 0) : d.U, timeline.largest, has_token_table());
    W_packed = pack<T>(k, p.W, call.threads());
    V_packed = pack<T>(k, p.V, call.threads());
    da_window = Array<T>(timeline.largest * n);
    da_next = Array<T>(timeline.batch * n);
    const Rows<T> dx = timeline.sort(results.x);
    Array<T> dx_window;
    if (dx.given()) {
      U_packed = pack<T>(k, p.U, call.threads());
      dx_window = Array<T>(timeline.largest * net.n_in);
    }
    Losses<T> losses(net, k, sorted, std::max(timeline.largest, timeline.batch));
    std::vector<Outer<T>> products;
    Blocks<T> h_blocks, da_blocks, do_blocks, x_blocks;
    std::vector<double> window_losses(timeline.windows.size(), 0.0);  // added up from first to last, as loss() does

    if (net.readout == Readout::last) {
      window_losses[0] = last_loss(losses, true);
      const Matrix<T> d_o = o_window.matrix(timeline.batch, net.n_out);
      dh_last = Array<T>(timeline.batch * n);
      multiply(zero.data(), d_o, V_packed, dh_last.matrix(timeline.batch, n));
      dV.add(d_o, last_states(), products);
      run(products, {{d_o, d.c}});
    }

    const bool far = double(segments.longest) * double(bytes_per_row) > 4 * near_memory;
    const auto back_through = [&](const Window* w, Matrix<const T> before, Matrix<const T> h) {
      const Matrix<T> d_o = o_window.matrix(w->size(), net.n_out), da = da_window.matrix(w->size(), n);
      const bool every_step = net.readout == Readout::all;

      if (every_step && large(V_transposed)) multiply(p.c, h, V_transposed, d_o);
      pieces(*w, [&](Index from, Index to) {
        const Index rows = to - from;
        if (real && !reads_x_in_place) gather(x, *w, net.n_in, from, to, x_window.data());
        if (!real) gather_indices(tokens, *w, 0, net.n_in - 1, from, to, token_window.data());
        if (!every_step) return;
        if (!large(V_transposed)) outputs(h.middle_rows(from, rows), d_o.middle_rows(from, rows));
        losses(*w, from, to, d_o, true);
        if (far && h.data - store.data() >= w->size() * n) prefetch(h.row(from) - w->size() * n, rows * n);
        if (ahead(*w, V_packed) && !large(V_packed))
          Sum<T>(k).from(zero.data()).plus(d_o.middle_rows(from, rows), V_packed).into(da.middle_rows(from, rows));
      });
      if (every_step && large(V_packed)) multiply(zero.data(), d_o, V_packed, da);
      if (every_step) window_losses[std::size_t(w - timeline.windows.data())] = losses.total(w->size());
      steps(*w, [&](const Share& share) { back_through_time(*w, share, h, d_o, da); });

      // Products over all steps of the window.
      const Matrix<const T> x_w(reads_x_in_place ? x(w->begin, 0) : x_window.data(), w->size(), net.n_in);
      const double bytes = double(w->size()) * double(n + std::max({n, net.n_in, net.n_out})) * sizeof(T);
      const bool copies =
          bytes > near_memory * double(k.panel * Index(sizeof(T))) / (2 * alignment);  // narrow vectors load more often
      if (copies) {
        if (h_blocks.row(0) == nullptr) {
          h_blocks = Blocks<T>(timeline.largest + timeline.batch, n, k.panel);
          da_blocks = Blocks<T>(timeline.largest, n, k.tile_rows);
          do_blocks = Blocks<T>(timeline.largest, net.n_out, k.tile_rows);
          if (real) x_blocks = Blocks<T>(timeline.largest, net.n_in, k.panel);
        }
        pieces(*w, [&](Index from, Index to) {
          if (from == 0) h_blocks.copy(k, before, 0);
          h_blocks.copy(k, h.middle_rows(from, to - from), w->rows + from);
          da_blocks.copy(k, da.middle_rows(from, to - from), from);
          if (every_step && !dV.transposed()) do_blocks.copy(k, d_o.middle_rows(from, to - from), from);
          if (real && !dU.transposed()) x_blocks.copy(k, x_w.middle_rows(from, to - from), from);
        });
        dW.add(da_blocks, h_blocks, 0, w->size(), products);
      } else {
        dW.add(da, before, h, products);
      }
      if (every_step && copies && !dV.transposed())
        dV.add(do_blocks, h_blocks, w->rows, w->size(), products);
      else if (every_step)
        dV.add(d_o, h, products);
      if (real && copies && !dU.transposed())
        dU.add(da_blocks, x_blocks, 0, w->size(), products);
      else if (real)
        dU.add(da, x_w, products);
      run(products, {{da, d.b}, {every_step ? d_o : Matrix<const T>(), d.c}});
      if (!real) dU_of_tokens.add(token_window.data(), da);
      if (dx.given()) {
        multiply(zero.data(), da, U_packed, dx_window.matrix(w->size(), net.n_in));
        pieces(*w, [&](Index from, Index to) { scatter(dx_window.data(), *w, net.n_in, from, to, dx); });
      }
      std::copy_n(da.data, w->rows * n, da_next.data());
    };
    for (std::size_t s = segments.list.size(); s-- > 0;) {
      const Segment& segment = segments.list[s];
      if (s + 1 < segments.list.size()) run_through(segment, before_segment[s]);
      const Window* const w = timeline.windows.data();
      const Index first = w[segment.from].first;
      for (Index i = segment.to; i-- > segment.from;) {
        const T* const before = i == segment.from ? before_segment[s] : store.data() + (w[i].before - first) * n;
        back_through(w + i, {before, w[i].rows, n}, {store.data() + (w[i].first - first) * n, w[i].size(), n});
      }
    }

    dW.finish();
    dV.finish();
    dU.finish();
    dU_of_tokens.finish();
    const Matrix<T> dh0 = da_window.matrix(timeline.batch, n);  // dL/dh(0) = W^T da(1)
    multiply(zero.data(), da_next.matrix(timeline.batch, n), W_packed, dh0);
    scatter(dh0.data, single_step(timeline.batch), n, 0, timeline.batch, timeline.sort(results.h0));
    return std::accumulate(window_losses.begin(), window_losses.end(), 0.0);
  }

 private:
  // With few rows a step is a product of a matrix and hardly more than a vector: then what is not recurrent, a product with
  // `other`, is taken out of the loop over time and made into a product over many steps. With many rows one tile does the whole
  // step, where both matrices stay in near memory.
  bool ahead(const Window& w, const Packed<T>& other) const { return w.rows < k.tile_rows || large(W_transposed) || large(other); }

  int threads_for(double operations) const {
    return int(std::clamp(operations / operations_per_thread, 1.0, double(call.threads())));
  }

  // Cuts the rows of a window: all its steps are one long list, for what does not depend on the step before.
  template <class Work> void pieces(const Window& w, const Work& work) const {
    const double operations = double(w.size()) * double((n + net.n_in) * net.n_out + net.n_in * n);
    const int threads = threads_for(operations);
    const Index rounds = (w.size() + rows_per_piece * threads - 1) / (rows_per_piece * threads);
    const Index count = std::min<Index>(w.size(), rounds * threads);
    parallel(count, threads, [&](Index i) { work(w.size() * i / count, w.size() * (i + 1) / count); });
  }

  // out = start + A B over all rows, of a window or of a batch: in blocks of rows, read again for every panel and so no larger than
  // what the cores share, and of columns, so that each thread reads its own part of B.
  void multiply(const T* start, Matrix<const T> a, const Packed<T>& b, Matrix<T> out) const {
    const int threads = threads_for(double(a.rows) * double(b.depth) * double(b.columns));
    const Index panels = (b.columns + k.panel - 1) / k.panel, parts = std::clamp<Index>(panels / 2, 1, threads);
    const Index blocks = 1 + Index(double(a.rows) * double(b.depth) * sizeof(T) / (near_memory * 2));
    parallel(blocks * parts, threads, [&](Index i) {
      const Index from = a.rows * (i / parts) / blocks, to = a.rows * (i / parts + 1) / blocks, part = i % parts;
      Sum<T> sum(k);
      sum.from(start).plus(a.middle_rows(from, to - from), b);
      sum.only_columns(panels * part / parts * k.panel, panels * (part + 1) / parts * k.panel);
      sum.into(out.middle_rows(from, to - from));
    });
  }

  // Of what lies outside near memory every product reads as little and as rarely as it can.
  static bool large(const Packed<T>& b) { return double(b.depth) * double(b.columns) * sizeof(T) > near_memory / 2; }

  // What one thread takes through steps [first, last) of a window, counted in the order of work.
  struct Share {
    Index row_from, row_to, column_from, column_to, first, last;
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
          work(Share{0, w.rows, from, to, t, t + 1});
          if (t + 1 < w.steps) member.meet();
        }
      });
      return;
    }
    const int threads = int(std::min<Index>(w.rows, threads_for(double(w.size()) * double((n + net.n_in + net.n_out) * n))));
    parallel(threads, threads, [&](Index i) { work(Share{w.rows * i / threads, w.rows * (i + 1) / threads, 0, n, 0, w.steps}); });
  }

  // sums += the rows of m, added up.
  struct RowSum {
    Matrix<const T> m;
    T* sums;
  };

  void run(std::vector<Outer<T>>& products, std::initializer_list<RowSum> row_sums) const {
    double operations = 0;
    for (const Outer<T>& s : products) operations += double(s.rows) * double(s.m) * double(s.n);
    const Index first = Index(row_sums.size());
    parallel(first + Index(products.size()), threads_for(operations), [&](Index i) {
      if (i >= first) return k.outer(products[std::size_t(i - first)]);
      const RowSum& s = row_sums.begin()[i];
      k.add_rows(s.m.data, s.m.stride, nullptr, s.m.rows, s.m.cols, s.sums);
    });
    products.clear();
  }

  // One row per token: b + the token's column of U.
  void make_token_table() {
    token_table = Array<T>(net.n_in * n);
    for (Index j = 0; j < n; ++j)
      for (Index token = 0; token < net.n_in; ++token) token_table[token * n + j] = p.b[j] + p.U(j, token);
  }

  bool has_token_table() const { return net.n_in <= timeline.stored; }

  // h(t) of the window, from h(t-1) of the step before it.
  void states(const Window& w, Matrix<const T> before, Matrix<T> h) {
    const bool real = net.input == Input::real;
    const bool start_in_place =
        real ? ahead(w, U_transposed) : !has_token_table();  // h holds a(t) - W h(t-1) when its step is taken
    const Matrix<const T> x_w(x_is_dense ? x(w.begin, 0) : x_window.data(), w.size(), net.n_in);
    const auto fetch = [&](Index from, Index to) {
      if (!real) gather_indices(tokens, w, 0, net.n_in - 1, from, to, token_window.data());
      if (real && !x_is_dense) gather(x, w, net.n_in, from, to, x_window.data());
    };
    if (start_in_place || by_columns(w)) {
      pieces(w, [&](Index from, Index to) {
        fetch(from, to);
        const Index rows = to - from;
        if (!start_in_place || (real && large(U_transposed))) return;
        if (real) return Sum<T>(k).from(p.b).plus(x_w.middle_rows(from, rows), U_transposed).into(h.middle_rows(from, rows));
        for (Index f = from; f < to; ++f)
          for (Index j = 0; j < n; ++j) h(f, j) = p.b[j] + p.U(j, token_window[f]);
      });
      if (start_in_place && real && large(U_transposed)) multiply(p.b, x_w, U_transposed, h);
    }
    steps(w, [&](const Share& share) {
      const Index rows = share.rows();
      const auto run = [&](Index t, Index count, Matrix<const T> h_before) {
        const Index first = t * w.rows + share.row_from;
        if (!start_in_place && !by_columns(w))
          for (Index i = 0; i < count; ++i) fetch(first + i * w.rows, first + i * w.rows + rows);
        const Matrix<T> h_t = h.middle_rows(first, rows);
        Sum<T> a(k);
        if (start_in_place)
          a.from(h_t, w.rows * n);
        else if (real)
          a.from(p.b).plus(x_w.middle_rows(first, rows), U_transposed, w.rows * net.n_in);
        else
          a.from({token_table.data(), net.n_in, n}, token_window.data() + first, w.rows);
        a.plus(h_before, W_transposed, w.rows * n)
            .repeat(count)
            .only_columns(share.column_from, share.column_to, share.first % 2 != 0);
        a.tanh_into(h_t, w.rows * n);
      };
      Index t = share.first;
      if (t == 0) run(t++, 1, before.middle_rows(share.row_from, rows));
      if (t < share.last) run(t, share.last - t, h.middle_rows((t - 1) * w.rows + share.row_from, rows));
    });
  }

  // What the window before this one will read.
  static void prefetch(const T* from, Index count) {
    for (Index i = 0; i < count; i += Index(alignment / sizeof(T))) __builtin_prefetch(from + i, 0, 2);
  }

  // o(t) = c + V h(t)
  void outputs(Matrix<const T> h, Matrix<T> o) const { Sum<T>(k).from(p.c).plus(h, V_transposed).into(o); }

  Matrix<const T> last_states() const { return {h_last.data(), timeline.batch, n}; }

  // The sequences that end with this window.
  void keep_last(const Window& w, Matrix<const T> h) {
    for (Index i = w.continue_; i < w.rows; ++i) std::copy_n(h.row(w.size() - w.rows + i), n, h_last.data() + i * n);
  }

  // All windows, holding the states of one at a time; `place` says where they go, nullptr for anywhere.
  template <class Place, class Work> void walk(const Place& place, const Work& work) {
    Array<T> window, before(timeline.batch * n);
    std::copy_n(h0.data(), timeline.batch * n, before.data());
    for (const Window& w : timeline.windows) {
      T* to = place(w);
      if (to == nullptr && window.data() == nullptr) window = Array<T>(timeline.largest * n);
      const Matrix<T> h(to != nullptr ? to : window.data(), w.size(), n);
      states(w, before.matrix(w.rows, n), h);
      keep_last(w, h);
      work(w, h);
      std::copy_n(h.row(w.size() - w.rows), w.rows * n, before.data());
    }
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
    const Index last = w.steps - 1 - share.first, from = share.row_from, to = share.row_to;
    if (share.first > 0)
      return run(last, share.last - share.first, from, to, da.middle_rows((last + 1) * w.rows + from, to - from));
    const Index goes_on = std::clamp(w.continue_, from, to);  // beyond: sequences that end here
    run(last, 1, from, goes_on, {da_next.data() + from * n, goes_on - from, n});
    run(last, 1, goes_on, to, {});
    run(last - 1, share.last - 1, from, to, da.middle_rows(last * w.rows + from, to - from));
  }

  const Network& net;
  const Kernels<T>& k;
  const Parameters<const T> p;
  const Timeline timeline;
  const Index n;  // n_hidden
  const Call call;

  Rows<const T> x;
  bool x_is_dense = false, reads_x_in_place = false;
  Rows<const std::int64_t> tokens;
  Batch<T> sorted;  // what the losses read
  Packed<T> U_transposed, W_transposed, V_transposed, U_packed, W_packed, V_packed;
  Array<T> h0, h_last, dh_last, zero, token_table, x_window, o_window, da_window, da_next;
  Array<std::int32_t> token_window;
};

}  // namespace

template <class T> void forward(const Network& network, const T* parameters, const Batch<T>& batch, const States<T>& results) {
  const FlushDenormals flush;
  Elman<T>(network, parameters, batch).forward(results);
}

template <class T> double loss(const Network& network, const T* parameters, const Batch<T>& batch) {
  const FlushDenormals flush;
  return Elman<T>(network, parameters, batch).loss();
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const Gradients<T>& results,
                          Index memory_limit) {
  const FlushDenormals flush;
  return Elman<T>(network, parameters, batch).loss_and_gradients(results, memory_limit);
}

template void forward(const Network&, const float*, const Batch<float>&, const States<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const States<double>&);
template double loss(const Network&, const float*, const Batch<float>&);
template double loss(const Network&, const double*, const Batch<double>&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const Gradients<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const Gradients<double>&, Index);

}  // namespace bptt
