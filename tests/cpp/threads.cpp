// Calls at the same time: how many threads each may take beside the others, and that every task is done once whoever takes it.
#include "base/threads.hpp"

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

using namespace bptt;

namespace {

int failures = 0;

void expect(int found, int expected, const char* what) {
  if (found == expected) return;
  ++failures;
  std::printf("%s: expected %d, got %d\n", what, expected, found);
}

constexpr double large = 1e9, of_one_thread = 1e6, tiny = 1e3;  // multiply-adds

int threads_of(const Call& call) {
  call.refresh();
  return call.threads();
}

// Threads that declare that they work all the time, and then wait.
class Sharers {
 public:
  explicit Sharers(int count) {
    for (int i = 0; i < count; ++i)
      threads_.emplace_back([&] {
        set_sharing(true);
        ++declared_;
        while (!over_) std::this_thread::yield();
        set_sharing(false);
      });
    while (declared_ < count) std::this_thread::yield();
  }
  ~Sharers() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<int> declared_{0};
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

void check_shares() {
  set_num_threads(8);
  expect(Call(large, 3).threads(), 3, "a call of at most three threads");
  const Call call(large);
  expect(call.threads(), 8, "a call by itself");
  {
    const Call second(large);
    expect(second.threads(), 4, "the second of two calls");
    expect(threads_of(call), 4, "the first of two calls");
    const Call third(of_one_thread);
    expect(third.threads(), 1, "a call that repays no second thread");
    expect(threads_of(call), 3, "one of two large calls beside one of one thread");
    const Call fourth(tiny);
    expect(threads_of(call), 3, "the same beside a call that is over at once");
  }
  expect(threads_of(call), 8, "a call after all others");
  {
    const Sharers three(3);
    expect(sharing_threads(), 3, "threads that share");
    expect(threads_of(call), 2, "a call beside three threads that share");
    expect(int(set_sharing(true)), 0, "whether this thread shared before");
    expect(sharing_threads(), 4, "threads that share, with this one");
    const Call own(large);
    expect(own.threads(), 1, "a call of this thread, within another one that is counted by itself");
    set_num_threads(16);
    expect(threads_of(own), 3, "the same with more threads");
    expect(int(set_sharing(false)), 1, "whether this thread shared");
  }
  expect(threads_of(call), 8, "a call never takes more than there were when it began");
  {
    const Sharers many(20);
    expect(threads_of(call), 1, "a call beside more threads than there are to share");
  }
  set_num_threads(8);
}

void check_tasks() {
  constexpr int callers = 5, rounds = 200, count = 67;
  set_num_threads(4);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      set_sharing(caller % 2 == 0);
      for (int round = 0; round < rounds; ++round) {
        const Call call(large);
        for (int region = 0; region < 3; ++region) {
          std::vector<int> done(count);
          parallel(count, 1 + (caller + round) % 4, [&](Index i) { done[std::size_t(i)] += int(i); });
          for (int i = 0; i < count; ++i) wrong += done[std::size_t(i)] != i;
          call.refresh();
          std::atomic<int> members{0};
          Team::assemble(call.threads(), [&](const Team::Member& member) {
            for (int step = 0; step < 3; ++step) member.barrier();
            members += member.size > 0 ? 1 : 100;
          });
          wrong += members < 1 || members > 4;
        }
      }
      set_sharing(false);
    });
  for (std::thread& thread : threads) thread.join();
  expect(wrong, 0, "tasks that were not done once");
  expect(sharing_threads(), 0, "threads that share at the end");
  expect(Call(large).threads(), 4, "a call at the end");
}

}  // namespace

int main() {
  check_shares();
  check_tasks();
  std::printf("%d failures in all\n", failures);
  return failures == 0 ? 0 : 1;
}
