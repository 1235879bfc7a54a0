// Which network a call is for. Denormal numbers are 0 inside.
#include "networks.hpp"

#include "isa.hpp"

namespace bptt {

template <class T> void forward(const Network& network, const T* parameters, const Batch<T>& batch, const States<T>& results) {
  const FlushDenormals flush;
  (network.recurrence == Recurrence::h ? elman::forward<T> : jordan::forward<T>)(network, parameters, batch, results);
}

template <class T>
double loss(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing) {
  const FlushDenormals flush;
  return network.recurrence == Recurrence::h ? elman::loss(network, parameters, batch)
                                             : jordan::loss(network, parameters, batch, forcing);
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                          const Gradients<T>& results, Index memory_limit) {
  const FlushDenormals flush;
  return network.recurrence == Recurrence::h
             ? elman::loss_and_gradients(network, parameters, batch, results, memory_limit)
             : jordan::loss_and_gradients(network, parameters, batch, forcing, results, memory_limit);
}

template void forward(const Network&, const float*, const Batch<float>&, const States<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const States<double>&);
template double loss(const Network&, const float*, const Batch<float>&, const TeacherForcing&);
template double loss(const Network&, const double*, const Batch<double>&, const TeacherForcing&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const TeacherForcing&,
                                   const Gradients<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const TeacherForcing&,
                                   const Gradients<double>&, Index);

}  // namespace bptt
