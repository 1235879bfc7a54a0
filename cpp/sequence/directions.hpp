// Both directions of a layer, side by side (figure 10.11).
#pragma once

#include <vector>

#include "sequence/rows.hpp"

namespace bptt {

/// The states of a layer's two chains, or their gradients, in compact storage from the first step on: the forward one's in the
/// order of time, the reverse one's from each sequence's last step to its first. A window's rows hold both, forward first.
template <class T> struct BothDirections {
  const Timeline* timeline = nullptr;
  const Index* row_of_step = nullptr;
  Matrix<T> chain[2];

  Index width() const { return chain[0].cols + chain[1].cols; }

  /// Row i of a chain, at the time t of the sequence.
  T* at(Index direction, Index t, Index i) const {
    const Index step = direction == 0 ? t : timeline->lengths[std::size_t(i)] - 1 - t;
    return chain[direction].row(row_of_step[step] + i);
  }

  /// Rows [from, to) of a window of either direction, whose step s is the time s or length - 1 - s.
  template <class Visit>
  void for_each_half(const Window& w, bool reverse, Index from, Index to, const Visit& visit) const {
    for_each_row(w, from, to, [&](Index f, Index step, Index i) {
      const Index t = reverse ? timeline->lengths[std::size_t(i)] - 1 - (w.begin + step) : w.begin + step;
      for (Index d = 0, column = 0; d < 2; column += chain[d].cols, ++d) visit(f, column, chain[d].cols, at(d, t, i));
    });
  }
};

template <class S, class T>
void gather(const BothDirections<S>& both, const Window& w, bool reverse, Index from, Index to, Matrix<T> window) {
  both.for_each_half(w, reverse, from, to,
                     [&](Index f, Index column, Index n, const S* half) { std::copy_n(half, n, window.row(f) + column); });
}

template <class S, class T>
void scatter(Matrix<S> window, const Window& w, bool reverse, Index from, Index to, const BothDirections<T>& both) {
  both.for_each_half(w, reverse, from, to,
                     [&](Index f, Index column, Index n, T* half) { std::copy_n(window.row(f) + column, n, half); });
}

/// The same, added to what is there.
template <class S, class T>
void scatter_add(Matrix<S> window, const Window& w, bool reverse, Index from, Index to, const BothDirections<T>& both) {
  both.for_each_half(w, reverse, from, to, [&](Index f, Index column, Index n, T* half) {
    for (Index j = 0; j < n; ++j) half[j] += window(f, column + j);
  });
}

}  // namespace bptt
