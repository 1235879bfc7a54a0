// The products of the chapter, in words: packed weights, f(start + A B + ...), and gradients of weights. Knows no networks.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels.hpp"
#include "matrix.hpp"
#include "threads.hpp"

namespace bptt {

/// A matrix B [depth, columns] laid out for the tiles: once per call, for all its time steps.
template <class T> struct Packed {
  Packed() = default;
  Packed(const Kernels<T>& k, const T* b, Index k_stride, Index j_stride, Index depth_, Index columns_, int threads)
      : panels(depth_ * ((columns_ + k.lanes - 1) / k.lanes) * k.lanes), depth(depth_), columns(columns_) {
    const Index count = (columns + k.panel - 1) / k.panel;
    const Index pieces = std::clamp<Index>(depth * columns / elements_per_piece, 1, std::max<Index>(count, 1));
    parallel(pieces, threads, [&](Index i) {
      const Index from = count * i / pieces * k.panel, to = std::min(columns, count * (i + 1) / pieces * k.panel);
      k.pack(b + from * j_stride, k_stride, j_stride, depth, to - from, panels.data() + from * depth);
    });
  }
  static constexpr Index elements_per_piece = 30'000;  // some ten microseconds
  Array<T> panels;
  Index depth = 0, columns = 0;
};

template <class T> Packed<T> pack(const Kernels<T>& k, Matrix<const T> m, int threads = 1) {
  return {k, m.data, m.stride, 1, m.rows, m.cols, threads};
}
template <class T> Packed<T> pack_transposed(const Kernels<T>& k, Matrix<const T> m, int threads = 1) {
  return {k, m.data, 1, m.stride, m.cols, m.rows, threads};
}

/// out = f(start + ...): say `start` first, then what is added, then where it goes. With `repeat`, the same for several steps, each
/// pointer moved by its `step` from one to the next.
template <class T> class Sum {
 public:
  explicit Sum(const Kernels<T>& kernels) : kernels_(kernels) {}

  Sum& from(const T* same_for_all_rows) { return from({same_for_all_rows, 0, 0, 0}, 0); }
  Sum& from(Matrix<const T> rows, Index step = 0) {
    s_.start = rows.data;
    s_.start_stride = rows.stride;
    s_.start_step = step;
    return *this;
  }
  Sum& from(Matrix<const T> table, const std::int32_t* index, Index step) {
    s_.start_index = index;
    s_.start_index_step = step;
    return from(table);
  }
  Sum& plus(Matrix<const T> a, const Packed<T>& b, Index step = 0) {
    s_.product[products_++] = {a.data, a.stride, step, b.panels.data(), b.depth};
    return *this;
  }
  Sum& repeat(Index steps) {
    s_.steps = steps;
    return *this;
  }
  /// Only columns [from, to) of the result, `from` the first of a panel. The order of the sums is that of all columns together.
  Sum& only_columns(Index from, Index to, bool backwards = false) {
    from_ = from;
    to_ = to;
    s_.backwards = backwards;
    return *this;
  }
  void into(Matrix<T> out) { run(Activation::identity, out, 0); }
  void tanh_into(Matrix<T> out, Index step = 0) { run(Activation::tanh, out, step); }
  /// times 1 - h^2, the derivative of tanh where its value is h
  void times_derivative_into(Matrix<const T> h, Matrix<T> out, Index step = 0) {
    s_.h = h.data;
    s_.h_stride = h.stride;
    s_.h_step = step;
    run(Activation::tanh_derivative, out, step);
  }

 private:
  void run(Activation activation, Matrix<T> out, Index step) {
    if (out.rows == 0 || s_.steps == 0 || from_ >= std::min(to_, out.cols)) return;
    s_.rows = out.rows;
    s_.columns = std::min(to_, out.cols) - from_;
    s_.whole = out.cols;
    s_.activation = activation;
    s_.out = out.data + from_;
    s_.start += from_;
    s_.h += from_;
    for (Product<T>& product : s_.product) product.panels += from_ * product.depth;
    s_.out_stride = out.stride;
    s_.out_step = step;
    kernels_.affine(s_);
  }
  const Kernels<T>& kernels_;
  Affine<T> s_;
  int products_ = 0;
  Index from_ = 0, to_ = std::numeric_limits<Index>::max();
};

/// The rows of a window, copied block of columns by block of columns. Where rows are long, the columns of a tile lie in as many
/// cache lines as there are rows, and push each other out of near memory.
template <class T> class Blocks {
 public:
  Blocks() = default;
  Blocks(Index rows, Index columns, Index width)
      : rows_(rows), width_(width), data_(rows * ((columns + width - 1) / width) * width) {}
  void copy(const Kernels<T>& k, Matrix<const T> part, Index first_row) const {
    k.copy_blocks(part.data, part.stride, part.rows, part.cols, width_, data_.data() + first_row * width_, rows_ * width_);
  }
  const T* row(Index first) const { return data_.data() + first * width_; }
  Index stride() const { return width_; }
  Index block() const { return rows_ * width_; }

 private:
  Index rows_ = 0, width_ = 0;
  Array<T> data_;
};

/// dM += A^T B, window after window, into dM [m, n] (zeros at first) or, where that fills the vectors better, beside it transposed.
template <class T> class WeightGradient {
 public:
  WeightGradient(const Kernels<T>& k, Matrix<T> gradient) : kernels_(&k), gradient_(gradient) {
    const auto vectors = [&](Index n) { return (n + k.lanes - 1) / k.lanes; };
    transposed_ = gradient.cols * vectors(gradient.rows) < gradient.rows * vectors(gradient.cols);
    if (transposed_) {
      scratch_ = Array<T>(gradient.rows * gradient.cols);
      sums_ = scratch_.matrix(gradient.cols, gradient.rows);
      std::fill_n(sums_.data, sums_.rows * sums_.cols, T(0));
    } else {
      sums_ = gradient;
    }
  }

  bool transposed() const { return transposed_; }

  /// Appends the work of dM += A^T B in pieces of which no two write the same place. A and B [rows, ...].
  void add(Matrix<const T> a, Matrix<const T> b, std::vector<Outer<T>>& pieces) const { add(a, {}, b, pieces); }

  /// The same, B's first rows lying elsewhere; not for a transposed one. Only one call for each run of the pieces: two would write
  /// the same place.
  void add(Matrix<const T> a, Matrix<const T> b_first, Matrix<const T> b, std::vector<Outer<T>>& pieces) const {
    if (transposed_) std::swap(a, b);
    cut({a.rows, a.cols, b.cols, a.data, a.stride, kernels_->tile_rows, b.data, b.stride, kernels_->panel, b_first.data,
         b_first.rows, sums_.data, sums_.stride},
        pieces);
  }

  /// The same for copies: `rows` rows of B from `b_first` on. Not for a transposed one.
  void add(const Blocks<T>& a, const Blocks<T>& b, Index b_first, Index rows, std::vector<Outer<T>>& pieces) const {
    cut({rows, sums_.rows, sums_.cols, a.row(0), a.stride(), a.block(), b.row(b_first), b.stride(), b.block(), nullptr, 0,
         sums_.data, sums_.stride},
        pieces);
  }

  void finish() const {
    if (!transposed_) return;
    for (Index i = 0; i < gradient_.rows; ++i)
      for (Index j = 0; j < gradient_.cols; ++j) gradient_(i, j) += sums_(j, i);
  }

 private:
  void cut(const Outer<T>& whole, std::vector<Outer<T>>& pieces) const {
    if (whole.rows == 0 || whole.m == 0 || whole.n == 0) return;
    const Index tile = kernels_->tile_rows, tiles = (whole.m + tile - 1) / tile;
    const double operations = double(whole.rows) * double(whole.m) * double(whole.n);
    const Index count = std::clamp<Index>(Index(operations / operations_per_piece), 1, tiles);
    for (Index i = 0; i < count; ++i) {
      const Index from = tiles * i / count, to = tiles * (i + 1) / count;
      Outer<T> piece = whole;
      piece.m = std::min(whole.m, to * tile) - from * tile;
      piece.a += from * whole.a_block;
      piece.c += from * tile * whole.c_stride;
      pieces.push_back(piece);
    }
  }

  static constexpr double operations_per_piece = 1e6;  // some twenty microseconds
  const Kernels<T>* kernels_;
  Matrix<T> gradient_, sums_;
  Array<T> scratch_;
  bool transposed_;
};

}  // namespace bptt
