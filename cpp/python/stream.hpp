// The class Stream of the module.
#pragma once

#include <pybind11/pybind11.h>

namespace bptt {

void add_stream(pybind11::module_& m);

}  // namespace bptt
