// What everything in one call shares: kernels, threads, the order of work, and how work is shared out. Passed by const reference.
#pragma once

#include <algorithm>
#include <vector>

#include "base/interruption.hpp"
#include "kernels/isa.hpp"
#include "network/bptt.hpp"
#include "network/products.hpp"

namespace bptt {

constexpr Index rows_per_window = 400;         // a window of h, o and their gradients stays in L2
constexpr Index rows_per_block = 24;           // of a product over a window: a multiple of every tile's rows
constexpr double L2_bytes = 1 << 20;           // of a core, at least
constexpr double operations_per_thread = 1e5;  // less than this does not repay a barrier
constexpr double operations_of_part = 1e8;     // some milliseconds: between two parts a call may be stopped

/// What one thread takes through the steps of a window: rows [row_from, row_to) of every step, or part of the columns of all rows.
/// With columns, there is a barrier for all threads after each step.
struct ThreadSlice {
  Index row_from = 0, row_to = 0;
  const Team::Member* member = nullptr;  // of the team that shares the columns

  static ThreadSlice all_rows(const Window& w) {
    ThreadSlice slice;
    slice.row_to = w.rows;
    return slice;
  }

  Index rows() const { return row_to - row_from; }
  bool by_rows() const { return member == nullptr; }
  bool is_first() const { return member == nullptr || member->rank == 0; }
  void barrier() const {
    if (member != nullptr) member->barrier();
  }
};

template <class T> struct Context {
  Context(const Network& network_, const std::vector<Index>& lengths)
      : network(network_),
        k(kernels<T>()),
        timeline(lengths, rows_per_window),
        call(double(timeline.stored) * operations_per_row()),
        zero(zeros<T>(widest())) {}

  /// Before a pass over the window, in the thread of the call: how many threads the pass may use. Throws Interrupted if the call
  /// shall stop.
  void check_interruption(const Window& w) const {
    interruption.check(double(w.size()) * operations_per_row());
    call.refresh();
  }

  // ---- Sharing out ----

  int threads_for(double operations) const {
    return int(std::clamp(operations / operations_per_thread, 1.0, double(call.threads())));
  }

  /// work(first, last) on parts of [0, count), one after the other, none of which takes long.
  template <class Work> void for_each_part(Index count, double operations, const Work& work) const {
    const Index parts = std::clamp<Index>(Index(operations / (operations_of_part * call.threads())), 1, std::max<Index>(count, 1));
    for (Index i = 0; i < parts; ++i) {
      work(count * i / parts, count * (i + 1) / parts);
      if (i + 1 < parts) interruption.check(operations / double(parts));
    }
  }

  /// work(from, to) on blocks of the window's rows, all its steps one long list: for what does not depend on the step before.
  template <class Work> void for_each_row_block(const Window& w, const Work& work) const {
    const double operations = double(w.size()) * block_operations_per_row();
    const int threads = threads_for(operations);
    const Index rounds = (w.size() + rows_per_block * threads - 1) / (rows_per_block * threads);
    const Index count = std::min<Index>(w.size(), rounds * threads);
    parallel(count, threads, [&](Index i) { work(w.size() * i / count, w.size() * (i + 1) / count); });
  }

  /// work(slice) on blocks of the window's sequences, each by itself through all steps.
  template <class Work> void for_each_thread_slice(const Window& w, double operations, const Work& work) const {
    const int threads = int(std::min<Index>(w.rows, threads_for(operations)));
    parallel(threads, threads, [&](Index i) {
      ThreadSlice slice;
      slice.row_from = w.rows * i / threads;
      slice.row_to = w.rows * (i + 1) / threads;
      work(slice);
    });
  }

  /// work(slice) on the members of a team of at most `threads`, which share the columns of every step.
  template <class Work> void for_each_member(const Window& w, Index threads, const Work& work) const {
    assert(threads >= 1);
    Team::assemble(int(std::min<Index>(call.threads(), threads)), [&](const Team::Member& member) {
      ThreadSlice slice = ThreadSlice::all_rows(w);
      slice.member = &member;
      work(slice);
    });
  }

  Index panels(Index columns) const { return (columns + k.panel - 1) / k.panel; }

  /// The first column of a slice's part of so many columns, and the first of the next slice's.
  Index column_from(const ThreadSlice& slice, Index columns) const {
    return slice.by_rows() ? 0 : panels(columns) * slice.member->rank / slice.member->size * k.panel;
  }
  Index column_to(const ThreadSlice& slice, Index columns) const {
    return slice.by_rows() ? columns : panels(columns) * (slice.member->rank + 1) / slice.member->size * k.panel;
  }

  // ---- Products over many rows ----

  /// True if B does not fit in half of L2. Then a product reads it as rarely as it can.
  static bool exceeds_half_L2(const Packed<T>& b) { return double(b.depth) * double(b.columns) * sizeof(T) > L2_bytes / 2; }

  /// out = start + A B over all rows. Blocks of rows are read again for every panel, so they are no larger than what the cores
  /// share. Blocks of columns let each thread read its own part of B.
  void multiply(const T* start, Matrix<const T> a, const Packed<T>& b, Matrix<T> out) const {
    const double operations = double(a.rows) * double(b.depth) * double(b.columns);
    const int threads = threads_for(operations);
    const Index blocks = 1 + Index(double(a.rows) * double(b.depth) * sizeof(T) / (L2_bytes * 2));
    for_each_part(panels(b.columns), operations, [&](Index first, Index last) {
      const Index all = last - first, parts = std::clamp<Index>(all / 2, 1, threads);
      parallel(blocks * parts, threads, [&](Index i) {
        const Index from = a.rows * (i / parts) / blocks, to = a.rows * (i / parts + 1) / blocks, part = i % parts;
        Steps columns;
        columns.column_from = (first + all * part / parts) * k.panel;
        columns.column_to = (first + all * (part + 1) / parts) * k.panel;
        Sum<T>(k)
            .from(start)
            .plus(a.middle_rows(from, to - from), b)
            .into(out.middle_rows(from, to - from), Epilogue::identity, columns);
      });
    });
  }

  const Network& network;
  const Kernels<T>& k;
  const Timeline timeline;
  const Call call;
  mutable Interruption interruption;
  const Array<T> zero;  // as many as the widest row has numbers

 private:
  // Multiply-adds of a forward pass, a row.
  double operations_per_row() const {
    double sum = double(network.n_out) * double(network.n_top());
    for (Index l = 0; l < network.layers(); ++l)
      sum += double(network.directions() * network.n(l)) * double(network.n_below(l) + network.n_recurrent(l));
    return sum;
  }

  // Multiply-adds of a row that no recurrence holds up.
  double block_operations_per_row() const {
    double sum = double(network.n_top() + network.n_in) * double(network.n_out);
    for (Index l = 0; l < network.layers(); ++l) sum += double(network.n_below(l)) * double(network.n(l));
    return sum;
  }

  Index widest() const {
    Index most = std::max(network.n_in, network.n_out);
    for (Index l = 0; l < network.layers(); ++l) most = std::max(most, network.width(l));
    return most;
  }
};

}  // namespace bptt
