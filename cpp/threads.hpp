// A small pool of threads that share the tasks of one caller. Knows no networks.
#pragma once

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

}  // namespace bptt
