// Eigen-style views over memory owned elsewhere, and the memory that the core owns. Knows no networks and no arithmetic.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "kernels.hpp"

namespace bptt {

/// rows x cols numbers, row i beginning at data + i * stride.
template <class T> struct Matrix {
  T* data = nullptr;
  Index rows = 0, cols = 0, stride = 0;

  Matrix() = default;
  Matrix(T* data_, Index rows_, Index cols_) : Matrix(data_, rows_, cols_, cols_) {}
  Matrix(T* data_, Index rows_, Index cols_, Index stride_) : data(data_), rows(rows_), cols(cols_), stride(stride_) {}

  T* row(Index i) const { return data + i * stride; }
  T& operator()(Index i, Index j) const { return data[i * stride + j]; }
  Matrix middle_rows(Index first, Index count) const { return {row(first), count, cols, stride}; }
  operator Matrix<const T>() const { return {data, rows, cols, stride}; }
};

/// `size` numbers, not initialised, aligned to a cache line, with the slack of a vector that kernels may read (never use) beyond.
template <class T> class Array {
 public:
  Array() = default;
  explicit Array(Index size) : data_(allocate(size)) {}
  T* data() const { return data_.get(); }
  T& operator[](Index i) const { return data_.get()[i]; }
  Matrix<T> matrix(Index rows, Index cols) const { return {data_.get(), rows, cols}; }

 private:
  static constexpr std::size_t alignment = 64;
  struct Free {
    void operator()(T* p) const { ::operator delete(p, std::align_val_t(alignment)); }
  };
  static T* allocate(Index size) {
    return static_cast<T*>(::operator new(std::size_t(size) * sizeof(T) + alignment, std::align_val_t(alignment)));
  }
  std::unique_ptr<T, Free> data_;
};

}  // namespace bptt
