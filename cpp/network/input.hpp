// What enters a layer from below: b + U x(t), and dL/dx(t) on the way back. x(t) stands for h^(l-1)(t) of a layer above the first.
#pragma once

#include "network/context.hpp"
#include "network/disturbance.hpp"
#include "network/step.hpp"
#include "sequence/directions.hpp"

namespace bptt {

/// Where x(t) is: rows of the caller's, in place or gathered window by window; tokens; the layer below in the same window; or both
/// directions of the layer below.
template <class T> class LayerInput {
 public:
  LayerInput(const Context<T>& ctx, Matrix<const T> U, const T* b, Rows<const T> x) : LayerInput(ctx, U, b) {
    x_ = std::move(x);
    dense_ = is_dense(x_, ctx.timeline, U.cols);
    dense_with_slack_ = dense_ && U.cols % ctx.k.lanes == 0;  // kernels may read to the end of a row's last vector
    window_ = Array<T>(ctx.timeline.largest * U.cols);
  }

  LayerInput(const Context<T>& ctx, Matrix<const T> U, const T* b, IndexRows tokens)
      : ctx_(&ctx), U_(U), b_(b), tokens_(std::move(tokens)), token_window_(ctx.timeline.largest) {
    if (U.cols > ctx.timeline.stored) return;  // more tokens than steps do not repay a table
    table_ = token_table<T>(U, b);
  }

  LayerInput(const Context<T>& ctx, Matrix<const T> U, const T* b, const BothDirections<const T>& below, bool reverse)
      : LayerInput(ctx, U, b) {
    both_ = below;
    reverse_ = reverse;
    window_ = Array<T>(ctx.timeline.largest * U.cols);
  }

  /// The layer below in the same window: see `look_at`.
  LayerInput(const Context<T>& ctx, Matrix<const T> U, const T* b)
      : ctx_(&ctx), U_(U), b_(b), U_transposed_(pack_transposed<T>(ctx.k, U, ctx.call.threads())) {}

  void look_at(Matrix<const T> h_below) { below_ = h_below; }

  /// From now on the layer reads what dropout leaves of the layer below.
  void drop(Dropout<T> dropout) {
    dropout_ = std::move(dropout);
    if (drops() && window_.data() == nullptr) window_ = Array<T>(ctx_->timeline.largest * U_.cols);
  }
  bool drops() const { return dropout_.given(); }
  const Dropout<T>& dropout() const { return dropout_; }

  bool is_token() const { return tokens_.given(); }
  bool has_token_table() const { return table_.data() != nullptr; }
  const Packed<T>& U_transposed() const { return U_transposed_; }
  Index width() const { return U_.cols; }

  // ---- The window's inputs ----

  /// Brings rows [from, to) of the window to where `rows` and `tokens` find them.
  void fetch(const Window& w, Index from, Index to) const {
    if (is_token()) gather(tokens_, w, 0, U_.cols - 1, from, to, token_window_.data());
    if (x_.given() && !dense_) gather(x_, w, from, to, window(w));
    if (both_.timeline != nullptr) gather(both_, w, reverse_, from, to, window(w));
    if (drops()) dropout_(w, reverse_, from, to, both_.timeline != nullptr ? window(w) : below_, window(w));
  }
  Matrix<const T> rows(const Window& w) const { return dense_ ? in_place(w) : window_.data() != nullptr ? window(w) : below_; }

  /// The same for sums over steps, which may read beyond the end of the last row.
  void fetch_for_sums(const Window& w, Index from, Index to) const {
    if (x_.given() && !dense_with_slack_)
      gather(x_, w, from, to, window(w));
    else if (!x_.given())
      fetch(w, from, to);
  }
  Matrix<const T> rows_for_sums(const Window& w) const {
    return dense_with_slack_ ? in_place(w) : window_.data() != nullptr ? window(w) : below_;
  }
  const std::int32_t* tokens() const { return token_window_.data(); }

  // ---- b + U x(t) ----

  /// What a(t) begins with, of rows [first, first + count) of the window; for numbers, and for tokens with a table.
  void sum(const Window& w, Index first, Index count, Sum<T>& a) const {
    assert(!is_token() || has_token_table());
    if (is_token())
      a.from({table_.data(), U_.cols, U_.rows}, token_window_.data() + first, w.rows);
    else
      a.from(b_).plus(rows(w).middle_rows(first, count), U_transposed_, w.rows * U_.cols);
  }

  /// The same for rows [from, to), into rows [from, to) of h.
  void sum_into(const Window& w, Index from, Index to, Matrix<T> h) const {
    if (!is_token()) {
      Sum<T> a(ctx_->k);
      sum(w, from, to - from, a);
      return a.into(h.middle_rows(from, to - from));
    }
    for (Index f = from; f < to; ++f) {
      const std::int32_t token = token_window_[f];
      if (has_token_table())
        std::copy_n(table_.data() + token * U_.rows, U_.rows, h.row(f));
      else
        for (Index j = 0; j < U_.rows; ++j) h(f, j) = b_[j] + U_(j, token);
    }
  }

  /// The same for all rows, where U is too large for blocks of rows.
  void sum_into(const Window& w, Matrix<T> h) const { ctx_->multiply(b_, rows(w), U_transposed_, h); }

  // ---- dL/dx(t) = U^T da(t) ----

  /// Where it goes; with `adds`, it is added to what is there.
  void send_back_to(const Rows<T>& dx, bool adds) {
    dx_ = dx;
    open_back(adds);
  }
  void send_back_to(const BothDirections<T>& dx, bool adds) {
    d_both_ = dx;
    open_back(adds);
  }

  /// U packed for the way back: U^T da(t) is what enters the layer below from above.
  void pack_back() { U_packed_ = pack<T>(ctx_->k, U_, ctx_->call.threads()); }
  const Packed<T>& U_packed() const { return U_packed_; }

  void backward(const Window& w, Matrix<const T> da) const {
    if (dx_window_.data() == nullptr) return;
    const Matrix<T> dx = dx_window_.matrix(w.size(), U_.cols);
    ctx_->multiply(ctx_->zero.data(), da, U_packed_, dx);
    ctx_->for_each_row_block(w, [&](Index from, Index to) {
      if (drops()) dropout_(w, reverse_, from, to, dx, dx);
      if (dx_.given())
        adds_ ? scatter_add(dx, w, from, to, dx_) : scatter(dx, w, from, to, dx_);
      else
        adds_ ? scatter_add(dx, w, reverse_, from, to, d_both_) : scatter(dx, w, reverse_, from, to, d_both_);
    });
  }

 private:
  Matrix<T> window(const Window& w) const { return window_.matrix(w.size(), U_.cols); }
  Matrix<const T> in_place(const Window& w) const { return {x_(w.begin, 0), w.size(), U_.cols}; }
  void open_back(bool adds) {
    adds_ = adds;
    pack_back();
    dx_window_ = Array<T>(ctx_->timeline.largest * U_.cols);
  }

  const Context<T>* ctx_;
  Matrix<const T> U_;
  const T* b_;
  Rows<const T> x_;
  bool dense_ = false, dense_with_slack_ = false;
  IndexRows tokens_;
  BothDirections<const T> both_;
  bool reverse_ = false;
  Matrix<const T> below_;
  Dropout<T> dropout_;

  Packed<T> U_transposed_, U_packed_;
  Array<T> table_;  // of each token: b + its column of U
  Array<T> window_, dx_window_;
  Array<std::int32_t> token_window_;
  Rows<T> dx_;
  BothDirections<T> d_both_;
  bool adds_ = false;
};

}  // namespace bptt
