// Where the caller keeps its sequences, and the ways into and out of windows of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/inline_vector.hpp"
#include "base/matrix.hpp"
#include "sequence/timeline.hpp"

namespace bptt {

/// One row per sequence and step, wherever the caller keeps it: row i of step t begins at base[i] + t * step[i] (t from 0).
template <class T> struct Rows {
  InlineVector<T*> base;
  InlineVector<Index> step;

  bool given() const { return !base.empty(); }
  T* operator()(Index t, Index i) const { return base[std::size_t(i)] + t * step[std::size_t(i)]; }

  /// The same rows from the last step of each sequence to its first: step t is the sequence's step length - 1 - t.
  Rows reversed(const std::vector<Index>& lengths) const {
    Rows other = *this;
    for (std::size_t i = 0; i < base.size(); ++i) {
      other.base[i] += (lengths[i] - 1) * step[i];
      other.step[i] = -step[i];
    }
    return other;
  }
};

/// How an integer of the caller's is stored.
enum class Integer { int8, uint8, int16, uint16, int32, uint32, int64 };

/// f(a number of that type).
template <class F> auto with_integer(Integer type, const F& f) {
  switch (type) {
    case Integer::int8: return f(std::int8_t());
    case Integer::uint8: return f(std::uint8_t());
    case Integer::int16: return f(std::int16_t());
    case Integer::uint16: return f(std::uint16_t());
    case Integer::int32: return f(std::int32_t());
    case Integer::uint32: return f(std::uint32_t());
    case Integer::int64: break;
  }
  return f(std::int64_t());
}

/// An integer of the caller's. Its other threads may change it after it was checked: whoever needs it twice reads it once.
template <class V> std::int64_t read_index(const void* number) {
  return std::int64_t(__atomic_load_n(static_cast<const V*>(number), __ATOMIC_RELAXED));
}

/// Tokens or targets where the caller keeps them, in integers of any width. Steps count in bytes.
struct IndexRows {
  Rows<const unsigned char> bytes;
  Integer type = Integer::int64;

  IndexRows() = default;
  IndexRows(Rows<const unsigned char> rows, Integer how) : bytes(std::move(rows)), type(how) {}
  template <class V> explicit IndexRows(const Rows<const V>& rows) {
    for (const V* const base : rows.base) bytes.base.push_back(reinterpret_cast<const unsigned char*>(base));
    for (const Index step : rows.step) bytes.step.push_back(step * Index(sizeof(V)));
    type = Integer((sizeof(V) == 1 ? 0 : sizeof(V) == 2 ? 2 : sizeof(V) == 4 ? 4 : 6) + (std::is_unsigned_v<V> ? 1 : 0));
  }

  bool given() const { return bytes.given(); }
  IndexRows reversed(const std::vector<Index>& lengths) const { return {bytes.reversed(lengths), type}; }

  std::int64_t operator()(Index t, Index i) const {
    return with_integer(type, [&](auto v) { return read_index<decltype(v)>(bytes(t, i)); });
  }
  /// The same, within [low, high].
  std::int64_t clamped(Index t, Index i, std::int64_t low, std::int64_t high) const {
    const std::int64_t value = (*this)(t, i);  // std::clamp reads what it is given twice
    return std::clamp(value, low, high);
  }
};

/// The same rows in the order of work.
template <class T> Rows<T> sort(const Rows<T>& rows, const Timeline& timeline) {
  if (!rows.given() || timeline.uniform()) return rows;
  Rows<T> sorted;
  for (const Index i : timeline.order) {
    sorted.base.push_back(rows.base[std::size_t(i)]);
    sorted.step.push_back(rows.step[std::size_t(i)]);
  }
  return sorted;
}

inline IndexRows sort(const IndexRows& rows, const Timeline& timeline) { return {sort(rows.bytes, timeline), rows.type}; }

/// True if all rows lie one after the other as in compact storage: then nothing needs to be copied.
template <class T> bool is_dense(const Rows<T>& rows, const Timeline& timeline, Index width) {
  assert(rows.given());
  if (!timeline.uniform()) return false;
  for (Index i = 0; i < timeline.batch; ++i)
    if (rows.base[std::size_t(i)] != rows.base[0] + i * width ||
        (rows.step[std::size_t(i)] != timeline.batch * width && timeline.tau > 1))
      return false;
  return true;
}

/// Calls visit(f, t, i) for the rows f in [from, to) of a window, counted through its steps: row i of the window's step t.
template <class Visit> void for_each_row(const Window& w, Index from, Index to, const Visit& visit) {
  for (Index f = from, t = from / w.rows, i = from % w.rows; f < to; ++f) {
    visit(f, t, i);
    if (++i == w.rows) i = 0, ++t;
  }
}

/// Rows [from, to) of the window into a matrix of the window's rows.
template <class S, class T> void gather(const Rows<S>& rows, const Window& w, Index from, Index to, Matrix<T> window) {
  for_each_row(w, from, to, [&](Index f, Index t, Index i) { std::copy_n(rows(w.begin + t, i), window.cols, window.row(f)); });
}

/// Rows [from, to) of a matrix of the window's rows to where the caller keeps them.
template <class S, class T> void scatter(Matrix<S> window, const Window& w, Index from, Index to, const Rows<T>& rows) {
  for_each_row(w, from, to, [&](Index f, Index t, Index i) { std::copy_n(window.row(f), window.cols, rows(w.begin + t, i)); });
}

/// The same, added to what is there.
template <class S, class T> void scatter_add(Matrix<S> window, const Window& w, Index from, Index to, const Rows<T>& rows) {
  for_each_row(w, from, to, [&](Index f, Index t, Index i) {
    T* const row = rows(w.begin + t, i);
    for (Index j = 0; j < window.cols; ++j) row[j] += window(f, j);
  });
}

/// Tokens or targets, each within [low, high].
inline void gather(const IndexRows& rows, const Window& w, std::int64_t low, std::int64_t high, Index from, Index to,
                   std::int32_t* window) {
  with_integer(rows.type, [&](auto v) {
    for_each_row(w, from, to, [&](Index f, Index t, Index i) {
      const std::int64_t value = read_index<decltype(v)>(rows.bytes(w.begin + t, i));
      window[f] = std::int32_t(std::clamp(value, low, high));
    });
  });
}

/// Where a value of the caller's is not what it may be; sequence -1 for nowhere.
struct Place {
  Index sequence = -1, step = 0, column = 0;
};

/// The first value that is below `low` or above `high`. Steps of weight 0 are not read.
template <class T>
Place first_outside(const IndexRows& rows, const std::vector<Index>& lengths, std::int64_t low, std::int64_t high,
                    const Rows<const T>& weight) {
  return with_integer(rows.type, [&](auto v) -> Place {
    for (Index i = 0; i < Index(rows.bytes.base.size()); ++i)
      for (Index t = 0; t < lengths[std::size_t(i)]; ++t) {
        if (weight.given() && *weight(t, i) == T(0)) continue;
        const std::int64_t value = read_index<decltype(v)>(rows.bytes(t, i));
        if (value < low || value > high) return {i, t, 0};
      }
    return {};
  });
}

/// The same for rows of numbers, each row of which has one weight or as many as numbers.
template <class T>
Place first_outside(const Rows<const T>& rows, Index width, const std::vector<Index>& lengths, T low, T high,
                    const Rows<const T>& weight, Index weights) {
  for (Index i = 0; i < Index(rows.base.size()); ++i)
    for (Index t = 0; t < lengths[std::size_t(i)]; ++t) {
      const T* const row = rows(t, i);
      for (Index j = 0; j < width; ++j) {
        if (weight.given() && weight(t, i)[weights == 1 ? 0 : j] == T(0)) continue;
        if (row[j] < low || row[j] > high) return {i, t, j};
      }
    }
  return {};
}

}  // namespace bptt
