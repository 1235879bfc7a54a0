// Random numbers that are a function of where they are drawn: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, 2011), many places at a
// time, and normal numbers made of them. Nothing here is fused, and the order of no sum depends on the width of a vector: every
// instruction set draws the same bits.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace bptt::BPTT_ISA {
namespace {

typedef Unsigned<double> Lanes64;

// The products of the lower halves of each lane.
[[gnu::always_inline]] inline Lanes64 multiply_lower_halves(Lanes64 a, Lanes64 b) {
#if defined(__AVX512F__)
  return (Lanes64)_mm512_maskz_mul_epu32(__mmask8(-1), (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Lanes64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__) || defined(_M_X64)
  return (Lanes64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF);
#endif
}

// The four words of each place. What is in the upper halves of lanes is never used.
inline void draw_bits(std::uint64_t seed, const Places& places, std::uint32_t (*bits)[Places::count]) {
  constexpr int width = int(lanes<double>);
  for (int first = 0; first < Places::count; first += width) {
    Lanes64 c[4];
    for (int word = 0; word < 4; ++word) {
      std::uint64_t wide[width];
      for (int i = 0; i < width; ++i) wide[i] = places.word[word][first + i];
      __builtin_memcpy(&c[word], wide, sizeof wide);
    }
    std::uint32_t key[2] = {std::uint32_t(seed), std::uint32_t(seed >> 32)};
    for (int round = 0; round < 10; ++round) {
      const Lanes64 a = multiply_lower_halves(Lanes64{} + 0xD2511F53, c[0]),
                    b = multiply_lower_halves(Lanes64{} + 0xCD9E8D57, c[2]);
      c[0] = (b >> 32) ^ c[1] ^ key[0];
      c[1] = b;
      c[2] = (a >> 32) ^ c[3] ^ key[1];
      c[3] = a;
      key[0] += 0x9E3779B9;
      key[1] += 0xBB67AE85;
    }
    for (int word = 0; word < 4; ++word) {
      std::uint64_t wide[width];
      __builtin_memcpy(wide, &c[word], sizeof wide);
      for (int i = 0; i < width; ++i) bits[word][first + i] = std::uint32_t(wide[i]);
    }
  }
}

// What is needed of a number's bits: those of sqrt(1/2) and of 2^mantissa. The series below need so many terms.
template <class T> struct Digits;
template <> struct Digits<float> {
  static constexpr std::uint32_t half_root = 0x3F3504F3, magnitude = 0x4B000000;
  static constexpr int mantissa = 23, log_terms = 5, angle_terms = 5;
};
template <> struct Digits<double> {
  static constexpr std::uint64_t half_root = 0x3FE6A09E667F3BCD, magnitude = 0x4330000000000000;
  static constexpr int mantissa = 52, log_terms = 11, angle_terms = 8;
};

// sqrt(-2 log(2^-31 u)) for u in [1/2, 2^31].
template <class T> [[gnu::always_inline]] inline Vector<T> radius_of(Vector<T> u) {
  typedef Digits<T> D;
  const Vector<T> one = broadcast(T(1));
  const Unsigned<T> digits = (Unsigned<T>)u, offset = Unsigned<T>{} + 64;
  const Unsigned<T> power = (digits - D::half_root + (offset << D::mantissa)) >> D::mantissa;
  const Vector<T> m = (Vector<T>)(digits - ((power - offset) << D::mantissa));  // u = m 2^(power - 64), m in [sqrt(1/2), sqrt(2))
  const Vector<T> s = (m - one) / (m + one), s2 = s * s;
  Vector<T> series = broadcast(T(1.0 / (2 * D::log_terms + 1)));  // log m = 2 artanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...)
#pragma GCC unroll 12
  for (int k = D::log_terms - 1; k >= 0; --k) series = series * s2 + broadcast(T(1.0 / (2 * k + 1)));
  const Vector<T> whole = (Vector<T>)(power | D::magnitude) - (Vector<T>)(Unsigned<T>{} + D::magnitude);
  const Vector<T> minus_log = (broadcast(T(31 + 64)) - whole) * broadcast(T(0.69314718055994530942)) - broadcast(T(2)) * s * series;
  return square_root(broadcast(T(2)) * minus_log);
}

// Four normal numbers for each place, by the method of Box and Muller: of two words, u in (0, 1) and a whole number w,
// sqrt(-2 log u) times the cosine and the sine of 2 pi w / 2^32. No magnitude is above 6.7.
template <class T> void normals(std::uint64_t seed, const Places& places, T (*z)[Places::count]) {
  typedef Digits<T> D;
  constexpr int n = Places::count;
  std::uint32_t bits[4][n];
  draw_bits(seed, places, bits);
  for (int pair = 0; pair < 4; pair += 2) {
    T radius[n];
    for (int i = 0; i < n; ++i) radius[i] = T(std::int32_t(bits[pair][i] >> 1)) + T(0.5);
    for (int i = 0; i < n; i += int(lanes<T>)) store(radius + i, radius_of<T>(load(radius + i)));
    for (int i = 0; i < n; ++i) {
      const std::uint32_t w = bits[pair + 1][i], quarter = (w + (std::uint32_t(1) << 29)) >> 30;
      const T x = T(std::int32_t(w - (quarter << 30))) * T(1.4629180792671596e-9);  // 2 pi / 2^32: in [-pi/4, pi/4)
      const T x2 = -x * x;
      T sine = T(1), cosine = T(1);
#pragma GCC unroll 8
      for (int k = D::angle_terms; k > 0; --k) {
        cosine = T(1) + cosine * x2 * T(1.0 / (2 * k * (2 * k - 1)));
        sine = T(1) + sine * x2 * T(1.0 / (2 * k * (2 * k + 1)));
      }
      sine *= x;
      const bool turned = quarter % 2 != 0;
      const T c = turned ? sine : cosine, s = turned ? cosine : sine;
      const T signed_c = ((quarter + 1) & 2) != 0 ? -c : c, signed_s = (quarter & 2) != 0 ? -s : s;
      z[pair][i] = radius[i] * signed_c;
      z[pair + 1][i] = radius[i] * signed_s;
    }
  }
}

template <class T> void add_scaled(const T* x, const T* scale, Index n, T* y) {
  for (Index j = 0; j < n; j += lanes<T>) {
    const Index width = n - j < lanes<T> ? n - j : lanes<T>;
    store_first(y + j, load_first(y + j, width) + load_first(scale + j, width) * load_first(x + j, width), width);
  }
}

}  // namespace
}  // namespace bptt::BPTT_ISA
