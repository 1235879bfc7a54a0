// What the networks share: a batch cut into windows, its inputs, the outputs and losses, and the sums over all steps that make the
// gradients. Knows no recurrence and no instruction set.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "bptt.hpp"
#include "isa.hpp"
#include "products.hpp"
#include "readout.hpp"
#include "threads.hpp"
#include "tokens.hpp"

namespace bptt {

constexpr Index rows_per_window = 400;         // a window of h, o and their gradients stays in near memory
constexpr Index rows_per_piece = 24;           // of a product over a window: a multiple of every tile's rows
constexpr double near_memory = 1 << 20;        // bytes that a core has at hand
constexpr double operations_per_thread = 1e5;  // what is less than this is not worth a meeting of threads

template <class T> class Unfolded {
 protected:
  Unfolded(const Network& network, const T* parameters, const Batch<T>& batch)
      : net(network),
        k(kernels<T>()),
        p(network, parameters),
        timeline(batch.lengths, rows_per_window),
        n(network.n_hidden),
        real(network.input == Input::real),
        call(double(timeline.stored) * double((net.n_in + net.n_recurrent() + net.n_out) * n)) {
    x = timeline.sort(batch.x);
    tokens = timeline.sort(batch.tokens);
    reset = timeline.sort(batch.reset);
    sorted.targets = timeline.sort(batch.targets);
    sorted.y = timeline.sort(batch.y);
    sorted.weight = timeline.sort(batch.weight);
    const Index n_r = net.n_recurrent(), widest = std::max({n, net.n_in, n_r});
    r0 = Array<T>(timeline.batch * n_r);
    if (batch.r0.given())
      gather(timeline.sort(batch.r0), single_step(timeline.batch), n_r, 0, timeline.batch, r0.data());
    else
      std::fill_n(r0.data(), timeline.batch * n_r, T(0));
    zero = Array<T>(widest);
    std::fill_n(zero.data(), widest, T(0));
    W_transposed = pack_transposed<T>(k, p.W, call.threads());
    V_transposed = pack_transposed<T>(k, p.V, call.threads());
    o_window = Array<T>(std::max(timeline.largest, timeline.batch) * net.n_out);
    r_last = Array<T>(timeline.batch * n_r);
    if (real) {
      U_transposed = pack_transposed<T>(k, p.U, call.threads());
      x_window = Array<T>(timeline.largest * net.n_in);
      x_is_dense = is_dense(x, timeline, net.n_in);
      reads_x_in_place = x_is_dense && net.n_in % k.lanes == 0;  // kernels may read to the end of a row's last vector
    } else {
      token_window = Array<std::int32_t>(timeline.largest);
      if (has_token_table()) make_token_table();
    }
    for (Index i = 0; reset.given() && i < timeline.batch; ++i) {
      resets.resize(std::size_t(timeline.tau));
      for (Index t = 0; t < batch.lengths[std::size_t(timeline.order[std::size_t(i)])]; ++t)
        resets[std::size_t(t)] |= *reset(t, i) != 0;
    }
    zero_where_reset(timeline.windows[0], 0, 0, r0.matrix(timeline.batch, n_r));
  }

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

  // With few rows a step is a product of a matrix and hardly more than a vector: then what is not recurrent, a product with
  // `other`, is taken out of the loop over time and made into a product over many steps. With many rows one tile does the whole
  // step, where both matrices stay in near memory.
  bool ahead(const Window& w, const Packed<T>& other) const { return w.rows < k.tile_rows || large(W_transposed) || large(other); }

  // ---- Inputs ----

  // One row per token: b + the token's column of U.
  void make_token_table() {
    token_table = Array<T>(net.n_in * n);
    for (Index j = 0; j < n; ++j)
      for (Index token = 0; token < net.n_in; ++token) token_table[token * n + j] = p.b[j] + p.U(j, token);
  }

  bool has_token_table() const { return net.n_in <= timeline.stored; }

  Matrix<const T> inputs(const Window& w) const { return {x_is_dense ? x(w.begin, 0) : x_window.data(), w.size(), net.n_in}; }

  // Rows [from, to) of the window's inputs to where `inputs` and the tokens' readers find them.
  void fetch(const Window& w, Index from, Index to) {
    if (!real) gather_indices(tokens, w, 0, net.n_in - 1, from, to, token_window.data());
    if (real && !x_is_dense) gather(x, w, net.n_in, from, to, x_window.data());
  }

  // ---- New sequences in the middle of a stream ----

  bool resets_at(const Window& w, Index t) const { return !resets.empty() && resets[std::size_t(w.begin + t)] != 0; }
  bool resets_in(const Window& w, Index from, Index to) const {
    for (Index t = from; t < to; ++t)
      if (resets_at(w, t)) return true;
    return false;
  }

  // Of rows [from, from + rows.rows) of a step, those in which a new sequence begins become 0.
  void zero_where_reset(const Window& w, Index t, Index from, Matrix<T> rows) const {
    if (!resets_at(w, t)) return;
    for (Index i = 0; i < rows.rows; ++i)
      if (*reset(w.begin + t, from + i) != 0) std::fill_n(rows.row(i), rows.cols, T(0));
  }

  // ---- Outputs ----

  // o(t) = c + V h(t)
  void outputs(Matrix<const T> h, Matrix<T> o) const { Sum<T>(k).from(p.c).plus(h, V_transposed).into(o); }

  Matrix<const T> last_states() const { return {r_last.data(), timeline.batch, net.n_recurrent()}; }

  void give_last(const Rows<T>& to) const {
    scatter(r_last.data(), single_step(timeline.batch), net.n_recurrent(), 0, timeline.batch, timeline.sort(to));
  }

  // ---- Gradients: sums over all steps, window after window ----

  class Sums {
   public:
    Sums(Unfolded& of, const Gradients<T>& results)
        : u(of),
          d(of.net, results.flat),
          dW(of.k, d.W),
          dV(of.k, d.V),
          dU(of.k, of.real ? d.U : Matrix<T>(d.U.data, 0, 0)),
          dU_of_tokens(of.k, of.real ? Matrix<T>(d.U.data, 0, 0) : d.U, of.timeline.largest, of.has_token_table()),
          dx(of.timeline.sort(results.x)) {
      std::fill_n(results.flat, of.net.size(), T(0));
      if (!dx.given()) return;
      U_packed = pack<T>(of.k, of.p.U, of.call.threads());
      dx_window = Array<T>(of.timeline.largest * of.net.n_in);
    }

    // Copies what the window's products read where its rows are long (see Blocks). `before` is h before the window, if dW needs it.
    void begin(const Window& w, Matrix<const T> before, Matrix<const T> h, Matrix<const T> d_o, Matrix<const T> da) {
      const Network& net = u.net;
      const double bytes = double(w.size()) * double(u.n + std::max({u.n, net.n_in, net.n_out})) * sizeof(T);
      copies = bytes > near_memory * double(u.k.panel * Index(sizeof(T))) / (2 * alignment);  // narrow vectors load more often
      if (!copies) return;
      const Index largest = u.timeline.largest;
      if (h_blocks.row(0) == nullptr) {
        h_blocks = Blocks<T>(largest + u.timeline.batch, u.n, u.k.panel);
        da_blocks = Blocks<T>(largest, u.n, u.k.tile_rows);
        do_blocks = Blocks<T>(largest, net.n_out, u.k.tile_rows);
        if (u.real) x_blocks = Blocks<T>(largest, net.n_in, u.k.panel);
      }
      h_from = before.rows;
      u.pieces(w, [&](Index from, Index to) {
        if (from == 0) h_blocks.copy(u.k, before, 0);
        h_blocks.copy(u.k, h.middle_rows(from, to - from), h_from + from);
        da_blocks.copy(u.k, da.middle_rows(from, to - from), from);
        if (d_o.rows > 0 && !dV.transposed()) do_blocks.copy(u.k, d_o.middle_rows(from, to - from), from);
        if (u.real && !dU.transposed()) x_blocks.copy(u.k, x_w(w).middle_rows(from, to - from), from);
      });
    }

    // dW += sum over the window of da(t) h(t-1)^T, where h(t-1) lies in `before` and h
    void add_dW(const Window& w, Matrix<const T> before, Matrix<const T> h, Matrix<const T> da) {
      copies ? dW.add(da_blocks, h_blocks, 0, w.size(), products) : dW.add(da, before, h, products);
    }

    // Where a new sequence begins, dW is no part of da: row r becomes 0.
    void leave_out(Index r, Matrix<T> da) {
      std::fill_n(da.row(r), da.cols, T(0));
      if (copies) da_blocks.copy(u.k, Matrix<const T>(da).middle_rows(r, 1), r);
    }

    // What each row's token or class adds to its column.
    struct TokenSum {
      TokenGradient<T>* gradient = nullptr;
      const std::int32_t* token = nullptr;
      Matrix<const T> da;
    };

    // The other sums of the window, and those of `targets` if there are any. d_o has no rows where only the last step has an
    // output.
    void add(const Window& w, Matrix<const T> h, Matrix<const T> d_o, Matrix<const T> da, TokenSum targets = {}) {
      const bool every_step = d_o.rows > 0;
      if (every_step && copies && !dV.transposed())
        dV.add(do_blocks, h_blocks, h_from, w.size(), products);
      else if (every_step)
        dV.add(d_o, h, products);
      if (u.real && copies && !dU.transposed())
        dU.add(da_blocks, x_blocks, 0, w.size(), products);
      else if (u.real)
        dU.add(da, x_w(w), products);
      run({{da, d.b}, {d_o, d.c}}, {{u.real ? nullptr : &dU_of_tokens, u.token_window.data(), da}, targets});
      if (dx.given()) {
        u.multiply(u.zero.data(), da, U_packed, dx_window.matrix(w.size(), u.net.n_in));
        u.pieces(w, [&](Index from, Index to) { scatter(dx_window.data(), w, u.net.n_in, from, to, dx); });
      }
    }

    // sums += the rows of m, added up.
    struct RowSum {
      Matrix<const T> m;
      T* sums;
    };

    // Runs what was added to `products`, and these sums beside it.
    void run(std::initializer_list<RowSum> row_sums, std::initializer_list<TokenSum> token_sums = {}) {
      double operations = 0;
      for (const Outer<T>& s : products) operations += double(s.rows) * double(s.m) * double(s.n);
      const Index rows = Index(row_sums.size()), others = rows + Index(token_sums.size());
      parallel(others + Index(products.size()), u.threads_for(operations), [&](Index i) {
        if (i >= others) return u.k.outer(products[std::size_t(i - others)]);
        if (i < rows) {
          const RowSum& s = row_sums.begin()[i];
          return u.k.add_rows(s.m.data, s.m.stride, nullptr, s.m.rows, s.m.cols, s.sums);
        }
        const TokenSum& s = token_sums.begin()[i - rows];
        if (s.gradient != nullptr) s.gradient->add(s.token, s.da);
      });
      products.clear();
    }

    void finish() {
      dW.finish();
      dV.finish();
      dU.finish();
      dU_of_tokens.finish();
    }

    Unfolded& u;
    const Parameters<T> d;
    const WeightGradient<T> dW, dV, dU;
    TokenGradient<T> dU_of_tokens;
    std::vector<Outer<T>> products;

   private:
    Matrix<const T> x_w(const Window& w) const {
      return {u.reads_x_in_place ? u.x(w.begin, 0) : u.x_window.data(), w.size(), u.net.n_in};
    }

    Packed<T> U_packed;
    const Rows<T> dx;
    Array<T> dx_window;
    Blocks<T> h_blocks, da_blocks, do_blocks, x_blocks;
    Index h_from = 0;
    bool copies = false;
  };

  // What `Sums` and the losses need of the window's inputs.
  void fetch_for_sums(const Window& w, Index from, Index to) {
    if (real && !reads_x_in_place) gather(x, w, net.n_in, from, to, x_window.data());
    if (!real) gather_indices(tokens, w, 0, net.n_in - 1, from, to, token_window.data());
  }

  // All windows, holding the states of one at a time; `place` says where they go, nullptr for anywhere; run(window, before, h)
  // computes them.
  template <class Place, class Run, class Work>
  void walk(Matrix<const T> before_first, const Place& place, const Run& run, const Work& work) {
    Array<T> window, before(timeline.batch * n);
    std::copy_n(before_first.data, before_first.rows * n, before.data());
    for (const Window& w : timeline.windows) {
      T* to = place(w);
      if (to == nullptr && window.data() == nullptr) window = Array<T>(timeline.largest * n);
      const Matrix<T> h(to != nullptr ? to : window.data(), w.size(), n);
      run(w, before.matrix(w.rows, n), h);
      work(w, h);
      std::copy_n(h.row(w.size() - w.rows), w.rows * n, before.data());
    }
  }

  const Network& net;
  const Kernels<T>& k;
  const Parameters<const T> p;
  const Timeline timeline;
  const Index n;  // n_hidden
  const bool real;
  const Call call;

  Rows<const T> x;
  bool x_is_dense = false, reads_x_in_place = false;
  Rows<const std::int64_t> tokens;
  Rows<const std::uint8_t> reset;
  std::vector<char> resets;  // whether a new sequence begins at a step in any row
  Batch<T> sorted;           // what the losses read
  Packed<T> U_transposed, W_transposed, V_transposed;
  Array<T> r0, r_last, zero, token_table, x_window, o_window;
  Array<std::int32_t> token_window;
};

}  // namespace bptt
