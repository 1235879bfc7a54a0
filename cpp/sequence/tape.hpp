// The hidden states of a batch, kept from the way forward for the way back, as many as memory allows.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "sequence/layer_rows.hpp"
#include "sequence/timeline.hpp"

namespace bptt {

/// Left to right all states are stored; to save memory, those before each segment of windows and those of the last segment alone.
/// Right to left a segment's states are computed a second time before they are read. All layers go through a window together.
/// Beside h a network may carry other numbers from step to step, in a place of its own. They are kept before each segment that is
/// computed twice, and put back there.
template <class T> class Tape {
 public:
  /// A negative `memory_limit` is none. `carried` has a matrix [batch, n] for each layer, or none.
  Tape(const Timeline& timeline, const Widths& widths, Index memory_limit, const PerLayer<T>& carried = {})
      : timeline_(timeline),
        widths_(widths),
        carried_(carried),
        segments_(segments_within(timeline, rows(memory_limit), carried.empty() ? 1 : 2)) {
    if (segments_.list.empty())
      throw std::invalid_argument("memory_limit: expected at least " + std::to_string(segments_.smallest * bytes_per_row()) +
                                  " bytes for these sequences, got " + std::to_string(memory_limit));
    kept_ = LayerRows<T>(widths, segments_.kept);
  }

  /// forward(window, before, h) computes the states of a window from those before it.
  template <class Forward> void record(const PerLayer<const T>& before_first, const Forward& forward) {
    store_ = LayerRows<T>(widths_, segments_.longest);
    PerLayer<const T> before = before_first;
    Index kept = 0;  // rows
    for (const Segment& segment : segments_.list) {
      const Index rows = before[0].rows;
      for (std::size_t l = 0; l < widths_.size(); ++l) std::copy_n(before[l].data, rows * widths_[l], kept_.row(l, kept));
      kept_from_.push_back(kept);
      kept += rows;
      if (&segment != &segments_.list.back() && !carried_.empty()) {
        for (std::size_t l = 0; l < widths_.size(); ++l) std::copy_n(carried_[l].data, rows * widths_[l], kept_.row(l, kept));
        kept += rows;
      }
      before = compute(segment, kept_from_.back(), forward);
    }
  }

  /// The states of all windows are the caller's, one row after another as in compact storage; where no limit was set.
  void borrow(const PerLayer<const T>& before_first, const PerLayer<const T>& h) {
    assert(segments_.list.size() == 1);
    for (std::size_t l = 0; l < widths_.size(); ++l)
      std::copy_n(before_first[l].data, before_first[l].rows * widths_[l], kept_.row(l, 0));
    kept_from_.push_back(0);
    borrowed_ = h;
  }

  /// backward(window, before, h) for every window, from the last to the first.
  template <class Forward, class Backward> void rewind(const Forward& forward, const Backward& backward) {
    PerLayer<const T> before(widths_.size()), h(widths_.size());
    for (std::size_t s = segments_.list.size(); s-- > 0;) {
      const Segment& segment = segments_.list[s];
      const Window* const w = timeline_.windows.data();
      if (s + 1 < segments_.list.size()) {
        const Index rows = w[segment.from].rows;
        for (std::size_t l = 0; l < carried_.size(); ++l)
          std::copy_n(kept_.row(l, kept_from_[s] + rows), rows * widths_[l], carried_[l].data);
        compute(segment, kept_from_[s], forward);
      }
      const Index first = w[segment.from].first;
      for (Index i = segment.to; i-- > segment.from;) {
        for (std::size_t l = 0; l < widths_.size(); ++l) {
          if (i == segment.from)
            before[l] = kept_.rows(l, kept_from_[s], w[i].rows);
          else
            before[l] = stored(l, w[i].before - first, w[i].rows);
          h[l] = stored(l, w[i].first - first, w[i].size());
        }
        backward(w[i], before, h);
      }
    }
  }

  /// True if the states take more memory than so many bytes.
  bool exceeds(double bytes) const { return double(segments_.longest) * double(bytes_per_row()) > bytes; }

  /// True if the states of the window before this one lie just before its own.
  bool holds_before(const Window& w, Matrix<const T> h, std::size_t layer) const {
    return h.data - stored(layer, 0, 0).data >= w.size() * widths_[layer];
  }

  /// All states of a layer, in compact storage without the states before the first step; where no limit was set.
  Matrix<T> all(std::size_t layer) const {
    assert(segments_.list.size() == 1);
    return store_.rows(layer, 0, timeline_.stored - timeline_.batch);
  }

 private:
  Index bytes_per_row() const { return sum_of(widths_) * Index(sizeof(T)); }
  Index rows(Index memory_limit) const { return memory_limit < 0 ? timeline_.stored : memory_limit / bytes_per_row(); }
  Matrix<T> states(const Window& w, Index first, std::size_t l) const { return store_.rows(l, w.first - first, w.size()); }
  Matrix<const T> stored(std::size_t l, Index first, Index rows) const {
    return borrowed_.size() > 0 ? borrowed_[l].middle_rows(first, rows) : Matrix<const T>(store_.rows(l, first, rows));
  }

  // The states of a segment, from those kept before it. Returns those before the next one.
  template <class Forward> PerLayer<const T> compute(const Segment& segment, Index kept_from, const Forward& forward) const {
    const Window& first = timeline_.windows[std::size_t(segment.from)];
    PerLayer<const T> before(widths_.size());
    PerLayer<T> h(widths_.size());
    for (std::size_t l = 0; l < widths_.size(); ++l) before[l] = kept_.rows(l, kept_from, first.rows);
    for (Index i = segment.from; i < segment.to; ++i) {
      const Window& w = timeline_.windows[std::size_t(i)];
      for (std::size_t l = 0; l < widths_.size(); ++l) h[l] = states(w, first.first, l);
      forward(w, before, h);
      for (std::size_t l = 0; l < widths_.size(); ++l) before[l] = h[l].middle_rows(w.size() - w.rows, w.continuing);
    }
    return before;
  }

  const Timeline& timeline_;
  const Widths widths_;
  const PerLayer<T> carried_;
  const Segments segments_;
  LayerRows<T> kept_, store_;
  PerLayer<const T> borrowed_;
  InlineVector<Index> kept_from_;  // of each segment: its first row in kept_
};

}  // namespace bptt
