// What an instruction set must provide: a table of functions. What includes this is compiled for several processors and must share
// no inline function between them, so it holds plain pointers only.
#pragma once

#include <cstdint>

#include "base/index.hpp"

namespace bptt {

/// What is done to a sum before it is stored: a unit's f, or the way back through it, where h = f(a) is the unit's value.
enum class Epilogue { identity, tanh, tanh_derivative, relu, relu_derivative };

/// A B: `a` [rows, depth], row by row; B [depth, columns], packed in panels. From one step to the next, `a` moves by a_step.
template <class T> struct Product {
  const T* a = nullptr;
  Index a_stride = 0, a_step = 0;
  const T* panels = nullptr;
  Index depth = 0;
};

/// out = f(start + A1 B1 + A2 B2), then the same for the next step, all pointers moved by their `_step`. The output of one step may
/// be the input of the next. Row r of `start` is start + start_stride * (start_index ? start_index[r] : r): a bias (stride 0), a
/// matrix, or rows of a table. Each element is one sum, whose order follows from depths and columns alone, whatever rows stand
/// beside it.
template <class T> struct Affine {
  Index steps = 1, rows = 0, columns = 0;
  Index whole = 0;         // columns of the whole result, of which these are a part. The order of the sums follows from it
  bool backwards = false;  // begin with the last columns. Every other step begins at the other end, where the last one ended
  const T* start = nullptr;
  Index start_stride = 0, start_step = 0;
  const std::int32_t* start_index = nullptr;
  Index start_index_step = 0;
  Product<T> product[2];  // depth 0: none
  Epilogue epilogue = Epilogue::identity;
  const T* h = nullptr;  // the unit's values, for derivatives
  Index h_stride = 0, h_step = 0;
  // In place of `epilogue`, where more is done than that: what follows. It is done to what has just been stored.
  Epilogue late = Epilogue::identity;
  T pull = 0;  // on the way back: the sum has so many times h more
  // Leaky units, if alpha is given: leak(s) = carry + alpha (s - carry) of the sum s, or s to the bit where alpha is 1. Forward it
  // comes before f, and is stored in carry_out, which may be `carry` itself. On the way back it comes after f'.
  const T* alpha = nullptr;  // [columns]
  const T* carry = nullptr;  // [rows, columns]
  T* carry_out = nullptr;
  Index carry_stride = 0, carry_step = 0;  // of both
  T* out = nullptr;
  Index out_stride = 0, out_step = 0;
};

/// c += A^T B: A [rows, m], B [rows, n], `c` [m, n]. Row r of A's columns [i tile_rows, (i + 1) tile_rows) is at
/// a + i * a_block + r * a_stride; of B's columns [j panel, (j + 1) panel) it is at b + j * b_block + r * b_stride. These are plain
/// matrices, or copies in which a tile reads straight on. The first rows of B may lie elsewhere, at `b_first`. Up to a vector
/// beyond the end of a row of b is read, and never used.
template <class T> struct Outer {
  Index rows = 0, m = 0, n = 0;
  const T* a = nullptr;
  Index a_stride = 0, a_block = 0;
  const T* b = nullptr;
  Index b_stride = 0, b_block = 0;
  const T* b_first = nullptr;
  Index first_rows = 0;
  T* c = nullptr;
  Index c_stride = 0;
};

/// Row by row: the loss, and in place of o its gradient. A row of weight 0 or of target -1 takes no part: loss 0, gradient 0.
template <class T> struct Loss {
  Index rows = 0, n = 0;
  T* o = nullptr;  // [rows, n]: o(t) in; dL/do(t) out if `gradient`, else undefined
  Index o_stride = 0;
  const std::int32_t* target = nullptr;  // [rows], softmax
  const T* y = nullptr;                  // [rows, n], sigmoid and linear
  Index y_stride = 0;
  const T* weight = nullptr;  // [rows], or null: 1; of sigmoid and linear also [rows, n]
  bool each_output_has_weight = false;
  double* loss = nullptr;  // [rows]
  bool gradient = false;
};

/// How parameters theta follow their gradient g (Deep Learning, chapter 8): theta = keep theta - rate d, with the direction d of
///   sgd               g                                                                          (algorithm 8.1)
///   momentum          v = beta1 v + g                                                            (8.2)
///   nesterov          g + beta1 v, where v = beta1 v + g                                         (8.3)
///   adagrad           g / (sqrt(r) + eps), where r = r + g^2                                     (8.4)
///   rmsprop           g / (sqrt(r) + eps), where r = beta2 r + (1 - beta2) g^2                   (8.5)
///   rmsprop_momentum  v = beta1 v + g / (sqrt(r) + eps)
///   adam              s / (root sqrt(r) + eps), where s = beta1 s + (1 - beta1) g, and r as for rmsprop  (8.7)
enum class Rule { sgd, momentum, nesterov, adagrad, rmsprop, rmsprop_momentum, adam };

/// What a rule keeps of earlier gradients: `first`, a mean of them or a direction; `second`, of their squares.
constexpr bool keeps_first(Rule rule) { return rule != Rule::sgd && rule != Rule::adagrad && rule != Rule::rmsprop; }
constexpr bool keeps_second(Rule rule) { return rule >= Rule::adagrad; }

/// One update, element by element, of parameters and of what the rule keeps. g = factor * gradient, brought into
/// [-limit, limit], + decay * theta. `root` is 1 but for Adam.
template <class T> struct Update {
  Rule rule = Rule::sgd;
  Index count = 0;
  T* parameters = nullptr;
  const T* gradient = nullptr;
  T* first = nullptr;   // v or s
  T* second = nullptr;  // r
  T factor = 0, limit = 0, decay = 0, keep = 0, rate = 0;
  T beta1 = 0, beta2 = 0, rest1 = 0, rest2 = 0;  // rest = 1 - beta
  T root = 0, eps = 0;
};

/// Places where random numbers are drawn, four words each: step, sequence, four units, and what is drawn for which chain.
struct Places {
  static constexpr int count = 64;
  std::uint32_t word[4][count] = {};
};

template <class T> struct Kernels {
  Index lanes = 0;      // elements of a vector
  Index panel = 0;      // columns of a panel: two vectors
  Index tile_rows = 0;  // rows of the largest tile

  /// panels = B [depth, n], element (k, j) at b[k * k_stride + j * j_stride]; depth * n_rounded_up_to_lanes elements
  void (*pack)(const T* b, Index k_stride, Index j_stride, Index depth, Index n, T* panels) = nullptr;
  /// Columns [i width, (i + 1) width) of `from` [rows, columns] to `to + i * block`, without gaps between rows
  void (*copy_blocks)(const T* from, Index stride, Index rows, Index columns, Index width, T* to, Index block) = nullptr;
  void (*affine)(const Affine<T>&) = nullptr;
  void (*outer)(const Outer<T>&) = nullptr;
  /// sums[j] += sum over r of a[row(r), j], with row(r) = index ? index[r] : r
  void (*add_rows)(const T* a, Index a_stride, const std::int32_t* index, Index rows, Index n, T* sums) = nullptr;
  /// sums[j] += sum over r of a[r, j], in double precision
  void (*add_rows_in_double)(const T* a, Index a_stride, Index rows, Index n, double* sums) = nullptr;
  void (*softmax_loss)(const Loss<T>&) = nullptr;  // -log softmax(o)[target]                                  (10.14)
  // Of these two, a target that is NaN takes no part.
  void (*sigmoid_loss)(const Loss<T>&) = nullptr;  // -sum_j y_j log sigma(o_j) + (1 - y_j) log(1 - sigma(o_j))
  void (*squared_loss)(const Loss<T>&) = nullptr;  // 1/2 sum_j (o_j - y_j)^2
  void (*softmax)(const T* o, Index rows, Index n, T* y_hat) = nullptr;  // rows without gaps; (10.11)
  void (*sigmoid)(const T* o, Index count, T* y_hat) = nullptr;
  void (*tanh)(const T* x, Index count, T* y) = nullptr;
  /// d_o += J^T dy with J the Jacobian of the unit where its value is y; rows without gaps
  void (*softmax_back)(const T* y, const T* dy, Index rows, Index n, T* d_o) = nullptr;  // d_o_j += y_j (dy_j - sum_i y_i dy_i)
  void (*sigmoid_back)(const T* y, const T* dy, Index count, T* d_o) = nullptr;          // d_o_j += y_j (1 - y_j) dy_j
  void (*update)(const Update<T>&) = nullptr;
  /// Four numbers for each place: 32 random bits, or normal numbers of mean 0 and variance 1. The bits are those of every other
  /// instruction set.
  void (*draw_bits)(std::uint64_t seed, const Places&, std::uint32_t (*bits)[Places::count]) = nullptr;
  void (*normals)(std::uint64_t seed, const Places&, T (*z)[Places::count]) = nullptr;
  void (*add_scaled)(const T* x, const T* scale, Index n, T* y) = nullptr;  // y[j] += scale[j] x[j], not fused
  double (*sum_of_squares)(const T* x, Index count) = nullptr;  // in double precision, in an order that follows from `count` alone
};

/// The tables, a pair per instruction set, each compiled with its own flags.
namespace baseline {
extern const Kernels<float> float32;
extern const Kernels<double> float64;
}  // namespace baseline
namespace v3 {
extern const Kernels<float> float32;
extern const Kernels<double> float64;
}  // namespace v3
namespace v4 {
extern const Kernels<float> float32;
extern const Kernels<double> float64;
}  // namespace v4
namespace neon {
extern const Kernels<float> float32;
extern const Kernels<double> float64;
}  // namespace neon

}  // namespace bptt
