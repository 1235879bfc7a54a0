// Pools, one for each call under way that needs more threads than its own. The workers spin for some microseconds for the next job,
// then sleep.
#include "base/threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/denormals.hpp"

namespace bptt {
namespace {

std::atomic<int> allowed{1};

constexpr double operations_worth_a_thread = 1.5e6;  // multiply-adds of a forward pass: some times what it takes to wake a thread
constexpr double operations_worth_counting = 1e5;    // some microseconds: a call of less is over before anybody could regard it

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

}  // namespace

class Pool {
 public:
  std::atomic<bool> taken{true};  // by a call
  Pool* next = nullptr;           // of the list

  void execute(Index count, int threads, void (*task)(void*, Index), void* context) {
    const int helpers = int(std::min<Index>(threads, count)) - 1;
    if (helpers < 1 || !grow(helpers)) {
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
      } else if (pauses < (taken.load(std::memory_order_relaxed) ? pauses_in_call : pauses_before_sleep)) {
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

// What the calls under way share. A forked child has one thread alone, and begins with another one of these.
struct Sharing {
  std::atomic<int> declared{0};  // threads that work all the time
  std::atomic<int> narrow{0};    // calls of other threads that use one thread each
  std::atomic<int> wide{0};      // calls of other threads that may use more

  // A call of unlimited size in a thread that counts already.
  int threads_of_each() const {
    const int sharers = declared.load(std::memory_order_relaxed) + wide.load(std::memory_order_relaxed);
    return (num_threads() - narrow.load(std::memory_order_relaxed)) / std::max(sharers, 1);
  }

  // The first pool of the list that is free, so that few have many workers. nullptr if there is no memory for one.
  Pool* take_pool() {
    const std::lock_guard<std::mutex> lock(mutex_);
    Pool** place = &first_;
    for (; *place != nullptr; place = &(*place)->next)
      if (!(*place)->taken.exchange(true, std::memory_order_acquire)) return *place;
    return *place = new (std::nothrow) Pool;
  }

 private:
  std::mutex mutex_;
  Pool* first_ = nullptr;
};

namespace {

thread_local bool declares = false;
thread_local Call* innermost = nullptr;

// Never destroyed: threads may outlive every static object.
std::atomic<Sharing*> sharing{[] {
#if !defined(_WIN32)
  pthread_atfork(nullptr, nullptr, [] {
    Sharing* const own = new Sharing;
    own->declared = declares ? 1 : 0;
    sharing.store(own, std::memory_order_release);
  });
#endif
  return new Sharing;
}()};

}  // namespace

int num_threads() { return allowed.load(std::memory_order_relaxed); }
void set_num_threads(int n) { allowed.store(n); }

bool set_sharing(bool shares) {
  if (shares != declares) sharing.load(std::memory_order_acquire)->declared.fetch_add(shares ? 1 : -1, std::memory_order_relaxed);
  return std::exchange(declares, shares);
}

int sharing_threads() { return sharing.load(std::memory_order_acquire)->declared.load(std::memory_order_relaxed); }

Call::Call(double operations, Index most)
    : most_(int(std::clamp(operations / operations_worth_a_thread, 1.0, double(std::min<Index>(most, num_threads()))))),
      sharing_(sharing.load(std::memory_order_acquire)) {
  if (operations < operations_worth_counting) return;
  if (!declares) {
    counted_ = most_ > 1 ? &sharing_->wide : &sharing_->narrow;
    counted_->fetch_add(1, std::memory_order_relaxed);
  }
  if (most_ == 1) return;
  outer_ = std::exchange(innermost, this);
  refresh();
}

Call::~Call() {
  if (counted_ != nullptr) counted_->fetch_sub(1, std::memory_order_relaxed);
  if (most_ > 1) innermost = outer_;
  if (pool_ != nullptr) pool_->taken.store(false, std::memory_order_release);
}

void Call::refresh() const {
  if (most_ > 1) threads_ = std::clamp(sharing_->threads_of_each(), 1, most_);
}

Pool* Call::pool() { return pool_ != nullptr ? pool_ : pool_ = sharing_->take_pool(); }

void execute_tasks(Index count, int threads, void (*task)(void*, Index), void* context) {
  if (threads > 1 && count > 1 && innermost != nullptr)
    if (Pool* const pool = innermost->pool(); pool != nullptr) return pool->execute(count, threads, task, context);
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
