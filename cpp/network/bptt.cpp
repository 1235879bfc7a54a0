// Which kind of network a call is for. Denormal numbers are 0 inside.
#include "network/bptt.hpp"

#include "base/denormals.hpp"
#include "network/networks.hpp"

namespace bptt {

template <class T> void forward(const Network& network, const T* parameters, const Batch<T>& batch,
                                const ForwardResults<T>& results) {
  const FlushDenormals flush;
  if (network.recurrence != Recurrence::h) return feedback::forward(network, parameters, batch, results);
  (network.bidirectional ? bidirectional::forward<T> : stack::forward<T>)(network, parameters, batch, results);
}

template <class T>
double loss(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing) {
  const FlushDenormals flush;
  if (network.recurrence != Recurrence::h) return feedback::loss(network, parameters, batch, forcing);
  return (network.bidirectional ? bidirectional::loss<T> : stack::loss<T>)(network, parameters, batch);
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                          const GradientResults<T>& results, Index memory_limit) {
  const FlushDenormals flush;
  if (network.recurrence != Recurrence::h)
    return feedback::loss_and_gradients(network, parameters, batch, forcing, results, memory_limit);
  return (network.bidirectional ? bidirectional::loss_and_gradients<T> : stack::loss_and_gradients<T>)(network, parameters, batch,
                                                                                                       results, memory_limit);
}

template void forward(const Network&, const float*, const Batch<float>&, const ForwardResults<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const ForwardResults<double>&);
template double loss(const Network&, const float*, const Batch<float>&, const TeacherForcing&);
template double loss(const Network&, const double*, const Batch<double>&, const TeacherForcing&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const TeacherForcing&,
                                   const GradientResults<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const TeacherForcing&,
                                   const GradientResults<double>&, Index);

}  // namespace bptt
