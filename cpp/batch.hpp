// Sequences side by side: where each one's rows lie in the caller's memory, and in which order the core takes them. Knows no
// networks.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "matrix.hpp"

namespace bptt {

/// One row per sequence and step, wherever the caller keeps it: row i of step t begins at base[i] + t * step[i] (t from 0).
template <class T> struct Rows {
  std::vector<T*> base;
  std::vector<Index> step;

  bool given() const { return !base.empty(); }
  T* operator()(Index t, Index i) const { return base[std::size_t(i)] + t * step[std::size_t(i)]; }
};

/// Consecutive steps with the same sequences: [begin, begin + steps) x [0, rows), stored row after row from row `first` on.
struct Window {
  Index begin, steps, rows;
  Index first;      // in compact storage, where h(0) has the first `batch` rows and no padded row exists
  Index before;     // in compact storage: the row of step begin - 1
  Index continue_;  // how many of its sequences go on in the next window

  Index size() const { return steps * rows; }
};

/// The order of work: sequences sorted by length, longest first, so that those alive at a step are always the first rows; time cut
/// into windows of about `rows_per_window` rows. It follows from the lengths alone.
struct Timeline {
  Timeline(const std::vector<Index>& lengths, Index rows_per_window) : batch(Index(lengths.size())), order(lengths.size()) {
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](Index i, Index j) { return lengths[std::size_t(i)] > lengths[std::size_t(j)]; });
    Index begin = 0, first = batch, before = 0;
    for (Index rows = batch; rows > 0;) {
      const Index end = lengths[std::size_t(order[std::size_t(rows - 1)])];  // all `rows` sequences live up to here
      const Index steps = end - begin;
      const Index most = std::max<Index>(1, rows_per_window / rows);
      const Index count = (steps + most - 1) / most;
      for (Index w = 0; w < count; ++w) {
        const Index share = steps / count + (w < steps % count);
        windows.push_back({begin, share, rows, first, before, rows});
        begin += share;
        first += share * rows;
        before = first - rows;
        largest = std::max(largest, share * rows);
      }
      while (rows > 0 && lengths[std::size_t(order[std::size_t(rows - 1)])] == end) --rows;
      if (!windows.empty()) windows.back().continue_ = rows;
    }
    stored = first;
    tau = begin;
  }

  bool uniform() const { return windows.back().rows == batch; }
  const Window& last() const { return windows.back(); }

  /// The same rows in the order of work.
  template <class T> Rows<T> sort(const Rows<T>& rows) const {
    if (!rows.given() || uniform()) return rows;
    Rows<T> sorted;
    for (const Index i : order) {
      sorted.base.push_back(rows.base[std::size_t(i)]);
      sorted.step.push_back(rows.step[std::size_t(i)]);
    }
    return sorted;
  }

  Index batch, tau = 0;
  Index stored = 0;   // rows of compact storage: h(0) and every step of every sequence
  Index largest = 0;  // rows of the largest window
  std::vector<Index> order;
  std::vector<Window> windows;
};

/// Consecutive windows whose states are in memory at the same time; what comes before the first step is kept from the first pass.
struct Segment {
  Index from, to;  // windows
};

struct Segments {
  std::vector<Segment> list;  // empty where there is no way
  Index kept = 0;             // rows of h before the segments, together
  Index longest = 0;          // rows of h of the longest segment
  Index smallest;  // rows of h, kept and longest together, with which there is a way: they grow with the square root of tau
};

/// The longest segments that hold at most `most_rows` rows of h; one of all windows, where that is possible, computes nothing
/// twice.
inline Segments cut_into_segments(const Timeline& timeline, Index most_rows) {
  const std::vector<Window>& w = timeline.windows;
  Segments result;
  result.smallest = timeline.stored;
  for (Index length = Index(w.size()); length > 0; --length) {
    result.kept = result.longest = 0;
    result.list.clear();
    for (Index to = Index(w.size()); to > 0; to -= length) {  // the last is whole: it is not computed twice
      const Index from = std::max<Index>(0, to - length);
      const Window &first = w[std::size_t(from)], &last = w[std::size_t(to - 1)];
      result.list.push_back({from, to});
      result.kept += first.rows;
      result.longest = std::max(result.longest, last.first + last.size() - first.first);
    }
    std::reverse(result.list.begin(), result.list.end());
    if (result.kept + result.longest <= most_rows) return result;
    result.smallest = std::min(result.smallest, result.kept + result.longest);
  }
  result.list.clear();
  return result;
}

/// Where all rows lie one after the other as in compact storage (h(0) excepted), nothing needs to be copied.
template <class T> bool is_dense(const Rows<T>& rows, const Timeline& timeline, Index width) {
  if (!timeline.uniform()) return false;
  for (Index i = 0; i < timeline.batch; ++i)
    if (rows.base[std::size_t(i)] != rows.base[0] + i * width ||
        (rows.step[std::size_t(i)] != timeline.batch * width && timeline.tau > 1))
      return false;
  return true;
}

/// Tokens or targets, which the caller's other threads may have changed since they were checked: never beyond [low, high].
inline void gather_indices(const Rows<const std::int64_t>& rows, const Window& w, std::int64_t low, std::int64_t high, Index from,
                           Index to, std::int32_t* window) {
  for (Index f = from, t = from / w.rows, i = from % w.rows; f < to; ++f) {
    window[f] = std::int32_t(std::clamp(*rows(w.begin + t, i), low, high));
    if (++i == w.rows) i = 0, ++t;
  }
}

/// Rows [from, to) of the window, counted through its steps, into or out of a matrix of the window's rows.
template <class S, class T> void gather(const Rows<S>& rows, const Window& w, Index width, Index from, Index to, T* window) {
  for (Index f = from, t = from / w.rows, i = from % w.rows; f < to; ++f) {
    std::copy_n(rows(w.begin + t, i), width, window + f * width);
    if (++i == w.rows) i = 0, ++t;
  }
}

template <class T> void scatter(const T* window, const Window& w, Index width, Index from, Index to, const Rows<T>& rows) {
  for (Index f = from, t = from / w.rows, i = from % w.rows; f < to; ++f) {
    std::copy_n(window + f * width, width, rows(w.begin + t, i));
    if (++i == w.rows) i = 0, ++t;
  }
}

/// Where a value of the caller's is not what it may be; sequence -1 for nowhere.
struct Place {
  Index sequence = -1, step = 0, column = 0;
};

/// The first value that is below `low` or above `high`. Steps whose weight is 0 are not read.
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
