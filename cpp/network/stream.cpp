// The steps of a stream.
#include "network/stream.hpp"

#include "base/denormals.hpp"
#include "base/threads.hpp"
#include "kernels/isa.hpp"

namespace bptt {
namespace {

template <class T> Array<T> copy(const T* from, Index size) {
  Array<T> array(size);
  std::copy_n(from, size, array.data());
  return array;
}

}  // namespace

template <class T>
Cell<T>::State::State(const Network& network, Index rows_, Index most_steps_) : rows(rows_), most_steps(most_steps_) {
  for (Index l = 0; l < network.layers(); ++l) h.push_back(zeros<T>(product(product(most_steps + 1, rows), network.n(l))));
  for (Index l = 0; network.leaky() && l < network.layers(); ++l) v.push_back(zeros<T>(product(rows, network.n(l))));
  if (network.recurrence != Recurrence::h) r = zeros<T>(product(rows, network.n_out));
}

template <class T> void Cell<T>::take_state(State& s) const {
  const FlushDenormals flush;
  for (Index l = 0; network_.leaky() && l < network_.layers(); ++l) values_of(network_, k_, Matrix<const T>(state(s, l)), r(s, l));
}

template <class T>
Cell<T>::Cell(const Network& network, const T* parameters) : network_(network), k_(kernels<T>()) {
  assert(!network.bidirectional);
  const Parameters<const T> p(network_, parameters);
  for (const auto& chain : p.chain) {
    const bool tokens = layers_.empty() && network_.input == Input::token;
    Layer layer{{k_, network_, Index(layers_.size()), chain.W}, {}, copy(chain.b, chain.U.rows), {}};
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
void Cell<T>::advance_some(State& s, Index from, Index to, const T* x, const std::int32_t* tokens, T* o) const {
  const Index rows = to - from;
  const bool hidden = network_.recurrence == Recurrence::h;
  o += from * network_.n_out;
  if (x != nullptr) x += from * network_.n_in;
  Steps columns;
  columns.backwards = s.backwards;
  Matrix<const T> below(x, rows, network_.n_in);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Matrix<T> r = this->r(s, Index(l)).middle_rows(from, rows);
    const Matrix<T> h(s.h[l].data() + (s.rows + from) * network_.n(Index(l)), rows, network_.n(Index(l)));
    Sum<T> a(k_);
    start(a, l, below.data, rows, tokens + from, s.rows);
    layers_[l].step(a, r, carry(s, l, from, rows), h, columns);  // 10.8, 10.9
    if (hidden) std::copy_n(h.data, rows * h.cols, r.data);
    below = h;
  }
  outputs(below, o);  // 10.10
  if (!hidden) feed_back(network_, k_, o, rows, r(s, 0).row(from));
}

template <class T> void Cell<T>::advance(State& s, Index steps, const T* x, const std::int32_t* tokens, T* o) const {
  assert(steps >= 1 && steps <= s.most_steps);
  if (steps == 1) return advance_some(s, 0, s.rows, x, tokens, o);
  const Index rows = s.rows, all = steps * rows;
  Matrix<const T> below(x, all, network_.n_in);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Index n = network_.n(Index(l));
    const Matrix<T> before(s.h[l].data(), rows, n), h(before.row(rows), all, n), first = h.middle_rows(0, rows);
    Steps together;
    together.count = steps;
    together.out = rows * n;
    Sum<T> a(k_);
    if (layers_[l].table.data() != nullptr) {
      start(a, l, below.data, rows, tokens, rows);
    } else {  // U x(t) does not wait for the step before
      Sum<T> of_all(k_);
      start(of_all, l, below.data, all, tokens, rows);
      of_all.into(h);
      a.from(Matrix<const T>(first), together.out);
    }
    layers_[l].step(a, before, carry(s, l, 0, rows), first, together);
    std::copy_n(h.row(all - rows), rows * n, before.data);
    below = h;
  }
  outputs(below, o);
}

template <class T> void Stream<T>::advance(Index steps, const T* x, T* o) {
  const FlushDenormals flush;
  const Index n_in = network().n_in, of_step = rows() * network().n_out;
  const Call call(double(steps) * double(rows()) * double(size(network())), many(rows()) ? rows() : 1);
  if (many(rows())) {
    const Index slices = call.threads();
    parallel(slices, call.threads(), [&](Index i) {
      for (Index t = 0; t < steps; ++t)
        cell_->advance_some(state_, rows() * i / slices, rows() * (i + 1) / slices, x == nullptr ? nullptr : x + t * rows() * n_in,
                            tokens_.data() + t * rows(), o + t * of_step);
    });
  } else {
    cell_->advance(state_, steps, x, tokens_.data(), o);
    state_.backwards = !state_.backwards;
  }
  std::copy_n(o + (steps - 1) * of_step, of_step, last_.data());
}

template class Cell<float>;
template class Cell<double>;
template class Stream<float>;
template class Stream<double>;

}  // namespace bptt
