// Arrays in, arrays out. The face in python/bptt has checked shapes and dtypes; what only a pass
// over the data can tell (a token out of range) is checked here, before anything is computed.
#include <pybind11/stl.h>

#include <array>

#include "base/threads.hpp"
#include "kernels/isa.hpp"
#include "network/bptt.hpp"
#include "optimizer.hpp"
#include "python/python.hpp"
#include "python/stream.hpp"

namespace py = pybind11;

namespace bptt {
namespace {

// [tau, batch, ...], or [batch, ...] where there is no time axis, or a list with [tau_i, ...] for each sequence, or None.
template <class T> Rows<T> rows(const py::object& object, bool time) {
  Rows<T> result;
  if (object.is_none()) return result;
  if (py::isinstance<py::list>(object)) {
    for (const py::handle item : object) {
      const auto array = array_of(item);
      result.base.push_back(memory<T>(array, 1));
      result.step.push_back(stride<T>(array, 0));
    }
    return result;
  }
  const auto array = array_of(object);
  T* const data = memory<T>(array, time ? 2 : 1);
  const Index batch = array.shape(time), step = time ? stride<T>(array, 0) : 0, next = stride<T>(array, time);
  result.step.resize(std::size_t(batch), step);
  result.base.resize(std::size_t(batch));
  for (Index i = 0; i < batch; ++i) result.base[std::size_t(i)] = data + i * next;
  return result;
}

// The same for integers of any width, which is that of all sequences of a list.
IndexRows index_rows(const py::object& object, bool time) {
  const bool is_list = py::isinstance<py::list>(object);
  const Integer type = integer_of(array_of(is_list ? py::object(py::list(object)[0]) : object));
  return with_integer(type, [&](auto v) { return IndexRows(rows<const decltype(v)>(object, time)); });
}

// The same for a list with an entry for each chain or layer.
template <class T> std::vector<Rows<T>> rows_of_each(const py::object& list, bool time) {
  std::vector<Rows<T>> result;
  if (list.is_none()) return result;
  for (const py::handle item : list) result.push_back(rows<T>(py::reinterpret_borrow<py::object>(item), time));
  return result;
}

// "x: expected tokens in [0, 65), got 70 at step 3 of sequence 1"
void refuse(const std::string& expected, const std::string& got, const Place& at, bool time) {
  const std::string place = time ? " at step " + std::to_string(at.step) + " of" : " for";
  throw py::value_error(expected + ", got " + got + place + " sequence " + std::to_string(at.sequence));
}

template <class T>
void check_range(const std::string& expected, const IndexRows& rows, const std::vector<Index>& lengths, Index low, Index high,
                 const Rows<const T>& weight, bool time) {
  const Place found = first_outside(rows, lengths, low, high, weight);
  if (found.sequence >= 0) refuse(expected, text(rows(found.step, found.sequence)), found, time);
}

// Whether there is a weight for each output, or for each step.
Index weights_per_step(const Network& network, const py::object& weight, bool every_step) {
  if (weight.is_none()) return 1;
  const bool is_list = py::isinstance<py::list>(weight);
  const py::array array = array_of(is_list ? py::object(py::list(weight)[0]) : weight);
  return array.ndim() > (every_step && !is_list ? 2 : 1) ? network.n_out : 1;
}

template <class T>
Batch<T> batch_of(const Network& network, const std::vector<Index>& lengths, const py::object& x, const py::object& r0,
                  const py::object& reset, const py::object& y = py::none(), const py::object& weight = py::none()) {
  Batch<T> batch;
  const bool every_step = network.readout == ReadoutFrom::all;
  const std::vector<Index> outputs = every_step ? lengths : std::vector<Index>(lengths.size(), 1);
  if (lengths.empty()) throw py::value_error("lengths: expected at least one sequence");
  batch.lengths = lengths;
  batch.r0 = rows_of_each<const T>(r0, false);
  batch.reset = rows<const std::uint8_t>(reset, true);
  batch.weight = rows<const T>(weight, every_step);
  batch.weights_per_step = weights_per_step(network, weight, every_step);
  if (network.input == Input::real) {
    batch.x = rows<const T>(x, true);
  } else {
    batch.tokens = index_rows(x, true);
    check_range<T>("x: expected tokens in [0, " + std::to_string(network.n_in) + ")", batch.tokens, lengths, 0, network.n_in - 1,
                   {}, true);
  }
  if (y.is_none()) return batch;
  if (network.output == Output::softmax) {
    batch.targets = index_rows(y, every_step);
    check_range("y: expected classes in [0, " + std::to_string(network.n_out) + "), or -1 for none", batch.targets, outputs, -1,
                network.n_out - 1, batch.weight, every_step);
  } else {
    batch.y = rows<const T>(y, every_step);
    if (network.output != Output::sigmoid) return batch;
    const Place found = first_outside(batch.y, network.n_out, outputs, T(0), T(1), batch.weight, batch.weights_per_step);
    if (found.sequence >= 0)
      refuse("y: expected probabilities in [0, 1]", text(batch.y(found.step, found.sequence)[found.column]), found, every_step);
  }
  return batch;
}

// The place of a name in the order of its enumeration.
template <class Enum> Enum named(const std::string& name, std::initializer_list<const char*> names) {
  int value = 0;
  for (const char* const one : names) {
    if (name == one) return Enum(value);
    ++value;
  }
  throw py::value_error("unknown option " + name);
}

Network network_of(Index n_in, const std::vector<Index>& n_hidden, Index n_out, const std::string& input, const std::string& output,
                   const std::string& readout, const std::string& recurrence, const std::string& activation, bool bidirectional,
                   const std::vector<std::vector<double>>& leak, bool learn_h0) {
  Network network;
  network.n_in = n_in;
  network.n_hidden = n_hidden;
  network.n_out = n_out;
  network.input = named<Input>(input, {"real", "token"});
  network.output = named<Output>(output, {"softmax", "sigmoid", "linear"});
  network.readout = named<ReadoutFrom>(readout, {"all", "last"});
  network.recurrence = named<Recurrence>(recurrence, {"h", "y_hat", "o"});
  network.activation = named<Activation>(activation, {"tanh", "relu"});
  network.bidirectional = bidirectional;
  network.leak = leak;
  network.learn_h0 = learn_h0;
  if (n_hidden.empty()) throw py::value_error("n_hidden: expected at least one layer");
  if (network.recurrence != Recurrence::h && network.chains() != 1)
    throw py::value_error("n_hidden: expected one layer in one direction where the recurrence runs from the output");
  if (network.leaky() && network.recurrence != Recurrence::h)
    throw py::value_error("leak: expected none where the recurrence runs from the output");
  if (learn_h0 && network.recurrence != Recurrence::h)
    throw py::value_error("learn_h0: expected false where the recurrence runs from the output");
  bool fits = leak.empty() || leak.size() == n_hidden.size();
  for (std::size_t l = 0; fits && l < leak.size(); ++l) fits = leak[l].size() == 1 || Index(leak[l].size()) == n_hidden[l];
  if (!fits) throw py::value_error("leak: expected a number, or one for each unit, of each layer");
  return network;
}

// (name in files, letter, layer or -1, reverse, shape) of each parameter, in the order of the flat vector.
py::list py_layout(const Network& network) {
  py::list places;
  for (const ParameterPlace& place : layout(network)) {
    py::tuple shape = py::make_tuple(place.rows, place.columns);
    if (place.is_vector) shape = py::make_tuple(place.rows);
    places.append(py::make_tuple(place.name, place.letter, place.layer, place.reverse, shape));
  }
  return places;
}

// ---- The calls that everything else is made of ----

// The names of a function's arguments, all of which a call must give by name.
template <std::size_t n> struct Signature {
  const char* function;
  std::array<const char*, n> names;
  std::array<PyObject*, n> interned = {};  // made when the module is
};

Signature<12> forward_signature{"forward",
                                {"network", "parameters", "lengths", "x", "y", "r0", "reset", "chance", "h", "v", "o", "r_last"}};
Signature<11> loss_signature{"loss",
                             {"network", "parameters", "lengths", "x", "y", "r0", "weight", "reset", "chance", "activity", "each"}};
Signature<15> gradients_signature{"loss_and_gradients",
                                  {"network", "parameters", "lengths", "x", "y", "r0", "weight", "reset", "chance", "activity",
                                   "flat", "dr0", "dx", "r_last", "memory_limit"}};

Signature<14> backward_signature{
    "backward", {"network", "parameters", "lengths", "x", "y", "r0", "reset", "chance", "h", "d_o", "d_h", "flat", "dr0", "dx"}};

// Four in one argument: of a call with more than 15, Python makes a dictionary first.
struct Chance {
  TeacherForcing forcing;
  Disturbance disturbance;
};

Chance chance_of(const Network& network, const py::object& given) {
  if (!PyTuple_Check(given.ptr()) || PyTuple_GET_SIZE(given.ptr()) != 4)
    throw py::type_error("chance: expected (teacher_forcing, noise, dropout, seed)");
  const auto item = [&](Py_ssize_t i) { return py::handle(PyTuple_GET_ITEM(given.ptr(), i)); };
  const double noise = item(1).cast<double>(), dropout = item(2).cast<double>();
  const auto seed = item(3).cast<std::uint64_t>();
  if (!(noise >= 0)) throw py::value_error("noise: expected a number of at least 0");
  if (!(dropout >= 0 && dropout < 1)) throw py::value_error("dropout: expected a number in [0, 1)");
  if (network.recurrence != Recurrence::h && (noise > 0 || dropout > 0))
    throw py::value_error("noise, dropout: expected 0 where the recurrence runs from the output");
  return {{item(0).cast<double>(), seed}, {noise, dropout, seed}};
}

double activity_of(const py::object& activity) {
  const double kappa = activity.cast<double>();
  if (!(kappa >= 0)) throw py::value_error("activity: expected a number of at least 0");
  return kappa;
}

// The arguments in the order of the signature. The names of a call are interned, so that most comparisons are of pointers.
template <std::size_t n>
std::array<py::object, n> arguments(const Signature<n>& signature, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const auto refuse = [&](const std::string& what) { throw py::type_error(std::string(signature.function) + "(): " + what); };
  const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (positional > 0) refuse("expected every argument by name");
  std::array<py::object, n> found;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    std::size_t place = std::size_t(i);
    if (place >= n || name != signature.interned[place]) {
      for (place = 0; place < n && PyUnicode_CompareWithASCIIString(name, signature.names[place]) != 0;) ++place;
      if (place == n) refuse("unexpected argument " + py::str(name).cast<std::string>());
    }
    found[place] = py::reinterpret_borrow<py::object>(given[i]);
  }
  for (std::size_t i = 0; i < n; ++i)
    if (!found[i]) refuse(std::string("missing argument ") + signature.names[i]);
  return found;
}

PyObject* py_forward(PyObject*, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const auto [net, parameters, lengths, x, y, r0, reset, by_chance, h, v, o, r_last] =
      arguments(forward_signature, given, positional, names);
  const Network& network = net.template cast<const Network&>();
  const py::array flat = array_of(parameters);
  const Chance chance = chance_of(network, by_chance);
  with_dtype(flat, [&, &lengths = lengths, &x = x, &y = y, &r0 = r0, &reset = reset, &h = h, &v = v, &o = o,
                    &r_last = r_last](auto number) {
    using T = decltype(number);
    auto batch = batch_of<T>(network, lengths.template cast<std::vector<Index>>(), x, r0, reset, y);
    batch.disturbance = chance.disturbance;
    ForwardResults<T> results;
    results.h = rows_of_each<T>(h, true);
    results.v = rows_of_each<T>(v, true);
    if (!results.v.empty() && results.v.size() != network.leak.size())
      throw py::value_error("v: expected an array for each leaky layer, or None");
    results.o = rows<T>(o, network.readout == ReadoutFrom::all);
    results.r_last = rows_of_each<T>(r_last, false);
    const T* const p = all_memory<const T>(flat);
    without_lock([&] { forward<T>(network, p, batch, chance.forcing, results); });
  });
  return py::none().release().ptr();
}

PyObject* py_loss(PyObject*, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const auto [net, parameters, lengths, x, y, r0, weight, reset, by_chance, activity, each] =
      arguments(loss_signature, given, positional, names);
  const Network& network = net.template cast<const Network&>();
  const py::array flat = array_of(parameters);
  const Chance chance = chance_of(network, by_chance);
  const double kappa = activity_of(activity);
  const double sum = with_dtype(
      flat, [&, &lengths = lengths, &x = x, &y = y, &r0 = r0, &weight = weight, &reset = reset, &each = each](auto number) {
        using T = decltype(number);
        auto batch = batch_of<T>(network, lengths.template cast<std::vector<Index>>(), x, r0, reset, y, weight);
        batch.disturbance = chance.disturbance;
        batch.activity = kappa;
        const T* const theta = all_memory<const T>(flat);
        const Rows<double> losses = rows<double>(each, network.readout == ReadoutFrom::all);
        return without_lock([&] { return loss<T>(network, theta, batch, chance.forcing, losses); });
      });
  return PyFloat_FromDouble(sum);
}

PyObject* py_loss_and_gradients(PyObject*, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const auto [net, parameters, lengths, x, y, r0, weight, reset, by_chance, activity, d_flat, dr0, dx, r_last, memory_limit] =
      arguments(gradients_signature, given, positional, names);
  const Network& network = net.template cast<const Network&>();
  const py::array flat = array_of(parameters), gradient = array_of(d_flat);
  const Chance chance = chance_of(network, by_chance);
  const double kappa = activity_of(activity);
  const Index limit = memory_limit.template cast<Index>();
  const double sum = with_dtype(flat, [&, &lengths = lengths, &x = x, &y = y, &r0 = r0, &weight = weight, &reset = reset,
                                       &dr0 = dr0, &dx = dx, &r_last = r_last](auto number) {
    using T = decltype(number);
    if (y.is_none()) throw py::type_error("y: expected targets, got None");
    auto batch = batch_of<T>(network, lengths.template cast<std::vector<Index>>(), x, r0, reset, y, weight);
    batch.disturbance = chance.disturbance;
    batch.activity = kappa;
    GradientResults<T> results;
    results.flat = all_memory<T>(gradient);
    results.r0 = rows_of_each<T>(dr0, false);
    results.x = rows<T>(dx, true);
    results.r_last = rows_of_each<T>(r_last, false);
    const T* const theta = all_memory<const T>(flat);
    return without_lock([&] { return loss_and_gradients<T>(network, theta, batch, chance.forcing, results, limit); });
  });
  return PyFloat_FromDouble(sum);
}

PyObject* py_backward(PyObject*, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const auto [net, parameters, lengths, x, y, r0, reset, by_chance, h, d_o, d_h, d_flat, dr0, dx] =
      arguments(backward_signature, given, positional, names);
  const Network& network = net.template cast<const Network&>();
  const py::array flat = array_of(parameters), gradient = array_of(d_flat);
  const Chance chance = chance_of(network, by_chance);
  with_dtype(flat, [&, &lengths = lengths, &x = x, &y = y, &r0 = r0, &reset = reset, &h = h, &d_o = d_o, &d_h = d_h, &dr0 = dr0,
                    &dx = dx](auto number) {
    using T = decltype(number);
    auto batch = batch_of<T>(network, lengths.template cast<std::vector<Index>>(), x, r0, reset, y);
    batch.disturbance = chance.disturbance;
    OwnLoss<T> own;
    own.h = rows_of_each<const T>(h, true);
    own.d_o = rows<const T>(d_o, network.readout == ReadoutFrom::all);
    own.d_h = rows<const T>(d_h, true);
    if (own.h.size() != std::size_t(network.layers())) throw py::value_error("h: expected the states of each layer");
    GradientResults<T> results;
    results.flat = all_memory<T>(gradient);
    results.r0 = rows_of_each<T>(dr0, false);
    results.x = rows<T>(dx, true);
    const T* const theta = all_memory<const T>(flat);
    without_lock([&] { backward<T>(network, theta, batch, chance.forcing, own, results); });
  });
  return py::none().release().ptr();
}

template <std::size_t n> void intern(Signature<n>& signature) {
  for (std::size_t i = 0; i < n; ++i) signature.interned[i] = PyUnicode_InternFromString(signature.names[i]);
}

void add_calls(py::module_& m) {
  native<float> = py::dtype::of<float>().release().ptr();  // never given back: they live as long as NumPy
  native<double> = py::dtype::of<double>().release().ptr();
  for (int type = 0; type <= int(Integer::int64); ++type)
    with_integer(Integer(type), [](auto v) { native<decltype(v)> = py::dtype::of<decltype(v)>().release().ptr(); });
  intern(forward_signature);
  intern(loss_signature);
  intern(gradients_signature);
  intern(backward_signature);
  static PyMethodDef calls[] = {method<py_forward>("forward"),
                                method<py_loss>("loss"),
                                method<py_loss_and_gradients>("loss_and_gradients"),
                                method<py_backward>("backward"),
                                {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(m.ptr(), calls) != 0) throw py::error_already_set();
}

bool py_generate(const Network& network, const py::array& parameters, const py::object& x, const std::vector<py::array>& r,
                 const py::array& o, double temperature, Index top_k, double top_p, std::uint64_t seed, Index first_step,
                 bool from_state, bool goes_on, const py::array& y) {
  if (network.bidirectional) throw py::value_error("generate: expected a network in one direction");
  return with_dtype(parameters, [&](auto number) {
    using T = decltype(number);
    const bool classes = network.output == Output::softmax;
    Drawn<T> results;
    results.steps = y.shape(0);
    results.batch = y.shape(1);
    if (classes)
      results.classes = all_memory<std::int64_t>(y);
    else
      results.numbers = all_memory<T>(y);
    Drawing drawing;
    drawing.temperature = temperature;
    drawing.top_k = top_k;
    drawing.top_p = top_p;
    drawing.seed = seed;
    drawing.first_step = first_step;
    drawing.from_state = from_state;
    drawing.goes_on = goes_on;
    const std::vector<Index> lengths(std::size_t(results.batch), results.steps);
    const auto batch = x.is_none() ? Batch<T>() : batch_of<T>(network, lengths, x, py::none(), py::none());
    const T* const p = all_memory<const T>(parameters);
    std::vector<T*> state;
    for (const py::array& layer : r) state.push_back(all_memory<T>(layer));
    T* const outputs = all_memory<T>(o);
    return without_lock([&] { return generate<T>(network, p, batch, state, outputs, drawing, results); });
  });
}

void py_output_unit(const std::string& output, const py::array& o, const py::array& y_hat) {
  const auto unit = named<Output>(output, {"softmax", "sigmoid", "linear"});
  const Index n_out = o.shape(o.ndim() - 1);
  with_dtype(o, [&](auto number) {
    using T = decltype(number);
    const T* const from = all_memory<const T>(o);
    T* const to = all_memory<T>(y_hat);
    without_lock([&] { output_unit<T>(unit, from, o.size() / n_out, n_out, to); });
  });
}

double py_update(const std::string& rule, const py::array& parameters, const py::array& gradient, const py::object& first,
                 const py::object& second, double scale, double clip_norm, double clip_value, double rate, double decay,
                 double keep, double beta1, double beta2, double root, double eps) {
  const auto by = named<Rule>(rule, {"sgd", "momentum", "nesterov", "adagrad", "rmsprop", "rmsprop_momentum", "adam"});
  return with_dtype(parameters, [&](auto number) {
    using T = decltype(number);
    const auto of_all = [&](const py::array& array) {
      if (array.size() != parameters.size()) throw py::value_error("update: expected a number for each parameter in every array");
      return array;
    };
    const auto state = [&](const py::object& array, bool is_kept, const char* name) {
      if (array.is_none() && is_kept)
        throw py::value_error("update: expected " + std::string(name) + " for " + rule + ", got None");
      return array.is_none() ? nullptr : all_memory<T>(of_all(array_of(array)));
    };
    T* const s = state(first, keeps_first(by), "first");
    T* const r = state(second, keeps_second(by), "second");
    T* const theta = all_memory<T>(parameters);
    const T* const g = all_memory<const T>(of_all(gradient));
    return without_lock([&] {
      return update<T>(by, parameters.size(), theta, g, s, r, {scale, clip_norm, clip_value},
                       {rate, decay, keep, beta1, beta2, root, eps});
    });
  });
}

void py_tanh(const py::array& x, const py::array& y) {
  with_dtype(x, [&](auto number) {
    using T = decltype(number);
    kernels<T>().tanh(all_memory<const T>(x), x.size(), all_memory<T>(y));
  });
}

// NumPy serves one interpreter of a process, and so does what is kept here for all calls.
bool in_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }
constexpr const char* only_main_interpreter = "bptt: expected the main interpreter, got a sub-interpreter";

}  // namespace
}  // namespace bptt

PYBIND11_MODULE(core, m, py::mod_gil_not_used()) {
  using namespace bptt;
  if (!in_main_interpreter()) throw py::import_error(only_main_interpreter);
  using py::arg;
  const py::kw_only by_name;
  WithoutLock::find_main_thread();
  set_interruption_check(&WithoutLock::signalled);
  m.attr("__version__") = BPTT_VERSION;
  py::class_<Network>(m, "Network")
      .def(py::init(&network_of), by_name, arg("n_in"), arg("n_hidden"), arg("n_out"), arg("input"), arg("output"), arg("readout"),
           arg("recurrence"), arg("activation"), arg("bidirectional"), arg("leak") = std::vector<std::vector<double>>(),
           arg("learn_h0") = false)
      .def_property_readonly("size", [](const Network& network) { return size(network); })
      .def_property_readonly("layout", &py_layout);
  add_calls(m);
  add_stream(m);
  m.def("generate", &py_generate, by_name, arg("network"), arg("parameters"), arg("x"), arg("r"), arg("o"), arg("temperature"),
        arg("top_k"), arg("top_p"), arg("seed"), arg("first_step"), arg("from_state"), arg("goes_on"), arg("y"));
  m.def("output_unit", &py_output_unit, by_name, arg("output"), arg("o"), arg("y_hat"));
  m.def("update", &py_update, by_name, arg("rule"), arg("parameters"), arg("gradient"), arg("first"), arg("second"), arg("scale"),
        arg("clip_norm"), arg("clip_value"), arg("rate"), arg("decay"), arg("keep"), arg("beta1"), arg("beta2"), arg("root"),
        arg("eps"));
  m.def("tanh", &py_tanh, arg("x"), arg("y"));
  m.def("supported_isas", &supported_isas);
  m.def("isa", &isa);
  m.def("set_isa", &set_isa, arg("name"));
  m.def("interrupt", &interrupt);
  m.def("interruptions", &interruptions);
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, arg("n"));
  m.def("set_sharing", &set_sharing, arg("shares"));
  m.def("sharing_threads", &sharing_threads);
}

// Before CPython 3.12 pybind11's own start asks for the main interpreter's lock, and would wait for ever while a sub-interpreter
// has it. From 3.13 on this is called in the main interpreter, whoever imports.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (bptt::in_main_interpreter()) return PyInit_core();
  PyErr_SetString(PyExc_ImportError, bptt::only_main_interpreter);
  return nullptr;
}
