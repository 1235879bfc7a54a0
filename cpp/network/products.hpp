// The products of the chapter, in words: packed weights, f(start + A B + ...), and gradients of weights.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "base/matrix.hpp"
#include "base/threads.hpp"
#include "kernels/kernels.hpp"

namespace bptt {

/// A matrix B [depth, columns] laid out for the tiles: once per call, for all its time steps.
template <class T> struct Packed {
  Packed() = default;
  Packed(const Kernels<T>& k, const T* b, Index k_stride, Index j_stride, Index depth_, Index columns_, int threads)
      : panels(depth_ * ((columns_ + k.lanes - 1) / k.lanes) * k.lanes), depth(depth_), columns(columns_) {
    const Index count = (columns + k.panel - 1) / k.panel;
    const Index tasks = std::clamp<Index>(depth * columns / elements_per_task, 1, std::max<Index>(count, 1));
    parallel(tasks, threads, [&](Index i) {
      const Index from = count * i / tasks * k.panel, to = std::min(columns, count * (i + 1) / tasks * k.panel);
      k.pack(b + from * j_stride, k_stride, j_stride, depth, to - from, panels.data() + from * depth);
    });
  }
  static constexpr Index elements_per_task = 30'000;  // some ten microseconds
  Array<T> panels;
  Index depth = 0, columns = 0;
};

template <class T> Packed<T> pack(const Kernels<T>& k, Matrix<const T> m, int threads = 1) {
  return {k, m.data, m.stride, 1, m.rows, m.cols, threads};
}
template <class T> Packed<T> pack_transposed(const Kernels<T>& k, Matrix<const T> m, int threads = 1) {
  return {k, m.data, 1, m.stride, m.cols, m.rows, threads};
}

/// How a function of a sum goes through consecutive steps, and which columns of the result it computes: all of one step, unless
/// otherwise said. From one step to the next, what the sum reads and writes moves by so many numbers.
struct Steps {
  Index count = 1;
  Index out = 0;                                                         // how far the result moves
  Index h = 0;                                                           // how far the unit's values move, for derivatives
  Index column_from = 0, column_to = std::numeric_limits<Index>::max();  // column_from is the first of a panel
  bool backwards = false;                                                // begin with the last columns
};

/// out = f(start + ...): say `start` first, then what is added, then where it goes. Each part says how far it moves from one step
/// to the next.
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
  /// Leaky units: what is carried from the step before (back: from the step after) and, forward, where this step's goes, which may
  /// be the same place. From one step to the next both move by `step`.
  Sum& leak(const T* alpha, Matrix<const T> carry, T* carry_out, Index step) {
    s_.alpha = alpha;
    s_.carry = carry.data;
    s_.carry_stride = carry.stride;
    s_.carry_step = step;
    s_.carry_out = carry_out;
    return *this;
  }
  /// On the way back through a unit: so many times its value h more.
  Sum& plus_h(T times) {
    s_.pull = times;
    return *this;
  }
  /// The order of the sums is the same whichever columns are computed together.
  void into(Matrix<T> out, Epilogue epilogue = Epilogue::identity, const Steps& steps = {}) {
    assert(epilogue != Epilogue::tanh_derivative && epilogue != Epilogue::relu_derivative && s_.pull == T(0));
    compute(epilogue, out, steps);
  }
  /// The way back through a unit: times f'(a), where f(a) = h.
  void into(Matrix<T> out, Epilogue derivative, Matrix<const T> h, const Steps& steps = {}) {
    assert(h.rows >= out.rows);
    s_.h = h.data + steps.column_from;
    s_.h_stride = h.stride;
    s_.h_step = steps.h;
    compute(derivative, out, steps);
  }

 private:
  void compute(Epilogue epilogue, Matrix<T> out, const Steps& steps) {
    const Index from = steps.column_from, to = std::min(steps.column_to, out.cols);
    if (out.rows == 0 || steps.count == 0 || from >= to) return;
    assert(from % kernels_.panel == 0);
    s_.steps = steps.count;
    s_.backwards = steps.backwards;
    s_.rows = out.rows;
    s_.columns = to - from;
    s_.whole = out.cols;
    const bool late = s_.alpha != nullptr || s_.pull != T(0);
    s_.epilogue = late ? Epilogue::identity : epilogue;
    s_.late = late ? epilogue : Epilogue::identity;
    s_.out = out.data + from;
    s_.start += from;
    for (Product<T>& product : s_.product) product.panels += from * product.depth;
    if (s_.alpha != nullptr) {
      s_.alpha += from;
      s_.carry += from;
      if (s_.carry_out != nullptr) s_.carry_out += from;
    }
    s_.out_stride = out.stride;
    s_.out_step = steps.out;
    kernels_.affine(s_);
  }
  const Kernels<T>& kernels_;
  Affine<T> s_;
  int products_ = 0;
};

/// The rows of a window, copied block of columns by block of columns. Where rows are long, the columns of a tile lie in as many
/// cache lines as there are rows, and push each other out of L1.
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

/// dM += A^T B, window after window, into dM [m, n] (zeros at first), or beside it transposed where that fills the vectors better.
template <class T> class WeightGradient {
 public:
  WeightGradient(const Kernels<T>& k, Matrix<T> gradient) : kernels_(&k), gradient_(gradient) {
    const auto vectors = [&](Index n) { return (n + k.lanes - 1) / k.lanes; };
    transposed_ = gradient.cols * vectors(gradient.rows) < gradient.rows * vectors(gradient.cols);
    if (transposed_) {
      scratch_ = zeros<T>(gradient.rows * gradient.cols);
      sums_ = scratch_.matrix(gradient.cols, gradient.rows);
    } else {
      sums_ = gradient;
    }
  }

  bool transposed() const { return transposed_; }

  /// Appends the work of dM += A^T B to `tasks`, of which no two write the same place. A and B [rows, ...].
  void append(Matrix<const T> a, Matrix<const T> b, std::vector<Outer<T>>& tasks) const { append(a, {}, b, tasks); }

  /// The same, B's first rows lying elsewhere; not for a transposed one. Only one call for each run of the tasks: two would write
  /// the same place.
  void append(Matrix<const T> a, Matrix<const T> b_first, Matrix<const T> b, std::vector<Outer<T>>& tasks) const {
    assert(!transposed_ || b_first.rows == 0);
    if (transposed_) std::swap(a, b);
    Outer<T> whole;
    whole.rows = a.rows;
    whole.m = a.cols;
    whole.n = b.cols;
    whole.a = a.data;
    whole.a_stride = a.stride;
    whole.a_block = kernels_->tile_rows;
    whole.b = b.data;
    whole.b_stride = b.stride;
    whole.b_block = kernels_->panel;
    whole.b_first = b_first.data;
    whole.first_rows = b_first.rows;
    split(whole, tasks);
  }

  /// The same for copies: `rows` rows of B from `b_first` on. Not for a transposed one.
  void append(const Blocks<T>& a, const Blocks<T>& b, Index b_first, Index rows, std::vector<Outer<T>>& tasks) const {
    assert(!transposed_);
    Outer<T> whole;
    whole.rows = rows;
    whole.m = sums_.rows;
    whole.n = sums_.cols;
    whole.a = a.row(0);
    whole.a_stride = a.stride();
    whole.a_block = a.block();
    whole.b = b.row(b_first);
    whole.b_stride = b.stride();
    whole.b_block = b.block();
    split(whole, tasks);
  }

  /// After the last window.
  void write_back() const {
    if (!transposed_) return;
    for (Index i = 0; i < gradient_.rows; ++i)
      for (Index j = 0; j < gradient_.cols; ++j) gradient_(i, j) += sums_(j, i);
  }

 private:
  // Parts of the rows of the result, each a task.
  void split(Outer<T> whole, std::vector<Outer<T>>& tasks) const {
    if (whole.rows == 0 || whole.m == 0 || whole.n == 0) return;
    whole.c = sums_.data;
    whole.c_stride = sums_.stride;
    const Index tile = kernels_->tile_rows, tiles = (whole.m + tile - 1) / tile;
    const double operations = double(whole.rows) * double(whole.m) * double(whole.n);
    const Index count = std::clamp<Index>(Index(operations / operations_per_task), 1, tiles);
    for (Index i = 0; i < count; ++i) {
      const Index from = tiles * i / count, to = tiles * (i + 1) / count;
      Outer<T> part = whole;
      part.m = std::min(whole.m, to * tile) - from * tile;
      part.a += from * whole.a_block;
      part.c += from * tile * whole.c_stride;
      tasks.push_back(part);
    }
  }

  static constexpr double operations_per_task = 1e6;  // some twenty microseconds
  const Kernels<T>* kernels_;
  Matrix<T> gradient_, sums_;
  Array<T> scratch_;
  bool transposed_;
};

}  // namespace bptt
