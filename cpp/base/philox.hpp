// Random numbers that are a function of where they are drawn: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, 2011).
#pragma once

#include <cstdint>

namespace bptt {

/// A number in [0, 1) for a place (i, j). Equal seeds and places give equal numbers, in whatever order they are asked for.
inline double uniform(std::uint64_t seed, std::uint64_t i, std::uint64_t j) {
  std::uint32_t c[4] = {std::uint32_t(i), std::uint32_t(i >> 32), std::uint32_t(j), std::uint32_t(j >> 32)};
  std::uint32_t key[2] = {std::uint32_t(seed), std::uint32_t(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53) * c[0], b = std::uint64_t(0xCD9E8D57) * c[2];
    const std::uint32_t mixed[4] = {std::uint32_t(b >> 32) ^ c[1] ^ key[0], std::uint32_t(b),
                                    std::uint32_t(a >> 32) ^ c[3] ^ key[1], std::uint32_t(a)};
    for (int word = 0; word < 4; ++word) c[word] = mixed[word];
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return (double(c[0] >> 5) * 67108864.0 + double(c[1] >> 6)) / 9007199254740992.0;  // 53 bits
}

}  // namespace bptt
