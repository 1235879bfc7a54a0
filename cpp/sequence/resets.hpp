// New sequences in the middle of a stream.
#pragma once

#include <vector>

#include "sequence/rows.hpp"

namespace bptt {

/// The steps at which a new sequence begins in the middle of a stream: they see 0, or the state that a network begins with, in
/// place of the state before, and no gradient crosses. Rows are in the order of work.
class ResetFlags {
 public:
  ResetFlags() = default;
  /// In the second direction the same boundary lies one step further on: what begins at t forwards has ended at t backwards.
  ResetFlags(const Rows<const std::uint8_t>& flags, const std::vector<Index>& lengths, Index tau, bool reverse)
      : flags_(reverse ? flags.reversed(lengths) : flags), shift_(reverse ? 1 : 0) {
    if (!flags.given()) return;
    any_.resize(std::size_t(tau));
    for (Index i = 0; i < Index(lengths.size()); ++i)
      for (Index t = 0; t < lengths[std::size_t(i)]; ++t) any_[std::size_t(t)] |= at(t, i);
  }

  bool given() const { return flags_.given(); }
  bool at(Index t, Index i) const { return t >= shift_ && *flags_(t - shift_, i) != 0; }
  bool any_at(const Window& w, Index t) const { return !any_.empty() && any_[std::size_t(w.begin + t)] != 0; }
  bool any_in(const Window& w) const {
    for (Index t = 0; t < w.steps; ++t)
      if (any_at(w, t)) return true;
    return false;
  }

  /// Of rows [from, from + rows.rows) of step t of the window, those in which a new sequence begins become `first`, or 0.
  template <class T> void mask(const Window& w, Index t, Index from, Matrix<T> rows, const T* first = nullptr) const {
    if (!any_at(w, t)) return;
    for (Index i = 0; i < rows.rows; ++i)
      if (at(w.begin + t, from + i))
        first == nullptr ? std::fill_n(rows.row(i), rows.cols, T(0)) : std::copy_n(first, rows.cols, rows.row(i));
  }

 private:
  Rows<const std::uint8_t> flags_;
  Index shift_ = 0;
  std::vector<char> any_;  // of a step: whether a new sequence begins in any row
};

}  // namespace bptt
