// dL/dU where the input is tokens: each step's da(t) is added to its token's column.
#pragma once

#include <algorithm>
#include <vector>

#include "base/matrix.hpp"
#include "kernels/kernels.hpp"

namespace bptt {

/// dU [n, n_in] += ..., window after window. With `table`, sums are collected in one row per token and turned at the end: worth it
/// where there are no more tokens than steps. A dU of no columns has nothing to do.
template <class T> class TokenGradient {
 public:
  TokenGradient(const Kernels<T>& k, Matrix<T> dU, Index largest_window, bool table)
      : k_(&k), dU_(dU), head_(std::size_t(dU.cols), -1), has_table_(table && dU.cols > 0) {
    if (dU.cols == 0) return;
    next_.resize(std::size_t(largest_window));
    steps_.resize(next_.size());
    sum_ = Array<T>(dU.rows);
    if (table) table_ = zeros<T>(dU.rows * dU.cols);
  }

  /// Row r of da belongs to token[r]; a token beyond the columns of dU is none.
  void collect(const std::int32_t* token, Matrix<const T> da) {
    if (dU_.cols == 0) return;
    // The steps of a token, in order, as a list: head[token], next[head[token]], ...
    for (Index r = da.rows - 1; r >= 0; --r) {
      if (token[r] >= dU_.cols) continue;
      next_[std::size_t(r)] = head_[std::size_t(token[r])];
      head_[std::size_t(token[r])] = std::int32_t(r);
    }
    for (Index r = 0; r < da.rows; ++r) {
      if (token[r] >= dU_.cols) continue;
      std::int32_t& first = head_[std::size_t(token[r])];
      if (first < 0) continue;
      Index count = 0;
      for (std::int32_t i = first; i >= 0; i = next_[std::size_t(i)]) steps_[std::size_t(count++)] = i;
      first = -1;
      if (has_table_) {
        k_->add_rows(da.data, da.stride, steps_.data(), count, dU_.rows, table_.data() + token[r] * dU_.rows);
      } else {
        std::fill_n(sum_.data(), dU_.rows, T(0));
        k_->add_rows(da.data, da.stride, steps_.data(), count, dU_.rows, sum_.data());
        for (Index j = 0; j < dU_.rows; ++j) dU_(j, token[r]) += sum_[j];
      }
    }
  }

  /// After the last window.
  void write_back() const {
    if (!has_table_) return;
    for (Index j = 0; j < dU_.rows; ++j)
      for (Index token = 0; token < dU_.cols; ++token) dU_(j, token) += table_[token * dU_.rows + j];
  }

 private:
  const Kernels<T>* k_;
  Matrix<T> dU_;
  std::vector<std::int32_t> head_, next_, steps_;
  Array<T> table_, sum_;
  bool has_table_;
};

}  // namespace bptt
