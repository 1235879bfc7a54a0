// Each kind of network's side of what bptt.hpp offers.
#pragma once

#include "network/bptt.hpp"

namespace bptt {

namespace stack {  // hidden recurrence in one direction
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const ForwardResults<T>&);
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&);
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const GradientResults<T>&, Index memory_limit);
}  // namespace stack

namespace bidirectional {  // hidden recurrence in two directions
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const ForwardResults<T>&);
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&);
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const GradientResults<T>&, Index memory_limit);
}  // namespace bidirectional

namespace feedback {  // the recurrence runs from the output
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const ForwardResults<T>&);
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&);
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const GradientResults<T>&,
                          Index memory_limit);
}  // namespace feedback

}  // namespace bptt
