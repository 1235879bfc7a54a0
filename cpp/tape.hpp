// The hidden states of a batch, kept from the way forward for the way back, as many as memory allows. Knows no equations.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "batch.hpp"
#include "matrix.hpp"

namespace bptt {

/// Left to right all states are stored or, to save memory, those before each segment of windows and those of the last segment;
/// right to left a segment's states are computed a second time before they are read.
template <class T> class Tape {
 public:
  Tape(const Timeline& timeline, Index n_hidden, Index memory_limit)
      : timeline_(timeline), n_(n_hidden), segments_(cut_into_segments(timeline, rows(memory_limit))) {
    if (segments_.list.empty())
      throw std::invalid_argument("memory_limit: expected at least " + std::to_string(segments_.smallest * bytes_per_row()) +
                                  " bytes for these sequences, got " + std::to_string(memory_limit));
    kept_ = Array<T>(segments_.kept * n_);
    store_ = Array<T>(segments_.longest * n_);
  }

  /// run(window, before, h) computes the states of a window from those before it.
  template <class Run> void record(Matrix<const T> before_first, const Run& run) {
    Matrix<const T> before = before_first;
    T* place = kept_.data();
    for (const Segment& segment : segments_.list) {
      std::copy_n(before.data, before.rows * n_, place);
      before_segment_.push_back(place);
      place += before.rows * n_;
      before = through(segment, before_segment_.back(), run);
    }
  }

  /// back(window, before, h) for every window, from the last to the first.
  template <class Run, class Back> void rewind(const Run& run, const Back& back) {
    for (std::size_t s = segments_.list.size(); s-- > 0;) {
      const Segment& segment = segments_.list[s];
      if (s + 1 < segments_.list.size()) through(segment, before_segment_[s], run);
      const Window* const w = timeline_.windows.data();
      const Index first = w[segment.from].first;
      for (Index i = segment.to; i-- > segment.from;) {
        const T* const before = i == segment.from ? before_segment_[s] : store_.data() + (w[i].before - first) * n_;
        back(w[i], Matrix<const T>(before, w[i].rows, n_), states(w[i], first));
      }
    }
  }

  /// Whether the states are too many to stay in memory of so many bytes.
  bool beyond(double bytes) const { return double(segments_.longest) * double(bytes_per_row()) > bytes; }

  /// Whether the window before this one lies just before its states.
  bool has_before(const Window& w, const T* h) const { return h - store_.data() >= w.size() * n_; }

 private:
  Index bytes_per_row() const { return n_ * Index(sizeof(T)); }
  Index rows(Index memory_limit) const { return memory_limit < 0 ? timeline_.stored : memory_limit / bytes_per_row(); }
  Matrix<T> states(const Window& w, Index first) const { return {store_.data() + (w.first - first) * n_, w.size(), n_}; }

  template <class Run> Matrix<const T> through(const Segment& segment, const T* before_first, const Run& run) const {
    const Window& first = timeline_.windows[std::size_t(segment.from)];
    Matrix<const T> before(before_first, first.rows, n_);
    for (Index i = segment.from; i < segment.to; ++i) {
      const Window& w = timeline_.windows[std::size_t(i)];
      const Matrix<T> h = states(w, first.first);
      run(w, before, h);
      before = h.middle_rows(w.size() - w.rows, w.continue_);
    }
    return before;  // the next segment's
  }

  const Timeline& timeline_;
  const Index n_;
  const Segments segments_;
  Array<T> kept_, store_;
  std::vector<const T*> before_segment_;
};

}  // namespace bptt
