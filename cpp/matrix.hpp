// Eigen-style views over memory owned elsewhere, and the memory that the core owns. Knows no networks and no arithmetic.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels.hpp"

namespace bptt {

constexpr std::size_t alignment = 64;  // a cache line, and the widest vector

/// Memory aligned to a cache line. What small calls give back is kept, per thread, for the next call.
void* take_memory(std::size_t bytes);
void give_back_memory(void* memory);

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
  explicit Array(Index size) : data_(static_cast<T*>(take_memory(std::size_t(size) * sizeof(T) + alignment))) {}
  T* data() const { return data_.get(); }
  T& operator[](Index i) const { return data_.get()[i]; }
  Matrix<T> matrix(Index rows, Index cols) const { return {data_.get(), rows, cols}; }

 private:
  struct GiveBack {
    void operator()(T* memory) const { give_back_memory(memory); }
  };
  std::unique_ptr<T, GiveBack> data_;
};

}  // namespace bptt
