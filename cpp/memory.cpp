// Memory for the core's arrays. A call of a few microseconds would spend a good part of them in the system's allocator.
#include <cstdint>
#include <new>
#include <vector>

#include "matrix.hpp"

namespace bptt {
namespace {

constexpr int smallest_class = 8;  // blocks of 256 bytes, 512, ..., 1 MiB; what is larger is not kept
constexpr int classes = 13;
constexpr std::size_t most_kept = 4;  // of each class: at most 8 MiB together

// Before the memory that a caller sees.
struct alignas(alignment) Header {
  int size_class;
};

struct Kept {
  std::vector<void*> blocks[classes];
  bool open = true;
  ~Kept() {
    open = false;
    for (auto& list : blocks)
      for (void* block : list) ::operator delete(block, std::align_val_t(alignment));
  }
};
thread_local Kept kept;

}  // namespace

void* take_memory(std::size_t bytes) {
  bytes += sizeof(Header);
  int size_class = 0;
  while (size_class < classes && (std::size_t(1) << (smallest_class + size_class)) < bytes) ++size_class;
  void* block;
  if (size_class < classes && !kept.blocks[size_class].empty()) {
    block = kept.blocks[size_class].back();
    kept.blocks[size_class].pop_back();
  } else {
    if (size_class < classes) bytes = std::size_t(1) << (smallest_class + size_class);
    block = ::operator new(bytes, std::align_val_t(alignment));
  }
  return new (block) Header{size_class} + 1;
}

void give_back_memory(void* memory) {
  Header* const block = static_cast<Header*>(memory) - 1;
  const int size_class = block->size_class;
  if (size_class < classes && kept.open && kept.blocks[size_class].size() < most_kept)
    kept.blocks[size_class].push_back(block);
  else
    ::operator delete(block, std::align_val_t(alignment));
}

}  // namespace bptt
