// A matrix for each layer, and the memory of all of them.
#pragma once

#include "base/inline_vector.hpp"
#include "base/matrix.hpp"

namespace bptt {

/// A matrix for each layer, from bottom to top.
template <class T> using PerLayer = InlineVector<Matrix<T>>;

/// How many units each layer has.
using Widths = InlineVector<Index>;

inline Index sum_of(const Widths& widths) {
  Index sum = 0;
  for (const Index n : widths) sum += n;
  return sum;
}

/// The same number of rows of each layer, one layer after the other, each from a cache line on.
template <class T> class LayerRows {
 public:
  LayerRows() = default;
  LayerRows(const Widths& widths, Index rows) : widths_(widths), first_(widths.size()) {
    Index size = 0;
    for (std::size_t l = 0; l < widths.size(); ++l) {
      first_[l] = size;
      const Index numbers = product(rows, widths[l]);
      if (numbers > PTRDIFF_MAX / Index(sizeof(T)) - line - size) throw std::bad_alloc();
      size += (numbers + line - 1) / line * line;
    }
    data_ = Array<T>(size);
  }

  T* row(std::size_t layer, Index row) const { return data_.data() + first_[layer] + row * widths_[layer]; }
  Matrix<T> rows(std::size_t layer, Index first, Index count) const { return {row(layer, first), count, widths_[layer]}; }

 private:
  static constexpr Index line = Index(alignment / sizeof(T));
  Widths widths_, first_;
  Array<T> data_;
};

}  // namespace bptt
