#include "networks.hpp"
namespace bptt::jordan {
template <class T> void forward(const Network&, const T*, const Batch<T>&, const States<T>&) {}
template <class T> double loss(const Network&, const T*, const Batch<T>&, const TeacherForcing&) { return 0; }
template <class T>
double loss_and_gradients(const Network&, const T*, const Batch<T>&, const TeacherForcing&, const Gradients<T>&, Index) { return 0; }
template void forward(const Network&, const float*, const Batch<float>&, const States<float>&);
template void forward(const Network&, const double*, const Batch<double>&, const States<double>&);
template double loss(const Network&, const float*, const Batch<float>&, const TeacherForcing&);
template double loss(const Network&, const double*, const Batch<double>&, const TeacherForcing&);
template double loss_and_gradients(const Network&, const float*, const Batch<float>&, const TeacherForcing&,
                                   const Gradients<float>&, Index);
template double loss_and_gradients(const Network&, const double*, const Batch<double>&, const TeacherForcing&,
                                   const Gradients<double>&, Index);
}
