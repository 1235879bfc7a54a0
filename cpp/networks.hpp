// Each network's side of what bptt.hpp offers. Knows no Python.
#pragma once

#include "bptt.hpp"

namespace bptt {

namespace elman {
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const States<T>& results);
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&);
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const Gradients<T>& results, Index memory_limit);
}  // namespace elman

namespace jordan {
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const States<T>& results);
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&);
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const Gradients<T>& results,
                          Index memory_limit);
}  // namespace jordan

}  // namespace bptt
