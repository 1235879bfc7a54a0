// Noise, which is added to a(t), and dropout of what goes up. Each number is a function of the seed, the chain, the time, the
// sequence's place in the caller's batch and the unit alone: so it is the same whenever it is drawn again.
#pragma once

#include <vector>

#include "network/context.hpp"

namespace bptt {

/// The numbers of one chain: of each row of a window a number for each of its n units. In a reversed window, the step s is the time
/// length - 1 - s. Chains, units, sequences and times are below 2^31. A place has numbers for the units q, q + m, q + 2 m, q + 3 m,
/// where m = n / 4, rounded up: so those of consecutive places are for consecutive units.
template <class T> class Draws {
 public:
  enum Kind { noise, dropout };

  Draws(const Context<T>& ctx, Kind kind, Index chain, Index n, std::uint64_t seed)
      : ctx_(&ctx), what_(std::uint32_t(2 * chain + kind)), n_(n), seed_(seed) {}

  Index n() const { return n_; }
  const Kernels<T>& kernels() const { return ctx_->k; }

  /// visit(f, j, z, count) for rows [from, to) of a window: units [j, j + count) of row f get these normal numbers.
  template <class Visit> void normals(const Window&, bool reverse, Index from, Index to, const Visit&) const;
  /// The same with 32 random bits.
  template <class Visit> void bits(const Window&, bool reverse, Index from, Index to, const Visit&) const;
  /// The same for the last step of each sequence: row i is that of sequence i.
  template <class Visit> void bits_of_last(bool reverse, const Visit&) const;

 private:
  struct Place {
    Index time, sequence;  // in the order of work
  };

  auto placed(const Window&, bool reverse, Index from) const;
  template <class Number, class Kernel, class PlaceOf, class Visit>
  void draw(Kernel, Index rows, const PlaceOf&, const Visit&) const;

  const Context<T>* ctx_;
  std::uint32_t what_;
  Index n_;
  std::uint64_t seed_;
};

/// a(t) += sqrt(2 / alpha) sigma N(0, 1), so that v(t) has sqrt(2 alpha) sigma N(0, 1) more     (N.5)
template <class T> class Noise {
 public:
  Noise(const Context<T>&, Index chain, Index n, const Disturbance&, bool reverse);

  /// To rows [from, to) of the window.
  void add(const Window&, Index from, Index to, Matrix<T> a) const;

 private:
  Draws<T> draws_;
  Array<T> scale_;
  bool reverse_;
};

/// What goes up from a layer, h(t) of all its directions side by side, with each unit's number 0 with probability p, else times
/// 1 / (1 - p)     (N.6). On the way back the same is done to its gradient.
template <class T> class Dropout {
 public:
  Dropout() = default;
  Dropout(const Context<T>&, Index layer, const Disturbance&);

  bool given() const { return !chains_.empty(); }

  /// Rows [from, to) of a window, whose steps go backwards in time if `reverse`. `to_rows` may be `rows`.
  void operator()(const Window&, bool reverse, Index from, Index to, Matrix<const T> rows, Matrix<T> to_rows) const;
  /// Of one direction alone.
  void of_direction(Index d, const Window&, bool reverse, Index from, Index to, Matrix<const T> rows, Matrix<T> to_rows) const;
  /// Of each direction's last step.
  void of_last(Matrix<const T> rows, Matrix<T> to_rows) const;

 private:
  auto keep(Matrix<const T> rows, Matrix<T> to_rows) const;

  std::vector<Draws<T>> chains_;
  std::uint32_t least_kept_ = 0;
  T scale_ = 1;
};

}  // namespace bptt
