// A network that goes on one step after another, as its inputs come.
#pragma once

#include <memory>
#include <vector>

#include "network/step.hpp"

namespace bptt {

/// What runs a network in one direction step by step, its weights packed once. Constant: threads may share it.
template <class T> class Cell {
 public:
  /// What is carried from one step to the next, of `rows` sequences, and the room that steps need: taking them allocates nothing.
  struct State {
    State(const Network&, Index rows, Index most_steps);

    Index rows, most_steps;   // sequences; steps that are taken at once
    std::vector<Array<T>> h;  // of each layer: h(t-1), then h of the steps that are taken
    std::vector<Array<T>> v;  // of each leaky layer: v(t-1)
    Array<T> r;               // of an output recurrence: r(t-1)
    bool backwards = false;   // the columns of a single step: the weights that the step before has read last are in cache
  };

  Cell(const Network&, const T* parameters);

  const Network& network() const { return network_; }

  /// r(t-1) of a layer [rows, n_recurrent].
  Matrix<T> r(const State& s, Index layer) const {
    return {network_.recurrence == Recurrence::h ? s.h[std::size_t(layer)].data() : s.r.data(), s.rows,
            network_.n_recurrent(layer)};
  }

  /// The state of a layer: v(t-1) of leaky units, else r(t-1).
  Matrix<T> state(const State& s, Index layer) const {
    return network_.leaky() ? Matrix<T>(s.v[std::size_t(layer)].data(), s.rows, network_.n(layer)) : r(s, layer);
  }
  /// After it was written to.
  void take_state(State& s) const;

  /// At most s.most_steps steps: o(t) [steps, rows, n_out] from x(t) [steps, rows, n_in], or from tokens [steps, rows]. Without
  /// gaps.
  void advance(State& s, Index steps, const T* x, const std::int32_t* tokens, T* o) const;

  /// One step of the sequences [from, to) alone: threads may share a step's. x, tokens and o are those of all sequences.
  void advance_some(State& s, Index from, Index to, const T* x, const std::int32_t* tokens, T* o) const;

 private:
  struct Layer {
    RecurrentStep<T> step;
    Packed<T> U_transposed;
    Array<T> b, table;  // of tokens
  };

  Carry<T> carry(const State& s, std::size_t l, Index from, Index rows) const {
    if (!network_.leaky()) return {};
    return Carry<T>::in_place(state(s, Index(l)).middle_rows(from, rows));
  }

  // The b + U x(t) that a(t) begins with, of steps from x or `tokens` on, in `count` rows.
  void start(Sum<T>& a, std::size_t layer, const T* x, Index count, const std::int32_t* tokens, Index rows) const;
  void outputs(Matrix<const T> h, T* o) const;

  const Network network_;
  const Kernels<T>& k_;
  std::vector<Layer> layers_;
  Packed<T> V_transposed_;
  Array<T> c_;
};

/// A network, its state, and the last of its outputs.
template <class T> class Stream {
 public:
  Stream(const Network& network, const T* parameters, Index rows)
      : cell_(std::make_unique<Cell<T>>(network, parameters)),
        most_steps_(steps_at_once(network, rows)),
        state_(network, rows, many(rows) ? 1 : most_steps_),
        tokens_(product(most_steps_, rows)),
        last_(zeros<T>(product(rows, network.n_out))) {}

  /// Reads the parameters again. Else they are those of when it was made.
  void refresh(const T* parameters) { cell_ = std::make_unique<Cell<T>>(network(), parameters); }

  const Network& network() const { return cell_->network(); }
  Index rows() const { return state_.rows; }
  Index most_steps() const { return most_steps_; }
  Matrix<T> r(Index layer) const { return cell_->r(state_, layer); }
  /// v(t-1) of leaky units, else r(t-1). Who has written to it calls `take_state`.
  Matrix<T> state(Index layer) const { return cell_->state(state_, layer); }
  void take_state() { cell_->take_state(state_); }
  Matrix<T> last_outputs() const { return last_.matrix(rows(), network().n_out); }
  /// Room for the tokens of one `advance`.
  std::int32_t* tokens() const { return tokens_.data(); }

  /// At most most_steps() steps: o(t) from x(t), or from what is in `tokens`.
  void advance(Index steps, const T* x, T* o);

 private:
  static constexpr Index rows_at_once = 48;   // a multiple of every tile's rows: where there are few sequences, of several steps
  static constexpr Index steps_of_many = 16;  // that a thread takes on its own
  static constexpr bool many(Index rows) { return rows >= 16; }  // sequences, so that threads may share them

  static Index steps_at_once(const Network& network, Index rows) {
    if (many(rows)) return steps_of_many;
    return network.recurrence == Recurrence::h ? rows_at_once / rows : 1;
  }

  std::unique_ptr<Cell<T>> cell_;
  Index most_steps_;
  typename Cell<T>::State state_;
  Array<std::int32_t> tokens_;
  Array<T> last_;
};

}  // namespace bptt
