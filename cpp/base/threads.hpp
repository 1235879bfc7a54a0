// Small pools of threads, each of which shares the tasks of one call; and how many threads each call may take beside the others.
#pragma once

#include <atomic>
#include <limits>

#include "base/index.hpp"

namespace bptt {

/// How many threads a call may use, 1 or more: all calls that are under way at once, together.
int num_threads();
void set_num_threads(int n);

/// Whether this thread works all the time, within calls and between them. All such threads, and the calls of others, have equal
/// shares in the threads. Returns what it was before.
bool set_sharing(bool shares);

/// How many threads work all the time.
int sharing_threads();

struct Sharing;
class Pool;

/// A call from outside, of about so many multiply-adds. It knows how many threads they repay, and how many the other calls under
/// way leave to it. The workers stay awake until it ends.
class Call {
 public:
  /// On at most `most` threads.
  explicit Call(double operations, Index most = std::numeric_limits<int>::max());
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// How many it may use until it refreshes that.
  int threads() const { return threads_; }

  /// What `threads` never exceeds.
  int most() const { return most_; }

  /// Looks what other calls leave by now. Between two passes over the data, in the thread of the call.
  void refresh() const;

 private:
  friend void execute_tasks(Index, int, void (*)(void*, Index), void*);
  Pool* pool();

  int most_;
  mutable int threads_ = 1;
  std::atomic<int>* counted_ = nullptr;  // where it counts as one of the calls under way
  Sharing* sharing_;
  Pool* pool_ = nullptr;   // once it has needed one
  Call* outer_ = nullptr;  // of the same thread: what a signal's handler computes comes within another call
};

/// task(context, i) for every i in [0, count), on at most `threads` threads, this one among them: the others come from the pool of
/// the call that is under way in this thread. Returns when all are done. Any thread may take any task, so a task's result must
/// depend on i alone. Tasks must not throw.
void execute_tasks(Index count, int threads, void (*task)(void* context, Index i), void* context);

template <class Task> void parallel(Index count, int threads, const Task& task) {
  execute_tasks(count, threads, [](void* context, Index i) { (*static_cast<const Task*>(context))(i); }, const_cast<Task*>(&task));
}

/// Threads that go through the steps of one piece of work side by side. A barrier between two steps takes about a tenth of a
/// microsecond; one `parallel` after another would take several tenths.
class Team {
 public:
  /// Which of the `size` members this is. `barrier` waits for all others.
  struct Member {
    int rank, size;
    Team& team;
    void barrier() const { team.barrier(size); }
  };

  /// work(member) on at most `threads` threads, this one among them: on as many as come at once.
  template <class Work> static void assemble(int threads, const Work& work) {
    Team team;
    parallel(threads, threads, [&](Index i) {
      if (const int rank = i == 0 ? 0 : team.join(); rank >= 0) work(Member{rank, team.size(i == 0 ? threads : 0), team});
    });
  }

 private:
  int join();             // the rank, or -1 if it is too late
  int size(int awaited);  // how many have joined. The first waits a while for so many; then nobody else can join
  void barrier(int size);

  alignas(64) std::atomic<int> joined_{1};
  alignas(64) std::atomic<int> size_{0};
  alignas(64) std::atomic<unsigned> arrived_{0};
};

}  // namespace bptt
