// Which kind of network a call is for. Denormal numbers are 0 inside.
#include "network/bptt.hpp"

#include "base/denormals.hpp"
#include "network/networks.hpp"

namespace bptt {
namespace {

template <class T> const Calls<T>& calls_for(const Network& network) {
  static const Calls<T> one_direction = stack<T>(), two_directions = bidirectional<T>(), output_recurrence = feedback<T>();
  if (network.recurrence != Recurrence::h) return output_recurrence;
  return network.bidirectional ? two_directions : one_direction;
}

}  // namespace

template <class T>
void forward(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
             const ForwardResults<T>& results) {
  const FlushDenormals flush;
  calls_for<T>(network).forward(network, parameters, batch, forcing, results);
}

template <class T>
double loss(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
            const Rows<double>& each) {
  const FlushDenormals flush;
  return calls_for<T>(network).loss(network, parameters, batch, forcing, each);
}

template <class T>
double loss_and_gradients(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                          const GradientResults<T>& results, Index memory_limit) {
  const FlushDenormals flush;
  return calls_for<T>(network).loss_and_gradients(network, parameters, batch, forcing, results, memory_limit, {});
}

template <class T>
void backward(const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
              const OwnLoss<T>& own, const GradientResults<T>& results) {
  const FlushDenormals flush;
  calls_for<T>(network).loss_and_gradients(network, parameters, batch, forcing, results, -1, own);
}

template void forward(const Network&, const float*, const Batch<float>&, const TeacherForcing&, const ForwardResults<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const TeacherForcing&, const ForwardResults<double>&);
template void backward(const Network&, const float*, const Batch<float>&, const TeacherForcing&, const OwnLoss<float>&,
                       const GradientResults<float>&);
template void backward(const Network&, const double*, const Batch<double>&, const TeacherForcing&, const OwnLoss<double>&,
                       const GradientResults<double>&);
template double loss(const Network&, const float*, const Batch<float>&, const TeacherForcing&, const Rows<double>&);
template double loss(const Network&, const double*, const Batch<double>&, const TeacherForcing&, const Rows<double>&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const TeacherForcing&,
                                   const GradientResults<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const TeacherForcing&,
                                   const GradientResults<double>&, Index);

}  // namespace bptt
