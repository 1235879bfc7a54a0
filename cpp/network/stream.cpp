// The steps of a stream.
#include "network/stream.hpp"

#include "base/denormals.hpp"
#include "kernels/isa.hpp"

namespace bptt {
namespace {

constexpr Index rows_at_once = 48;  // a multiple of every tile's rows: where there are few sequences, of several steps together

template <class T> Array<T> copy(const T* from, Index size) {
  Array<T> array(size);
  std::copy_n(from, size, array.data());
  return array;
}

}  // namespace

template <class T>
Cell<T>::State::State(const Network& network, Index rows_)
    : rows(rows_), most_steps(network.recurrence == Recurrence::h ? std::max<Index>(1, rows_at_once / rows_) : 1) {
  for (Index l = 0; l < network.layers(); ++l) h.push_back(zeros<T>(product(product(most_steps + 1, rows), network.n(l))));
  if (network.recurrence != Recurrence::h) r = zeros<T>(product(rows, network.n_out));
}

template <class T>
Cell<T>::Cell(const Network& network, const T* parameters) : network_(network), k_(kernels<T>()) {
  assert(!network.bidirectional);
  const Parameters<const T> p(network_, parameters);
  for (const auto& chain : p.chain) {
    const bool tokens = layers_.empty() && network_.input == Input::token;
    Layer layer{{k_, chain.W, network_.activation}, {}, copy(chain.b, chain.U.rows), {}};
    if (tokens)
      layer.table = token_table<T>(chain.U, chain.b);
    else
      layer.U_transposed = pack_transposed<T>(k_, chain.U);
    layers_.push_back(std::move(layer));
  }
  V_transposed_ = pack_transposed<T>(k_, p.V);
  c_ = copy(p.c, network_.n_out);
}

template <class T>
void Cell<T>::start(Sum<T>& a, std::size_t l, const T* x, Index count, const std::int32_t* tokens, Index rows) const {
  const Layer& layer = layers_[l];
  if (layer.table.data() != nullptr)
    a.from({layer.table.data(), network_.n_in, network_.n(0)}, tokens, rows);
  else
    a.from(layer.b.data()).plus({x, count, layer.U_transposed.depth}, layer.U_transposed);
}

template <class T> void Cell<T>::outputs(Matrix<const T> h, T* o) const {
  Sum<T>(k_).from(c_.data()).plus(h, V_transposed_).into({o, h.rows, network_.n_out});  // o(t) = c + V h(t): 10.10
}

template <class T>
void Cell<T>::advance(State& s, Index steps, const T* x, const std::int32_t* tokens, T* o) const {
  assert(steps >= 1 && steps <= s.most_steps);
  const Index rows = s.rows, all = steps * rows;
  if (network_.recurrence != Recurrence::h) {
    const Matrix<T> h(s.h[0].data(), rows, network_.n(0)), r(s.r.data(), rows, network_.n_out);
    Sum<T> a(k_);
    start(a, 0, x, rows, tokens, rows);
    layers_[0].step(a, r, h);
    outputs(h, o);
    return feed_back(network_, k_, o, rows, r.data);
  }
  Matrix<const T> below(x, all, network_.n_in);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Index n = network_.n(Index(l));
    const Matrix<T> before(s.h[l].data(), rows, n), h(before.row(rows), all, n), first = h.middle_rows(0, rows);
    Steps together;
    together.count = steps;
    together.out = rows * n;
    Sum<T> a(k_);
    if (steps == 1 || layers_[l].table.data() != nullptr) {
      start(a, l, below.data, rows, tokens, rows);
    } else {  // U x(t) does not wait for the step before
      Sum<T> of_all(k_);
      start(of_all, l, below.data, all, tokens, rows);
      of_all.into(h);
      a.from(Matrix<const T>(first), together.out);
    }
    layers_[l].step(a, before, first, together);
    std::copy_n(h.row(all - rows), rows * n, before.data);
    below = h;
  }
  outputs(below, o);
}

template <class T> void Stream<T>::advance(Index steps, const T* x, T* o) {
  const FlushDenormals flush;
  const Index size = rows() * network().n_out;
  cell_->advance(state_, steps, x, tokens_.data(), o);
  std::copy_n(o + (steps - 1) * size, size, last_.data());
}

template class Cell<float>;
template class Cell<double>;
template class Stream<float>;
template class Stream<double>;

}  // namespace bptt
