// Detects, lists and chooses the instruction set. What is checked here is what CMakeLists.txt compiles each set with.
#include "kernels/isa.hpp"

#include <atomic>
#include <iterator>
#include <stdexcept>
#include <type_traits>

namespace bptt {
namespace {

struct Isa {
  const char* name;
  bool supported;
  const Kernels<float>* float32;
  const Kernels<double>* float64;
};

struct Isas {
  const Isa* first;
  const Isa* last;
  const Isa* begin() const { return first; }
  const Isa* end() const { return last; }
};

// In plain arrays: threads may look at them while the process ends.
Isas isas() {
#if defined(__x86_64__) || defined(_M_X64)
  // These ask for the operating system's support of the registers too.
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vl");
  static const Isa all[] = {
      {"baseline", true, &baseline::float32, &baseline::float64},
      {"v3", avx2, &v3::float32, &v3::float64},
      {"v4", avx512, &v4::float32, &v4::float64},
  };
#elif defined(__aarch64__)
  static const Isa all[] = {{"neon", true, &neon::float32, &neon::float64}};
#else
  static const Isa all[] = {{"baseline", true, &baseline::float32, &baseline::float64}};
#endif
  return {std::begin(all), std::end(all)};
}

const Isa* best() {
  const Isa* found = nullptr;
  for (const Isa& one : isas())
    if (one.supported) found = &one;
  return found;
}

std::atomic<const Isa*>& chosen() {
  static std::atomic<const Isa*> value{best()};
  return value;
}

}  // namespace

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Isa& one : isas())
    if (one.supported) names.emplace_back(one.name);
  return names;
}

std::string isa() { return chosen().load()->name; }

void set_isa(const std::string& name) {
  std::string known;
  for (const Isa& one : isas()) {
    if (one.supported && name == one.name) {
      chosen().store(&one);
      return;
    }
    if (one.supported) known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  throw std::invalid_argument("BPTT_ISA: expected one of " + known + " (what this machine runs), got '" + name + "'");
}

template <class T> const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>)
    return *chosen().load(std::memory_order_relaxed)->float32;
  else
    return *chosen().load(std::memory_order_relaxed)->float64;
}
template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

}  // namespace bptt
