// Memory for the core's arrays. The system's allocator would take a good part of a call of a few microseconds. The clearing of
// fresh pages would take a good part of a call of many milliseconds.
#include "base/memory.hpp"

#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bptt {
namespace {

// ---- Small blocks: 256 bytes, 512, ..., 1 MiB; each thread keeps some ----

constexpr int smallest_class = 8;
constexpr int classes = 13;
constexpr std::size_t most_kept(int size_class) { return size_class <= 8 ? 24 : 4; }  // of each: some 11 MiB together at most

struct Kept {
  void* blocks[classes][24];  // a plain array: nothing is allocated where a thread begins
  std::size_t count[classes] = {};
  bool open = true;
  ~Kept() {
    open = false;
    for (int size_class = 0; size_class < classes; ++size_class)
      for (std::size_t i = 0; i < count[size_class]; ++i) ::operator delete(blocks[size_class][i], std::align_val_t(alignment));
  }
};
thread_local Kept kept;

int class_of(std::size_t bytes) {
  int size_class = 0;
  while (size_class < classes && (std::size_t(1) << (smallest_class + size_class)) < bytes) ++size_class;
  return size_class;
}

void* take_small(int size_class) {
  std::size_t& count = kept.count[size_class];
  if (count == 0) return ::operator new(std::size_t(1) << (smallest_class + size_class), std::align_val_t(alignment));
  return kept.blocks[size_class][--count];
}

void give_back_small(void* block, int size_class) {
  std::size_t& count = kept.count[size_class];
  if (kept.open && count < most_kept(size_class))
    kept.blocks[size_class][count++] = block;
  else
    ::operator delete(block, std::align_val_t(alignment));
}

// ---- Large blocks: on large pages where the system has them; those given back last are kept, for all threads ----

constexpr std::size_t large_page = 2 << 20;
constexpr std::size_t most_kept_bytes = 128 << 20;

// Before the memory that a caller sees.
struct alignas(alignment) Header {
  std::size_t bytes;
};

struct KeptLarge {
  std::mutex mutex;  // only tried: a thread that does not get it at once goes without. So no fork can leave it locked for good
  std::vector<Header*> blocks;
  std::size_t bytes = 0;

  KeptLarge() { blocks.reserve(most_kept_bytes / large_page); }  // so that nothing is allocated where memory is given back

  Header* remove(std::size_t i) {
    Header* const block = blocks[i];
    blocks.erase(blocks.begin() + std::ptrdiff_t(i));
    bytes -= block->bytes;
    return block;
  }
};
KeptLarge& kept_large = *new KeptLarge;  // never destroyed: other static objects may outlive it

void destroy_large(Header* block) { ::operator delete(block, std::align_val_t(large_page)); }

Header* take_large(std::size_t bytes) {
  if (const std::unique_lock<std::mutex> lock(kept_large.mutex, std::try_to_lock); lock.owns_lock())
    for (std::size_t i = kept_large.blocks.size(); i-- > 0;)
      if (const std::size_t size = kept_large.blocks[i]->bytes; bytes <= size && size <= bytes + bytes / 4 + large_page)
        return kept_large.remove(i);
  bytes = (bytes + large_page - 1) / large_page * large_page;
  void* const block = ::operator new(bytes, std::align_val_t(large_page));
#if defined(__linux__)
  madvise(block, bytes, MADV_HUGEPAGE);  // advice: nothing is lost where it is not taken
#endif
  return new (block) Header{bytes};
}

void give_back_large(Header* block) {
  const std::unique_lock<std::mutex> lock(kept_large.mutex, std::try_to_lock);
  if (!lock.owns_lock() || block->bytes > most_kept_bytes) return destroy_large(block);
  while (kept_large.bytes + block->bytes > most_kept_bytes) destroy_large(kept_large.remove(0));
  kept_large.blocks.push_back(block);
  kept_large.bytes += block->bytes;
}

}  // namespace

void* take_memory(std::size_t bytes) {
  if (bytes > std::size_t(PTRDIFF_MAX) - 2 * large_page) throw std::bad_alloc();
  bytes += sizeof(Header);
  const int size_class = class_of(bytes);
  return (size_class < classes ? new (take_small(size_class)) Header{bytes} : take_large(bytes)) + 1;
}

void give_back_memory(void* memory) {
  Header* const block = static_cast<Header*>(memory) - 1;
  const int size_class = class_of(block->bytes);
  if (size_class < classes)
    give_back_small(block, size_class);
  else
    give_back_large(block);
}

}  // namespace bptt
