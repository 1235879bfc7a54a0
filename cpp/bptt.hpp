// What the core offers. Knows no Python.
//
// The legend, for every file (Deep Learning, Goodfellow, Bengio, Courville, section 10.2):
//   tau            number of time steps
//   x(t)           input                    [batch, n_in], or a token, an index that stands for a one-hot vector
//   h(t)           hidden state             [batch, n_hidden]
//   o(t), y_hat(t) output before and after the output unit   [batch, n_out]
//   r(t)           what a step sees of the one before: h(t) (figure 10.3), or y_hat(t) or o(t) (figure 10.4)
//   U, W, b        input to hidden [n_hidden, n_in], the recurrence [n_hidden, numbers in r(t)], bias [n_hidden]
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
enum class Recurrence { h, y_hat, o };  // what r(t) is

struct Network {
  Index n_in, n_hidden, n_out;
  Input input;
  Output output;
  Readout readout;
  Recurrence recurrence;

  Index n_recurrent() const { return recurrence == Recurrence::h ? n_hidden : n_out; }
  Index size() const { return n_hidden * (n_in + n_recurrent() + 1) + n_out * (n_hidden + 1); }
};

/// U, W, b, V, c one after the other in one vector.
template <class T> struct Parameters {
  Parameters(const Network& n, T* flat)
      : U(flat, n.n_hidden, n.n_in),
        W(U.data + n.n_hidden * n.n_in, n.n_hidden, n.n_recurrent()),
        b(W.data + n.n_hidden * n.n_recurrent()),
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
  Rows<const T> r0;                  // r(0), one row a sequence; 0 where it is not given
  Rows<const std::uint8_t> reset;    // not 0: a new sequence begins, and this step sees 0 in place of r(t-1)
  Rows<const std::int64_t> targets;  // softmax, each in [0, n_out), or -1: none at this step
  Rows<const T> y;                   // sigmoid, linear
  Rows<const T> weight;              // of each step's loss
};

/// Which steps of an output-recurrent network see the target in place of its own output (section 10.2.1): each with probability p,
/// drawn from the seed, the sequence's place in the batch and the step alone.
struct TeacherForcing {
  double p;
  std::uint64_t seed;
};

/// h(t), o(t), and the r(t) that a next step would see. For Readout::last, o has one row a sequence.
template <class T> struct States {
  Rows<T> h, o, r_last;
};

/// dL/d(parameters), overwritten; dL/dr(0); dL/dx(t), if given. And the r(t) that a next step would see, to go on from.
template <class T> struct Gradients {
  T* flat;
  Rows<T> r0, x, r_last;
};

/// Equations 10.8-10.10. An output-recurrent network runs free.
template <class T> void forward(const Network&, const T* parameters, const Batch<T>&, const States<T>& results);

/// Equations 10.12-10.14: the sum over sequences and steps, in double precision.
template <class T> double loss(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&);

/// The loss and, by back-propagation through time (section 10.2.2), its gradients, with at most `memory_limit` bytes (-1: as many
/// as it takes) of hidden states in memory; the others are computed twice. std::invalid_argument if that is too little.
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const Gradients<T>& results,
                          Index memory_limit);

/// How outputs are drawn: from o / temperature (for linear outputs, with this standard deviation; 0 takes what is most likely), of
/// classes among the top_k most likely, as the seed, the step and the sequence say.
struct Drawing {
  double temperature;
  Index top_k;
  std::uint64_t seed;
  bool from_state;  // of hidden recurrence: the outputs to begin with are those of the state
};

/// What is drawn: classes [steps, batch] (softmax), or numbers [steps, batch, n_out].
template <class T> struct Drawn {
  Index steps, batch;
  std::int64_t* classes;
  T* numbers;
};

/// Draws outputs y(t), each of which is what the next step sees: of a network with hidden recurrence as its input, of an
/// output-recurrent one as r(t). `r` is the state before, [batch, n_hidden] or [batch, n_out]; of the former, `o` [batch, n_out]
/// are the outputs to begin with; the latter reads the inputs of `batch`. Both are overwritten. False if an output is not finite.
template <class T>
bool generate(const Network&, const T* parameters, const Batch<T>&, T* r, T* o, const Drawing&, const Drawn<T>& results);

/// y_hat = output unit of o, for `rows` rows without gaps.
template <class T> void output_unit(Output, const T* o, Index rows, Index n_out, T* y_hat);

}  // namespace bptt
