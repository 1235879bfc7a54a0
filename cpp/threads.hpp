// A small pool of threads that share the tasks of one caller. Knows no networks.
#pragma once

#include <atomic>

#include "kernels.hpp"

namespace bptt {

/// How many threads a call may use, 1 or more.
int num_threads();
void set_num_threads(int n);

/// A call from outside, of about so many multiply-adds: how many threads they repay, which until its end wait for tasks awake.
class Call {
 public:
  explicit Call(double operations);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  int threads() const { return threads_; }

 private:
  int threads_;
};

/// task(context, i) for every i in [0, count), on at most `threads` threads, this one among them; returns when all are done.
/// Which thread takes which task is open, so a task's result must depend on i alone. Tasks must not throw.
void run_tasks(Index count, int threads, void (*task)(void* context, Index i), void* context);

template <class Task> void parallel(Index count, int threads, const Task& task) {
  run_tasks(count, threads, [](void* context, Index i) { (*static_cast<const Task*>(context))(i); }, const_cast<Task*>(&task));
}

/// Threads that go through the steps of one piece of work side by side and meet after each: that takes about a tenth of a
/// microsecond, where one `parallel` after the other would take several tenths a step.
class Team {
 public:
  /// Which of the `size` members this is, and how to wait for all others.
  struct Member {
    int rank, size;
    Team& team;
    void meet() const { team.meet(size); }
  };

  /// work(member) on as many threads, at most `threads`, as are at hand at once, this one among them.
  template <class Work> static void run(int threads, const Work& work) {
    Team team;
    parallel(threads, threads, [&](Index i) {
      if (const int rank = i == 0 ? 0 : team.join(); rank >= 0) work(Member{rank, team.size(i == 0 ? threads : 0), team});
    });
  }

 private:
  int join();             // the rank, or -1 if it is too late
  int size(int awaited);  // how many have joined; the first waits for so many, for a while, then nobody else can join
  void meet(int size);

  alignas(64) std::atomic<int> joined_{1};
  alignas(64) std::atomic<int> size_{0};
  alignas(64) std::atomic<unsigned> arrived_{0};
};

}  // namespace bptt
