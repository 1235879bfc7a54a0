// Where the caller keeps its sequences, and the ways into and out of windows of them.
#pragma once

#include <algorithm>
#include <cstdint>
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

/// A token or target within [low, high]. The caller's other threads may change it after it was checked, so it is read once.
inline std::int64_t read_clamped(const std::int64_t* number, std::int64_t low, std::int64_t high) {
  const std::int64_t value = __atomic_load_n(number, __ATOMIC_RELAXED);  // std::clamp reads what it is given twice
  return std::clamp(value, low, high);
}

/// Tokens or targets.
inline void gather_indices(const Rows<const std::int64_t>& rows, const Window& w, std::int64_t low, std::int64_t high, Index from,
                           Index to, std::int32_t* window) {
  for_each_row(w, from, to,
               [&](Index f, Index t, Index i) { window[f] = std::int32_t(read_clamped(rows(w.begin + t, i), low, high)); });
}

/// Where a value of the caller's is not what it may be; sequence -1 for nowhere.
struct Place {
  Index sequence = -1, step = 0, column = 0;
};

/// The first value that is below `low` or above `high`. Steps of weight 0 are not read.
template <class V, class T>
Place first_outside(const Rows<const V>& rows, Index width, const std::vector<Index>& lengths, V low, V high,
                    const Rows<const T>& weight) {
  for (Index i = 0; i < Index(rows.base.size()); ++i)
    for (Index t = 0; t < lengths[std::size_t(i)]; ++t) {
      if (weight.given() && *weight(t, i) == T(0)) continue;
      const V* const row = rows(t, i);
      for (Index j = 0; j < width; ++j)
        if (row[j] < low || row[j] > high) return {i, t, j};
    }
  return {};
}

}  // namespace bptt
