// The kinds of networks: what each does for a call of bptt.hpp.
#pragma once

#include "network/bptt.hpp"

namespace bptt {

/// A kind of network's side of what bptt.hpp offers.
template <class T> struct Calls {
  void (*forward)(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const ForwardResults<T>&) = nullptr;
  double (*loss)(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const Rows<double>& each) = nullptr;
  double (*loss_and_gradients)(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&,
                               const GradientResults<T>&, Index memory_limit, const OwnLoss<T>&) = nullptr;
};

/// The calls of a class with a constructor and a method for each.
template <template <class> class Kind, class T> Calls<T> calls_of() {
  Calls<T> calls;
  calls.forward = [](const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                     const ForwardResults<T>& results) { Kind<T>(network, parameters, batch, forcing).forward(results); };
  calls.loss = [](const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                  const Rows<double>& each) { return Kind<T>(network, parameters, batch, forcing).loss(each); };
  calls.loss_and_gradients = [](const Network& network, const T* parameters, const Batch<T>& batch, const TeacherForcing& forcing,
                                const GradientResults<T>& results, Index memory_limit, const OwnLoss<T>& own) {
    return Kind<T>(network, parameters, batch, forcing).loss_and_gradients(results, memory_limit, own);
  };
  return calls;
}

template <class T> Calls<T> stack();          // hidden recurrence in one direction
template <class T> Calls<T> bidirectional();  // hidden recurrence in two directions
template <class T> Calls<T> feedback();       // the recurrence runs from the output

}  // namespace bptt
