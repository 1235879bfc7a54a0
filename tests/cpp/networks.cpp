// Whole networks through the core's own face: gradients beside central differences, and the same bits for every number of threads
// and every memory limit, and after every allocation has failed once. It needs no Python, so it also runs under sanitizers and on
// an emulated processor. Exit code 1 if anything is off.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/threads.hpp"
#include "failing_memory.hpp"
#include "network/bptt.hpp"
#include "network/stream.hpp"

using namespace bptt;

namespace {

int failures = 0;
long compared = 0, failed_blocks = 0;

struct Case {
  const char* name;
  std::vector<Index> n_hidden;
  Input input;
  Output output;
  ReadoutFrom readout;
  Recurrence recurrence;
  Activation activation;
  bool bidirectional;
  double forcing;
  std::vector<Index> lengths;
  bool leaky = false;    // alpha of every third unit is 1
  bool learned = false;  // every sequence begins with a parameter, and none is given an r(0)
};

// A case's numbers, and the calls of the core on them.
class Problem {
 public:
  explicit Problem(const Case& c) : forcing_{c.forcing, 1} {
    network.n_in = 3;
    network.n_hidden = c.n_hidden;
    network.n_out = 4;
    network.input = c.input;
    network.output = c.output;
    network.readout = c.readout;
    network.recurrence = c.recurrence;
    network.activation = c.activation;
    network.bidirectional = c.bidirectional;
    network.learn_h0 = c.learned;
    for (std::size_t l = 0; c.leaky && l < c.n_hidden.size(); ++l) {
      network.leak.emplace_back(std::size_t(c.n_hidden[l]), 1.0);
      for (std::size_t j = 0; j < network.leak[l].size(); ++j)
        if (j % 3 != 0) network.leak[l][j] = 0.1 + 0.8 * double(j) / double(c.n_hidden[l]);
    }
    batch_.lengths = c.lengths;
    tau_ = *std::max_element(c.lengths.begin(), c.lengths.end());
    count_ = Index(c.lengths.size());
    parameters = numbers(size(network));
    for (double& p : parameters) p *= 0.5;
    x_ = numbers(tau_ * count_ * network.n_in);
    y_ = numbers(tau_ * count_ * network.n_out);
    for (double& y : y_) y = std::abs(y);
    weight_ = numbers(tau_ * count_);
    for (Index i = 0; i < tau_ * count_; ++i) {
      tokens_.push_back(i % network.n_in);
      targets_.push_back(i % (network.n_out + 1) - 1);
      reset_.push_back(i % 7 == 3);
    }
    for (Index chain = 0; chain < network.chains(); ++chain)
      r0_.push_back(numbers(count_ * network.n_recurrent(chain / network.directions())));
    const bool every_step = c.readout == ReadoutFrom::all;
    if (c.input == Input::real)
      batch_.x = rows<const double>(x_, network.n_in, true);
    else
      batch_.tokens = IndexRows(rows<const std::int64_t>(tokens_, 1, true));
    if (c.output == Output::softmax)
      batch_.targets = IndexRows(rows<const std::int64_t>(targets_, 1, every_step));
    else
      batch_.y = rows<const double>(y_, network.n_out, every_step);
    batch_.weight = rows<const double>(weight_, 1, every_step);
    batch_.reset = rows<const std::uint8_t>(reset_, 1, true);
    for (Index chain = 0; !c.learned && chain < network.chains(); ++chain)
      batch_.r0.push_back(rows<const double>(r0_[std::size_t(chain)], network.n_recurrent(chain / network.directions()), false));
  }

  /// From now on each h(t)^2 costs so much.
  void penalize(double kappa) { batch_.activity = kappa; }

  double loss() const { return bptt::loss<double>(network, parameters.data(), batch_, forcing_); }

  // The losses of all steps, added up.
  double losses() {
    const bool every_step = network.readout == ReadoutFrom::all;
    std::vector<double> each(std::size_t((every_step ? tau_ : 1) * count_));
    bptt::loss<double>(network, parameters.data(), batch_, forcing_, rows<double>(each, 1, every_step));
    return std::accumulate(each.begin(), each.end(), 0.0);
  }

  void forward() {
    std::vector<std::vector<double>> h, v, r_last = r0_;
    const bool every_step = network.readout == ReadoutFrom::all;
    std::vector<double> o(std::size_t((every_step ? tau_ : 1) * count_ * network.n_out));
    ForwardResults<double> results;
    for (Index l = 0; l < network.layers(); ++l) {
      h.emplace_back(std::size_t(tau_ * count_ * network.width(l)));
      results.h.push_back(rows<double>(h.back(), network.width(l), true));
      if (!network.leaky()) continue;
      v.emplace_back(std::size_t(tau_ * count_ * network.width(l)));
      results.v.push_back(rows<double>(v.back(), network.width(l), true));
    }
    results.o = rows<double>(o, network.n_out, every_step);
    for (Index chain = 0; chain < network.chains(); ++chain)
      results.r_last.push_back(rows<double>(r_last[std::size_t(chain)], network.n_recurrent(chain / network.directions()), false));
    bptt::forward<double>(network, parameters.data(), batch_, {}, results);
  }

  bool can_generate() const {
    const bool reads_outputs = network.n_in == network.n_out && (network.input == Input::real || network.output == Output::softmax);
    return network.readout == ReadoutFrom::all && !network.bidirectional && (network.recurrence != Recurrence::h || reads_outputs);
  }

  void generate() const {
    Drawn<double> drawn;
    drawn.steps = *std::min_element(batch_.lengths.begin(), batch_.lengths.end());
    drawn.batch = count_;
    std::vector<std::int64_t> classes(std::size_t(drawn.steps * count_));
    std::vector<double> values(std::size_t(drawn.steps * count_ * network.n_out)), o(std::size_t(count_ * network.n_out));
    drawn.classes = classes.data();
    drawn.numbers = values.data();
    std::vector<std::vector<double>> r = r0_;
    std::vector<double*> state;
    for (std::vector<double>& layer : r) state.push_back(layer.data());
    Drawing drawing;
    drawing.top_k = network.n_out;
    drawing.top_p = 0.9;
    drawing.from_state = true;
    drawing.goes_on = true;
    bptt::generate<double>(network, parameters.data(), batch_, state, o.data(), drawing, drawn);
  }

  bool can_stream() const { return !network.bidirectional && network.readout == ReadoutFrom::all; }

  // Whether a stream from r(0) gives the o(t) of `forward`, over as many steps as the shortest sequence has.
  bool stream_is_forward() const {
    const Index steps = *std::min_element(batch_.lengths.begin(), batch_.lengths.end()), of_step = count_ * network.n_out;
    std::vector<double> expected(std::size_t(steps * of_step)), o = expected;
    std::vector<std::vector<double>> r_last = r0_;
    Batch<double> batch = batch_;
    batch.lengths.assign(std::size_t(count_), steps);
    batch.reset = {};
    ForwardResults<double> results;
    results.h.resize(std::size_t(network.layers()));
    results.o = rows<double>(expected, network.n_out, true);
    for (Index l = 0; l < network.layers(); ++l)
      results.r_last.push_back(rows<double>(r_last[std::size_t(l)], network.n_recurrent(l), false));
    bptt::forward<double>(network, parameters.data(), batch, {}, results);

    Stream<double> stream(network, parameters.data(), count_);
    const Parameters<const double> p(network, parameters.data());
    for (Index l = 0; l < network.layers(); ++l) {
      std::copy(r0_[std::size_t(l)].begin(), r0_[std::size_t(l)].end(), stream.state(l).data);
      for (Index i = 0; network.learn_h0 && i < count_; ++i)
        std::copy_n(p.chain[std::size_t(l)].h0, network.n(l), stream.state(l).row(i));
    }
    stream.take_state();
    for (Index t = 0, some; t < steps; t += some) {
      some = std::min(steps - t, 1 + t % stream.most_steps());
      for (Index i = 0; i < some * count_; ++i) stream.tokens()[i] = std::int32_t(tokens_[std::size_t(t * count_ + i)]);
      stream.advance(some, x_.data() + t * count_ * network.n_in, o.data() + t * of_step);
    }
    for (Index l = 0; l < network.layers(); ++l)
      if (!std::equal(r_last[std::size_t(l)].begin(), r_last[std::size_t(l)].end(), stream.state(l).data)) return false;
    return o == expected;
  }

  // The loss, and all gradients in one vector: of the parameters, of every r(0), of x.
  double gradients(Index memory_limit, std::vector<double>& all) {
    all.assign(parameters.size(), 0);
    std::vector<std::vector<double>> dr0 = r0_, r_last = r0_;
    std::vector<double> dx(x_.size(), 0);
    GradientResults<double> results;
    results.flat = all.data();
    for (Index chain = 0; chain < network.chains(); ++chain) {
      const Index n = network.n_recurrent(chain / network.directions());
      results.r0.push_back(rows<double>(dr0[std::size_t(chain)], n, false));
      results.r_last.push_back(rows<double>(r_last[std::size_t(chain)], n, false));
    }
    if (network.input == Input::real) results.x = rows<double>(dx, network.n_in, true);
    const double loss = loss_and_gradients<double>(network, parameters.data(), batch_, forcing_, results, memory_limit);
    for (const auto& part : dr0)
      if (!network.learn_h0) all.insert(all.end(), part.begin(), part.end());
    if (network.input == Input::real) all.insert(all.end(), dx.begin(), dx.end());
    return loss;
  }

  // What the gradients belong to, in the same order.
  std::vector<double*> variables() {
    std::vector<double*> all;
    for (double& p : parameters) all.push_back(&p);
    for (auto& part : r0_)
      for (double& r : part)
        if (!network.learn_h0) all.push_back(&r);
    if (network.input == Input::real)
      for (double& x : x_) all.push_back(&x);
    return all;
  }

  Network network;
  std::vector<double> parameters;

 private:
  std::vector<double> numbers(Index count) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<double> v(static_cast<std::size_t>(count));
    for (double& x : v) x = uniform(random_);
    return v;
  }

  template <class V, class S> Rows<V> rows(std::vector<S>& memory, Index width, bool time) const {
    Rows<V> all;
    for (Index i = 0; i < count_; ++i) {
      all.base.push_back(memory.data() + i * width);
      all.step.push_back(time ? count_ * width : 0);
    }
    return all;
  }

  std::mt19937 random_{0};
  TeacherForcing forcing_;
  Index tau_ = 0, count_ = 0;
  std::vector<double> x_, y_, weight_;
  std::vector<std::int64_t> tokens_, targets_;
  std::vector<std::uint8_t> reset_;
  std::vector<std::vector<double>> r0_;
  Batch<double> batch_;
};

void expect(bool holds, const char* name, const char* what, double got, double wanted) {
  ++compared;
  if (holds) return;
  ++failures;
  std::printf("%s: %s is %.17g, expected %.17g\n", name, what, got, wanted);
}

void check(const Case& c, double activity) {
  Problem problem(c);
  problem.penalize(activity);
  std::vector<double> exact, again;
  const double loss = problem.gradients(-1, exact);
  expect(loss == problem.loss(), c.name, "the loss alone", problem.loss(), loss);
  const double losses = problem.losses();
  if (activity > 0)
    expect(losses < loss, c.name, "the loss of a network whose activity costs something", loss, losses);
  else
    expect(std::abs(losses - loss) <= 1e-12 * (1 + std::abs(loss)), c.name, "the losses of the steps", losses, loss);

  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    expect(!problem.can_stream() || problem.stream_is_forward(), c.name, "whether a stream is forward", 0, 1);
  }
  set_num_threads(1);

  // Central differences: their error is of the order step^2, and rounding / step.
  constexpr double step = 1e-5;
  const std::vector<double*> variables = problem.variables();
  for (std::size_t i = 0; i < variables.size(); i += 1 + variables.size() / 60) {
    const double value = *variables[i];
    *variables[i] = value + step;
    const double above = problem.loss();
    *variables[i] = value - step;
    const double below = problem.loss();
    *variables[i] = value;
    const double difference = (above - below) / (2 * step);
    expect(std::abs(exact[i] - difference) <= 1e-6 * (1 + std::abs(difference)), c.name, "a gradient", exact[i], difference);
  }

  Index least = 0;  // what the error of a limit that is too small tells
  try {
    problem.gradients(0, again);
  } catch (const std::invalid_argument& error) {
    least = std::stol(std::string(error.what()).substr(std::strlen("memory_limit: expected at least ")));
  }
  for (const int threads : {1, 2, 3})
    for (const Index limit : {Index(-1), least}) {
      set_num_threads(threads);
      const double other = problem.gradients(limit, again);
      set_num_threads(1);
      expect(other == loss && std::memcmp(again.data(), exact.data(), exact.size() * sizeof(double)) == 0, c.name,
             "the loss by other threads and memory", other, loss);
    }
}

// Each allocation of a call fails once, and with it all that come after it. The call ends with std::bad_alloc, and every block is
// given back: the thread, which keeps some, ends too.
template <class F> void check_memory(const char* name, const F& call) {
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    call();  // the pool's threads stay
    const long before = blocks_in_use();
    bool done = false;
    long allowed = 0;
    for (; !done; ++allowed) {
      std::thread([&] {
        allow_blocks(allowed);
        try {
          call();
          done = true;
        } catch (const std::bad_alloc&) {
        }
        allow_blocks(-1);
      }).join();
      expect(blocks_in_use() == before, name, "the number of blocks after a failure", double(blocks_in_use()), double(before));
    }
    failed_blocks += allowed - 1;
  }
  set_num_threads(1);
}

void check_memory(const Case& c) {
  Problem problem(c);
  std::vector<double> exact, again;
  const double loss = problem.gradients(-1, exact);
  check_memory(c.name, [&] { problem.forward(); });
  check_memory(c.name, [&] { problem.loss(); });
  check_memory(c.name, [&] {
    std::vector<double> all;
    problem.gradients(-1, all);
  });
  if (problem.can_generate()) check_memory(c.name, [&] { problem.generate(); });
  if (problem.can_stream()) check_memory(c.name, [&] { problem.stream_is_forward(); });
  const double other = problem.gradients(-1, again);
  expect(other == loss && again == exact, c.name, "the loss after failures", other, loss);
}

}  // namespace

int main() {
  const auto real = Input::real, token = Input::token;
  const auto softmax = Output::softmax, sigmoid = Output::sigmoid, linear = Output::linear;
  const auto all = ReadoutFrom::all, last = ReadoutFrom::last;
  const auto h = Recurrence::h, y_hat = Recurrence::y_hat, o = Recurrence::o;
  const auto tanh = Activation::tanh, relu = Activation::relu;
  const std::vector<Index> ragged = {5, 9, 1, 7}, windows = {450, 300}, many(30, 40);
  for (const Case& c :
       std::vector<Case>{{"one layer", {7}, real, softmax, all, h, tanh, false, 0, ragged},
                         {"one layer, tokens, last", {7}, token, softmax, last, h, tanh, false, 0, ragged},
                         {"one layer, several windows", {5}, real, linear, all, h, tanh, false, 0, windows},
                         {"columns shared", {170}, real, sigmoid, all, h, tanh, false, 0, {40, 40}},
                         {"two layers, relu", {9, 17}, real, sigmoid, all, h, relu, false, 0, ragged},
                         {"layers side by side", {40, 33, 36}, real, sigmoid, all, h, tanh, false, 0, {450}},
                         {"layers side by side, two sequences", {40, 33}, token, linear, last, h, relu, false, 0, {700, 300}},
                         {"three layers, last", {5, 8, 3}, token, linear, last, h, tanh, false, 0, windows},
                         {"two directions", {6}, real, softmax, all, h, tanh, true, 0, ragged},
                         {"two layers, two directions, relu", {6, 9}, token, sigmoid, all, h, relu, true, 0, many},
                         {"two layers, two directions, last", {6, 9}, real, softmax, last, h, tanh, true, 0, windows},
                         {"leaky", {7}, real, softmax, all, h, tanh, false, 0, windows, true},
                         {"leaky, columns shared", {170}, token, softmax, all, h, tanh, false, 0, {40, 30}, true},
                         {"leaky layers side by side", {40, 33, 36}, real, sigmoid, all, h, relu, false, 0, {450}, true},
                         {"leaky, two directions, last", {6, 9}, real, softmax, last, h, tanh, true, 0, ragged, true},
                         {"learned h0", {7}, real, softmax, all, h, tanh, false, 0, windows, false, true},
                         {"learned v0, layers side by side", {40, 33}, token, softmax, all, h, relu, false, 0, {450}, true, true},
                         {"learned h0, two directions, last", {6, 9}, real, linear, last, h, tanh, true, 0, ragged, false, true},
                         {"output recurrence, forced", {7}, real, softmax, all, y_hat, tanh, false, 1, ragged},
                         {"output recurrence, free", {7}, token, softmax, all, y_hat, tanh, false, 0, many},
                         {"output recurrence, sampled", {7}, real, sigmoid, all, o, relu, false, 0.5, windows}}) {
    check(c, 0);
    check(c, 0.3);
    check_memory(c);
  }
  std::printf("%ld numbers compared, %ld allocations failed, %d failures in all\n", compared, failed_blocks, failures);
  return failures == 0 ? 0 : 1;
}
