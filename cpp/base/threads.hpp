// A small pool of threads that share the tasks of one caller.
#pragma once

#include <atomic>

#include "base/index.hpp"

namespace bptt {

/// How many threads a call may use, 1 or more.
int num_threads();
void set_num_threads(int n);

/// A call from outside, of about so many multiply-adds. It knows how many threads they repay. The workers stay awake until it ends.
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

/// task(context, i) for every i in [0, count), on at most `threads` threads, this one among them. Returns when all are done. Any
/// thread may take any task, so a task's result must depend on i alone. Tasks must not throw.
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
