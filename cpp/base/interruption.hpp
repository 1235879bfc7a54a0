// How a call ends before its work is done: because somebody asks for it, in this thread (a signal) or in another.
#pragma once

#include <chrono>
#include <cstdint>

namespace bptt {

/// What a call throws that was asked to stop. What it was to write is not whole.
struct Interrupted {};

/// Asks every call under way to stop, whatever its thread.
void interrupt();

/// How often `interrupt` has been called.
std::uint64_t interruptions();

/// `asked()` is called about ten times a second by every thread that waits for a call, and says whether this call shall stop.
void set_interruption_check(bool (*asked)());

/// What a call asks now and then, in the thread that it was made in, while none of its tasks is under way.
class Interruption {
 public:
  /// After so many multiply-adds more. Throws Interrupted if the call shall stop. Next to free.
  void check(double operations) {
    if ((operations_ += operations) >= operations_between_checks) check();
  }

 private:
  static constexpr double operations_between_checks = 1e6;  // they take a thousand times what it takes to read a clock
  void check();

  double operations_ = 0;
  const std::uint64_t before_ = interruptions();
  std::chrono::steady_clock::time_point last_ = {};
};

}  // namespace bptt
