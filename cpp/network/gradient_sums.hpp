// The gradients of the parameters: sums over all steps (10.22-10.28), window after window.
#pragma once

#include <exception>
#include <vector>

#include "base/inline_vector.hpp"
#include "network/context.hpp"
#include "network/token_gradient.hpp"
#include "sequence/resets.hpp"

namespace bptt {

/// What a chain's sums read of a window. For hidden recurrence the r(t-1) of the rows lie in `before`, then in h. For an output
/// recurrence the first rows of da have an r(t-1), in `r`; of the others it is a class, in `r_class`.
template <class T> struct ChainTerms {
  Index chain = 0;
  Matrix<T> da;
  Matrix<const T> before, h;
  Matrix<const T> r;
  const std::int32_t* r_class = nullptr;
  Matrix<const T> x;  // no rows for tokens
  const std::int32_t* x_token = nullptr;
  const ResetFlags* reset = nullptr;  // of hidden recurrence
};

/// dU, dW, db of every chain, dV and dc; and dL/dh(0), where it is learned. Every window is collected once, in any order; then the
/// sums are closed.
template <class T> class GradientSums {
 public:
  /// `flat` is overwritten. With `recurrent_classes`, dW of a feedback of classes has a sum over classes.
  GradientSums(const Context<T>& ctx, T* flat, bool recurrent_classes = false)
      : ctx_(ctx), d_(zeroed(ctx.network, flat)), dV_(ctx.k, d_.V) {
    const Network& network = ctx.network;
    Index biases = network.n_out;
    for (const auto& d : d_.chain) {
      db_from_.push_back(biases);
      biases += d.U.rows;
    }
    biases_ = zeros<double>(biases);
    chains_.reserve(std::size_t(network.chains()));
    tasks_.reserve(16);
    row_sums_.reserve(std::size_t(network.chains()) + 1);
    for (Index c = 0; c < network.chains(); ++c) {
      const auto& d = d_.chain[std::size_t(c)];
      const Matrix<T> no_U(d.U.data, 0, 0), no_W(d.W.data, 0, 0);
      const bool token = c < network.directions() && network.input == Input::token;
      chains_.push_back({WeightGradient<T>(ctx.k, d.W),
                         WeightGradient<T>(ctx.k, token ? no_U : d.U),
                         TokenGradient<T>(ctx.k, token ? d.U : no_U, ctx.timeline.largest, d.U.cols <= ctx.timeline.stored),
                         TokenGradient<T>(ctx.k, recurrent_classes ? d.W : no_W, ctx.timeline.largest, true),
                         {},
                         {},
                         {},
                         network.learn_h0 ? zeros<double>(d.U.rows) : Array<double>(),
                         {}});
    }
  }
  ~GradientSums() { assert(closed_ || std::uncaught_exceptions() > 0); }

  /// The sums of a window: those of some chains, from bottom to top, and those of the readout, whose h [rows, n_top] are given; no
  /// rows of d_o where no step of the window has an output. Rows of da where a new sequence begins are 0 afterwards.
  void collect(const Window& w, const std::vector<ChainTerms<T>>& terms, Matrix<const T> d_o, Matrix<const T> h_top) {
    assert(!closed_);
    copy_long_rows(w, terms, d_o);
    const bool masks = has_resets(w, terms);
    // The small ones last, so that the threads end together.
    for (const ChainTerms<T>& t : terms)
      if (!masks) append_dW(w, t);
    if (d_o.rows > 0) append_dV(w, terms, d_o, h_top);
    for (std::size_t i = 0; i < terms.size(); ++i) append_dU(w, terms, i);
    for (const ChainTerms<T>& t : terms) row_sums_.push_back({t.da, biases_.data() + db_from_[std::size_t(t.chain)]});  // 10.23
    flush(&terms);
    if (!masks) return;
    for (const ChainTerms<T>& t : terms) {  // no gradient goes from there through W
      leave_out_resets(w, t);
      append_dW(w, t);
    }
    flush(nullptr);
  }

  /// Where h(0) is learned: the sum of da(t) over the rows of a chain in which a new sequence begins.
  const double* da_of_resets(Index chain) const { return chains_[std::size_t(chain)].da_of_resets.data(); }

  /// Where h(0) is learned, after a chain's last window: h(0), and the gradient of the parameter.
  void collect_first(Index chain, const T* h0, const double* gradient) {
    const auto& d = d_.chain[std::size_t(chain)];
    for (Index j = 0; j < d.U.rows; ++j) d.h0[j] = T(gradient[j]);
    Array<T>& kept = chains_[std::size_t(chain)].h0;
    kept = Array<T>(d.U.rows);
    std::copy_n(h0, d.U.rows, kept.data());
  }

  /// After the last window.
  void close() {
    assert(!closed_);
    dV_.write_back();
    std::copy_n(biases_.data(), ctx_.network.n_out, d_.c);
    for (std::size_t c = 0; c < chains_.size(); ++c) {
      const ChainSums& sums = chains_[c];
      std::copy_n(biases_.data() + db_from_[c], d_.chain[c].U.rows, d_.chain[c].b);
      sums.dW.write_back();
      sums.dU.write_back();
      sums.dU_of_tokens.write_back();
      sums.dW_of_classes.write_back();
      const Matrix<T> dW = d_.chain[c].W;
      for (Index i = 0; sums.h0.data() != nullptr && i < dW.rows; ++i)  // where a sequence begins anew, r(t-1) is h(0)
        for (Index j = 0; sums.da_of_resets[i] != 0 && j < dW.cols; ++j) dW(i, j) += T(sums.da_of_resets[i] * double(sums.h0[j]));
    }
    closed_ = true;
  }

 private:
  static Parameters<T> zeroed(const Network& network, T* flat) {
    std::fill_n(flat, size(network), T(0));
    return {network, flat};
  }

  struct ChainSums {
    WeightGradient<T> dW, dU;
    TokenGradient<T> dU_of_tokens, dW_of_classes;
    Blocks<T> h, da, x;  // copies: see `copy_long_rows`
    Array<double> da_of_resets;
    Array<T> h0;
  };
  // sums += the rows of m, added up. In double precision, as these are long sums of few numbers.
  struct RowSum {
    Matrix<const T> m;
    double* sums;
  };

  ChainSums& sums_of(const ChainTerms<T>& t) { return chains_[std::size_t(t.chain)]; }

  // Copies what the window's products read where its rows are long (see Blocks). Narrow vectors load more often.
  void copy_long_rows(const Window& w, const std::vector<ChainTerms<T>>& terms, Matrix<const T> d_o) {
    const Kernels<T>& k = ctx_.k;
    Index widest = 0;
    for (const ChainTerms<T>& t : terms) {
      const auto& d = d_.chain[std::size_t(t.chain)];
      widest = std::max(widest, d.U.rows + std::max({d.U.rows, d.U.cols, ctx_.network.n_out}));
    }
    const double bytes = double(w.size()) * double(widest) * sizeof(T);
    copies_ = bytes > L2_bytes * double(k.panel * Index(sizeof(T))) / (2 * alignment);
    if (!copies_) return;
    const Index largest = ctx_.timeline.largest;
    for (const ChainTerms<T>& t : terms) {
      ChainSums& sums = sums_of(t);
      if (sums.h.row(0) == nullptr) sums.h = Blocks<T>(largest + ctx_.timeline.batch, t.h.cols, k.panel);
      if (sums.da.row(0) == nullptr) sums.da = Blocks<T>(largest, t.da.cols, k.tile_rows);
      if (sums.x.row(0) == nullptr && &t == &terms[0] && t.x.rows > 0) sums.x = Blocks<T>(largest, t.x.cols, k.panel);
    }
    if (d_o.rows > 0 && do_blocks_.row(0) == nullptr) do_blocks_ = Blocks<T>(largest, ctx_.network.n_out, k.tile_rows);
    ctx_.for_each_row_block(w, [&](Index from, Index to) {
      const Index rows = to - from;
      for (const ChainTerms<T>& t : terms) {
        const ChainSums& sums = sums_of(t);
        if (from == 0) sums.h.copy(k, t.before, 0);
        sums.h.copy(k, t.h.middle_rows(from, rows), t.before.rows + from);
        sums.da.copy(k, Matrix<const T>(t.da).middle_rows(from, rows), from);
        if (&t == &terms[0] && t.x.rows > 0 && !sums.dU.transposed()) sums.x.copy(k, t.x.middle_rows(from, rows), from);
      }
      if (d_o.rows > 0 && !dV_.transposed()) do_blocks_.copy(k, d_o.middle_rows(from, rows), from);
    });
  }

  // dW += sum over the window of da(t) r(t-1)^T     (10.26)
  void append_dW(const Window& w, const ChainTerms<T>& t) {
    const ChainSums& sums = sums_of(t);
    if (ctx_.network.recurrence != Recurrence::h) {
      if (t.r.rows > 0) sums.dW.append(Matrix<const T>(t.da).middle_rows(0, t.r.rows), t.r, tasks_);
    } else if (copies_) {
      sums.dW.append(sums.da, sums.h, 0, w.size(), tasks_);
    } else {
      sums.dW.append(t.da, t.before, t.h, tasks_);
    }
  }

  // dU += sum over the window of da(t) x(t)^T     (10.28). The x(t) of a layer above the first are copied as h of the one below,
  // unless dropout makes them others.
  void append_dU(const Window& w, const std::vector<ChainTerms<T>>& terms, std::size_t i) {
    const ChainTerms<T>& t = terms[i];
    const ChainSums& sums = sums_of(t);
    if (t.x.rows == 0) return;
    const bool drops = i > 0 && t.x.data != terms[i - 1].h.data;
    if (!copies_ || sums.dU.transposed() || drops)
      sums.dU.append(t.da, t.x, tasks_);
    else if (i == 0)
      sums.dU.append(sums.da, sums.x, 0, w.size(), tasks_);
    else
      sums.dU.append(sums.da, sums_of(terms[i - 1]).h, terms[i - 1].before.rows, w.size(), tasks_);
  }

  // dV += sum over the window of do(t) h(t)^T     (10.24)
  void append_dV(const Window& w, const std::vector<ChainTerms<T>>& terms, Matrix<const T> d_o, Matrix<const T> h_top) {
    if (copies_ && !terms.empty() && !dV_.transposed() && h_top.data == terms.back().h.data)
      dV_.append(do_blocks_, sums_of(terms.back()).h, terms.back().before.rows, w.size(), tasks_);
    else
      dV_.append(d_o, h_top, tasks_);
    row_sums_.push_back({d_o, biases_.data()});  // 10.22
  }

  bool has_resets(const Window& w, const std::vector<ChainTerms<T>>& terms) const {
    for (const ChainTerms<T>& t : terms)
      if (t.reset != nullptr && t.reset->any_in(w)) return true;
    return false;
  }

  void leave_out_resets(const Window& w, const ChainTerms<T>& t) {
    for (Index step = 0; step < w.steps; ++step)
      for (Index i = 0; t.reset->any_at(w, step) && i < w.rows; ++i) {
        if (!t.reset->at(w.begin + step, i)) continue;
        const Index r = step * w.rows + i;
        if (const Array<double>& sum = sums_of(t).da_of_resets; sum.data() != nullptr)
          for (Index j = 0; j < t.da.cols; ++j) sum[j] += double(t.da(r, j));
        std::fill_n(t.da.row(r), t.da.cols, T(0));
        if (copies_) sums_of(t).da.copy(ctx_.k, Matrix<const T>(t.da).middle_rows(r, 1), r);
      }
  }

  // Runs the products and the sums of rows side by side: db, dc, and the columns of tokens and classes of `terms`.
  void flush(const std::vector<ChainTerms<T>>* terms) {
    double operations = 0;
    for (const Outer<T>& s : tasks_) operations += double(s.rows) * double(s.m) * double(s.n);
    const Index rows = Index(row_sums_.size()), tokens = terms == nullptr ? 0 : 2 * Index(terms->size());
    const auto work = [&](Index i) {
      if (i >= rows + tokens) return ctx_.k.outer(tasks_[std::size_t(i - rows - tokens)]);
      if (i < rows) {
        const RowSum& s = row_sums_[std::size_t(i)];
        return ctx_.k.add_rows_in_double(s.m.data, s.m.stride, s.m.rows, s.m.cols, s.sums);
      }
      const ChainTerms<T>& t = (*terms)[std::size_t((i - rows) / 2)];
      if ((i - rows) % 2 == 0 && t.x_token != nullptr) sums_of(t).dU_of_tokens.collect(t.x_token, t.da);
      if ((i - rows) % 2 == 1 && t.r_class != nullptr) sums_of(t).dW_of_classes.collect(t.r_class, t.da);
    };
    ctx_.for_each_part(rows + tokens + Index(tasks_.size()), operations, [&](Index first, Index last) {
      parallel(last - first, ctx_.threads_for(operations), [&](Index i) { work(first + i); });
    });
    tasks_.clear();
    row_sums_.clear();
  }

  const Context<T>& ctx_;
  const Parameters<T> d_;
  const WeightGradient<T> dV_;
  Array<double> biases_;  // dc, then db of each chain
  InlineVector<Index> db_from_;
  std::vector<ChainSums> chains_;
  Blocks<T> do_blocks_;
  std::vector<Outer<T>> tasks_;
  std::vector<RowSum> row_sums_;
  bool copies_ = false, closed_ = false;
};

}  // namespace bptt
