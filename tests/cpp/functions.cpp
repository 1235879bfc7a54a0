// tanh, exp and the logarithms of every instruction set that runs here, beside values that are right to 95 bits, with denormal
// numbers counted as 0 (as in every call of the core) and without. Prints the largest errors and where they are. Exit code 1 if one
// is above its limit.
//   check_functions                      a sample, in seconds
//   check_functions --all [--threads N]  every float32, and 10^8 float64 for each function
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/denormals.hpp"
#include "exact.hpp"
#include "functions_table.hpp"
#include "kernels/isa.hpp"

using namespace bptt;

namespace {

template <class T> using Limits = std::numeric_limits<T>;
template <class T> using BitsOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
constexpr double infinity = Limits<double>::infinity();

template <class To, class From> To as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Neighbours in T are neighbours here; -0 and 0 are the same.
template <class T> std::int64_t place(T x) {
  using Signed = std::make_signed_t<BitsOf<T>>;
  const Signed bits = as<Signed>(x);
  return bits < 0 ? std::int64_t(Limits<Signed>::min()) - bits : bits;
}

enum class Name { tanh, exp, log1p, log };

// What the kernels ask of a function, and what it promises.
struct Promise {
  Name name;
  const char* word;
  double from, to;                    // where it is asked for; NaN stays NaN
  double range;                       // up to this magnitude it is not constant
  double zero_below;                  // it is 0 there, where it would be at most 1.11 times the smallest normal number
  double flushed;                     // with denormals flushed, x below so many smallest normal numbers counts as 0
  double limit;                       // from the exact value, in units in the last place
  std::int64_t largest_distance = 2;  // from the correctly rounded value, in places
};

template <class T> std::vector<Promise> promises() {
  if constexpr (sizeof(T) == 4)
    return {{Name::tanh, "tanh", -infinity, infinity, 10, -infinity, 1, 2.5},
            {Name::exp, "exp", -infinity, 0, 88, double(-87.3f), 1, 1.5},
            {Name::log1p, "log1p", 0, 1, 1, -infinity, 2, 2}};
  else
    return {{Name::tanh, "tanh", -infinity, infinity, 20, -infinity, 1, 2.7, 3},
            {Name::exp, "exp", -infinity, 0, 709, -708.3, 1, 1.5},
            {Name::log1p, "log1p", 0, 1, 1, -infinity, 2, 2},
            {Name::log, "log", 1, Limits<double>::max(), 1e6, -infinity, 1, 2}};
}

exact::Number exactly(Name name, double x) {
  switch (name) {
    case Name::tanh: return exact::tanh(x);
    case Name::exp: return exact::exp(x);
    case Name::log1p: return exact::log_1_plus(x);
    default: return exact::log(x);
  }
}

const Functions& functions_of([[maybe_unused]] const std::string& isa) {
#if defined(__x86_64__) || defined(_M_X64)
  return isa == "v4" ? v4::functions : isa == "v3" ? v3::functions : baseline::functions;
#elif defined(__aarch64__)
  return neon::functions;
#else
  return baseline::functions;
#endif
}

// tanh as it stands in the table of kernels, which is the object of the release.
template <class T> Function<T> function_of(const std::string& isa, Name name) {
  set_isa(isa);
  const Functions& f = functions_of(isa);
  if (name == Name::tanh) return kernels<T>().tanh;
  if constexpr (sizeof(T) == 4)
    return name == Name::exp ? f.exp32 : f.log1p32;
  else
    return name == Name::exp ? f.exp64 : name == Name::log1p ? f.log1p64 : f.log64;
}

// What the exact values rest on: some of them, computed with 100 digits by other means (Python's decimal).
bool check_exact() {
  const struct {
    Name name;
    double x, high, low;
  } known[] = {
      {Name::exp, -0x1.622p+9, 0x1.285dc1b5961f1p+0, -0x1.4b8d6113d8d21p-55},
      {Name::exp, -0x1.5d33333333333p+6, 0x1.09874c0b9cacbp+0, 0x1.9f96092492b5dp-56},
      {Name::exp, -0x1.4b33333333333p+4, 0x1.195920309b9dap+0, -0x1.4114aebab2e8fp-54},
      {Name::exp, -0x1p+0, 0x1.78b56362cef38p-1, -0x1.ca8a4270fadf5p-56},
      {Name::exp, -0x1.4f8b588e368f1p-17, 0x1.fffeb07515653p-1, 0x1.a6d17a564b029p-58},
      {Name::tanh, 0x1.12e0be826d695p-30, 0x1.12e0be826d695p-30, -0x1.a68cd9e985016p-92},
      {Name::tanh, 0x1.0624dd2f1a9fcp-10, 0x1.0624d77516ce2p-10, 0x1.503e7c8bbc70ep-66},
      {Name::tanh, 0x1.999999999999ap-4, 0x1.983d7795f413ap-4, 0x1.0562af1da747bp-58},
      {Name::tanh, 0x1.6666666666666p-2, 0x1.5872d4a8651d6p-2, -0x1.3e55c4dabed96p-56},
      {Name::tanh, 0x1.1916872b020c5p-1, 0x1.ffc3cce48227ep-2, 0x1.138b2c79a45dfp-56},
      {Name::tanh, 0x1p+0, 0x1.85efab514f394p-1, 0x1.5618caf8a4f11p-55},
      {Name::tanh, -0x1.3cccccccccccdp+3, -0x1.ffffffd4bfec7p-1, 0x1.09d4a7893b507p-57},
      {Name::tanh, 0x1.38p+4, 0x1p+0, -0x1.aa0de4bf35b38p-56},
      {Name::log1p, 0x1.d83c94fb6d2acp-64, 0x1.d83c94fb6d2acp-64, -0x1.b38fb9daa78e4p-128},
      {Name::log1p, 0x1.ad7f29abcaf48p-24, 0x1.ad7f2843813dbp-24, -0x1.c644083235e6ep-78},
      {Name::log1p, 0x1.47ae147ae147bp-7, 0x1.460d6ccca3677p-7, -0x1.53bbae4674a5fp-62},
      {Name::log1p, 0x1p+0, 0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56},
      {Name::log, 0x1.000001ad7f29bp+0, 0x1.ad7f2847b6492p-24, 0x1.d7f4a57fcf3ddp-80},
      {Name::log, 0x1.b333333333333p+0, 0x1.0fae81914a991p-1, -0x1.769526cde19f3p-58},
      {Name::log, 0x1.86ap+16, 0x1.7069e2aa2aa5bp+3, -0x1.c6b626e89338fp-53},
      {Name::log, 0x1.7e43c8800759cp+996, 0x1.5963447f87fb5p+9, 0x1.abccc0710fcd4p-46},
  };
  bool passed = true;
  for (const auto& [name, x, high, low] : known) {
    const exact::Number y = exactly(name, x);
    if (std::abs((y.high - high) + (y.low - low)) <= 0x1p-98 * std::abs(high)) continue;
    std::printf("the exact value at %a is %a + %a, expected %a + %a\n", x, y.high, y.low, high, low);
    passed = false;
  }
  return passed;
}

// f(x) = 2^exponent (high + low). Times 2^-exponent, f(x) rounds to the number at one of two places, which are the same unless
// 2^-90 of f(x) decide.
struct Wanted {
  double high, low, unit, scale;
  std::int64_t places[2];
};

template <class T> Wanted wanted(const Promise& promise, double x) {
  const exact::Number y = exactly(promise.name, x);
  Wanted w = {y.high, y.low, 0, std::ldexp(1.0, -y.exponent), {}};
  for (const int i : {0, 1}) {
    const T correct = exact::nearest<T>(y.high, y.low + (i == 0 ? -0x1p-90 : 0x1p-90) * std::abs(y.high));
    w.places[i] = place(correct);
    const T magnitude = std::max(std::abs(correct), Limits<T>::denorm_min());
    w.unit = double(magnitude) - double(std::nextafter(magnitude, T(0)));  // just below a power of two: the smaller one
  }
  return w;
}

// What was found of one function, instruction set and treatment of denormals.
struct Finding {
  long count = 0, failures = 0;
  double error = 0, error_at = 0;
  std::int64_t distance = 0;
  double distance_at = 0;

  void fail(double x, double got) {
    if (++failures <= 3) std::printf("  f(%a) = %a is wrong\n", x, got);
  }
  void add(const Finding& other) {
    count += other.count;
    failures += other.failures;
    if (other.error > error) error = other.error, error_at = other.error_at;
    if (other.distance > distance) distance = other.distance, distance_at = other.distance_at;
  }
};

template <class T> void compare(const Promise& promise, const Wanted& w, T x, T got, Finding& finding) {
  ++finding.count;
  if (std::isnan(x) || std::isnan(got)) {
    if (!(std::isnan(x) && std::isnan(got))) finding.fail(x, got);
    return;
  }
  if (double(x) < promise.zero_below) {
    if (got != 0) finding.fail(x, got);
    return;
  }
  const double scaled = double(got) * w.scale, error = std::abs((scaled - w.high) - w.low) / w.unit;
  const std::int64_t at = place(T(scaled)), distance = std::max(std::abs(at - w.places[0]), std::abs(at - w.places[1]));
  if (error > finding.error) finding.error = error, finding.error_at = x;
  if (distance > finding.distance) finding.distance = distance, finding.distance_at = x;
  if (!(error <= promise.limit) || distance > promise.largest_distance ||
      (promise.name == Name::tanh && std::signbit(x) != std::signbit(got)))
    finding.fail(x, got);
}

struct Options {
  bool all = false;
  unsigned threads = 1;
};

// Magnitudes over all exponents alike; evenly in number; and around the points where the algorithm goes from one power of two to
// the next. Signs at random.
template <class T> T drawn(const Promise& promise, std::mt19937_64& random, std::uint64_t i) {
  const auto uniform = [&](double to) { return std::uniform_real_distribution<double>(0, to)(random); };
  const std::uint64_t bits = random();
  constexpr int mantissa = Limits<T>::digits - 1;
  const double sign = bits >> 63 ? -1 : 1;
  if (i % 4 == 0) {
    const auto exponent = BitsOf<T>(i / 4) << mantissa, rest = BitsOf<T>(bits >> 1) & ((BitsOf<T>(1) << mantissa) - 1);
    return T(sign) * as<T>(BitsOf<T>((exponent & ~(BitsOf<T>(1) << (8 * sizeof(T) - 1))) | rest));
  }
  if (i % 4 == 1) return T(sign * uniform(promise.range));
  if (i % 4 == 2) return T(sign * uniform(promise.range / 16));
  const double near = 1 + uniform(1) * std::ldexp(bits & 1 ? 1.0 : -1.0, -1 - int((bits >> 1) % (mantissa + 2)));
  const double ln2 = std::log(2.0), k = double((bits >> 8) % (std::uint64_t(promise.range / ln2) + 2));
  if (promise.name == Name::log) return T(std::ldexp(near, int((bits >> 8) % 1024)));
  return T(sign * near * (k + 0.5) * (promise.name == Name::tanh ? ln2 / 2 : ln2));
}

// The arguments of a chunk: bit patterns in their order, or drawn ones, brought to where the function is asked for.
template <class T> std::vector<T> arguments(const Promise& promise, const Options& options, std::uint64_t chunk,
                                            std::uint64_t patterns) {
  constexpr std::uint64_t size = 4096;
  const std::uint64_t step = options.all ? 1 : 4099;  // a prime: it does not keep to one place of the mantissa
  std::vector<T> x;
  std::mt19937_64 random(chunk);
  for (std::uint64_t i = chunk * size; i < (chunk + 1) * size; ++i) {
    T value = chunk < patterns ? as<T>(BitsOf<T>(i * step)) : drawn<T>(promise, random, i);
    if (chunk >= patterns) {
      if (promise.to == 0) value = -std::abs(value);
      if (promise.from >= 0) value = std::abs(value);
      if ((promise.to == 1 && value > 1) || (promise.from == 1 && value < 1)) value = 1 / value;
    }
    if (std::isnan(value) || (double(value) >= promise.from && double(value) <= promise.to)) x.push_back(value);
  }
  while (x.size() % 64 != 0) x.push_back(T(1) - T(promise.to == 0));
  return x;
}

template <class T> bool check(const Promise& promise, const Options& options) {
  const std::vector<std::string> isas = supported_isas();
  std::vector<Function<T>> functions;
  for (const std::string& isa : isas) functions.push_back(function_of<T>(isa, promise.name));
  // Chunks of bit patterns, then chunks that are drawn.
  const std::uint64_t patterns = sizeof(T) == 8 ? 0 : options.all ? 1 << 20 : 256;
  const std::uint64_t chunks = patterns + (options.all ? 24415 : 25);
  std::vector<Finding> findings(2 * isas.size());
  std::atomic<std::uint64_t> next{0};
  std::vector<std::vector<Finding>> of_thread(options.threads, findings);
  const auto work = [&](std::vector<Finding>& mine) {
    std::vector<Wanted> exact;
    std::vector<T> y;
    for (std::uint64_t chunk; (chunk = next++) < chunks;) {
      const std::vector<T> x = arguments<T>(promise, options, chunk, patterns);
      exact.assign(x.size(), {});
      y.resize(x.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        if (!std::isnan(x[i]) && double(x[i]) >= promise.zero_below) exact[i] = wanted<T>(promise, double(x[i]));
      for (std::size_t isa = 0; isa < isas.size(); ++isa)
        for (const bool flush : {true, false}) {
          if (flush) {
            const FlushDenormals scope;
            functions[isa](x.data(), Index(x.size()), y.data());
          } else {
            functions[isa](x.data(), Index(x.size()), y.data());
          }
          Finding& finding = mine[2 * isa + !flush];
          for (std::size_t i = 0; i < x.size(); ++i) {
            if (flush && std::abs(x[i]) < T(promise.flushed) * Limits<T>::min()) {
              const T zero = std::copysign(T(0), x[i]);
              compare<T>(promise, wanted<T>(promise, zero), zero, y[i], finding);
            } else {
              compare<T>(promise, exact[i], x[i], y[i], finding);
            }
          }
        }
    }
  };
  std::vector<std::thread> threads;
  for (std::vector<Finding>& mine : of_thread) threads.emplace_back([&] { work(mine); });
  for (std::thread& thread : threads) thread.join();
  bool passed = true;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    Finding& all = findings[i];
    for (const std::vector<Finding>& one : of_thread) all.add(one[i]);
    std::printf(
        "%-8s %s %-5s %s: %ld arguments, %ld failures, off by %.4f ulp at most (x = %a), %ld from correctly rounded (x = %a)\n",
        isas[i / 2].c_str(), sizeof(T) == 4 ? "float32" : "float64", promise.word, i % 2 == 0 ? "flush" : "keep ", all.count,
        all.failures, all.error, all.error_at, long(all.distance), all.distance_at);
    passed = passed && all.failures == 0 && all.count > 0;
  }
  std::fflush(stdout);
  return passed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--all") {
      options.all = true;
    } else if (word == "--threads" && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      options.threads = unsigned(std::atoi(argv[++i]));
    } else {
      std::printf("usage: check_functions [--all] [--threads N]\n");
      return 2;
    }
  }
  bool passed = check_exact();
  for (const Promise& promise : promises<float>()) passed = check<float>(promise, options) && passed;
  for (const Promise& promise : promises<double>()) passed = check<double>(promise, options) && passed;
  return passed ? 0 : 1;
}
