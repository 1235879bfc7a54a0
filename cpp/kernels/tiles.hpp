// The products: tiles of sums in registers, and their way over whole matrices. Included by kernels.cpp alone.
#pragma once

#include "kernels/epilogues.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace bptt::BPTT_ISA {
namespace {

// A tile is R rows by P vectors of sums, all in registers. Enough sums must be in flight to hide the latency of a multiply-add,
// so few rows take many vectors, and where there are not as many columns, C sums share the work of one.
//
// Processors of before 2013 do with fewer sizes of tiles: there would be as much code as for all others.
constexpr bool is_old = registers == 16 && lanes<float> == 4;
constexpr int tile_rows = registers == 32 ? 8 : is_old ? 4 : 6;
constexpr int narrow_rows = registers == 32 ? 4 : 3;                  // where C > 1
constexpr int usual_width = is_old ? 2 : 4, widest = is_old ? 2 : 7;  // vectors of tiles of few rows
template <int R> constexpr int most_wide = (registers - R - 1) / R < widest ? (registers - R - 1) / R : widest;  // of R <= 3 rows

constexpr Index long_row = 384;  // columns: the rows of a window no longer fit in L1

template <class T> constexpr Index vectors(Index columns) { return (columns + lanes<T> - 1) / lanes<T>; }

// ---- start + A1 B1 + A2 B2 -------------------------------------------------------------------------------------------------

// sums += A B. With C > 1, terms k, k + C, k + 2 C, ... are summed by themselves and added at the end.
template <class T, int R, int P, int C>
[[gnu::always_inline]] inline void accumulate(Vector<T> (&sums)[R][P], const Product<T>& product, Index row, Index column) {
  const Index panel = 2 * lanes<T> * product.depth;
  const T* a = product.a + row * product.a_stride;
  const T* b = product.panels + column * product.depth;
  Vector<T> apart[C][R][P] = {};  // apart[0] stays unused
  const auto term = [&](Index k, int c) __attribute__((always_inline)) {
    Vector<T> row_of_b[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const Index width = (p == P - 1 && P % 2 == 1 ? 1 : 2) * lanes<T>;  // only the last panel may be one vector wide
      row_of_b[p] = load(b + k * width + (p / 2) * panel + (p % 2) * lanes<T>);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vector<T> x = broadcast(a[r * product.a_stride + k]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        Vector<T>& sum = c == 0 ? sums[r][p] : apart[c][r][p];
        sum = fma(x, row_of_b[p], sum);
      }
    }
  };
  Index k = 0;
  for (; k + C <= product.depth; k += C) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) term(k + c, c);
  }
  if constexpr (C > 1) {
#pragma GCC unroll 4
    for (int c = 0; c < C - 1; ++c)
      if (k + c < product.depth) term(k + c, c);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p)
        sums[r][p] =
            C == 2 ? sums[r][p] + apart[1][r][p] : (sums[r][p] + apart[1][r][p]) + (apart[C - 2][r][p] + apart[C - 1][r][p]);
  }
}

template <class T, int R, int P> [[gnu::always_inline]] inline void prefetch(const T* rows, Index stride) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) __builtin_prefetch(rows + r * stride + p * lanes<T>);
}

// The sizes that most tiles of one row, of many rows and of narrow results have. The others share functions: there are many.
template <class T, int R, int P, int C>
constexpr bool is_frequent = C == 1 ? (R == 1 && P == 4) || (R > 3 && P == 2) : sizeof(T) == 4 && (R == 1 || R == narrow_rows);

// What becomes of the sums of a tile: columns [column, column + P vectors) of rows [row, row + R); `last` columns of the last
// vector exist.
template <class T, int R, int P>
[[gnu::always_inline]] inline void finish(const Affine<T>& s, Vector<T> (&values)[R * P], Index row, Index column, Index last) {
  T* const out = s.out + row * s.out_stride + column;
  apply<T>(s.epilogue, values);
  if (is_derivative(s.epilogue)) apply_derivative<T, R, P>(s.epilogue, values, s.h + row * s.h_stride + column, s.h_stride, last);
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P - 1; ++p) store(out + r * s.out_stride + p * lanes<T>, values[r * P + p]);
    store_first(out + r * s.out_stride + (P - 1) * lanes<T>, values[r * P + P - 1], last);
  }
  if (s.late != Epilogue::identity) late_tile<T>(s, R, P, row, column, last);
}

// The same of R rows, one by one, for tiles of any size.
template <class T, int P> BPTT_ONE_FUNCTION void finish_rows(const Affine<T>& s, Vector<T>* values, Index R, Index row,
                                                             Index column, Index last) {
  for (Index r = 0; r < R; ++r) finish<T, 1, P>(s, reinterpret_cast<Vector<T>(&)[P]>(values[r * P]), row + r, column, last);
}

// Columns [column, column + P vectors) of rows [row, row + R); `last` columns of the last vector exist.
template <class T, int R, int P, int C> void affine_tile(const Affine<T>& s, Index row, Index column, Index last) {
  Vector<T> sums[R][P];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const T* start = s.start + s.start_stride * (s.start_index ? Index(s.start_index[row + r]) : row + r) + column;
#pragma GCC unroll 8
    for (int p = 0; p < P - 1; ++p) sums[r][p] = load(start + p * lanes<T>);
    sums[r][P - 1] = load_first(start + (P - 1) * lanes<T>, last);
  }
  if (R > 3 && s.columns >= long_row) {  // what the end of the tile needs arrives while it computes
    if (is_derivative(s.epilogue)) prefetch<T, R, P>(s.h + row * s.h_stride + column, s.h_stride);
    prefetch<T, R, P>(s.out + row * s.out_stride + column, s.out_stride);
  }
  if (s.product[0].depth > 0) accumulate<T, R, P, C>(sums, s.product[0], row, column);
  if (s.product[1].depth > 0) accumulate<T, R, P, C>(sums, s.product[1], row, column);

  Vector<T> values[R * P];  // a copy that may live in memory, so that the sums need not
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) values[r * P + p] = sums[r][p];
  if constexpr (is_frequent<T, R, P, C>)
    finish<T, R, P>(s, values, row, column, last);
  else
    finish_rows<T, P>(s, values, R, row, column, last);
}

// ---- A^T B -----------------------------------------------------------------------------------------------------------------

// Columns [j, j + P vectors) of rows [i, i + R) of c, over the steps [from, to). A long chain of sums loses digits in float32: each
// part of the steps begins anew.
template <class T, int R, int P> void outer_tile(const Outer<T>& s, Index from, Index to, Index i, Index j, Index last) {
  constexpr Index panel = 2 * lanes<T>, part = sizeof(T) == sizeof(float) ? 64 : 512;
  const Index column = (j / panel) * s.b_block + j % panel;
  const T* a = s.a + (i / tile_rows) * s.a_block + i % tile_rows + from * s.a_stride;
  Vector<T> totals[R][P] = {};  // in memory
  prefetch<T, R, P>(s.c + i * s.c_stride + j, s.c_stride);
  for (Index end = from + part; from < to; end += part) {
    if (end > to) end = to;
    Vector<T> sums[R][P] = {};
    while (from < end) {
      const bool first = from < s.first_rows;
      const Index stop = first && s.first_rows < end ? s.first_rows : end;
      const T* b = (first ? s.b_first + from * s.b_stride : s.b + (from - s.first_rows) * s.b_stride) + column;
      for (; from < stop; ++from, a += s.a_stride, b += s.b_stride) {
        Vector<T> row_of_b[P];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) row_of_b[p] = load(b + p * lanes<T>);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const Vector<T> x = broadcast(a[r]);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) sums[r][p] = fma(x, row_of_b[p], sums[r][p]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) totals[r][p] += sums[r][p];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    T* c = s.c + (i + r) * s.c_stride + j;
#pragma GCC unroll 8
    for (int p = 0; p < P - 1; ++p) store(c + p * lanes<T>, load(c + p * lanes<T>) + totals[r][p]);
    c += (P - 1) * lanes<T>;
    store_first(c, load_first(c, last) + totals[r][P - 1], last);
  }
}

// ---- From tiles to matrices ------------------------------------------------------------------------------------------------

// tile.template at<R, P>(row, column, left) over a rows x columns matrix. Rows go in near equal tiles, so that none is thin beside
// others. Columns are the outer loop, so that one tile of rows after another reads a panel while it is in L1. Every other time they
// go backwards, because the panels that were read last are still in cache. Few rows go in tiles of 4 vectors, the last of up to 7.
template <class T, int R, class Tile> [[gnu::always_inline]] inline void columns_of(const Tile& tile, Index columns,
                                                                                    bool backwards) {
  constexpr Index B = usual_width;
  const Index all = vectors<T>(columns), tiles = all < B ? 1 : all / B;
  for (Index i = 0; i < tiles; ++i) {
    const Index t = backwards ? tiles - 1 - i : i;
    Index j = t * B * lanes<T>, P = t < tiles - 1 ? B : all - t * B;
    if (P > most_wide<R>) {
      tile.template at<R, B>(0, j, columns - j);
      j += B * lanes<T>;
      P -= B;
    }
    switch (P) {
      case 1: tile.template at<R, 1>(0, j, columns - j); break;
      case 2: tile.template at<R, 2>(0, j, columns - j); break;
      case 3:
        if constexpr (most_wide<R> >= 3) tile.template at<R, 3>(0, j, columns - j);
        break;
      case 4:
        if constexpr (most_wide<R> >= 4) tile.template at<R, 4>(0, j, columns - j);
        break;
      case 5:
        if constexpr (most_wide<R> >= 5) tile.template at<R, 5>(0, j, columns - j);
        break;
      case 6:
        if constexpr (most_wide<R> >= 6) tile.template at<R, 6>(0, j, columns - j);
        break;
      case 7:
        if constexpr (most_wide<R> >= 7) tile.template at<R, 7>(0, j, columns - j);
        break;
    }
  }
}

template <class T, int P, class Tile> [[gnu::always_inline]] inline void rows_of(const Tile& tile, Index R, Index row, Index j,
                                                                                 Index left) {
  switch (R) {
    case 2: return tile.template at<2, P>(row, j, left);
    case 3: return tile.template at<3, P>(row, j, left);
    case 4: return tile.template at<4, P>(row, j, left);
    case 5:
      if constexpr (tile_rows >= 5)
        return tile.template at<5, P>(row, j, left);
      else
        return;
    case 6:
      if constexpr (tile_rows >= 6)
        return tile.template at<6, P>(row, j, left);
      else
        return;
    case 7:
      if constexpr (tile_rows >= 7)
        return tile.template at<7, P>(row, j, left);
      else
        return;
    case 8:
      if constexpr (tile_rows >= 8)
        return tile.template at<8, P>(row, j, left);
      else
        return;
  }
}

template <class T, class Tile> [[gnu::always_inline]] inline void cover(const Tile& tile, Index most_rows, Index rows,
                                                                        Index columns, bool backwards = false) {
  if (rows == 1) return columns_of<T, 1>(tile, columns, backwards);
  if (rows == 2) return columns_of<T, 2>(tile, columns, backwards);
  if (rows == 3) return columns_of<T, 3>(tile, columns, backwards);
  const Index tiles = (rows + most_rows - 1) / most_rows;
  const Index tall = rows / tiles, one_taller = rows % tiles, panels = (columns + 2 * lanes<T> - 1) / (2 * lanes<T>);
  for (Index p = 0; p < panels; ++p) {
    const Index j = (backwards ? panels - 1 - p : p) * 2 * lanes<T>, left = columns - j;
    for (Index i = 0, row = 0; i < tiles; ++i) {
      const Index R = tall + (i < one_taller);
      if (left > lanes<T>)
        rows_of<T, 2>(tile, R, row, j, left);
      else
        rows_of<T, 1>(tile, R, row, j, left);
      row += R;
    }
  }
}

template <class T, int P> constexpr Index last_of(Index left) {
  return left - (P - 1) * lanes<T> < lanes<T> ? left - (P - 1) * lanes<T> : lanes<T>;
}

template <class T, int C> struct AffineTile {
  const Affine<T>& s;
  template <int R, int P> [[gnu::always_inline]] void at(Index row, Index column, Index left) const {
    if constexpr (C == 1 || (R <= narrow_rows && P <= 2)) affine_tile<T, R, P, C>(s, row, column, last_of<T, P>(left));
  }
};

template <class T> void affine_step(const Affine<T>& s, bool backwards) {
  const Index width = vectors<T>(s.whole);
  if (is_old || width > 2) return cover<T>(AffineTile<T, 1>{s}, tile_rows, s.rows, s.columns, backwards);
  if constexpr (!is_old) {
    if (width == 2)
      cover<T>(AffineTile<T, 2>{s}, narrow_rows, s.rows, s.columns);
    else
      cover<T>(AffineTile<T, 4>{s}, narrow_rows, s.rows, s.columns);
  }
}

template <class T> void affine(const Affine<T>& first) {
  affine_step(first, first.backwards);
  if (first.steps == 1) return;  // the copy would wait for what has just been written
  Affine<T> s = first;
  for (Index t = 1; t < s.steps; ++t) {
    s.start += s.start_step;
    if (s.start_index) s.start_index += s.start_index_step;
    for (Product<T>& product : s.product) product.a += product.a_step;
    s.h += s.h_step;
    s.carry += s.carry_step;
    if (s.carry_out) s.carry_out += s.carry_step;
    s.out += s.out_step;
    affine_step(s, (t % 2 != 0) != s.backwards);
  }
}

template <class T> struct OuterTile {
  const Outer<T>& s;
  Index from, to;
  template <int R, int P> [[gnu::always_inline]] void at(Index i, Index j, Index left) const {
    outer_tile<T, R, P>(s, from, to, i, j, last_of<T, P>(left));
  }
};

// A sum over more rows than this would lose digits in float32: each block's starts from zero.
constexpr Index rows_per_sum = 512;

template <class T> void outer(const Outer<T>& s) {
  const bool plain = s.a_block == tile_rows && s.b_block == 2 * lanes<T>;
  for (Index from = 0; from < s.rows; from += rows_per_sum) {
    const Index to = s.rows - from < rows_per_sum ? s.rows : from + rows_per_sum;
    const OuterTile<T> tile{s, from, to};
    if (plain) {
      cover<T>(tile, tile_rows, s.m, s.n);
      continue;
    }
    for (Index j = 0; j < s.n; j += 2 * lanes<T>)
      for (Index i = 0; i < s.m; i += tile_rows) {
        const Index R = s.m - i < tile_rows ? s.m - i : tile_rows, left = s.n - j;
        if (left > lanes<T>)
          R == 1 ? tile.template at<1, 2>(i, j, left) : rows_of<T, 2>(tile, R, i, j, left);
        else
          R == 1 ? tile.template at<1, 1>(i, j, left) : rows_of<T, 1>(tile, R, i, j, left);
      }
  }
}

template <class T> void copy_blocks(const T* from, Index stride, Index rows, Index columns, Index width, T* to, Index block) {
  for (Index r = 0; r < rows; ++r, from += stride, to += width) {
    T* row = to;
    Index j = 0;
    if (width == tile_rows)
      for (; j + tile_rows <= columns; j += tile_rows, row += block) __builtin_memcpy(row, from + j, tile_rows * sizeof(T));
    if (width == 2 * lanes<T>)
      for (; j + width <= columns; j += width, row += block) __builtin_memcpy(row, from + j, 2 * lanes<T> * sizeof(T));
    for (Index i = 0; j + i < columns; ++i) row[i] = from[j + i];
  }
}

template <class T> void pack(const T* b, Index k_stride, Index j_stride, Index depth, Index n, T* panels) {
  for (Index j = 0; j < n; j += lanes<T>) {  // a vector of columns: one half of a panel, or the last one
    const bool second = j / lanes<T> % 2 == 1;
    const Index width = second || n - j > lanes<T> ? 2 * lanes<T> : lanes<T>, filled = n - j < lanes<T> ? n - j : lanes<T>;
    T* to = panels + (second ? (j - lanes<T>)*depth + lanes<T> : j * depth);
    const T* from = b + j * j_stride;
    Index k = 0;
    if (j_stride == 1)
      for (; k < depth; ++k, to += width) store(to, load_first(from + k * k_stride, filled));
    if (k_stride == 1 && filled == lanes<T>)
      for (; k + lanes<T> <= depth; k += lanes<T>) {
        Vector<T> square[lanes<T>];
#pragma GCC unroll 16
        for (Index i = 0; i < lanes<T>; ++i) square[i] = load(from + i * j_stride + k);
        transpose<T>(square);
#pragma GCC unroll 16
        for (Index i = 0; i < lanes<T>; ++i, to += width) store(to, square[i]);
      }
    for (; k < depth; ++k, to += width)
      for (Index i = 0; i < lanes<T>; ++i) to[i] = i < filled ? from[k * k_stride + i * j_stride] : T(0);
  }
}

template <class T> void add_rows(const T* a, Index a_stride, const std::int32_t* index, Index rows, Index n, T* sums) {
  for (Index from = 0; from < rows; from += rows_per_sum) {
    const Index to = rows - from < rows_per_sum ? rows : from + rows_per_sum;
    for (Index j = 0; j < n; j += lanes<T>) {
      const Index width = n - j < lanes<T> ? n - j : lanes<T>;
      Vector<T> total = {};
      for (Index r = from; r < to; ++r) total += load_first(a + a_stride * (index ? Index(index[r]) : r) + j, width);
      store_first(sums + j, load_first(sums + j, width) + total, width);
    }
  }
}

template <class T> void add_rows_in_double(const T* a, Index a_stride, Index rows, Index n, double* sums) {
  constexpr int parts = 4;  // side by side, as an addition takes some cycles; of consecutive rows, whose signs often alternate
  const Index part = rows / parts;
  for (Index j = 0; j < n; j += lanes<double>) {
    const Index width = n - j < lanes<double> ? n - j : lanes<double>;
    Vector<double> totals[parts] = {};
    for (Index r = 0; r < part; ++r)
      for (int i = 0; i < parts; ++i) totals[i] += load_as_double(a + a_stride * (i * part + r) + j);
    for (Index r = parts * part; r < rows; ++r) totals[parts - 1] += load_as_double(a + a_stride * r + j);
    const Vector<double> total = (totals[0] + totals[1]) + (totals[2] + totals[3]);
    store_first(sums + j, load_first(sums + j, width) + total, width);
  }
}

}  // namespace
}  // namespace bptt::BPTT_ISA
