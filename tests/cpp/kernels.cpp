// Every kernel of every instruction set that runs here, beside plain loops in double precision. It needs no Python, so it also runs
// on an emulated processor. Prints what it compared. Exit code 1 if anything is off.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/philox.hpp"
#include "kernels/isa.hpp"
#include "network/products.hpp"

using namespace bptt;

namespace {

std::mt19937 random_bits(0), leaky_bits(1);
int failures = 0;
long compared = 0;

template <class T> std::vector<T> numbers(Index count, std::mt19937& bits = random_bits) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<T> v(std::size_t(count) + 64);  // the slack that kernels may read
  for (T& x : v) x = T(uniform(bits));
  return v;
}

// A sum of `terms` products of numbers up to 1, plus the roundings of a function or two.
template <class T> void expect(const char* what, double got, double wanted, Index terms) {
  ++compared;
  const double tolerance = (double(terms) + 8) * double(std::is_same_v<T, float> ? 0x1p-23 : 0x1p-52);
  if (std::abs(got - wanted) <= tolerance) return;
  ++failures;
  std::printf("%s: %s is %.17g, expected %.17g within %g\n", isa().c_str(), what, got, wanted, tolerance);
}

template <class T> void check_affine(Index steps, Index rows, Index columns, Index depth) {
  const Kernels<T>& k = kernels<T>();
  const auto start = numbers<T>(columns), x = numbers<T>(steps * rows * depth), m = numbers<T>(columns * depth);
  const auto h = numbers<T>(steps * rows * columns), v = numbers<T>(rows * columns, leaky_bits);
  auto alpha = numbers<T>(columns, leaky_bits);
  for (Index j = 0; j < columns; ++j) alpha[std::size_t(j)] = j % 3 == 0 ? T(1) : std::abs(alpha[std::size_t(j)]);
  const Packed<T> packed = pack_transposed<T>(k, {m.data(), columns, depth});
  const Index step = rows * columns;
  auto plain = numbers<T>(steps * step);
  const T guard = plain[std::size_t(steps * step)];
  const Matrix<const T> x_0(x.data(), rows, depth), h_0(h.data(), rows, columns);
  for (Index t = 0; t < steps; ++t)
    Sum<T>(k)
        .from(start.data())
        .plus({x.data() + t * rows * depth, rows, depth}, packed)
        .into({plain.data() + t * step, rows, columns});
  Steps all;
  all.count = steps;
  all.out = all.h = step;
  T pull = 0;  // of the way back
  const auto with = [&](Epilogue epilogue, bool is_derivative) {
    auto out = numbers<T>(steps * step);
    out[std::size_t(steps * step)] = guard;
    Sum<T> sum(k);
    sum.from(start.data()).plus(x_0, packed, rows * depth).plus_h(pull);
    const Matrix<T> to(out.data(), rows, columns);
    is_derivative ? sum.into(to, epilogue, h_0, all) : sum.into(to, epilogue, all);
    if (!(out[std::size_t(steps * step)] == guard)) {
      ++failures;
      std::printf("%s: wrote beyond the end\n", isa().c_str());
    }
    return out;
  };
  const auto tanh = with(Epilogue::tanh, false), tanh_back = with(Epilogue::tanh_derivative, true);
  // Leaky units: carried in place, each step's beside it, and on the way back from a step that is given.
  auto carried = v, kept = numbers<T>(steps * step, leaky_bits);
  const T carried_guard = carried[std::size_t(step)] = kept[std::size_t(steps * step)] = guard;
  const auto leaky = [&](Epilogue epilogue, bool is_derivative, T* carry_out, Index carry_step) {
    auto out = numbers<T>(steps * step, leaky_bits);
    for (Index t = 0; t < (carry_step > 0 ? steps : 1); ++t) {
      const T* const before = carry_step > 0 && t > 0           ? carry_out + (t - 1) * step
                              : carry_step > 0 || is_derivative ? v.data()
                                                                : carry_out;
      Steps some = all;
      some.count = carry_step > 0 ? 1 : steps;
      Sum<T> sum(k);
      sum.from(start.data()).plus({x.data() + t * rows * depth, rows, depth}, packed, rows * depth);
      if (is_derivative) sum.plus_h(pull);
      sum.leak(alpha.data(), {before, rows, columns}, is_derivative ? nullptr : carry_out + t * carry_step, 0);
      const Matrix<T> to(out.data() + t * step, rows, columns);
      is_derivative ? sum.into(to, epilogue, h_0, some) : sum.into(to, epilogue, some);
    }
    return out;
  };
  const auto leaky_relu = leaky(Epilogue::relu, false, carried.data(), 0),
             leaky_kept = leaky(Epilogue::relu, false, kept.data(), step);
  const auto leaky_back = leaky(Epilogue::tanh_derivative, true, nullptr, 0);
  if (!(carried[std::size_t(step)] == carried_guard && kept[std::size_t(steps * step)] == guard)) {
    ++failures;
    std::printf("%s: wrote beyond the end of what is carried\n", isa().c_str());
  }
  std::vector<double> v_exact(v.begin(), v.begin() + step);
  const auto relu = with(Epilogue::relu, false), relu_back = with(Epilogue::relu_derivative, true);
  pull = T(0.375);
  const auto tanh_pulled = with(Epilogue::tanh_derivative, true), relu_pulled = with(Epilogue::relu_derivative, true);
  const auto leaky_pulled = leaky(Epilogue::tanh_derivative, true, nullptr, 0);
  for (Index r = 0; r < steps * rows; ++r)
    for (Index j = 0; j < columns; ++j) {
      double a = start[std::size_t(j)];
      for (Index i = 0; i < depth; ++i) a += double(x[std::size_t(r * depth + i)]) * double(m[std::size_t(j * depth + i)]);
      const std::size_t at = std::size_t(r * columns + j);
      const double value = h[at];
      expect<T>("start + A B", plain[at], a, depth);
      expect<T>("tanh(start + A B)", tanh[at], std::tanh(a), depth);
      expect<T>("(start + A B) (1 - h^2)", tanh_back[at], a * (1 - value * value), depth);
      expect<T>("relu(start + A B)", relu[at], std::max(a, 0.0), depth);
      expect<T>("(start + A B) (h > 0)", relu_back[at], value > 0 ? a : 0, depth);
      const std::size_t i = std::size_t(r % rows * columns + j);
      const double share = alpha[std::size_t(j)], was = v[i];
      v_exact[i] = (1 - share) * v_exact[i] + share * a;
      expect<T>("relu(v)", leaky_relu[at], std::max(v_exact[i], 0.0), depth * (1 + r / rows));
      expect<T>("v of a step", kept[at], v_exact[i], depth * (1 + r / rows));
      expect<T>("relu(v) of a step", leaky_kept[at], leaky_relu[at], -8);
      expect<T>("way back of leaky units", leaky_back[at], (1 - share) * was + share * a * (1 - value * value), depth);
      const double pulled = (a + 0.375 * value) * (1 - value * value);
      expect<T>("(start + A B + 0.375 h) (1 - h^2)", tanh_pulled[at], pulled, depth);
      expect<T>("(start + A B + 0.375 h) (h > 0)", relu_pulled[at], value > 0 ? a + 0.375 * value : 0, depth);
      expect<T>("pulled way back of leaky units", leaky_pulled[at], (1 - share) * was + share * pulled, depth);
      if (share == 1) expect<T>("relu(v) without a leak", leaky_relu[at], relu[at], -8);
    }
  if (const Index half = columns / 2 / k.panel * k.panel; half > 0 && depth > 0) {  // columns by parts: the same bits
    auto parts = numbers<T>(rows * columns);
    for (const bool second : {true, false}) {
      Steps part;
      part.column_from = second ? half : 0;
      part.column_to = second ? columns : half;
      part.backwards = second;
      Sum<T>(k).from(start.data()).plus(x_0, packed).into({parts.data(), rows, columns}, Epilogue::identity, part);
    }
    for (Index i = 0; i < step; ++i) expect<T>("start + A B by parts", parts[std::size_t(i)] - plain[std::size_t(i)], 0, -8);
  }
  if (!(plain[std::size_t(steps * step)] == guard)) {
    ++failures;
    std::printf("%s: wrote beyond the end\n", isa().c_str());
  }
}

// NaN, from where sums overflow, must not vanish in a unit.
template <class T> void check_nan() {
  const Kernels<T>& k = kernels<T>();
  const std::vector<T> start(64, std::numeric_limits<T>::quiet_NaN());
  std::vector<T> out(64 + 64);
  for (const Epilogue epilogue : {Epilogue::tanh, Epilogue::relu}) {
    Sum<T>(k).from(start.data()).into({out.data(), 1, 17}, epilogue);
    for (Index j = 0; j < 17; ++j) {
      ++compared;
      if (std::isnan(out[std::size_t(j)])) continue;
      ++failures;
      std::printf("%s: NaN became %g\n", isa().c_str(), double(out[std::size_t(j)]));
    }
  }
}

template <class T> void check_outer(Index rows, Index m, Index n) {
  const Index first = rows / 3;
  const Kernels<T>& k = kernels<T>();
  const auto a = numbers<T>(rows * m), b = numbers<T>(rows * n);
  std::vector<T> c(std::size_t(m * n)), from_blocks = c;
  Outer<T> outer;
  outer.rows = rows;
  outer.m = m;
  outer.n = n;
  outer.a = a.data();
  outer.a_stride = m;
  outer.a_block = k.tile_rows;
  outer.b = b.data() + first * n;
  outer.b_stride = n;
  outer.b_block = k.panel;
  outer.b_first = b.data();
  outer.first_rows = first;
  outer.c = c.data();
  outer.c_stride = n;
  k.outer(outer);
  const Blocks<T> a_blocks(rows, m, k.tile_rows), b_blocks(rows, n, k.panel);
  a_blocks.copy(k, {a.data(), rows, m}, 0);
  b_blocks.copy(k, {b.data(), rows, n}, 0);
  outer.a = a_blocks.row(0);
  outer.a_stride = a_blocks.stride();
  outer.a_block = a_blocks.block();
  outer.b = b_blocks.row(0);
  outer.b_stride = b_blocks.stride();
  outer.b_block = b_blocks.block();
  outer.b_first = nullptr;
  outer.first_rows = 0;
  outer.c = from_blocks.data();
  k.outer(outer);
  std::vector<T> sums(std::size_t(n), T(1));
  k.add_rows(b.data(), n, nullptr, rows, n, sums.data());
  for (Index j = 0; j < n; ++j) {
    double column = 1;
    for (Index r = 0; r < rows; ++r) column += double(b[std::size_t(r * n + j)]);
    expect<T>("sum of rows", sums[std::size_t(j)], column, rows);
    for (Index i = 0; i < m; ++i) {
      double product = 0;
      for (Index r = 0; r < rows; ++r) product += double(a[std::size_t(r * m + i)]) * double(b[std::size_t(r * n + j)]);
      expect<T>("A^T B", c[std::size_t(i * n + j)], product, rows);
      expect<T>("A^T B from copies", from_blocks[std::size_t(i * n + j)], double(c[std::size_t(i * n + j)]), 0);
    }
  }
}

template <class T> void check_losses(Index rows, Index n) {
  const Kernels<T>& k = kernels<T>();
  const auto o = numbers<T>(rows * n);
  auto y = numbers<T>(rows * n);
  for (T& p : y) p = std::abs(p);
  std::vector<std::int32_t> target(static_cast<std::size_t>(rows));
  std::vector<double> loss(static_cast<std::size_t>(rows));
  std::vector<T> y_hat(o.size());
  k.softmax(o.data(), rows, n, y_hat.data());
  for (Index r = 0; r < rows; ++r) target[std::size_t(r)] = std::int32_t(r % (n + 1)) - 1;
  auto gradient = o;
  Loss<T> rows_of;
  rows_of.rows = rows;
  rows_of.n = n;
  rows_of.o = gradient.data();
  rows_of.o_stride = n;
  rows_of.target = target.data();
  rows_of.loss = loss.data();
  rows_of.gradient = true;
  k.softmax_loss(rows_of);
  for (Index r = 0; r < rows; ++r) {
    double z = 0;
    const Index class_ = target[std::size_t(r)];
    for (Index j = 0; j < n; ++j) z += std::exp(double(o[std::size_t(r * n + j)]));
    expect<T>("softmax loss", loss[std::size_t(r)], class_ < 0 ? 0 : std::log(z) - double(o[std::size_t(r * n + class_)]), n);
    for (Index j = 0; j < n; ++j) {
      const std::size_t at = std::size_t(r * n + j);
      const double p = std::exp(double(o[at])) / z;
      expect<T>("softmax", y_hat[at], p, n);
      expect<T>("gradient of the softmax loss", gradient[at], class_ < 0 ? 0 : p - (j == class_), n);
    }
  }
  // o + J^T dy of softmax and sigmoid, with their value y_hat and dL/dy_hat = y
  auto softmax_back = o, sigmoid_back = o;
  k.softmax_back(y_hat.data(), y.data(), rows, n, softmax_back.data());
  k.sigmoid_back(y_hat.data(), y.data(), rows * n, sigmoid_back.data());
  for (Index r = 0; r < rows; ++r) {
    double mean = 0;
    for (Index j = 0; j < n; ++j) mean += double(y_hat[std::size_t(r * n + j)]) * double(y[std::size_t(r * n + j)]);
    for (Index j = 0; j < n; ++j) {
      const std::size_t at = std::size_t(r * n + j);
      const double v = y_hat[at], d = y[at];
      expect<T>("back through softmax", softmax_back[at], double(o[at]) + v * (d - mean), n);
      expect<T>("back through sigmoid", sigmoid_back[at], double(o[at]) + v * (1 - v) * d, 1);
    }
  }
  if (softmax_back[std::size_t(rows * n)] != o[std::size_t(rows * n)] ||
      sigmoid_back[std::size_t(rows * n)] != o[std::size_t(rows * n)]) {
    ++failures;
    std::printf("%s: wrote beyond the end\n", isa().c_str());
  }
  for (const bool sigmoid : {true, false}) {
    gradient = o;
    rows_of.o = gradient.data();
    rows_of.y = y.data();
    rows_of.y_stride = n;
    (sigmoid ? k.sigmoid_loss : k.squared_loss)(rows_of);
    for (Index r = 0; r < rows; ++r) {
      double total = 0;
      for (Index j = 0; j < n; ++j) {
        const std::size_t at = std::size_t(r * n + j);
        const double v = o[at], t = y[at], p = sigmoid ? 1 / (1 + std::exp(-v)) : v;
        total += sigmoid ? -t * std::log(p) - (1 - t) * std::log(1 - p) : 0.5 * (v - t) * (v - t);
        expect<T>("gradient of an elementwise loss", gradient[at], p - t, 4);
      }
      expect<T>("elementwise loss", loss[std::size_t(r)], total, 4 * n);
    }
  }
}

// One update by the rule, in double precision: theta, v and r are changed.
void update_one(const Update<double>& u, double g, double& theta, double& v, double& r) {
  g = std::clamp(u.factor * g, -u.limit, u.limit) + u.decay * theta;
  if (u.rule == Rule::adagrad) r += g * g;
  if (u.rule > Rule::adagrad) r = u.beta2 * r + (1 - u.beta2) * g * g;
  const double divided = g / (std::sqrt(r) * u.root + u.eps);
  double d = g;
  if (u.rule == Rule::momentum || u.rule == Rule::nesterov) v = u.beta1 * v + g;
  if (u.rule == Rule::momentum) d = v;
  if (u.rule == Rule::nesterov) d = g + u.beta1 * v;
  if (u.rule == Rule::adagrad || u.rule == Rule::rmsprop) d = divided;
  if (u.rule == Rule::rmsprop_momentum) d = v = u.beta1 * v + divided;
  if (u.rule == Rule::adam) {
    v = u.beta1 * v + (1 - u.beta1) * g;
    d = v / (std::sqrt(r) * u.root + u.eps);
  }
  theta = u.keep * theta - u.rate * d;
}

template <class T> void check_update(Index n) {
  const Kernels<T>& k = kernels<T>();
  for (const Rule rule :
       {Rule::sgd, Rule::momentum, Rule::nesterov, Rule::adagrad, Rule::rmsprop, Rule::rmsprop_momentum, Rule::adam}) {
    const bool has_v = rule != Rule::sgd && rule != Rule::adagrad && rule != Rule::rmsprop, has_r = rule >= Rule::adagrad;
    const auto gradient = numbers<T>(n);
    auto theta = numbers<T>(n), v = numbers<T>(n), r = numbers<T>(n);
    for (T& x : r) x = x * x + T(0.25);  // so that a quotient is as good as the numbers that it is made of
    const auto theta0 = theta, v0 = v, r0 = r;
    Update<double> u;  // powers of 2 and sums of few: the same numbers in either precision
    u.rule = rule;
    u.count = n;
    u.factor = 0.5;
    u.limit = 0.375;
    u.decay = 0.125;
    u.keep = 0.75;
    u.rate = 0.0625;
    u.beta1 = 0.875;
    u.beta2 = 0.75;
    u.rest1 = 0.125;
    u.rest2 = 0.25;
    u.root = 1.25;
    u.eps = 0.03125;
    Update<T> of_type;
    of_type.rule = rule;
    of_type.count = n;
    of_type.parameters = theta.data();
    of_type.gradient = gradient.data();
    of_type.first = has_v ? v.data() : nullptr;
    of_type.second = has_r ? r.data() : nullptr;
    of_type.factor = T(u.factor);
    of_type.limit = T(u.limit);
    of_type.decay = T(u.decay);
    of_type.keep = T(u.keep);
    of_type.rate = T(u.rate);
    of_type.beta1 = T(u.beta1);
    of_type.beta2 = T(u.beta2);
    of_type.rest1 = T(u.rest1);
    of_type.rest2 = T(u.rest2);
    of_type.root = T(u.root);
    of_type.eps = T(u.eps);
    k.update(of_type);
    for (std::size_t i = 0; i < theta.size(); ++i) {
      double one = theta0[i], v_one = v0[i], r_one = r0[i];
      if (i < std::size_t(n)) update_one(u, gradient[i], one, v_one, r_one);  // beyond the end nothing has changed
      expect<T>("updated parameter", theta[i], one, 0);
      expect<T>("updated v", v[i], has_v ? v_one : double(v0[i]), 0);
      expect<T>("updated r", r[i], has_r ? r_one : double(r0[i]), 0);
    }
  }
  const auto x = numbers<T>(n);
  double squares = 0;
  for (Index i = 0; i < n; ++i) squares += double(x[std::size_t(i)]) * double(x[std::size_t(i)]);
  expect<double>("sum of squares", k.sum_of_squares(x.data(), n), squares, n);
}

// ---- Draws ----

struct KnownAnswer {
  std::uint32_t counter[4], key[2], words[4];
};
// Those that the authors of Philox 4x32-10 publish with it (Random123, kat_vectors).
constexpr KnownAnswer known_answers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
    {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}, {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}},
    {{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}, {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}}};

void expect_word(const char* what, std::uint64_t got, std::uint64_t wanted) {
  ++compared;
  if (got == wanted) return;
  ++failures;
  std::printf("%s: %s is %llx, expected %llx\n", isa().c_str(), what, (unsigned long long)got, (unsigned long long)wanted);
}

std::uint64_t seed_of(const std::uint32_t (&key)[2]) { return key[0] + (std::uint64_t(key[1]) << 32); }

// Each answer at each of the places, the others beside it.
void check_bits() {
  const Kernels<float>& k = kernels<float>();
  for (const KnownAnswer& answer : known_answers)
    for (int place = 0; place < Places::count; ++place) {
      Places places;
      std::uint32_t bits[4][Places::count];
      for (int i = 0; i < Places::count; ++i)
        for (int word = 0; word < 4; ++word)
          places.word[word][i] = i == place ? answer.counter[word] : std::uint32_t(random_bits());
      k.draw_bits(seed_of(answer.key), places, bits);
      for (int word = 0; word < 4; ++word) expect_word("a word of Philox", bits[word][place], answer.words[word]);
    }
  for (const KnownAnswer& answer : known_answers) {  // the same generator, one place at a time: its leading 53 bits
    const auto& c = answer.counter;
    const double u = uniform(seed_of(answer.key), c[0] + (std::uint64_t(c[1]) << 32), c[2] + (std::uint64_t(c[3]) << 32));
    expect_word("a number in [0, 1)", std::uint64_t(u * 0x1p53),
                (std::uint64_t(answer.words[0] >> 5) << 26) + (answer.words[1] >> 6));
  }
}

// All bits that were drawn by the first instruction set.
template <class T> std::vector<T> first_normals;

// Normal numbers are what Box and Muller make of the words, and have the bits of every other instruction set.
template <class T> void check_normals() {
  const Kernels<T>& k = kernels<T>();
  constexpr int blocks = 4000;
  std::vector<T> all;
  double moments[4] = {};
  for (int block = 0; block < blocks; ++block) {
    Places places;
    for (int i = 0; i < Places::count; ++i) {
      places.word[0][i] = std::uint32_t(block);
      places.word[2][i] = std::uint32_t(i);
    }
    std::uint32_t bits[4][Places::count];
    T z[4][Places::count];
    k.draw_bits(11, places, bits);
    k.normals(11, places, z);
    for (int word = 0; word < 4; ++word)
      for (int i = 0; i < Places::count; ++i) {
        const double u = double(T(T(bits[word / 2 * 2][i] >> 1) + T(0.5))) * 0x1p-31;  // in float rounded, as it is there
        const double angle = 2 * std::acos(-1.0) * double(bits[word / 2 * 2 + 1][i]) * 0x1p-32;
        const double wanted = std::sqrt(-2 * std::log(u)) * (word % 2 == 0 ? std::cos(angle) : std::sin(angle));
        expect<T>("a normal number", z[word][i], wanted, 8);  // up to 6.7, and of a radius and a sine of some eps each
        all.push_back(z[word][i]);
        for (int power = 1; power <= 4; ++power) moments[power - 1] += std::pow(double(z[word][i]), power);
      }
  }
  // 4.5 standard deviations, which are those of 1, 2, 15 and 96 by the number of draws; draws are the same in every run.
  const double count = double(all.size()), mean[] = {0, 1, 0, 3}, variance[] = {1, 2, 15, 96};
  for (int power = 0; power < 4; ++power) {
    ++compared;
    if (std::abs(moments[power] / count - mean[power]) <= 4.5 * std::sqrt(variance[power] / count)) continue;
    ++failures;
    std::printf("%s: moment %d of the normal numbers is %g\n", isa().c_str(), power + 1, moments[power] / count);
  }
  if (first_normals<T>.empty()) first_normals<T> = all;
  ++compared;
  if (std::memcmp(all.data(), first_normals<T>.data(), all.size() * sizeof(T)) == 0) return;
  ++failures;
  std::printf("%s: the normal numbers have other bits\n", isa().c_str());
}

template <class T> void check_all() {
  for (const Index columns : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 97, 130})
    for (const Index rows : {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17}) {
      for (const Index depth : {0, 1, 2, 3, 5, 17}) check_affine<T>(2, rows, columns, depth);
      check_outer<T>(rows, columns, 33);
      check_outer<T>(17, rows, columns);
      check_losses<T>(rows, columns);
    }
  check_outer<T>(1030, 9, 5);  // more than one block of rows
  for (Index n = 0; n < 70; ++n) check_update<T>(n);
  check_nan<T>();
  check_normals<T>();
}

}  // namespace

int main() {
  for (const std::string& name : supported_isas()) {
    set_isa(name);
    check_all<float>();
    check_all<double>();
    check_bits();
    std::printf("%s: %ld numbers compared, %d failures in all\n", name.c_str(), compared, failures);
  }
  return failures == 0 ? 0 : 1;
}
