// A vector whose first elements need no allocation. A call on one sequence and one layer takes a few microseconds, and would spend
// most of them in the system's allocator.
#pragma once

#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <utility>
#include <vector>

namespace bptt {

/// Up to `inline_size` elements lie in the object itself; more lie in a std::vector.
template <class T, std::size_t inline_size = 2> class InlineVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  InlineVector() = default;
  explicit InlineVector(std::size_t size) { resize(size); }
  InlineVector(std::initializer_list<T> items) {
    for (const T& item : items) push_back(item);
  }
  InlineVector(const InlineVector&) = default;
  InlineVector& operator=(const InlineVector&) = default;
  InlineVector(InlineVector&& other) noexcept : size_(other.size_), more_(std::move(other.more_)) { take(other); }
  InlineVector& operator=(InlineVector&& other) noexcept {
    size_ = other.size_;
    more_ = std::move(other.more_);
    take(other);
    return *this;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return size_ <= inline_size ? first_ : more_.data(); }
  const T* data() const { return size_ <= inline_size ? first_ : more_.data(); }
  T& operator[](std::size_t i) { return assert(i < size_), data()[i]; }
  const T& operator[](std::size_t i) const { return assert(i < size_), data()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void resize(std::size_t size, T value = T()) {
    if (size > inline_size && size_ <= inline_size) more_.assign(first_, first_ + size_);
    if (size > inline_size)
      more_.resize(size, value);
    else if (size_ > inline_size)
      for (std::size_t i = 0; i < size; ++i) first_[i] = more_[i];
    for (std::size_t i = size_; i < size && size <= inline_size; ++i) first_[i] = value;
    size_ = size;
  }
  void push_back(T item) { resize(size_ + 1, item); }

 private:
  void take(InlineVector& other) {
    for (std::size_t i = 0; i < inline_size; ++i) first_[i] = other.first_[i];
    other.size_ = 0;
  }

  std::size_t size_ = 0;
  T first_[inline_size] = {};
  std::vector<T> more_;
};

}  // namespace bptt
