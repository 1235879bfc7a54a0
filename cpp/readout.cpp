// Output units and losses (equations 10.11-10.14). Knows no recurrence.
#include "readout.hpp"

#include "isa.hpp"

namespace bptt {

template <class T>
Losses<T>::Losses(const Network& network, const Kernels<T>& kernels, const Batch<T>& batch, Index rows)
    : network_(network), kernels_(kernels), batch_(batch), loss_(rows) {
  if (network.output == Output::softmax)
    target_ = Array<std::int32_t>(rows);
  else
    y_ = Array<T>(rows * network.n_out);
  if (batch.weight.given()) weight_ = Array<T>(rows);
}

template <class T> void Losses<T>::operator()(const Window& window, Index from, Index to, Matrix<T> o, bool gradient) {
  const Index n_out = network_.n_out;
  Loss<T> rows{};
  rows.rows = to - from;
  rows.n = n_out;
  rows.o = o.row(from);
  rows.o_stride = o.stride;
  rows.loss = loss_.data() + from;
  rows.gradient = gradient;
  if (batch_.weight.given()) {
    gather(batch_.weight, window, 1, from, to, weight_.data());
    rows.weight = weight_.data() + from;
  }
  if (network_.output == Output::softmax) {
    gather_indices(batch_.targets, window, -1, n_out - 1, from, to, target_.data());
    rows.target = target_.data() + from;
    kernels_.softmax_loss(rows);
    return;
  }
  gather(batch_.y, window, n_out, from, to, y_.data());
  rows.y = y_.data() + from * n_out;
  rows.y_stride = n_out;
  (network_.output == Output::sigmoid ? kernels_.sigmoid_loss : kernels_.squared_loss)(rows);
}

template <class T> double Losses<T>::total(Index rows) const {
  double sum = 0;
  for (Index r = 0; r < rows; ++r) sum += loss_[r];
  return sum;
}

Window single_step(Index batch) { return {0, 1, batch, 0, 0, 0}; }

template <class T> void output_unit(Output output, const T* o, Index rows, Index n_out, T* y_hat) {
  const FlushDenormals flush;
  const Kernels<T>& k = kernels<T>();
  if (output == Output::softmax)
    k.softmax(o, rows, n_out, y_hat);
  else if (output == Output::sigmoid)
    k.sigmoid(o, rows * n_out, y_hat);
  else
    std::copy_n(o, rows * n_out, y_hat);
}

template class Losses<float>;
template class Losses<double>;
template void output_unit(Output, const float*, Index, Index, float*);
template void output_unit(Output, const double*, Index, Index, double*);

}  // namespace bptt
