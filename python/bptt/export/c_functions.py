"""The C of functions that are the same for every network: tanh, exp, products, texts, tables. Knows no networks.

In these texts PREFIX, REAL and the like stand for what a network has in their place.
"""

from __future__ import annotations

from bptt.export.c_numbers import Real, ln2, series

MACROS = """\
#if defined(__GNUC__) || defined(_MSC_VER)
#define PREFIX_RESTRICT __restrict
#elif defined(__cplusplus)
#define PREFIX_RESTRICT
#else
#define PREFIX_RESTRICT restrict
#endif

#if defined(__GNUC__)
#define PREFIX_INLINE static inline __attribute__((always_inline))
#else
#define PREFIX_INLINE static inline
#endif

/* Tables begin at a line of the cache where there is one. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
#define PREFIX_ALIGN __attribute__((aligned(64)))
#else
#define PREFIX_ALIGN
#endif

/* On x86-64 a step is compiled for AVX2 and for AVX-512 as well, and the processor
   chooses. Define PREFIX_PLAIN before this file to leave that out. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(PREFIX_PLAIN)
#if defined(__clang__)
#define PREFIX_AVX512 __attribute__((target("avx512f")))
#elif __GNUC__ >= 9
#define PREFIX_AVX512 __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
#endif
"""

OWN_BITS = """\
typedef union {
  REAL value;
  UINT bits;
} PREFIX_bits;
"""

# n is x / ln 2, rounded, in the last bits of z; r is what is left: exp(x) = 2^n exp(r).
OWN_TANH = """\
/* tanh(x) = e / (e + 2), with e = exp(2 |x|) - 1, and the sign of x: ERROR
   Without branches, so that it runs on vectors. Not with -ffast-math. */
PREFIX_INLINE REAL PREFIX_tanh(REAL x)
{
  PREFIX_bits w, z, two_n;
  UINT sign, is_large, is_nan;
  REAL u, n, r, p, e;
  w.value = x;
  sign = w.bits & SIGN;
  w.bits ^= sign;
  is_large = 0u - ((TANH_IS_1 - w.bits) >> LAST_BIT); /* all bits: |x| > TANH_LIMIT */
  is_nan = 0u - ((INFINITE - w.bits) >> LAST_BIT);
  w.bits = (w.bits & ~is_large) | (TANH_IS_1 & is_large) | is_nan;
  u = w.value + w.value;
  z.value = u * INV_LN2 + ROUND; /* n = 2 |x| / ln 2, rounded, is in the last bits of z */
  n = (REAL)(int32_t)(uint32_t)(z.bits - ROUND_BITS);
  two_n.bits = (z.bits + BIAS) << MANTISSA;
  r = (u - n * LN2_HIGH) - n * LN2_LOW; /* exp(u) = 2^n exp(r) */
  p = r + r * r * (SERIES);
  e = two_n.value * p + (two_n.value - ONE);
  w.value = e / (e + TWO);
  w.bits |= sign;
  return w.value;
}
"""

OWN_DECAY = """\
/* exp(-|x|), at least exp(-EXP_LIMIT), in the same way. */
PREFIX_INLINE REAL PREFIX_decay(REAL x)
{
  PREFIX_bits w, z, two_n;
  UINT is_large, is_nan;
  REAL u, n, r, p;
  w.value = x;
  w.bits &= ~SIGN;
  is_large = 0u - ((EXP_IS_0 - w.bits) >> LAST_BIT);
  is_nan = 0u - ((INFINITE - w.bits) >> LAST_BIT);
  w.bits = (w.bits & ~is_large) | (EXP_IS_0 & is_large) | is_nan;
  u = -w.value;
  z.value = u * INV_LN2 + ROUND;
  n = (REAL)(int32_t)(uint32_t)(z.bits - ROUND_BITS);
  two_n.bits = (z.bits + BIAS) << MANTISSA;
  r = (u - n * LN2_HIGH) - n * LN2_LOW;
  p = r + r * r * (SERIES);
  return two_n.value + two_n.value * p;
}
"""

LIBM_TANH = """\
PREFIX_INLINE REAL PREFIX_tanh(REAL x)
{
  return tanhLIBM(x);
}
"""

LIBM_DECAY = """\
PREFIX_INLINE REAL PREFIX_decay(REAL x)
{
  return expLIBM(-fabsLIBM(x));
}
"""

RELU = """\
PREFIX_INLINE REAL PREFIX_relu(REAL x)
{
  return x < ZERO ? ZERO : x;
}
"""

LEAK = """\
/* v(t) from v(t-1) and a(t): a(t) to the bit where alpha is 1. */
PREFIX_INLINE REAL PREFIX_leak(REAL v, REAL a, REAL alpha)
{
  return alpha == ONE ? a : v + alpha * (a - v);
}
"""

# Eight columns at once: a is read and written once for them, and the sums do not wait for each other.
ADD_PRODUCT = """\
/* a[0 ... WIDTH - 1] += M x, with the columns of M as rows of the table. */
PREFIX_INLINE void PREFIX_add_WIDTH(REAL *PREFIX_RESTRICT a, const REAL (*M)[WIDTH], const REAL *x, int n_x)
{
  const int eights = n_x - n_x % 8;
  int j, k;
  for (k = 0; k < eights; k += 8) {
    const REAL x0 = x[k], x1 = x[k + 1], x2 = x[k + 2], x3 = x[k + 3];
    const REAL x4 = x[k + 4], x5 = x[k + 5], x6 = x[k + 6], x7 = x[k + 7];
    for (j = 0; j < WIDTH; ++j) {
      a[j] += ((M[k][j] * x0 + M[k + 1][j] * x1) + (M[k + 2][j] * x2 + M[k + 3][j] * x3)) +
              ((M[k + 4][j] * x4 + M[k + 5][j] * x5) + (M[k + 6][j] * x6 + M[k + 7][j] * x7));
    }
  }
  for (k = eights; k < n_x; ++k) {
    const REAL xk = x[k];
    for (j = 0; j < WIDTH; ++j) a[j] += M[k][j] * xk;
  }
}
"""

SOFTMAX = """\
/* (10.11) y_hat = softmax(o). Both may be the same array. */
static inline void PREFIX_y_hat(const REAL *o, REAL *y_hat)
{
  REAL e[WIDTH] = {ZERO}, largest = o[0], sum = ZERO;
  int j;
  for (j = 1; j < N_OUT; ++j) largest = o[j] > largest ? o[j] : largest;
  for (j = 0; j < N_OUT; ++j) e[j] = largest - o[j];
  for (j = 0; j < WIDTH; ++j) e[j] = PREFIX_decay(e[j]);
  for (j = 0; j < N_OUT; ++j) sum += e[j];
  for (j = 0; j < N_OUT; ++j) y_hat[j] = e[j] / sum;
}
"""

SIGMOID = """\
/* y_hat = sigmoid(o) = 1 / (1 + exp(-o)). Both may be the same array. */
static inline void PREFIX_y_hat(const REAL *o, REAL *y_hat)
{
  int j;
  for (j = 0; j < N_OUT; ++j) {
    const REAL e = PREFIX_decay(o[j]);
    y_hat[j] = (o[j] < ZERO ? e : ONE) / (ONE + e);
  }
}
"""

LINEAR = """\
/* y_hat = o. */
static inline void PREFIX_y_hat(const REAL *o, REAL *y_hat)
{
  int j;
  for (j = 0; j < N_OUT; ++j) y_hat[j] = o[j];
}
"""

TEXT = """\
/* The token of the character at *text, which is UTF-8; *text then stands behind it. -1: it
   is none that the network knows, or no UTF-8, of which one byte is passed over, or the end. */
static inline int PREFIX_encode(const char **text)
{
  const unsigned char *s = (const unsigned char *)*text;
  uint32_t code = s[0], least = 0;
  int n = 0, i;
  if (code == 0) return -1;
  if (code >= 0xC2u && code < 0xE0u) {
    n = 1, least = 0x80u, code &= 0x1Fu;
  } else if (code >= 0xE0u && code < 0xF0u) {
    n = 2, least = 0x800u, code &= 0x0Fu;
  } else if (code >= 0xF0u && code < 0xF5u) {
    n = 3, least = 0x10000u, code &= 0x07u;
  } else if (code >= 0x80u) {
    *text += 1;
    return -1;
  }
  for (i = 1; i <= n; ++i) {
    if ((s[i] & 0xC0u) != 0x80u) {
      *text += 1;
      return -1;
    }
    code = (code << 6) | (s[i] & 0x3Fu);
  }
  if (code < least || (code >= 0xD800u && code < 0xE000u) || code > 0x10FFFFu) {
    *text += 1;
    return -1;
  }
  *text += n + 1;
  for (i = 0; i < N_CHARACTERS; ++i) {
    if (PREFIX_vocabulary[i] == code) return i;
  }
  return -1;
}

/* The character of a token, as UTF-8 with a 0 behind it; returns its bytes, 0 for no token. */
static inline int PREFIX_decode(int token, char *utf8)
{
  uint32_t code;
  int n = 0, shift;
  if (token >= 0 && token < N_CHARACTERS) {
    code = PREFIX_vocabulary[token];
    if (code < 0x80u) {
      utf8[n++] = (char)code;
    } else {
      shift = code < 0x800u ? 6 : code < 0x10000u ? 12 : 18;
      utf8[n++] = (char)((shift == 6 ? 0xC0u : shift == 12 ? 0xE0u : 0xF0u) | (code >> shift));
      while (shift > 0) {
        shift -= 6;
        utf8[n++] = (char)(0x80u | ((code >> shift) & 0x3Fu));
      }
    }
  }
  utf8[n] = 0;
  return n;
}
"""

STANDARDISE = """\
/* What the network reads, from INPUTS in their units. NaN is a missing one: its mean is read. */
static inline void PREFIX_standardise(const double *raw,BEFORE REAL *x)
{
  int j;
  for (j = 0; j < N_IN; ++j) {
    const double z = (IN_VALUE - PREFIX_input_mean[j]) / PREFIX_input_scale[j];
    x[j] = z < 0.0 || z >= 0.0 ? (REAL)z : ZERO;
  }
}
"""

UNSTANDARDISE = """\
/* The targets in their units, from what the network puts out.HOW */
static inline void PREFIX_unstandardise(const REAL *o,PRESENT double *targets)
{
  int j;
  for (j = 0; j < N_OUT; ++j) targets[j] = OUT_VALUE;
}
"""

STANDARDISE_TARGETS = """\
/* What the network should have put out, from the TARGETS that came in its stead: for PREFIX_see. */
static inline void PREFIX_standardise_targets(const double *raw,BEFORE REAL *y)
{
  int j;
  for (j = 0; j < N_OUT; ++j) {
    y[j] = (REAL)((SEEN_VALUE - PREFIX_target_mean[j]) / PREFIX_target_scale[j]);
  }
}
"""

SEE_CLASS = """\
/* The class y takes the place of the last output: the next step sees it (figure 10.6).
   Outside of 0 ... N_OUT - 1 it sees 0. */
static inline void PREFIX_see(PREFIX_state *state, int y)
{
  int j;
  for (j = 0; j < N_OUT; ++j) state->r[j] = j == y ? ONE : ZERO;
}
"""

SEE_TARGET = """\
/* The target y takes the place of the last output: the next step sees it (figure 10.6). */
static inline void PREFIX_see(PREFIX_state *state, const REAL *y)
{
  int j;
  for (j = 0; j < N_OUT; ++j) state->r[j] = y[j];
}
"""


def constants(real: Real) -> dict[str, str]:
    """Return what stands in these texts for the words of a type, the longer words first."""
    high, low = ln2(real)
    round_to_whole = 1.5 * 2.0**real.mantissa
    words = {
        "REAL": real.name,
        "UINT": real.unsigned,
        "SIGN": real.bits(-0.0),
        "LAST_BIT": str(8 * real.bytes - 1),
        "MANTISSA": str(real.mantissa),
        "BIAS": f"{127 if real.bytes == 4 else 1023}u",
        "INFINITE": real.bits(float("inf")),
        "INV_LN2": real.literal(1 / (high + low)),
        "LN2_HIGH": real.literal(high),
        "LN2_LOW": real.literal(low),
        "ROUND_BITS": real.bits(round_to_whole),
        "ROUND": real.literal(round_to_whole),
        "TANH_IS_1": real.bits(real.tanh_is_1),
        "TANH_LIMIT": f"{real.tanh_is_1:g}",
        "EXP_IS_0": real.bits(real.exp_is_0),
        "EXP_LIMIT": f"{real.exp_is_0:g}",
        "SERIES": series(real, "r"),
        "LIBM": real.libm,
        "ZERO": real.literal(0.0),
        "ONE": real.literal(1.0),
        "TWO": real.literal(2.0),
        "ERROR": "at most 2.5 ulp.",
    }
    return dict(sorted(words.items(), key=lambda item: -len(item[0])))


def filled_in(text: str, words: dict[str, str]) -> str:
    """Return the text with every word in its place."""
    for word, value in words.items():
        text = text.replace(word, value)
    return text
