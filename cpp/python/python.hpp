// What the core knows of Python's ways: its lock, its arrays, its errors.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/denormals.hpp"
#include "base/index.hpp"
#include "base/interruption.hpp"
#include "sequence/rows.hpp"

namespace bptt {

namespace py = pybind11;

// ---- Without the interpreter's lock ----

// The core computes without the lock. From time to time the main thread takes it, to run the handlers of signals (Ctrl-C).
class WithoutLock {
 public:
  WithoutLock() : state_(PyEval_SaveThread()), outer_(innermost) { innermost = this; }
  ~WithoutLock() {
    innermost = outer_;
    take_lock();
  }
  WithoutLock(const WithoutLock&) = delete;
  WithoutLock& operator=(const WithoutLock&) = delete;

  // True if a handler has raised, whose error is Python's then.
  static bool signalled() {
    if (innermost == nullptr || PyThread_get_thread_ident() != main_thread.load(std::memory_order_relaxed)) return false;
    WithoutLock& self = *innermost;
    self.take_lock();
    const FlushDenormals as_elsewhere(false);  // a handler is any Python program, and may call this core
    const bool raised = PyErr_CheckSignals() != 0;
    self.state_ = PyEval_SaveThread();
    return raised;
  }

  static void find_main_thread() {
    main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });  // a child has this thread alone
#endif
  }

 private:
  // When the interpreter ends, CPython before 3.14 ends other threads that take the lock, by unwinding their frames. C++ frames do
  // not allow that in destructors, and their objects could not be destroyed without the lock. So such a thread sleeps until the
  // process ends, as it does in later versions.
  void take_lock() noexcept {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

  static inline thread_local WithoutLock* innermost = nullptr;
  static inline std::atomic<unsigned long> main_thread{0};
  PyThreadState* state_;
  WithoutLock* outer_;
};

// f() without the lock. Where it was interrupted, Python's error is that of the signal's handler, or KeyboardInterrupt.
template <class F> auto without_lock(const F& f) {
  try {
    const WithoutLock released;
    return f();
  } catch (const Interrupted&) {
    if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw py::error_already_set();
  }
}

// ---- Arrays ----

// NumPy's own object for a type of numbers, which saves a comparison of dtypes in parts. Set when the module is made.
template <class T> inline PyObject* native = nullptr;

template <class T> bool holds(const py::array& array) {
  return py::detail::array_proxy(array.ptr())->descr == native<T> || py::isinstance<py::array_t<T>>(array);
}

inline py::array array_of(const py::handle& object) {
  if (!py::isinstance<py::array>(object)) throw py::type_error("expected an array");
  return py::reinterpret_borrow<py::array>(object);
}

// How an array holds integers.
inline Integer integer_of(const py::array& array) {
  for (const Integer type :
       {Integer::int64, Integer::uint8, Integer::int32, Integer::uint16, Integer::int8, Integer::int16, Integer::uint32})
    if (with_integer(type, [&](auto v) { return holds<decltype(v)>(array); })) return type;
  throw py::type_error("unexpected dtype");
}

// The array's memory, after a check of its dtype and of gaps; that shapes fit is the face's to know.
template <class T> T* memory(const py::array& array, Index axes_before_row) {
  if (!holds<std::remove_const_t<T>>(array)) throw py::type_error("unexpected dtype");
  for (Index axis = axes_before_row; axis < array.ndim(); ++axis)
    if (array.shape(axis) > 1 && array.strides(axis) != array.itemsize()) throw py::value_error("rows must be contiguous");
  if constexpr (std::is_const_v<T>)
    return static_cast<T*>(array.data());
  else
    return static_cast<T*>(py::array(array).mutable_data());
}

// The same for an array without gaps.
template <class T> T* all_memory(const py::array& array) {
  if ((array.flags() & py::array::c_style) == 0) throw py::value_error("the array must be contiguous");
  return memory<T>(array, array.ndim());
}

template <class T> Index stride(const py::array& array, Index axis) {
  return array.shape(axis) > 1 ? array.strides(axis) / Index(sizeof(T)) : 0;
}

// Calls f with a number of the type of the parameters.
template <class F> auto with_dtype(const py::array& parameters, const F& f) {
  return holds<float>(parameters) ? f(float()) : f(double());
}

// A number in a message. Not by a stream: a library that holds a libstdc++ of its own shares their locales with another's.
inline std::string text(std::int64_t value) { return std::to_string(value); }
inline std::string text(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%g", value);
  return digits;
}

// ---- Functions and methods that CPython calls by vectorcall ----
//
// pybind11 makes a dict of the arguments by name and looks each name up in it. For many arguments that takes more than a
// microsecond, and what is called so may take less than one.

using Function = PyObject*(PyObject* self, PyObject* const* given, Py_ssize_t positional, PyObject* names);

// What CPython calls. An exception becomes Python's, as pybind11 has it.
template <Function* function> PyObject* entry(PyObject* self, PyObject* const* given, Py_ssize_t positional, PyObject* names) {
  try {
    return function(self, given, positional, names);
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::cast_error&) {
    PyErr_SetString(PyExc_TypeError, "an argument has the wrong type");
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::length_error& error) {  // a vector of more elements than an address can tell
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

template <Function* function> PyMethodDef method(const char* name, const char* doc = nullptr) {
  const _PyCFunctionFastWithKeywords called = &entry<function>;
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(called)), METH_FASTCALL | METH_KEYWORDS, doc};
}

}  // namespace bptt
