// What a network is: its layers, its options, and where each parameter lies.
//
// The legend, for every file (Deep Learning, Goodfellow, Bengio, Courville, section 10.2):
//   tau            number of time steps
//   x(t)           input                    [batch, n_in], or a token, an index that stands for a one-hot vector
//   h(t)           hidden state             [batch, n]; of layer l: h^l(t), and what layer 1 sees below it is h^0(t) = x(t)
//   a(t)           what h(t) = f(a(t)) is computed from
//   v(t)           of leaky units, what h(t) = f(v(t)) is computed from: v(t) = (1 - alpha) v(t-1) + alpha a(t)
//   o(t), y_hat(t) output before and after the output unit   [batch, n_out]
//   r(t)           what the next step sees: h(t) (figure 10.3), or y_hat(t), o(t) or y(t) (figure 10.4)
//   U, W, b        from below to hidden [n, n_below], the recurrence [n, numbers in r(t)], bias [n]
//   V, c           from the top layer to the output [n_out, n_top], bias [n_out]
//   h0             h(0) where it is learned, of leaky units v(0): one row [n], with which every sequence begins
//   d...           dL/d... : da(t) is the gradient with respect to a(t)
// Matrices are row by row. Time is the outer axis, the batch the next. One layer is the book's network. Several layers are figure
// 10.13 (a). Two directions are figure 10.11: what is above sees both, forward first, side by side.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <vector>

#include "base/matrix.hpp"

namespace bptt {

enum class Input { real, token };
enum class Output { softmax, sigmoid, linear };
enum class ReadoutFrom { all, last };   // the steps that have an output
enum class Recurrence { h, y_hat, o };  // what r(t) is
enum class Activation { tanh, relu };   // f

/// Layers count from 0, at the bottom. Each has one or two directions; a layer in one direction is a *chain* of steps, and chains
/// count layer by layer, forward before reverse.
struct Network {
  Index n_in = 0;
  std::vector<Index> n_hidden;  // of each layer, in one direction
  Index n_out = 0;
  Input input = Input::real;
  Output output = Output::softmax;
  ReadoutFrom readout = ReadoutFrom::all;
  Recurrence recurrence = Recurrence::h;
  Activation activation = Activation::tanh;
  bool bidirectional = false;
  std::vector<std::vector<double>> leak;  // of each layer: alpha of all units, or of each; none: the units are plain
  bool learn_h0 = false;                  // the state before the first step is a parameter, else 0

  bool leaky() const { return !leak.empty(); }
  double alpha(Index layer, Index unit) const {
    if (!leaky()) return 1;
    const std::vector<double>& given = leak[std::size_t(layer)];
    return given[given.size() == 1 ? 0 : std::size_t(unit)];
  }
  Index layers() const { return Index(n_hidden.size()); }
  Index directions() const { return bidirectional ? 2 : 1; }
  Index chains() const { return layers() * directions(); }
  Index n(Index layer) const { return n_hidden[std::size_t(layer)]; }
  Index width(Index layer) const { return n(layer) * directions(); }  // of what the layer above sees
  Index n_below(Index layer) const { return layer == 0 ? n_in : width(layer - 1); }
  Index n_recurrent(Index layer) const { return recurrence == Recurrence::h ? n(layer) : n_out; }
  Index n_top() const { return width(layers() - 1); }
};

/// Calls visit(letter, chain, rows, columns) for every parameter in the order of the flat vector. V and c have chain -1, vectors
/// have columns 0. The letter of h0, or of v0, is 'h'. This is the one place that knows the order.
template <class Visit> void for_each_parameter(const Network& network, const Visit& visit) {
  for (Index chain = 0; chain < network.chains(); ++chain) {
    const Index layer = chain / network.directions();
    visit('U', chain, network.n(layer), network.n_below(layer));
    visit('W', chain, network.n(layer), network.n_recurrent(layer));
    visit('b', chain, network.n(layer), Index(0));
    if (network.learn_h0) visit('h', chain, network.n(layer), Index(0));
  }
  visit('V', Index(-1), network.n_out, network.n_top());
  visit('c', Index(-1), network.n_out, Index(0));
}

/// A matrix may have no columns.
inline bool is_vector(char letter) { return letter == 'b' || letter == 'c' || letter == 'h'; }

/// How many parameters a network has.
Index size(const Network&);

/// A parameter as files name it: "U"; in a network of several layers "U1", "U2"; of the second direction "U1_reverse". The state
/// before the first step: "h0"; "h0_1", "h0_2"; "h0_1_reverse"; of leaky units "v0".
struct ParameterPlace {
  std::string name, letter;
  Index layer;  // -1 for V and c
  bool reverse;
  Index rows, columns;
  bool is_vector;
};

/// All parameters in the order of the flat vector.
std::vector<ParameterPlace> layout(const Network&);

/// Views of the flat vector: U, W, b and h0, if it is learned, of each chain, then V, c.
template <class T> struct Parameters {
  struct Chain {
    Matrix<T> U, W;
    T *b = nullptr, *h0 = nullptr;
  };

  Parameters(const Network& network, T* flat) : chain(std::size_t(network.chains())) {
    for_each_parameter(network, [&](char letter, Index c_, Index rows, Index columns) {
      Chain* const part = c_ < 0 ? nullptr : &chain[std::size_t(c_)];
      if (letter == 'U') part->U = {flat, rows, columns};
      if (letter == 'W') part->W = {flat, rows, columns};
      if (letter == 'b') part->b = flat;
      if (letter == 'h') part->h0 = flat;
      if (letter == 'V') V = {flat, rows, columns};
      if (letter == 'c') c = flat;
      flat += rows * (is_vector(letter) ? 1 : columns);
    });
  }

  std::vector<Chain> chain;
  Matrix<T> V;
  T* c = nullptr;
};

}  // namespace bptt
