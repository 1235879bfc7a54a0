// Networks that run on what is drawn from their outputs. Knows no instruction set.
#include <atomic>
#include <cmath>
#include <numeric>

#include "bptt.hpp"
#include "isa.hpp"
#include "philox.hpp"
#include "products.hpp"
#include "threads.hpp"

namespace bptt {
namespace {

// A number in [0, 1) for the output j of a step of a sequence.
double uniform_at(const Drawing& d, Index t, Index sequence, Index j) {
  return bptt::uniform(d.seed, std::uint64_t(t), std::uint64_t(sequence) + (std::uint64_t(j) << 32));
}

// A class from softmax(o / temperature), or the likeliest: the first whose share of the total, added up, passes a uniform number.
template <class T>
Index draw_class(const T* o, Index n, const Drawing& d, Index t, Index sequence, std::vector<double>& e,
                 std::vector<Index>& order) {
  const Index likeliest = std::max_element(o, o + n) - o;
  if (d.temperature == 0) return likeliest;
  for (Index j = 0; j < n; ++j) e[std::size_t(j)] = std::exp((double(o[j]) - double(o[likeliest])) / d.temperature);
  if (d.top_k < n) {  // of equal ones, the first
    std::iota(order.begin(), order.end(), Index(0));
    std::nth_element(order.begin(), order.begin() + d.top_k, order.end(),
                     [&](Index i, Index j) { return o[i] != o[j] ? o[i] > o[j] : i < j; });
    for (auto i = order.begin() + d.top_k; i != order.end(); ++i) e[std::size_t(*i)] = 0;
  }
  double rest = uniform_at(d, t, sequence, 0) * std::accumulate(e.begin(), e.end(), 0.0);
  for (Index j = 0; j < n; ++j) {
    rest -= e[std::size_t(j)];
    if (rest < 0) return j;
  }
  return likeliest;  // rounding has left something
}

// Numbers from Bernoulli or Gaussian distributions.
template <class T> void draw_numbers(Output output, const T* o, Index n, const Drawing& d, Index t, Index sequence, T* y) {
  for (Index j = 0; j < n; ++j) {
    const double u = uniform_at(d, t, sequence, 2 * j), v = uniform_at(d, t, sequence, 2 * j + 1);
    if (output == Output::sigmoid)
      y[j] = T(d.temperature == 0 ? o[j] > 0 : u < 1 / (1 + std::exp(-double(o[j]) / d.temperature)));
    else
      y[j] = T(double(o[j]) + d.temperature * std::sqrt(-2 * std::log1p(-u)) * std::cos(6.283185307179586477 * v));  // Box, Muller
  }
}

template <class T> class Generator {
 public:
  Generator(const Network& network, const T* parameters, const Batch<T>& batch, const Drawing& drawing)
      : net(network), k(kernels<T>()), p(network, parameters), batch(batch), drawing(drawing), n(network.n_hidden) {
    W_transposed = pack_transposed<T>(k, p.W);
    V_transposed = pack_transposed<T>(k, p.V);
    if (net.input == Input::real) U_transposed = pack_transposed<T>(k, p.U);
    const Matrix<const T>& fed = hidden_recurrence() ? p.U : p.W;
    if (!classes()) return;
    columns = Array<T>(fed.cols * n);  // of what a class is fed to
    for (Index j = 0; j < n; ++j)
      for (Index c = 0; c < fed.cols; ++c) columns[c * n + j] = fed(j, c);
  }

  // What some sequences need, so that nothing is allocated where threads work.
  struct Room {
    Room(Index rows, Index n_in, Index n, Index m)
        : h(rows * n),
          a(rows * n),
          y(rows * m),
          x(rows * n_in),
          drawn(std::size_t(rows)),
          e(std::size_t(m)),
          order(std::size_t(m)) {}
    Array<T> h, a, y, x;
    std::vector<Index> drawn;
    std::vector<double> e;
    std::vector<Index> order;
  };

  // Sequences [from, to), each by itself.
  bool run(Index from, Index to, T* r_all, T* o_all, Room& room, const Drawn<T>& results) const {
    const Index rows = to - from, m = net.n_out, width = hidden_recurrence() ? n : m;
    const Matrix<T> r(r_all + from * width, rows, width), o(o_all + from * m, rows, m);
    const Matrix<T> h = room.h.matrix(rows, n), a = room.a.matrix(rows, n), y = room.y.matrix(rows, m);
    std::vector<Index>& drawn = room.drawn;
    if (hidden_recurrence() && drawing.from_state) Sum<T>(k).from(p.c).plus(r, V_transposed).into(o);
    for (Index t = 0; t < results.steps; ++t) {
      if (!hidden_recurrence()) {  // o(t) of y(t-1) and x(t)
        inputs(t, from, a, room.x);
        if (t > 0 && classes()) add_columns(drawn, a);
        step(a, t > 0 ? (classes() ? Matrix<T>() : y) : r, h, o);
      }
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < m; ++j)
          if (!std::isfinite(o(i, j))) return false;
        const Index place = t * results.batch + from + i;
        if (classes()) {
          drawn[std::size_t(i)] = draw_class(o.row(i), m, drawing, t, from + i, room.e, room.order);
          results.classes[place] = drawn[std::size_t(i)];
        } else {
          draw_numbers(net.output, o.row(i), m, drawing, t, from + i, y.row(i));
          std::copy_n(y.row(i), m, results.numbers + place * m);
        }
      }
      if (hidden_recurrence() && t + 1 < results.steps) {  // h and o of the next step, whose input is y(t)
        for (Index i = 0; i < rows; ++i) std::copy_n(p.b, n, a.row(i));
        if (classes())
          add_columns(drawn, a);
        else
          Sum<T>(k).from(p.b).plus(y, U_transposed).into(a);
        step(a, r, h, o);
        std::copy_n(h.data, rows * n, r.data);
      }
    }
    return true;
  }

 private:
  bool hidden_recurrence() const { return net.recurrence == Recurrence::h; }
  bool classes() const { return net.output == Output::softmax; }

  // a = b + U x(t)
  void inputs(Index t, Index from, Matrix<T> a, const Array<T>& x) const {
    if (net.input == Input::token) {
      for (Index i = 0; i < a.rows; ++i) {
        const Index token = std::clamp<Index>(*batch.tokens(t, from + i), 0, net.n_in - 1);
        for (Index j = 0; j < n; ++j) a(i, j) = p.b[j] + p.U(j, token);
      }
      return;
    }
    for (Index i = 0; i < a.rows; ++i) std::copy_n(batch.x(t, from + i), net.n_in, x.data() + i * net.n_in);
    Sum<T>(k).from(p.b).plus(x.matrix(a.rows, net.n_in), U_transposed).into(a);
  }

  void add_columns(const std::vector<Index>& drawn, Matrix<T> a) const {
    for (Index i = 0; i < a.rows; ++i) {
      const T* const column = columns.data() + drawn[std::size_t(i)] * n;
      for (Index j = 0; j < n; ++j) a(i, j) += column[j];
    }
  }

  // h = tanh(a + W r), o = c + V h; without r, what it adds is in a.
  void step(Matrix<const T> a, Matrix<const T> r, Matrix<T> h, Matrix<T> o) const {
    Sum<T> sum(k);
    sum.from(a);
    if (r.rows > 0) sum.plus(r, W_transposed);
    sum.tanh_into(h);
    Sum<T>(k).from(p.c).plus(h, V_transposed).into(o);
  }

  const Network& net;
  const Kernels<T>& k;
  const Parameters<const T> p;
  const Batch<T>& batch;
  const Drawing& drawing;
  const Index n;  // n_hidden
  Packed<T> U_transposed, W_transposed, V_transposed;
  Array<T> columns;
};

}  // namespace

template <class T>
bool generate(const Network& network, const T* parameters, const Batch<T>& batch, T* r, T* o, const Drawing& drawing,
              const Drawn<T>& results) {
  const FlushDenormals flush;
  const Generator<T> generator(network, parameters, batch, drawing);
  const double operations = double(results.steps) * double(results.batch) * double(network.size());
  const Call call(operations);
  const Index threads = std::min<Index>(results.batch, call.threads());
  std::vector<typename Generator<T>::Room> rooms;
  for (Index i = 0; i < threads; ++i)
    rooms.emplace_back(results.batch / threads + 1, network.n_in, network.n_hidden, network.n_out);
  std::atomic<bool> finite{true};
  parallel(threads, int(threads), [&](Index i) {
    const Index from = results.batch * i / threads, to = results.batch * (i + 1) / threads;
    if (!generator.run(from, to, r, o, rooms[std::size_t(i)], results)) finite.store(false);
  });
  return finite.load();
}

template bool generate(const Network&, const float*, const Batch<float>&, float*, float*, const Drawing&, const Drawn<float>&);
template bool generate(const Network&, const double*, const Batch<double>&, double*, double*, const Drawing&, const Drawn<double>&);

}  // namespace bptt
