// What the core offers: the C++ face.
#pragma once

#include <cstdint>
#include <vector>

#include "network/network.hpp"
#include "sequence/rows.hpp"

namespace bptt {

/// What disturbs training. Off by default.
struct Disturbance {
  double noise = 0;    // sigma: v(t), or a(t) of units without a leak, has sqrt(2 alpha) sigma N(0, 1) more
  double dropout = 0;  // the probability, in [0, 1), with which a number that goes up from a layer is 0
  std::uint64_t seed = 0;
};

/// A batch of sequences in the caller's memory and order. What is not given is left out.
template <class T> struct Batch {
  std::vector<Index> lengths;      // of each sequence, at least 1
  Rows<const T> x;                 // real input
  IndexRows tokens;                // token input, each in [0, n_in)
  std::vector<Rows<const T>> r0;   // r(0) of each chain (of leaky units v(0)), one row a sequence; none: as learned, or 0
  Rows<const std::uint8_t> reset;  // not 0: a new sequence begins, and this step sees what is learned, or 0, in place of r(t-1)
  IndexRows targets;               // softmax, each in [0, n_out), or -1: none at this step
  Rows<const T> y;                 // sigmoid, linear
  Rows<const T> weight;            // of each step's loss
  Index weights_per_step = 1;      // or n_out, for sigmoid and linear: one for each output
  Disturbance disturbance;         // of hidden recurrence alone
  double activity = 0;             // kappa: the loss has kappa h(t)^2 of every hidden unit and step more; not in `backward`
};

/// Which steps of an output-recurrent network see the target in place of its own output (section 10.2.1): each with probability p,
/// drawn from the seed, the sequence's place in the batch and the step alone.
struct TeacherForcing {
  double p = 0;
  std::uint64_t seed = 0;
};

/// h(t) of each layer (where given; two directions side by side), and v(t) of leaky ones; o(t), and the r(t) of each chain (of
/// leaky units v(t)) that a next step would see. For ReadoutFrom::last, o has one row a sequence.
template <class T> struct ForwardResults {
  std::vector<Rows<T>> h, v;  // v: an entry for each layer, or none
  Rows<T> o;
  std::vector<Rows<T>> r_last;
};

/// dL/d(parameters), overwritten; dL/dr(0) of each chain; dL/dx(t), if given. And the r(t) of each chain that a next step would
/// see. The state of leaky units is v in place of r.
template <class T> struct GradientResults {
  T* flat = nullptr;
  std::vector<Rows<T>> r0;
  Rows<T> x;
  std::vector<Rows<T>> r_last;
};

/// Equations 10.8-10.10.
template <class T>
void forward(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const ForwardResults<T>&);

/// Equations 10.12-10.14: the sum over sequences and steps, in double precision. `each`, where given, gets the loss of each step;
/// for ReadoutFrom::last of each sequence.
template <class T>
double loss(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const Rows<double>& each = {});

/// The loss and, by back-propagation through time (section 10.2.2), its gradients. At most `memory_limit` bytes (-1: as many as it
/// takes) of hidden states are in memory; the others are computed twice. std::invalid_argument if that is too little.
template <class T>
double loss_and_gradients(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const GradientResults<T>&,
                          Index memory_limit);

/// A loss of the caller's own, by its gradients: dL/do(t), and dL/dh(t) of the top layer (two directions side by side); either may
/// be missing. And h(t) of each layer, as `forward` has given it.
template <class T> struct OwnLoss {
  Rows<const T> d_o, d_h;
  std::vector<Rows<const T>> h;
  bool given() const { return !h.empty(); }
};

/// The gradients of such a loss: the way back of `forward` over the same batch. r_last is not given.
template <class T>
void backward(const Network&, const T* parameters, const Batch<T>&, const TeacherForcing&, const OwnLoss<T>&,
              const GradientResults<T>&);

/// How outputs are drawn: from o / temperature (for linear outputs, with this standard deviation; 0 takes what is most likely), of
/// classes among the top_k most likely, and of these among the fewest whose probabilities add up to top_p, as the seed, the step
/// and the sequence say.
struct Drawing {
  double temperature = 1;
  Index top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 0;
  Index first_step = 0;     // the number of the first step: a sequence may be drawn in parts
  bool from_state = false;  // of hidden recurrence: the outputs to begin with are those of the state
  bool goes_on = false;     // of hidden recurrence: the state and the outputs left behind are those of the step after the last
};

/// What is drawn: classes [steps, batch] (softmax), or numbers [steps, batch, n_out].
template <class T> struct Drawn {
  Index steps = 0, batch = 0;
  std::int64_t* classes = nullptr;
  T* numbers = nullptr;
};

/// Draws outputs y(t), each of which is what the next step sees: of a network with hidden recurrence as its input, of an
/// output-recurrent one as r(t). `r` is the state before of each layer (of leaky units v), [batch, n] or [batch, n_out]. Of the
/// former, `o` [batch, n_out] are the outputs to begin with; the latter reads the inputs of `batch`. Both are overwritten. False if
/// an output is not finite.
template <class T>
bool generate(const Network&, const T* parameters, const Batch<T>&, const std::vector<T*>& r, T* o, const Drawing&,
              const Drawn<T>&);

/// y_hat = output unit of o, for `rows` rows without gaps (10.11).
template <class T> void output_unit(Output, const T* o, Index rows, Index n_out, T* y_hat);

}  // namespace bptt
