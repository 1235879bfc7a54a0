// What the core offers. Knows no Python.
//
// The legend, for every file (Deep Learning, Goodfellow, Bengio, Courville, section 10.2):
//   tau            number of time steps
//   x(t)           input                    [batch, n_in], or a token, an index that stands for a one-hot vector
//   h(t)           hidden state             [batch, n_hidden]; h(0) is given, or 0
//   o(t), y_hat(t) output before and after the output unit   [batch, n_out]
//   U, W, b        input to hidden [n_hidden, n_in], hidden to hidden [n_hidden, n_hidden], bias [n_hidden]
//   V, c           hidden to output [n_out, n_hidden], bias [n_out]
//   d...           dL/d... : da(t) is the gradient with respect to a(t)
// Matrices are row by row. Time is the outer axis, the batch the next.
#pragma once

#include <cstdint>
#include <vector>

#include "batch.hpp"

namespace bptt {

enum class Input { real, token };
enum class Output { softmax, sigmoid, linear };
enum class Readout { all, last };

struct Network {
  Index n_in, n_hidden, n_out;
  Input input;
  Output output;
  Readout readout;

  Index size() const { return n_hidden * (n_in + n_hidden + 1) + n_out * (n_hidden + 1); }
};

/// U, W, b, V, c one after the other in one vector.
template <class T> struct Parameters {
  Parameters(const Network& n, T* flat)
      : U(flat, n.n_hidden, n.n_in),
        W(U.data + n.n_hidden * n.n_in, n.n_hidden, n.n_hidden),
        b(W.data + n.n_hidden * n.n_hidden),
        V(b + n.n_hidden, n.n_out, n.n_hidden),
        c(V.data + n.n_out * n.n_hidden) {}
  Matrix<T> U, W;
  T* b;
  Matrix<T> V;
  T* c;
};

/// A batch of sequences in the caller's memory and order. What is not given is left out.
template <class T> struct Batch {
  std::vector<Index> lengths;        // of each sequence, at least 1
  Rows<const T> x;                   // real input
  Rows<const std::int64_t> tokens;   // token input, each in [0, n_in)
  Rows<const T> h0;                  // one row a sequence
  Rows<const std::int64_t> targets;  // softmax, each in [0, n_out), or -1: none at this step
  Rows<const T> y;                   // sigmoid, linear
  Rows<const T> weight;              // of each step's loss
};

/// h(t), o(t) and the last state of every sequence. For Readout::last, o has one row a sequence.
template <class T> struct States {
  Rows<T> h, o, h_last;
};

/// dL/d(parameters), overwritten; dL/dh(0); dL/dx(t), if given. And the last states, to go on from.
template <class T> struct Gradients {
  T* flat;
  Rows<T> h0, x, h_last;
};

/// Equations 10.8-10.10.
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const States<T>& results);

/// Equations 10.12-10.14: the sum over sequences and steps, in double precision.
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&);

/// The loss and, by back-propagation through time (section 10.2.2), its gradients, with at most `memory_limit` bytes (-1: as many
/// as it takes) of hidden states in memory; the others are computed twice. std::invalid_argument if that is too little.
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const Gradients<T>& results, Index memory_limit);

/// y_hat = output unit of o, for `rows` rows without gaps.
template <class T> void output_unit(Output, const T* o, Index rows, Index n_out, T* y_hat);

}  // namespace bptt
