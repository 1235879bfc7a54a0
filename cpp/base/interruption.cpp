#include "base/interruption.hpp"

#include <atomic>

namespace bptt {
namespace {

constexpr std::chrono::milliseconds between_questions{100};

std::atomic<std::uint64_t> count{0};
std::atomic<bool (*)()> asked{nullptr};

}  // namespace

void interrupt() { count.fetch_add(1); }
std::uint64_t interruptions() { return count.load(std::memory_order_relaxed); }
void set_interruption_check(bool (*check)()) { asked.store(check); }

void Interruption::check() {
  operations_ = 0;
  if (interruptions() != before_) throw Interrupted();
  const auto now = std::chrono::steady_clock::now();
  if (last_ == std::chrono::steady_clock::time_point()) last_ = now;  // most calls end before their first check
  if (now - last_ < between_questions) return;
  last_ = now;
  if (bool (*const question)() = asked.load(); question != nullptr && question()) throw Interrupted();
}

}  // namespace bptt
