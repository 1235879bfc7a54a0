// The program's operator new, which fails when a check wants it to, and counts.
#include "failing_memory.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> allowed{-1}, in_use{0};

// `allowed` ends at 0 and stays there, whichever threads come.
bool is_allowed() {
  long left = allowed.load();
  while (left > 0)
    if (allowed.compare_exchange_weak(left, left - 1)) return true;
  return left < 0;
}

void* take(std::size_t bytes, std::size_t alignment) {
  void* const block =
      !is_allowed() ? nullptr
                    : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment + (bytes == 0) * alignment);
  if (block == nullptr) throw std::bad_alloc();
  in_use.fetch_add(1);
  return block;
}

void give_back(void* block) {
  if (block == nullptr) return;
  in_use.fetch_sub(1);
  std::free(block);
}

}  // namespace

void allow_blocks(long count) { allowed.store(count); }
long blocks_in_use() { return in_use.load(); }

// The forms for arrays and those with sizes call these, and those without exceptions do.
void* operator new(std::size_t bytes) { return take(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return take(bytes, std::size_t(alignment)); }
void operator delete(void* block) noexcept { give_back(block); }
void operator delete(void* block, std::size_t) noexcept { give_back(block); }
void operator delete(void* block, std::align_val_t) noexcept { give_back(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { give_back(block); }
