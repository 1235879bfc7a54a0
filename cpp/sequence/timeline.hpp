// The order of work: sequences sorted by length, time divided into windows, windows joined into segments that fit in memory.
#pragma once

#include <algorithm>
#include <cassert>
#include <numeric>
#include <vector>

#include "base/index.hpp"

namespace bptt {

/// Consecutive steps with the same sequences: [begin, begin + steps) x [0, rows), stored row after row from row `first` on. In
/// compact storage the state before the first step has the first `batch` rows, and no padded row exists.
struct Window {
  Index index = 0;  // its place among the windows
  Index begin = 0, steps = 0, rows = 0;
  Index first = 0;       // its first row in compact storage
  Index before = 0;      // the row of step begin - 1 in compact storage
  Index continuing = 0;  // how many of its sequences go on in the next window

  Index size() const { return steps * rows; }
};

/// The window that holds one row of every sequence.
inline Window single_step(Index batch) {
  Window w;
  w.steps = 1;
  w.rows = batch;
  return w;
}

/// Sequences sorted by length, longest first, so that those alive at a step are always the first rows. Time is divided into windows
/// of about `rows_per_window` rows. All of it follows from the lengths alone.
struct Timeline {
  Timeline(const std::vector<Index>& lengths_, Index rows_per_window) : batch(Index(lengths_.size())), order(lengths_.size()) {
    std::iota(order.begin(), order.end(), Index(0));
    const auto longer = [&](Index i, Index j) { return lengths_[std::size_t(i)] > lengths_[std::size_t(j)]; };
    if (!std::is_sorted(order.begin(), order.end(), longer)) std::stable_sort(order.begin(), order.end(), longer);
    lengths.reserve(order.size());
    for (const Index i : order) lengths.push_back(lengths_[std::size_t(i)]);
    windows.reserve(number_of_windows(rows_per_window));  // at once: too many are refused before any memory is touched
    Window w;
    w.first = w.rows = batch;
    while (w.rows > 0) {
      const Index end = lengths[std::size_t(w.rows - 1)];  // all of these sequences live up to here
      const Index steps = end - w.begin;
      const Index count = windows_for(steps, w.rows, rows_per_window);
      for (Index i = 0; i < count; ++i) {
        w.steps = steps / count + (i < steps % count);
        w.continuing = w.rows;
        windows.push_back(w);
        ++w.index;
        w.begin += w.steps;
        w.first += w.size();
        w.before = w.first - w.rows;
        largest = std::max(largest, w.size());
      }
      while (w.rows > 0 && lengths[std::size_t(w.rows - 1)] == end) --w.rows;
      if (!windows.empty()) windows.back().continuing = w.rows;
    }
    stored = w.first;
    tau = w.begin;
    assert(stored == batch + std::accumulate(lengths.begin(), lengths.end(), Index(0)));
  }

  bool uniform() const { return windows.back().rows == batch; }

  /// Where each step's rows begin in compact storage, counted from the first step on.
  std::vector<Index> row_of_step() const {
    std::vector<Index> first;
    first.reserve(std::size_t(tau));
    for (const Window& w : windows)
      for (Index t = 0; t < w.steps; ++t) first.push_back(w.first - batch + t * w.rows);
    return first;
  }

  // Of so many steps and rows, each about `rows_per_window` rows.
  static Index windows_for(Index steps, Index rows, Index rows_per_window) {
    const Index most = std::max<Index>(1, rows_per_window / rows);
    return steps / most + (steps % most != 0);
  }

  std::size_t number_of_windows(Index rows_per_window) const {
    Index count = 0, begin = 0;
    for (Index rows = batch; rows > 0; --rows) {
      const Index end = lengths[std::size_t(rows - 1)];
      if (end > begin) count += windows_for(end - begin, rows, rows_per_window);
      begin = end;
    }
    return std::size_t(count);
  }

  Index batch, tau = 0;
  Index stored = 0;            // rows of compact storage: the states before the first step and after every step
  Index largest = 0;           // rows of the largest window
  std::vector<Index> order;    // the caller's place of each sequence
  std::vector<Index> lengths;  // in the order of work
  std::vector<Window> windows;
};

/// Consecutive windows [from, to) whose states are in memory at the same time. The states before the first are kept from the first
/// pass.
struct Segment {
  Index from = 0, to = 0;
};

struct Segments {
  std::vector<Segment> list;  // empty where there is no way
  Index kept = 0;             // rows of h before the segments, together
  Index longest = 0;          // rows of h of the longest segment
  Index smallest = 0;         // the fewest rows of h, kept and longest together. It grows with the square root of tau
};

/// The longest segments that hold at most `most_rows` rows of h. A single one of all windows computes nothing twice. Before each
/// segment that is computed twice, `kept_rows` rows are kept for each sequence.
inline Segments segments_within(const Timeline& timeline, Index most_rows, Index kept_rows = 1) {
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
      result.kept += first.rows * (to == Index(w.size()) ? 1 : kept_rows);
      result.longest = std::max(result.longest, last.first + last.size() - first.first);
    }
    std::reverse(result.list.begin(), result.list.end());
    if (result.kept + result.longest <= most_rows) return result;
    result.smallest = std::min(result.smallest, result.kept + result.longest);
  }
  result.list.clear();
  return result;
}

}  // namespace bptt
