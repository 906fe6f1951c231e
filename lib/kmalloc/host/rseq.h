// SPDX-License-Identifier: BSD-3-Clause
// Stacks of a CPU's lane, used by whatever thread runs there, without atomic
// instructions: restartable sequences.
//
// Each function finds the lane of the CPU that it runs on and changes a stack
// of it with one last store. If the thread is preempted, moved or interrupted
// by a signal before that store, the kernel sends it back to the beginning.
//
// Contexts: any thread whose area glibc has registered; signal handlers too.
// Ownership: as Stack, the owner being who runs on the CPU.
// Failure: pop: null; push: false.
// Complexity: O(1), unless it is interrupted each time.
// Origin: Linux' rseq(2): include/uapi/linux/rseq.h; the area is glibc's since
//   version 2.35 (sys/rseq.h). Per-CPU stacks by it: tcmalloc's percpu.h.
#pragma once

#include <sys/rseq.h>

#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/kmalloc/lane.h"

// 1 to 2 is the sequence, whose last instruction is the one that counts; 0 sets
// it up, in 3 it is described to the kernel, which goes to 4 if it has to be
// done again. Before 4 lies the number that says that this was meant.
#define ODO_RSEQ_BEGIN_(SCRATCH)            \
  ".pushsection __rseq_cs, \"aw\"\n\t"      \
  ".balign 32\n\t"                          \
  "3:\n\t"                                  \
  ".long 0, 0\n\t"                          \
  ".quad 1f, 2f - 1f, 4f\n\t"               \
  ".popsection\n\t"                         \
  ".pushsection __rseq_failure, \"ax\"\n\t" \
  ".byte 0x0f, 0xb9, 0x3d\n\t"              \
  ".long 0x53053053\n\t"                    \
  "4:\n\t"                                  \
  "jmp 0f\n\t"                              \
  ".popsection\n\t"                         \
  "0:\n\t"                                  \
  "leaq 3b(%%rip), %[" SCRATCH              \
  "]\n\t"                                   \
  "movq %[" SCRATCH                         \
  "], %%fs:8(%[rseq])\n\t"                  \
  "1:\n\t"
#define ODO_RSEQ_END_ "2:\n\t"
// Where a sequence is "volatile goto", the first word is for GCC before 12.4:
// there a goto with outputs is not volatile by itself (its bug 113921).

namespace odo::kmalloc {

template <KmallocPlatform P>
class Rseq {
 public:
  using LaneT = Lane<P>;

  // Whether this thread has an area.
  [[nodiscard]] static bool is_there() {
    return __rseq_size != 0 && cpu() < kNoCpu;
  }
  // Where each thread's area lies, from its thread pointer on; never 0, as that
  // points to itself. The fast ways are told it by who may know better than to
  // ask another library.
  [[nodiscard]] static std::ptrdiff_t area() { return __rseq_offset; }
  // Where it runs; old news at once.
  [[nodiscard]] static std::uint32_t cpu() {
    std::uint32_t number = 0;
    asm volatile("movl %%fs:4(%[rseq]), %[number]"
                 : [number] "=r"(number)
                 : [rseq] "r"(__rseq_offset));
    return number;
  }

  // Of the lane that `lanes` has for the CPU.
  [[nodiscard]] ODO_ALWAYS_INLINE static void* pop(std::ptrdiff_t area,
                                                   LaneT* const* lanes,
                                                   std::uint32_t cls) {
    void* object = nullptr;
    std::uintptr_t lane = 0;
    std::uintptr_t top = 0;
    asm volatile goto(
        ODO_RSEQ_BEGIN_("top")
        "movl %%fs:4(%[rseq]), %k[top]\n\t"
        "movq (%[lanes],%[top],8), %[lane]\n\t"
        "movq (%[lane],%[at]), %[top]\n\t"
        "movq -8(%[top]), %[object]\n\t"
        "testq %[object], %[object]\n\t"
        "jz %l[empty]\n\t"
        "addq $-8, %[top]\n\t"
        "movq %[top], (%[lane],%[at])\n\t" ODO_RSEQ_END_
        : [object] "=&r"(object), [lane] "=&r"(lane), [top] "=&r"(top)
        : [rseq] "r"(area), [lanes] "r"(lanes), [at] "r"(offset_of(cls))
        : "memory", "cc"
        : empty);
    if (object == nullptr) __builtin_unreachable();
    return object;
  empty:
    return nullptr;
  }
  // Up to `most` objects off that stack, if the CPU's lane is `wanted`; how
  // many. `base` is the stack's.
  [[nodiscard]] static std::uint32_t pop_many(LaneT* const* lanes,
                                              const LaneT* wanted,
                                              std::uint32_t cls, void** base,
                                              void** into, std::uint32_t most) {
    std::uintptr_t count = 0;
    std::uintptr_t lane = 0;
    std::uintptr_t top = 0;
    std::uintptr_t at = 0;
    std::uintptr_t scratch = 0;
    const std::uintptr_t offset = offset_of(cls);
    asm volatile(
        ODO_RSEQ_BEGIN_("top")
        "xorl %k[count], %k[count]\n\t"
        "movl %%fs:4(%[rseq]), %k[top]\n\t"
        "movq (%[lanes],%[top],8), %[lane]\n\t"
        "cmpq %[wanted], %[lane]\n\t"
        "jne 2f\n\t"
        "addq %[offset], %[lane]\n\t"
        "movq (%[lane]), %[top]\n\t"
        // How many there are, or are wanted.
        "movq %[top], %[count]\n\t"
        "subq %[base], %[count]\n\t"
        "shrq $3, %[count]\n\t"
        "movl %[most], %k[at]\n\t"
        "cmpq %[at], %[count]\n\t"
        "cmovaq %[at], %[count]\n\t"
        "testq %[count], %[count]\n\t"
        "jz 2f\n\t"
        "xorl %k[at], %k[at]\n\t"
        "5:\n\t"
        "addq $-8, %[top]\n\t"
        "movq (%[top]), %[scratch]\n\t"
        "movq %[scratch], (%[into],%[at],8)\n\t"
        "incq %[at]\n\t"
        "cmpq %[count], %[at]\n\t"
        "jne 5b\n\t"
        "movq %[top], (%[lane])\n\t" ODO_RSEQ_END_
        : [count] "=&r"(count), [lane] "=&r"(lane), [top] "=&r"(top),
          [at] "=&r"(at), [scratch] "=&r"(scratch)
        : [rseq] "r"(__rseq_offset), [lanes] "r"(lanes), [wanted] "m"(wanted),
          [offset] "m"(offset), [base] "m"(base), [into] "r"(into),
          [most] "m"(most)
        : "memory", "cc");
    return static_cast<std::uint32_t>(count);
  }
  // An object of a slab of that class; false if there is no room.
  [[nodiscard]] ODO_ALWAYS_INLINE static bool push(std::ptrdiff_t area,
                                                   LaneT* const* lanes,
                                                   void* object,
                                                   std::uint32_t cls) {
    std::uintptr_t lane = 0;
    std::uintptr_t top = 0;
    asm volatile goto(
        ODO_RSEQ_BEGIN_("top")
        "movl %%fs:4(%[rseq]), %k[top]\n\t"
        "movq (%[lanes],%[top],8), %[lane]\n\t"
        "movq (%[lane],%[at]), %[top]\n\t"
        "cmpq 8(%[lane],%[at]), %[top]\n\t"
        "je %l[full]\n\t"
        "movq %[object], (%[top])\n\t"
        "addq $8, %[top]\n\t"
        "movq %[top], (%[lane],%[at])\n\t" ODO_RSEQ_END_
        : [lane] "=&r"(lane), [top] "=&r"(top)
        : [rseq] "r"(area), [lanes] "r"(lanes), [object] "r"(object),
          [at] "r"(offset_of(cls))
        : "memory", "cc"
        : full);
    return true;
  full:
    return false;
  }
  // Onto that stack as many of `count` as there is room for, the first one
  // first, if the CPU's lane is `wanted`; how many.
  [[nodiscard]] static std::uint32_t push_many(LaneT* const* lanes,
                                               const LaneT* wanted,
                                               std::uint32_t cls,
                                               void* const* objects,
                                               std::uint32_t count) {
    std::uintptr_t done = 0;
    std::uintptr_t lane = 0;
    std::uintptr_t top = 0;
    std::uintptr_t scratch = 0;
    const std::uintptr_t offset = offset_of(cls);
    asm volatile(
        ODO_RSEQ_BEGIN_("top")
        "xorl %k[done], %k[done]\n\t"
        "movl %%fs:4(%[rseq]), %k[top]\n\t"
        "movq (%[lanes],%[top],8), %[lane]\n\t"
        "cmpq %[wanted], %[lane]\n\t"
        "jne 2f\n\t"
        "addq %[offset], %[lane]\n\t"
        "movq (%[lane]), %[top]\n\t"
        "jmp 6f\n\t"
        "5:\n\t"
        "movq (%[objects],%[done],8), %[scratch]\n\t"
        "movq %[scratch], (%[top])\n\t"
        "addq $8, %[top]\n\t"
        "incq %[done]\n\t"
        "6:\n\t"
        "cmpl %[count], %k[done]\n\t"
        "je 7f\n\t"
        "cmpq 8(%[lane]), %[top]\n\t"
        "jne 5b\n\t"
        "7:\n\t"
        "movq %[top], (%[lane])\n\t" ODO_RSEQ_END_
        : [done] "=&r"(done), [lane] "=&r"(lane), [top] "=&r"(top),
          [scratch] "=&r"(scratch)
        : [rseq] "r"(__rseq_offset), [lanes] "r"(lanes),
          [objects] "r"(objects), [count] "r"(count), [wanted] "m"(wanted),
          [offset] "m"(offset)
        : "memory", "cc");
    return static_cast<std::uint32_t>(done);
  }

 private:
  [[nodiscard]] static constexpr std::uintptr_t offset_of(std::uint32_t cls) {
    return cls * sizeof(Stack);
  }
  // What the kernel takes for "registered, CPU unknown" or worse.
  static constexpr std::uint32_t kNoCpu = 0xffff'0000;
};

}  // namespace odo::kmalloc
