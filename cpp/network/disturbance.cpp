// Noise and dropout: the draws, and what is done with them.
#include "network/disturbance.hpp"

#include <cmath>

namespace bptt {
namespace {

/// work(i) for i in [0, count), most of them so many at a time that the compiler takes vectors.
template <class Work> inline void for_each_of_run(Index count, const Work& work) {
  constexpr Index together = 8;
  Index i = 0;
  for (; i + together <= count; i += together)
    for (Index k = 0; k < together; ++k) work(i + k);
  for (; i < count; ++i) work(i);
}

template <class V> Matrix<V> half(Matrix<V> rows, Index column) {
  rows.data += column;
  return rows;
}

}  // namespace

template <class T> auto Draws<T>::placed(const Window& w, bool reverse, Index from) const {
  return [this, &w, reverse, from](Index row) {
    const Index step = w.begin + (from + row) / w.rows, i = (from + row) % w.rows;
    return Place{reverse ? ctx_->timeline.lengths[std::size_t(i)] - 1 - step : step, i};
  };
}

template <class T>
template <class Number, class Kernel, class PlaceOf, class Visit>
void Draws<T>::draw(Kernel kernel, Index rows, const PlaceOf& place_of, const Visit& visit) const {
  const Index apart = (n_ + 3) / 4;
  Places places;
  Number numbers[4][Places::count];
  struct Run {
    Index row, unit;
    int first;  // among the places
  };
  Run runs[Places::count + 1];
  int filled = 0, run_count = 0;
  const auto flush = [&] {
    kernel(seed_, places, numbers);
    runs[run_count].first = filled;
    for (int r = 0; r < run_count; ++r)
      for (Index k = 0, j = runs[r].unit; k < 4 && j < n_; ++k, j += apart)
        visit(runs[r].row, j, numbers[k] + runs[r].first, std::min<Index>(runs[r + 1].first - runs[r].first, n_ - j));
    filled = run_count = 0;
  };
  for (Index row = 0; row < rows; ++row) {
    const Place at = place_of(row);
    const auto sequence = std::uint32_t(ctx_->timeline.order[std::size_t(at.sequence)]);
    for (Index unit = 0; unit < apart;) {
      runs[run_count++] = {row, unit, filled};
      const Index count = std::min<Index>(Places::count - filled, apart - unit);
      for_each_of_run(count, [&](Index i) {
        places.word[0][filled + i] = std::uint32_t(at.time);
        places.word[1][filled + i] = sequence;
        places.word[2][filled + i] = std::uint32_t(unit + i);
        places.word[3][filled + i] = what_;
      });
      filled += int(count);
      unit += count;
      if (filled == Places::count) flush();
    }
  }
  if (filled > 0) flush();
}

template <class T>
template <class Visit>
void Draws<T>::normals(const Window& w, bool reverse, Index from, Index to, const Visit& visit) const {
  draw<T>(ctx_->k.normals, to - from, placed(w, reverse, from),
          [&](Index row, Index j, const T* z, Index count) { visit(from + row, j, z, count); });
}

template <class T>
template <class Visit>
void Draws<T>::bits(const Window& w, bool reverse, Index from, Index to, const Visit& visit) const {
  draw<std::uint32_t>(ctx_->k.draw_bits, to - from, placed(w, reverse, from),
                      [&](Index row, Index j, const std::uint32_t* b, Index count) { visit(from + row, j, b, count); });
}

template <class T> template <class Visit> void Draws<T>::bits_of_last(bool reverse, const Visit& visit) const {
  const auto place = [&](Index i) { return Place{reverse ? 0 : ctx_->timeline.lengths[std::size_t(i)] - 1, i}; };
  draw<std::uint32_t>(ctx_->k.draw_bits, ctx_->timeline.batch, place, visit);
}

template <class T>
Noise<T>::Noise(const Context<T>& ctx, Index chain, Index n, const Disturbance& d, bool reverse)
    : draws_(ctx, Draws<T>::noise, chain, n, d.seed), scale_(n), reverse_(reverse) {
  const Network& network = ctx.network;
  for (Index j = 0; j < n; ++j) scale_[j] = T(d.noise * std::sqrt(2 / network.alpha(chain / network.directions(), j)));
}

template <class T> void Noise<T>::add(const Window& w, Index from, Index to, Matrix<T> a) const {
  draws_.normals(w, reverse_, from, to, [&, add_scaled = draws_.kernels().add_scaled](Index f, Index j, const T* z, Index count) {
    add_scaled(z, scale_.data() + j, count, a.row(f) + j);
  });
}

template <class T>
Dropout<T>::Dropout(const Context<T>& ctx, Index layer, const Disturbance& d)
    : least_kept_(std::uint32_t(d.dropout * 4294967296.0)), scale_(T(1 / (1 - d.dropout))) {
  if (d.dropout <= 0) return;
  for (Index i = 0; i < ctx.network.directions(); ++i)
    chains_.emplace_back(ctx, Draws<T>::dropout, layer * ctx.network.directions() + i, ctx.network.n(layer), d.seed);
}

template <class T> auto Dropout<T>::keep(Matrix<const T> rows, Matrix<T> to_rows) const {
  return [this, rows, to_rows](Index f, Index j, const std::uint32_t* bits, Index count) {
    const T* const row = rows.row(f) + j;
    T* const to_row = to_rows.row(f) + j;
    T factor[Places::count];
    for_each_of_run(count, [&](Index i) { factor[i] = bits[i] >= least_kept_ ? scale_ : T(0); });
    for_each_of_run(count, [&](Index i) { to_row[i] = row[i] * factor[i]; });
  };
}

template <class T>
void Dropout<T>::operator()(const Window& w, bool reverse, Index from, Index to, Matrix<const T> rows, Matrix<T> to_rows) const {
  for (std::size_t d = 0; d < chains_.size(); ++d) {
    const Index column = Index(d) * chains_[d].n();
    of_direction(Index(d), w, reverse, from, to, half(rows, column), half(to_rows, column));
  }
}

template <class T>
void Dropout<T>::of_direction(Index d, const Window& w, bool reverse, Index from, Index to, Matrix<const T> rows,
                              Matrix<T> to_rows) const {
  chains_[std::size_t(d)].bits(w, reverse, from, to, keep(rows, to_rows));
}

template <class T> void Dropout<T>::of_last(Matrix<const T> rows, Matrix<T> to_rows) const {
  for (std::size_t d = 0; d < chains_.size(); ++d) {
    const Index column = Index(d) * chains_[d].n();
    chains_[d].bits_of_last(d == 1, keep(half(rows, column), half(to_rows, column)));
  }
}

template class Noise<float>;
template class Noise<double>;
template class Dropout<float>;
template class Dropout<double>;

}  // namespace bptt
