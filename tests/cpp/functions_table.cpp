// Compiled once per instruction set, with the flags of its kernels (BPTT_ISA names it).
#include "functions_table.hpp"

#include "kernels/functions.hpp"

namespace bptt::BPTT_ISA {
namespace {

template <class T> void exp_of(const T* x, Index count, T* y) {
  for (Index j = 0; j < count; j += lanes<T>) store(y + j, exp<T>(load(x + j)));
}

template <class T> void log1p_of(const T* x, Index count, T* y) {
  for (Index j = 0; j < count; j += lanes<T>) store(y + j, log1p<T>(load(x + j)));
}

void log_of(const double* x, Index count, double* y) {
  for (Index j = 0; j < count; j += lanes<double>) store(y + j, log(load(x + j)));
}

}  // namespace

extern const Functions functions = {exp_of<float>, log1p_of<float>, exp_of<double>, log1p_of<double>, log_of};

}  // namespace bptt::BPTT_ISA
