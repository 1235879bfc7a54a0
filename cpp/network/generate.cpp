// Networks that run on what is drawn from their outputs.
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/denormals.hpp"
#include "base/philox.hpp"
#include "network/readout.hpp"

namespace bptt {
namespace {

constexpr Index side_by_side = 8;  // sums or maxima that do not wait for each other: the compiler makes vectors of them

// True if none of `count` numbers is infinite or NaN: those times 0 are NaN.
template <class T> bool all_finite(const T* numbers, Index count) {
  T sums[side_by_side] = {};
  Index j = 0;
  for (; j + side_by_side <= count; j += side_by_side)
    for (Index k = 0; k < side_by_side; ++k) sums[k] += numbers[j + k] * T(0);
  for (; j < count; ++j) sums[0] += numbers[j] * T(0);
  return std::accumulate(sums, sums + side_by_side, T(0)) == T(0);
}

template <class T> T largest(const T* numbers, Index count) {
  T most[side_by_side];
  std::fill_n(most, side_by_side, numbers[0]);
  Index j = 0;
  for (; j + side_by_side <= count; j += side_by_side)
    for (Index k = 0; k < side_by_side; ++k) most[k] = numbers[j + k] > most[k] ? numbers[j + k] : most[k];
  for (; j < count; ++j) most[0] = std::max(most[0], numbers[j]);
  return *std::max_element(most, most + side_by_side);
}

// A number in [0, 1) for the output j of a step of a sequence.
double uniform_at(const Drawing& d, Index t, Index sequence, Index j) {
  return bptt::uniform(d.seed, std::uint64_t(d.first_step + t), std::uint64_t(sequence) + (std::uint64_t(j) << 32));
}

// What a draw of a class needs: probabilities, and an order of the classes.
struct ClassRoom {
  explicit ClassRoom(Index n) : p(std::size_t(n)), order(std::size_t(n)) {}
  std::vector<double> p;
  std::vector<Index> order;
};

// Sets p to 0 but for the smallest set of likeliest classes whose probabilities add up to at least `least`; returns their sum.
template <class Likelier> double keep_nucleus(ClassRoom& room, double least, const Likelier& is_likelier) {
  std::vector<Index>& order = room.order;
  std::iota(order.begin(), order.end(), Index(0));
  const auto less_likely = [&](Index i, Index j) { return is_likelier(j, i); };
  std::make_heap(order.begin(), order.end(), less_likely);  // most often a few of many classes are kept
  double sum = 0;
  auto rest = order.end();
  while (rest != order.begin() && sum < least) {
    std::pop_heap(order.begin(), rest, less_likely);
    sum += room.p[std::size_t(*--rest)];
  }
  for (auto i = order.begin(); i != rest; ++i) room.p[std::size_t(*i)] = 0;
  return sum;
}

// A class from softmax(o / temperature), or the likeliest: the first whose share of the total, added up, passes a uniform number.
template <class T> Index draw_class(const T* o, Index n, const Drawing& d, Index t, Index sequence, ClassRoom& room) {
  const T most = largest(o, n);
  const auto likeliest = [&] { return std::find(o, o + n, most) - o; };
  if (d.temperature == 0) return likeliest();
  const auto is_likelier = [&](Index i, Index j) { return o[i] != o[j] ? o[i] > o[j] : i < j; };  // of equal ones, the first
  double* const p = room.p.data();
  for (Index j = 0; j < n; ++j) p[j] = double(o[j]) - double(most);
  for (Index j = 0; d.temperature != 1 && j < n; ++j) p[j] /= d.temperature;
  if (d.top_k < n) {
    std::vector<Index>& order = room.order;
    std::iota(order.begin(), order.end(), Index(0));
    std::nth_element(order.begin(), order.begin() + d.top_k, order.end(), is_likelier);
    for (auto i = order.begin() + d.top_k; i != order.end(); ++i) p[*i] = -std::numeric_limits<double>::infinity();
  }
  kernels<double>().softmax(p, 1, n, p);
  double rest = uniform_at(d, t, sequence, 0);
  if (d.top_p < 1) rest *= keep_nucleus(room, d.top_p, is_likelier);
  for (Index j = 0; j < n; ++j) {
    rest -= p[j];
    if (rest < 0) return j;
  }
  return likeliest();  // rounding has left something
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

constexpr double operations_at_a_time = 4e6;     // multiply-adds of some steps: then the call may be stopped
constexpr double operations_of_sequences = 1e9;  // of a step, which is not stopped: of more sequences, some come after the others
constexpr double operations_of_a_draw = 64;      // for each output
constexpr Index least_sequences_for_each_thread = 16;  // fewer would read the weights too often

// What some sequences need, so that nothing is allocated where threads work; and what the next step sees of the last one's outputs.
template <class T> struct Room {
  Room(const Network& network, Index rows) : classes(network.n_out) {
    for (Index l = 0; l < network.layers(); ++l) {
      h.emplace_back(rows * network.n(l));
      a.emplace_back(rows * network.n(l));
      if (network.leaky()) h_before.emplace_back(rows * network.n(l));
    }
    r.resize(std::size_t(network.layers()));
    v.resize(std::size_t(network.layers()));
    y = Array<T>(rows * network.n_out);
    x = Array<T>(rows * network.n_in);
    drawn.resize(std::size_t(rows));
  }
  PerLayer<T> r, v;  // v: of leaky units
  std::vector<Array<T>> h, a, h_before;
  Array<T> y, x;
  std::vector<Index> drawn;
  ClassRoom classes;
};

template <class T> class Generator {
 public:
  Generator(const Network& network, const T* parameters, const Batch<T>& batch, const Drawing& drawing)
      : net_(network),
        p_(network, parameters),
        ctx_(network, {1}),
        readout_(ctx_, p_, no_targets_),
        batch_(batch),
        drawing_(drawing) {
    for (const auto& layer : p_.chain)
      layers_.emplace_back(ctx_, Index(layers_.size()), layer, LayerInput<T>(ctx_, layer.U, layer.b), no_reset_);
    const auto& bottom = p_.chain[0];
    const Matrix<const T>& fed = hidden_recurrence() ? bottom.U : bottom.W;
    if (!classes()) return;
    columns_ = Array<T>(fed.cols * fed.rows);  // of what a class is fed to
    for (Index j = 0; j < fed.rows; ++j)
      for (Index c = 0; c < fed.cols; ++c) columns_[c * fed.rows + j] = fed(j, c);
  }

  /// Steps [first, last) of sequences [from, to), each by itself, after the steps before them. False if an output is not finite.
  bool draw(Index from, Index to, Index first, Index last, const std::vector<T*>& r_all, T* o_all, Room<T>& room,
            const Drawn<T>& results) const {
    const Index rows = to - from, m = net_.n_out;
    PerLayer<T>& r = room.r;
    for (Index l = 0; l < net_.layers(); ++l) {
      const Index width = net_.n_recurrent(l);
      const Matrix<T> state(r_all[std::size_t(l)] + from * width, rows, width);
      r[std::size_t(l)] = state;
      if (!net_.leaky()) continue;
      room.v[std::size_t(l)] = state;
      r[std::size_t(l)] = room.h_before[std::size_t(l)].matrix(rows, width);
      values_of(net_, ctx_.k, Matrix<const T>(state), r[std::size_t(l)]);
    }
    const Matrix<T> o(o_all + from * m, rows, m), y = room.y.matrix(rows, m);
    if (hidden_recurrence() && drawing_.from_state && first == 0) readout_.outputs(r.back(), o);
    for (Index t = first; t < last; ++t) {
      if (!hidden_recurrence()) {  // o(t) of y(t-1) and x(t)
        const Matrix<T> a = room.a[0].matrix(rows, net_.n(0)), h = room.h[0].matrix(rows, net_.n(0));
        inputs(t, from, a, room.x);
        if (t > 0 && classes()) add_columns(room.drawn, a);
        step(0, a, t > 0 ? (classes() ? Matrix<T>() : y) : r[0], {}, h);
        readout_.outputs(h, o);
      }
      if (!all_finite(o.data, rows * m)) return false;
      for (Index i = 0; i < rows; ++i) {
        const Index place = t * results.batch + from + i;
        if (classes()) {
          room.drawn[std::size_t(i)] = draw_class(o.row(i), m, drawing_, t, from + i, room.classes);
          results.classes[place] = room.drawn[std::size_t(i)];
        } else {
          draw_numbers(net_.output, o.row(i), m, drawing_, t, from + i, y.row(i));
          std::copy_n(y.row(i), m, results.numbers + place * m);
        }
      }
      if (hidden_recurrence() && (t + 1 < results.steps || drawing_.goes_on)) next_state(y, r, o, room);
    }
    return true;
  }

 private:
  bool hidden_recurrence() const { return net_.recurrence == Recurrence::h; }
  bool classes() const { return net_.output == Output::softmax; }

  // h and o of the next step, whose input is y(t), through all layers.
  void next_state(Matrix<const T> y, const PerLayer<T>& r, Matrix<T> o, Room<T>& room) const {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Matrix<T> a = room.a[l].matrix(y.rows, layers_[l].n), h = room.h[l].matrix(y.rows, layers_[l].n);
      if (l > 0 || !classes()) {
        const Matrix<const T> below = l > 0 ? Matrix<const T>(r[l - 1]) : y;
        Sum<T>(ctx_.k).from(p_.chain[l].b).plus(below, layers_[l].input.U_transposed()).into(a);
      } else {
        for (Index i = 0; i < a.rows; ++i) std::copy_n(p_.chain[0].b, a.cols, a.row(i));
        add_columns(room.drawn, a);
      }
      step(l, a, r[l], Carry<T>::in_place(room.v[l]), h);
      std::copy_n(h.data, h.rows * h.cols, r[l].data);
    }
    readout_.outputs(r.back(), o);
  }

  // a = b + U x(t)
  void inputs(Index t, Index from, Matrix<T> a, const Array<T>& x) const {
    const auto& p = p_.chain[0];
    if (net_.input == Input::token) {
      for (Index i = 0; i < a.rows; ++i) {
        const Index token = Index(batch_.tokens.clamped(t, from + i, 0, net_.n_in - 1));
        for (Index j = 0; j < a.cols; ++j) a(i, j) = p.b[j] + p.U(j, token);
      }
      return;
    }
    for (Index i = 0; i < a.rows; ++i) std::copy_n(batch_.x(t, from + i), net_.n_in, x.data() + i * net_.n_in);
    Sum<T>(ctx_.k).from(p.b).plus(x.matrix(a.rows, net_.n_in), layers_[0].input.U_transposed()).into(a);
  }

  void add_columns(const std::vector<Index>& drawn, Matrix<T> a) const {
    for (Index i = 0; i < a.rows; ++i) {
      const T* const column = columns_.data() + drawn[std::size_t(i)] * a.cols;
      for (Index j = 0; j < a.cols; ++j) a(i, j) += column[j];
    }
  }

  // h(t) of a layer, of a = b + U x(t); without r, what it adds is in a.
  void step(std::size_t l, Matrix<const T> a, Matrix<const T> r, const Carry<T>& v, Matrix<T> h) const {
    Sum<T> sum(ctx_.k);
    sum.from(a);
    layers_[l].step(sum, r, v, h);
  }

  const Network& net_;
  const Parameters<const T> p_;
  const Context<T> ctx_;
  const Batch<T> no_targets_;
  const Readout<T> readout_;
  const Batch<T>& batch_;
  const Drawing& drawing_;
  const ResetFlags no_reset_;
  std::vector<RecurrentLayer<T>> layers_;
  Array<T> columns_;
};

}  // namespace

template <class T>
bool generate(const Network& network, const T* parameters, const Batch<T>& batch, const std::vector<T*>& r, T* o,
              const Drawing& drawing, const Drawn<T>& results) {
  const FlushDenormals flush;
  const Generator<T> generator(network, parameters, batch, drawing);
  const double operations = double(size(network)) + double(network.n_out) * operations_of_a_draw;  // of a step of a sequence
  const Call call(double(results.steps) * double(results.batch) * operations, results.batch);
  const Index threads = call.most();
  const Index together =
      std::min(results.batch, std::max(Index(operations_of_sequences / operations), threads * least_sequences_for_each_thread));
  std::vector<Room<T>> rooms;
  for (Index i = 0; i < threads; ++i) rooms.emplace_back(network, together / threads + 1);
  std::atomic<bool> finite{true};
  Interruption interruption;
  for (Index begin = 0, rows; begin < results.batch; begin += rows) {
    rows = std::min(results.batch - begin, together);
    const double of_step = operations * double(rows);
    const Index at_a_time = 1 + Index(operations_at_a_time / of_step);
    for (Index first = 0, last; first < results.steps && finite.load(); first = last) {
      last = std::min(results.steps, first + at_a_time);
      interruption.check(of_step * double(last - first));
      call.refresh();
      parallel(threads, call.threads(), [&](Index i) {
        const Index from = begin + rows * i / threads, to = begin + rows * (i + 1) / threads;
        if (from < to && !generator.draw(from, to, first, last, r, o, rooms[std::size_t(i)], results)) finite.store(false);
      });
    }
  }
  return finite.load();
}

template bool generate(const Network&, const float*, const Batch<float>&, const std::vector<float*>&, float*, const Drawing&,
                       const Drawn<float>&);
template bool generate(const Network&, const double*, const Batch<double>&, const std::vector<double*>&, double*, const Drawing&,
                       const Drawn<double>&);

}  // namespace bptt
