// Eigen-style views over memory that others own, and arrays that own theirs.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>
#include <new>

#include "base/index.hpp"
#include "base/memory.hpp"

namespace bptt {

/// rows x cols numbers. Row i begins at data + i * stride.
template <class T> struct Matrix {
  T* data = nullptr;
  Index rows = 0, cols = 0, stride = 0;

  Matrix() = default;
  Matrix(T* data_, Index rows_, Index cols_) : Matrix(data_, rows_, cols_, cols_) {}
  Matrix(T* data_, Index rows_, Index cols_, Index stride_) : data(data_), rows(rows_), cols(cols_), stride(stride_) {}

  T* row(Index i) const { return data + i * stride; }
  T& operator()(Index i, Index j) const { return data[i * stride + j]; }
  Matrix middle_rows(Index first, Index count) const {
    assert(first >= 0 && count >= 0 && first + count <= rows);
    return {row(first), count, cols, stride};
  }
  operator Matrix<const T>() const { return {data, rows, cols, stride}; }
};

/// a b, as the size of an array.
inline Index product(Index a, Index b) {
  Index size;
  if (__builtin_mul_overflow(a, b, &size)) throw std::bad_alloc();
  return size;
}

/// `size` numbers, not initialised, aligned to a cache line. Kernels may read up to a vector beyond the end, and never use it.
template <class T> class Array {
 public:
  Array() = default;
  explicit Array(Index size) : data_(static_cast<T*>(take_memory(bytes(size)))) {}
  T* data() const { return data_.get(); }
  T& operator[](Index i) const { return data_.get()[i]; }
  Matrix<T> matrix(Index rows, Index cols) const { return {data_.get(), rows, cols}; }

 private:
  static std::size_t bytes(Index size) {
    constexpr Index most = PTRDIFF_MAX / Index(sizeof(T)) - Index(alignment);
    if (size > most) throw std::bad_alloc();
    return std::size_t(size) * sizeof(T) + alignment;
  }
  struct GiveBack {
    void operator()(T* memory) const { give_back_memory(memory); }
  };
  std::unique_ptr<T, GiveBack> data_;
};

template <class T> Array<T> zeros(Index size) {
  Array<T> array(size);
  std::fill_n(array.data(), size, T(0));
  return array;
}

}  // namespace bptt
