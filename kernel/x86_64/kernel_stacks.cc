// SPDX-License-Identifier: BSD-3-Clause
#include "kernel/x86_64/kernel_stacks.h"

#include <array>
#include <atomic>

#include "kernel/x86_64/image.h"
#include "kernel/x86_64/lock.h"
#include "kernel/x86_64/paging.h"
#include "kernel/x86_64/ram.h"
#include "lib/base/bits.h"
#include "lib/base/check.h"

namespace odo::x86 {
namespace {

constexpr std::size_t kMostPages = kMostStackBytes / kPageBytes;
constexpr std::uint16_t kNone = 0xffff;
static_assert(kMaxStacks < kNone);

struct Slot {
  std::uint64_t physical;
  const char* name;
  // What the slot has once and for all; 0 while it has none.
  std::atomic<std::uint16_t> pages;
  std::uint16_t next_free;
};

constexpr std::array<std::uint16_t, kMostPages + 1> no_free_ones() {
  std::array<std::uint16_t, kMostPages + 1> lists{};
  lists.fill(kNone);
  return lists;
}

constinit IrqLock lock{};
constinit std::array<Slot, kMaxStacks> slots{};
constinit std::size_t used_slots = 0;
// Given back, by their pages.
constinit std::array<std::uint16_t, kMostPages + 1> free_lists = no_free_ones();

[[nodiscard]] std::uint64_t end_of(std::size_t slot) {
  return kStackWindow + (slot + 1) * kStackSlotBytes;
}

[[nodiscard]] std::span<std::byte> stack_of(std::size_t slot) {
  const std::size_t bytes =
      slots[slot].pages.load(std::memory_order_relaxed) * kPageBytes;
  return {reinterpret_cast<std::byte*>(end_of(slot) - bytes), bytes};
}

// The slot of an address; kMaxStacks for one outside the window.
[[nodiscard]] std::size_t slot_of(std::uint64_t address) {
  const std::uint64_t slot = (address - kStackWindow) / kStackSlotBytes;
  return slot < kMaxStacks ? slot : kMaxStacks;
}

[[nodiscard]] std::span<std::byte> map_new(std::size_t pages, const char* name)
    ODO_REQUIRES(lock) {
  if (used_slots == kMaxStacks) return {};
  const MutableBytes memory = allocate_ram(pages * kPageBytes);
  if (memory.empty()) return {};
  const std::size_t index = used_slots;
  const std::uint64_t physical = physical_of(memory.data());
  if (!map_stack_pages(end_of(index) - memory.size(), physical,
                       memory.size())) {
    free_ram(memory);
    return {};
  }
  ++used_slots;
  Slot& slot = slots[index];
  slot.physical = physical;
  slot.name = name;
  // Release: who finds the stack finds what the slot says of it.
  slot.pages.store(static_cast<std::uint16_t>(pages),
                   std::memory_order_release);
  return stack_of(index);
}

}  // namespace

std::span<std::byte> map_kernel_stack(std::size_t bytes, const char* name) {
  if (bytes == 0 || bytes > kMostStackBytes) return {};
  const std::size_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  const IrqGuard guard(lock);
  const std::uint16_t free = free_lists[pages];
  if (free == kNone) return map_new(pages, name);
  free_lists[pages] = slots[free].next_free;
  slots[free].name = name;
  return stack_of(free);
}

void free_kernel_stack(std::span<std::byte> stack) {
  const std::size_t index = slot_of(address_of(stack.data()));
  const IrqGuard guard(lock);
  ODO_CHECK(index < used_slots && stack.data() == stack_of(index).data());
  const std::size_t pages = stack.size() / kPageBytes;
  slots[index].next_free = free_lists[pages];
  free_lists[pages] = static_cast<std::uint16_t>(index);
}

bool is_on_kernel_stack(std::uint64_t address, std::size_t bytes) {
  const std::size_t index = slot_of(address);
  if (index == kMaxStacks) return false;
  // Acquire, with the release in map_new().
  const std::size_t mapped =
      slots[index].pages.load(std::memory_order_acquire) * kPageBytes;
  const std::uint64_t left = end_of(index) - address;
  return left <= mapped && bytes <= left;
}

std::uint64_t kernel_stack_physical(std::uint64_t address) {
  const std::size_t index = slot_of(address);
  return slots[index].physical + (address - address_of(stack_of(index).data()));
}

const char* kernel_stack_above(std::uint64_t address) {
  const std::size_t index = slot_of(address);
  if (index == kMaxStacks || is_on_kernel_stack(address)) return nullptr;
  const Slot& slot = slots[index];
  return slot.pages.load(std::memory_order_acquire) == 0 ? nullptr : slot.name;
}

}  // namespace odo::x86
