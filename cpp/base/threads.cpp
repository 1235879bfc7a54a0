// The pool. Its workers spin for some microseconds for the next job, then sleep. A second caller at the same time works alone.
#include "base/threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/denormals.hpp"

namespace bptt {
namespace {

std::atomic<int> allowed{1};

constexpr double operations_worth_a_thread = 1.5e6;  // multiply-adds of a forward pass: some times what it takes to wake a thread

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int pauses_before_sleep = 400;  // about 10 microseconds
constexpr int pauses_in_call = 10'000;    // where the caller is known to come back with more
constexpr int pauses_at_barrier = 400;    // a member that comes later may have no processor
constexpr int pauses_for_members = 800;   // who is awake comes at once

class Pool {
 public:
  void execute(Index count, int threads, void (*task)(void*, Index), void* context) {
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
    serial_ += 1;
    gate_.store(Gate{serial_, helpers, 0}.packed());
    if (asleep_.load() > 0) {
      {
        const std::lock_guard<std::mutex> lock(sleep_);
      }
      wake_.notify_all();
    }
    work();
    // Closed: who has not come in by now is not waited for.
    Gate gate = Gate::of(gate_.fetch_and(~Gate::places_mask));
    for (int pauses = 0; gate.inside > 0; ++pauses) {
      if (pauses < pauses_in_call)
        pause();
      else
        std::this_thread::yield();
      gate = Gate::of(gate_.load(std::memory_order_acquire));
    }
  }

  std::atomic<int> calls{0};

 private:
  // Which job is on, how many helpers may still come in, and how many are inside: one number, so that they change together and a
  // helper can never enter a job that is over.
  struct Gate {
    static constexpr std::uint64_t inside_one = 1, place_one = 1 << 12, serial_one = 1 << 24;
    static constexpr std::uint64_t places_mask = serial_one - place_one;
    std::uint64_t serial;
    int places, inside;
    std::uint64_t packed() const {
      return serial * serial_one + std::uint64_t(places) * place_one + std::uint64_t(inside) * inside_one;
    }
    static Gate of(std::uint64_t packed) {
      return {packed / serial_one, int(packed / place_one % place_one), int(packed % place_one)};
    }
  };

  // False if the system gives no more threads.
  bool grow(int helpers) {
    try {
      for (; workers_ < helpers; ++workers_) std::thread(&Pool::serve, this).detach();
    } catch (const std::exception&) {  // std::system_error, or no memory
    }
    return workers_ >= helpers;
  }

  void work() {
    for (Index i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i);
  }

  bool enter() {
    std::uint64_t packed = gate_.load(std::memory_order_acquire);
    while (Gate::of(packed).places > 0)
      if (gate_.compare_exchange_weak(packed, packed - Gate::place_one + Gate::inside_one, std::memory_order_acquire)) return true;
    return false;
  }

  void serve() {
    const FlushDenormals flush;
    for (int pauses = 0;;) {
      if (enter()) {
        work();
        gate_.fetch_sub(Gate::inside_one, std::memory_order_release);
        pauses = 0;
      } else if (pauses < (calls.load(std::memory_order_relaxed) > 0 ? pauses_in_call : pauses_before_sleep)) {
        pause();
        ++pauses;
      } else {
        std::unique_lock<std::mutex> lock(sleep_);
        asleep_.fetch_add(1);
        wake_.wait(lock, [&] { return Gate::of(gate_.load()).places > 0; });
        asleep_.fetch_sub(1);
        pauses = 0;
      }
    }
  }

  std::mutex caller_;
  int workers_ = 0;
  std::uint64_t serial_ = 0;

  // The job: written by the caller before it opens the gate, read by the helpers that came in.
  void (*task_)(void*, Index) = nullptr;
  void* context_ = nullptr;
  Index count_ = 0;
  alignas(64) std::atomic<std::uint64_t> gate_{0};
  alignas(64) std::atomic<Index> next_{0};

  alignas(64) std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<int> asleep_{0};
};

// Never destroyed: its threads may outlive every static object. A forked child has none of the threads, so it starts a new pool.
std::atomic<Pool*> pool{nullptr};

Pool& the_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  static std::mutex creation;
  static const bool handler_registered = [] {
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool, std::memory_order_release); });
#endif
    return true;
  }();
  (void)handler_registered;
  const std::lock_guard<std::mutex> lock(creation);
  current = pool.load();
  if (current == nullptr) pool.store(current = new Pool, std::memory_order_release);
  return *current;
}

}  // namespace

int num_threads() { return allowed.load(std::memory_order_relaxed); }
void set_num_threads(int n) { allowed.store(n); }

Call::Call(double operations) : threads_(int(std::clamp(operations / operations_worth_a_thread, 1.0, double(num_threads())))) {
  if (threads_ > 1) the_pool().calls.fetch_add(1, std::memory_order_relaxed);
}

Call::~Call() {
  if (threads_ > 1) the_pool().calls.fetch_sub(1, std::memory_order_relaxed);
}

void execute_tasks(Index count, int threads, void (*task)(void*, Index), void* context) {
  if (threads > 1 && count > 1) return the_pool().execute(count, threads, task, context);
  for (Index i = 0; i < count; ++i) task(context, i);
}

// Waits until `done`: at full speed at first, then with pauses. Soon it gives way, because the other thread may have no processor.
template <class Done> static void wait_until(const Done& done) {
  for (int tries = 0; !done();) {
    if (tries >= pauses_at_barrier) {
      std::this_thread::yield();
      continue;
    }
    if (tries > 100) pause();
    ++tries;
  }
}

int Team::join() {
  int rank = joined_.load();
  while (rank > 0)
    if (joined_.compare_exchange_weak(rank, rank + 1)) return rank;
  return -1;
}

int Team::size(int awaited) {
  if (awaited > 0) {
    for (int tries = 0; joined_.load() < awaited && tries < pauses_for_members; ++tries) pause();
    size_.store(joined_.exchange(-1));
  }
  wait_until([&] { return size_.load(std::memory_order_acquire) > 0; });
  return size_.load(std::memory_order_relaxed);
}

void Team::barrier(int size) {
  const unsigned members = unsigned(size), arrived = arrived_.fetch_add(1, std::memory_order_acq_rel) + 1;
  const unsigned all = (arrived + members - 1) / members * members;  // no member is a whole round before another
  wait_until([&] { return int(arrived_.load(std::memory_order_acquire) - all) >= 0; });
}

}  // namespace bptt
