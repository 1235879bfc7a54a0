// A stream as Python has it. The calls `step` and `run` take under a microsecond, so they look at arrays themselves. What is not in
// the form that they read goes to the class's own `_step` and `_run`, in Python, which convert it or say what is wrong.
#include "python/stream.hpp"

#include <pybind11/stl.h>

#include <atomic>
#include <optional>
#include <variant>

#include "network/stream.hpp"
#include "python/python.hpp"

namespace bptt {
namespace {

constexpr double operations_with_lock = 1e6;  // multiply-adds: longer calls release the interpreter's lock, and may be stopped
constexpr double operations_at_once = 1e7;    // between two looks at whether to stop
constexpr double operations_of_call = 5e3;    // as much time as a step of the smallest network takes

double operations_of_step(const Network& network, Index rows) {
  const double exponentials = network.recurrence == Recurrence::h ? 0 : 16 * double(network.n_out);
  return operations_of_call + double(rows) * (double(size(network)) + exponentials);
}

// Stream<float> or Stream<double>, of one sequence without a batch axis or of a batch, and whether a call is using it.
struct PyStream {
  std::variant<Stream<float>, Stream<double>> stream;
  bool has_batch_axis;
  std::atomic<bool> used{false};
};

class InUse {
 public:
  explicit InUse(PyStream& stream) : used_(stream.used) {
    if (used_.exchange(true, std::memory_order_acquire))
      throw std::runtime_error("stream: expected one call at a time, and another thread's is under way; give each its own stream");
  }
  ~InUse() { used_.store(false, std::memory_order_release); }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  std::atomic<bool>& used_;
};

// ---- The arguments of step and run ----

struct Arguments {
  PyObject *x = nullptr, *y = Py_None, *out = Py_None;
};

Arguments parse(const char* function, PyObject* const* given, Py_ssize_t positional, PyObject* names, const char* x_name) {
  const auto refuse = [&](const std::string& what) { throw py::type_error(std::string(function) + "(): " + what); };
  Arguments a;
  if (positional > 1) refuse("expected every argument after " + std::string(x_name) + " by name");
  if (positional == 1) a.x = given[0];
  const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    PyObject* const value = given[positional + i];
    if (PyUnicode_CompareWithASCIIString(name, "out") == 0)
      a.out = value;
    else if (PyUnicode_CompareWithASCIIString(name, "y") == 0)
      a.y = value;
    else if (a.x == nullptr && PyUnicode_CompareWithASCIIString(name, x_name) == 0)
      a.x = value;
    else
      refuse("unexpected argument " + py::str(name).cast<std::string>());
  }
  if (a.x == nullptr) refuse("missing argument " + std::string(x_name));
  return a;
}

// [steps], [batch], [width]: those axes that a value has.
struct Shape {
  Index sizes[3];
  int axes = 0;
  void append(Index size) { sizes[axes++] = size; }
};

// Whether it is an array of just this class, dtype and shape, aligned and without gaps.
template <class T> bool is_plain(PyObject* object, const Shape& shape, bool writable = false) {
  const auto& numpy = py::detail::npy_api::get();
  if (Py_TYPE(object) != numpy.PyArray_Type_) return false;
  const auto* const array = py::detail::array_proxy(object);
  constexpr int plain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  const int wanted = plain | (writable ? int(py::detail::npy_api::NPY_ARRAY_WRITEABLE_) : 0);
  if ((array->flags & wanted) != wanted || array->nd != shape.axes || array->descr != native<T>) return false;
  for (int axis = 0; axis < shape.axes; ++axis)
    if (Index(array->dimensions[axis]) != shape.sizes[axis]) return false;
  return true;
}
template <class T> T* data_of(PyObject* array) { return reinterpret_cast<T*>(py::detail::array_proxy(array)->data); }

template <class T> py::object new_array(const Shape& shape) {
  const auto& numpy = py::detail::npy_api::get();
  Py_INCREF(native<T>);
  py::ssize_t sizes[3];
  std::copy_n(shape.sizes, shape.axes, sizes);
  PyObject* const array =
      numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, native<T>, shape.axes, sizes, nullptr, nullptr, 0, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

template <class T, class X> bool overlap(const T* a, Index n, const X* b, Index m) {
  return reinterpret_cast<const char*>(a) < reinterpret_cast<const char*>(b + m) &&
         reinterpret_cast<const char*>(b) < reinterpret_cast<const char*>(a + n);
}

// Indices of one step or many: an int for a single sequence's step, else an array of integers.
class Indices {
 public:
  bool read(PyObject* object, const Shape& shape) {
    if (shape.axes == 0 && PyLong_CheckExact(object)) {
      int overflow = 0;
      single_ = PyLong_AsLongLongAndOverflow(object, &overflow);
      return overflow == 0;
    }
    for (int type = int(Integer::int64); type >= 0; --type)
      if (with_integer(Integer(type), [&](auto v) { return is_plain<decltype(v)>(object, shape); })) {
        array_ = data_of<const char>(object);
        type_ = Integer(type);
        return true;
      }
    return false;
  }
  std::int64_t operator[](Index i) const {
    if (array_ == nullptr) return single_;
    return with_integer(type_, [&](auto v) { return read_index<decltype(v)>(array_ + i * Index(sizeof v)); });
  }
  template <class T> bool overlaps(const T* o, Index size, Index count) const {
    if (array_ == nullptr) return false;
    return overlap(o, size, array_, count * with_integer(type_, [](auto v) { return Index(sizeof v); }));
  }

 private:
  std::int64_t single_ = 0;
  const char* array_ = nullptr;
  Integer type_ = Integer::int64;
};

// Throws ValueError for an index that is not in [low, high]. What is expected is said before the bounds and after them.
void check(const Indices& indices, Index count, Index rows, std::int64_t low, std::int64_t high, const char* expected,
           const char* after) {
  for (Index i = 0; i < count; ++i) {
    const std::int64_t value = indices[i];
    if (low <= value && value <= high) continue;
    std::string message = expected + text(high + 1) + ")" + after + ", got " + text(value);
    if (count > 1) message += " at step " + text(std::int64_t(i / rows)) + " of sequence " + text(std::int64_t(i % rows));
    throw py::value_error(message);
  }
}

// ---- The calls ----

// The steps of a call: one, without an axis for it, or as many as x has. None if an argument is not in plain form.
template <class T> py::object take(PyStream& self, Stream<T>& stream, const Arguments& given, bool block) {
  const Network& net = stream.network();
  const Index rows = stream.rows(), m = net.n_out;
  const bool tokens = net.input == Input::token, fed = given.y != Py_None;
  if (fed && net.recurrence == Recurrence::h) return py::none();
  Shape leading;
  if (block) {
    const auto* const array = py::detail::array_proxy(given.x);
    if (Py_TYPE(given.x) != py::detail::npy_api::get().PyArray_Type_ || array->nd < 1 || array->dimensions[0] < 1)
      return py::none();
    leading.append(array->dimensions[0]);
  }
  if (self.has_batch_axis) leading.append(rows);
  Shape x_shape = leading, o_shape = leading;
  x_shape.append(net.n_in);
  o_shape.append(m);
  const Index steps = block ? leading.sizes[0] : 1, count = steps * rows;

  Indices token, target;
  if (tokens ? !token.read(given.x, leading) : !is_plain<T>(given.x, x_shape)) return py::none();
  const bool classes = fed && net.output == Output::softmax;
  if (fed && (classes ? !target.read(given.y, leading) : !is_plain<T>(given.y, o_shape))) return py::none();
  if (given.out != Py_None && !is_plain<T>(given.out, o_shape, true)) return py::none();
  const T* const x = tokens ? nullptr : data_of<const T>(given.x);
  const T* const y = fed && !classes ? data_of<const T>(given.y) : nullptr;
  if (given.out != Py_None) {  // later steps, or another thread, would read what earlier ones have written
    const T* const o = data_of<const T>(given.out);
    if (x != nullptr && overlap(o, count * m, x, count * net.n_in)) return py::none();
    if (tokens && token.overlaps(o, count * m, count)) return py::none();
    if (y != nullptr && overlap(o, count * m, y, count * m)) return py::none();
    if (classes && target.overlaps(o, count * m, count)) return py::none();
  }
  if (tokens) check(token, count, rows, 0, net.n_in - 1, block ? "x: expected tokens in [0, " : "x_t: expected tokens in [0, ", "");
  if (classes) check(target, count, rows, -1, m - 1, "y: expected classes in [0, ", ", or -1 for none");

  const py::object out = given.out == Py_None ? new_array<T>(o_shape) : py::reinterpret_borrow<py::object>(given.out);
  T* const o = data_of<T>(out.ptr());
  const InUse in_use(self);
  const auto some = [&](Index first, Index number) {
    if (tokens)
      for (Index i = 0; i < number * rows; ++i) {
        const std::int64_t value = token[first * rows + i];  // read once: the caller's other threads may be changing it
        stream.tokens()[i] = std::int32_t(std::clamp<std::int64_t>(value, 0, net.n_in - 1));
      }
    if (y != nullptr) std::copy_n(y + first * rows * m, rows * m, stream.r(0).data);
    if (classes) {
      std::fill_n(stream.r(0).data, rows * m, T(0));
      for (Index i = 0; i < rows; ++i)
        if (const std::int64_t value = target[first * rows + i]; value >= 0 && value < m) stream.r(0)(i, value) = T(1);
    }
    stream.advance(number, x == nullptr ? nullptr : x + first * rows * net.n_in, o + first * rows * m);
  };
  const double of_step = operations_of_step(net, rows);
  const Index quick = std::max<Index>(1, Index(operations_at_once / of_step));
  const Index at_once = fed ? 1 : std::min(quick, stream.most_steps());  // each step sees its own y
  if (double(steps) * of_step <= operations_with_lock) {
    for (Index t = 0; t < steps; t += at_once) some(t, std::min(at_once, steps - t));
    return out;
  }
  const Array<T> last(rows * m);
  std::copy_n(stream.last_outputs().data, rows * m, last.data());
  std::vector<Array<T>> before;  // where the call is stopped, the stream is as it was
  for (Index l = 0; l < net.layers(); ++l) {
    const Matrix<T> state = stream.state(l);
    before.emplace_back(state.rows * state.cols);
    std::copy_n(state.data, state.rows * state.cols, before.back().data());
  }
  try {
    without_lock([&] {
      Interruption interruption;
      for (Index t = 0; t < steps; t += at_once) {
        const Index number = std::min(at_once, steps - t);
        interruption.check(of_step * double(number));
        some(t, number);
      }
    });
  } catch (...) {
    std::copy_n(last.data(), rows * m, stream.last_outputs().data);
    for (Index l = 0; l < net.layers(); ++l) {
      const Matrix<T> state = stream.state(l);
      std::copy_n(before[std::size_t(l)].data(), state.rows * state.cols, state.data);
    }
    stream.take_state();
    throw;
  }
  return out;
}

PyStream& stream_of(PyObject* self) {
  auto* const instance = reinterpret_cast<py::detail::instance*>(self);  // of this class: the method's descriptor has looked
  const py::detail::value_and_holder made = instance->get_value_and_holder();
  if (!made.holder_constructed()) throw py::type_error("stream: expected one that rnn.stream() has made");
  return *static_cast<PyStream*>(made.value_ptr());
}

// A method for arguments in plain form, and otherwise the method `checked` of the Python class, or without one None.
template <bool block, bool checked>
PyObject* call(PyObject* self, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  const Arguments a = parse(block ? "run" : "step", given, positional, names, block ? "x" : "x_t");
  PyStream& stream = stream_of(self);
  py::object o = std::visit([&](auto& s) { return take(stream, s, a, block); }, stream.stream);
  if (checked && o.is_none())
    o = py::handle(self).attr(block ? "_run" : "_step")(py::handle(a.x), py::handle(a.y), py::handle(a.out));
  return o.release().ptr();
}

constexpr const char* step_doc = R"(step($self, x_t, *, y=None, out=None)
--

Take one step: read x(t), change the state, and return o(t) (equations 10.8-10.10).

Parameters
----------
x_t : array_like, or int
    The input, ``[n_in]`` or ``[batch, n_in]``; of tokens an int, or ``[batch]``.
y : array_like, or int, optional
    Of a `JordanRNN`: what this step sees in place of what the network fed back, y(t-1). A class (softmax), -1 for
    none, or ``[batch]`` of them; else ``[n_out]`` or ``[batch, n_out]``.
out : ndarray, optional
    Memory for the result, of its shape and dtype. Then nothing is allocated.

Returns
-------
ndarray
    o(t), ``[n_out]`` or ``[batch, n_out]``, of the network's dtype; `out`, if that is given.

Raises
------
ValueError, TypeError
    If an argument has another shape or dtype, or is out of range; the state is as before.
RuntimeError
    If another thread's call of this stream is under way.)";

constexpr const char* run_doc = R"(run($self, x, *, y=None, out=None)
--

Take the steps of a block: as so many calls of `step`, with the same bits, but faster.

Parameters
----------
x : array_like
    The inputs, ``[steps, n_in]`` or ``[steps, batch, n_in]``; tokens without the last axis.
y : array_like, optional
    As for `step`, with the axis of the steps before.
out : ndarray, optional
    Memory for the result, which may be that of `x`.

Returns
-------
ndarray
    o(t) of every step, ``[steps, n_out]`` or ``[steps, batch, n_out]``; `out`, if that is given.

Raises
------
ValueError, TypeError, RuntimeError
    As from `step`.)";

// ---- The state ----

// f(stream), for a Python object that may not be whole.
template <class F> auto with_stream(const py::handle& self, const F& f) {
  if (!py::isinstance<PyStream>(self)) throw py::type_error("stream: expected one that rnn.stream() has made");
  PyStream& stream = stream_of(self.ptr());
  const InUse in_use(stream);
  return std::visit(f, stream.stream);
}

template <class T> py::array array_of_matrix(Matrix<T> m) { return py::array_t<T>({m.rows, m.cols}, m.data); }

// What the state of each layer is, r(t-1) or v(t-1), and the last outputs.
py::list read_state(const py::handle& self) {
  return with_stream(self, [](auto& stream) {
    py::list arrays;
    for (Index l = 0; l < stream.network().layers(); ++l) arrays.append(array_of_matrix(stream.state(l)));
    arrays.append(array_of_matrix(stream.last_outputs()));
    return arrays;
  });
}

// The same; or the state of each layer alone.
void write_state(const py::handle& self, const std::vector<py::array>& arrays) {
  with_stream(self, [&](auto& stream) {
    using T = std::decay_t<decltype(*stream.r(0).data)>;
    std::vector<Matrix<T>> places;
    for (Index l = 0; l < stream.network().layers(); ++l) places.push_back(stream.state(l));
    if (arrays.size() == places.size() + 1) places.push_back(stream.last_outputs());
    if (arrays.size() != places.size()) throw py::value_error("state: expected an array for each layer");
    std::vector<const T*> from;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (arrays[i].size() != places[i].rows * places[i].cols) throw py::value_error("state: expected a number for each unit");
      from.push_back(all_memory<const T>(arrays[i]));
    }
    for (std::size_t i = 0; i < places.size(); ++i) std::copy_n(from[i], places[i].rows * places[i].cols, places[i].data);
    stream.take_state();
  });
}

void refresh(const py::handle& self, const py::array& parameters) {
  with_stream(self, [&](auto& stream) {
    using T = std::decay_t<decltype(*stream.r(0).data)>;
    if (parameters.size() != size(stream.network())) throw py::value_error("parameters: expected as many as the network has");
    stream.refresh(all_memory<const T>(parameters));
  });
}

std::unique_ptr<PyStream> make(const Network& network, const py::array& parameters, Index rows, bool has_batch_axis) {
  if (network.bidirectional) throw py::value_error("stream: expected a network in one direction");
  if (rows < 1 || parameters.size() != size(network)) throw py::value_error("stream: expected a row and all parameters");
  const auto of = [&](auto number) -> std::variant<Stream<float>, Stream<double>> {
    using T = decltype(number);
    return Stream<T>(network, all_memory<const T>(parameters), rows);
  };
  return std::unique_ptr<PyStream>(new PyStream{with_dtype(parameters, of), has_batch_axis});
}

void add_method(const py::object& type, PyMethodDef& method) {
  PyObject* const descriptor = PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type.ptr()), &method);
  if (descriptor == nullptr) throw py::error_already_set();
  type.attr(method.ml_name) = py::reinterpret_steal<py::object>(descriptor);
}

}  // namespace

void add_stream(py::module_& m) {
  using py::arg;
  py::class_<PyStream> type(m, "Stream");
  type.def(py::init(&make), py::kw_only(), arg("network"), arg("parameters"), arg("rows"), arg("has_batch_axis"))
      .def("_read_state", &read_state)
      .def("_write_state", &write_state, arg("arrays"))
      .def("_refresh", &refresh, arg("parameters"));
  static PyMethodDef methods[] = {method<call<false, true>>("step", step_doc), method<call<true, true>>("run", run_doc),
                                  method<call<false, false>>("_step_plain"), method<call<true, false>>("_run_plain")};
  for (PyMethodDef& each : methods) add_method(type, each);
}

}  // namespace bptt
