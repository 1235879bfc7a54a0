// The pool: workers spin for some microseconds for the next job, then sleep. A second caller at the same time works alone.
#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "isa.hpp"

namespace bptt {
namespace {

std::atomic<int> allowed{1};

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int spins_before_sleep = 400;  // of a pause each: about 10 microseconds

class Pool {
 public:
  void run(Index count, int threads, void (*task)(void*, Index), void* context) {
    const int helpers = int(std::min<Index>(threads, count)) - 1;
    std::unique_lock<std::mutex> only_caller(caller_, std::defer_lock);
    if (helpers < 1 || !only_caller.try_lock() || !grow(helpers)) {
      for (Index i = 0; i < count; ++i) task(context, i);
      return;
    }
    task_ = task;
    context_ = context;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    working_.store(helpers, std::memory_order_relaxed);
    const std::uint64_t job = (job_.load(std::memory_order_relaxed) / most_helpers + 1) * most_helpers + std::uint64_t(helpers);
    job_.store(job);
    if (asleep_.load() > 0) {
      {
        std::lock_guard<std::mutex> lock(sleep_);
      }
      wake_.notify_all();
    }
    work();
    for (int spins = 0; working_.load(std::memory_order_acquire) > 0; ++spins) {
      if (spins < 20 * spins_before_sleep)
        pause();
      else
        std::this_thread::yield();
    }
  }

 private:
  static constexpr std::uint64_t most_helpers = 1 << 12;

  // False if the system gives no more threads.
  bool grow(int helpers) {
    try {
      for (; workers_ < std::min<int>(helpers, most_helpers - 1); ++workers_) std::thread(&Pool::serve, this, workers_).detach();
    } catch (const std::system_error&) {
    }
    return workers_ >= helpers;
  }

  void work() {
    for (Index i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i);
  }

  void serve(int me) {
    const FlushDenormals flush;
    std::uint64_t seen = 0;
    for (;;) {
      std::uint64_t job = job_.load(std::memory_order_acquire);
      for (int spins = 0; job == seen && spins < spins_before_sleep; ++spins) {
        pause();
        job = job_.load(std::memory_order_acquire);
      }
      if (job == seen) {
        std::unique_lock<std::mutex> lock(sleep_);
        asleep_.fetch_add(1);
        wake_.wait(lock, [&] { return job_.load() != seen; });
        asleep_.fetch_sub(1);
        continue;
      }
      seen = job;
      if (me < int(job % most_helpers)) {
        work();
        working_.fetch_sub(1, std::memory_order_release);
      }
    }
  }

  std::mutex caller_;
  int workers_ = 0;

  // One job: written by the caller before job_, read by the helpers after it. job_ is a serial number and, in its low digits, how
  // many helpers take part: read in one piece, so that who sits out a job can never take the next one's number for it.
  void (*task_)(void*, Index) = nullptr;
  void* context_ = nullptr;
  Index count_ = 0;
  alignas(64) std::atomic<std::uint64_t> job_{0};
  alignas(64) std::atomic<Index> next_{0};
  alignas(64) std::atomic<int> working_{0};

  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<int> asleep_{0};
};

// Never destroyed: its threads may outlive every static object. A forked child has none of the threads, so it starts a new pool.
std::atomic<Pool*> pool{nullptr};

Pool& the_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  static std::mutex creation;
  static const bool forks_seen = [] {
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool, std::memory_order_release); });
#endif
    return true;
  }();
  (void)forks_seen;
  const std::lock_guard<std::mutex> lock(creation);
  current = pool.load();
  if (current == nullptr) pool.store(current = new Pool, std::memory_order_release);
  return *current;
}

}  // namespace

int num_threads() { return allowed.load(std::memory_order_relaxed); }
void set_num_threads(int n) { allowed.store(n); }

void run_tasks(Index count, int threads, void (*task)(void*, Index), void* context) {
  if (threads > 1 && count > 1) return the_pool().run(count, threads, task, context);
  for (Index i = 0; i < count; ++i) task(context, i);
}

}  // namespace bptt
