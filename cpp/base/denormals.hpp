// The treatment of numbers too small for a normal float.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace bptt {

/// Denormal numbers count as 0 within its scope. Arithmetic on them is up to a hundred times slower, and vanishing gradients are
/// full of them. The thread's mode is restored at the end. With false, they count within its scope, as elsewhere.
class FlushDenormals {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  explicit FlushDenormals(bool flush = true) : before_(_mm_getcsr()) {
    const unsigned rest = unsigned(before_) & ~flush_and_treat_as_zero;
    _mm_setcsr(flush ? rest | flush_and_treat_as_zero : rest);
  }
  ~FlushDenormals() { _mm_setcsr(unsigned(before_)); }
#elif defined(__aarch64__)
  explicit FlushDenormals(bool flush = true) {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    const unsigned long long rest = before_ & ~flush_to_zero;
    asm volatile("msr fpcr, %0" : : "r"(flush ? rest | flush_to_zero : rest));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before_)); }
#else
  explicit FlushDenormals(bool = true) {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned flush_and_treat_as_zero = 0x8040;   // x86-64: bits FTZ and DAZ of MXCSR
  static constexpr unsigned long long flush_to_zero = 1 << 24;  // ARM: bit FZ of FPCR
  unsigned long long before_ = 0;
};

}  // namespace bptt
