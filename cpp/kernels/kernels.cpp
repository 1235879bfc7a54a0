// The table of kernels, compiled once per instruction set (BPTT_ISA names it).
#include "kernels/kernels.hpp"

#include "kernels/draws.hpp"
#include "kernels/functions.hpp"
#include "kernels/losses.hpp"
#include "kernels/tiles.hpp"
#include "kernels/updates.hpp"

namespace bptt::BPTT_ISA {
namespace {

template <class T> constexpr Kernels<T> table() {
  Kernels<T> k;
  k.lanes = lanes<T>;
  k.panel = 2 * lanes<T>;
  k.tile_rows = tile_rows;
  k.pack = pack<T>;
  k.copy_blocks = copy_blocks<T>;
  k.affine = affine<T>;
  k.outer = outer<T>;
  k.add_rows = add_rows<T>;
  k.add_rows_in_double = add_rows_in_double<T>;
  k.softmax_loss = softmax_loss<T>;
  k.sigmoid_loss = sigmoid_loss<T>;
  k.squared_loss = squared_loss<T>;
  k.softmax = softmax<T>;
  k.sigmoid = sigmoid<T>;
  k.tanh = tanh<T>;
  k.softmax_back = softmax_back<T>;
  k.sigmoid_back = sigmoid_back<T>;
  k.update = update<T>;
  k.draw_bits = draw_bits;
  k.normals = normals<T>;
  k.add_scaled = add_scaled<T>;
  k.sum_of_squares = sum_of_squares<T>;
  return k;
}

}  // namespace

extern const Kernels<float> float32 = table<float>();
extern const Kernels<double> float64 = table<double>();

}  // namespace bptt::BPTT_ISA
