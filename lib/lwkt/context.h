// SPDX-License-Identifier: BSD-3-Clause
// Two stacks, one processor: where a thread stopped, and how to go on there.
//
// A switch keeps the stack pointer, the frame pointer and the address to go on
// at; every other register is declared lost, so that the compiler saves just
// what is live where the switch stands, which in a yield is next to nothing. A
// routine that knows nothing of its caller has to save all six that the ABI
// makes a call keep.
//
// Not saved: MXCSR and the x87 control word. Threads share them, as functions
// do; a thread that changes a rounding mode restores it before it may switch.
// User threads, whose modes are their own, switch with FpuControl.
//
// Shadow stacks (CET): a switch is a jump, and frames above it return to the
// stack they were called on; a program that runs with a shadow stack would have
// to switch that as well. These don't: leave user shadow stacks off, as
// Linux does unless every object of a program asks for them.
//
// Contexts: any; with interrupts on, too: at each instruction the stack pointer
// is one stack's or the other's.
// Origin: System V x86-64 ABI, sections 3.2.1 (what a call keeps) and 3.2.2
// (alignment); Boost.Context's fcontext for the comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/annotations.h"

namespace odo::lwkt {

// tools/gdb reads these by name.
struct Context {
  void* stack_pointer = nullptr;
  void* frame_pointer = nullptr;
  void* resume_at = nullptr;
};

// What a fresh context begins with; it never returns.
using ContextEntry = void (*)(Context* from, Context* to);

// Makes `context` one that calls `entry` on `stack`.
inline void prepare_context(Context& context, std::span<std::byte> stack,
                            ContextEntry entry) {
  auto top = reinterpret_cast<std::uintptr_t>(stack.data() + stack.size());
  top &= ~std::uintptr_t{15};
  // A function finds the stack as a call leaves it: eight below a multiple of
  // sixteen, and there the address to return to. None ends a backtrace.
  top -= 8;
  *reinterpret_cast<void**>(top) = nullptr;
  context.stack_pointer = reinterpret_cast<void*>(top);
  context.frame_pointer = nullptr;
  context.resume_at = reinterpret_cast<void*>(entry);
}

#if defined(__SSE__)
#define ODO_LWKT_VECTOR_CLOBBERS_                                           \
  , "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
      "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",   \
      "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
#else
#define ODO_LWKT_VECTOR_CLOBBERS_
#endif
#if defined(__AVX512F__)
#define ODO_LWKT_MASK_CLOBBERS_                                                \
  , "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "xmm16", "xmm17", "xmm18", \
      "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",  \
      "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
#else
#define ODO_LWKT_MASK_CLOBBERS_
#endif

// Stops here as `from`, and goes on as `to` where that stopped.
ODO_ALWAYS_INLINE void switch_context(Context& from, Context& to) {
  Context* from_in = &from;
  Context* to_in = &to;
  // Nothing is pushed: below the stack pointer may lie the caller's red zone.
  // RDI and RSI are also a fresh entry's two arguments.
  asm volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rsp, 0(%%rdi)\n\t"
      "movq %%rbp, 8(%%rdi)\n\t"
      "movq %%rax, 16(%%rdi)\n\t"
      "movq 0(%%rsi), %%rsp\n\t"
      "movq 8(%%rsi), %%rbp\n\t"
      "jmpq *16(%%rsi)\n\t"
      "1:"
      : "+D"(from_in), "+S"(to_in)
      :
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15", "cc",
        "memory" ODO_LWKT_VECTOR_CLOBBERS_ ODO_LWKT_MASK_CLOBBERS_);
}

#if defined(__SSE__)
// The floating-point modes of a user thread: rounding, exceptions, denormals.
struct FpuControl {
  std::uint32_t mxcsr = 0x1f80;
  std::uint16_t x87 = 0x037f;
};

// The same for threads that have modes of their own.
ODO_ALWAYS_INLINE void switch_context(Context& from, FpuControl& from_modes,
                                      Context& to, const FpuControl& to_modes) {
  asm volatile("stmxcsr %0\n\tfnstcw %1"
               : "=m"(from_modes.mxcsr), "=m"(from_modes.x87));
  asm volatile("ldmxcsr %0\n\tfldcw %1"
               :
               : "m"(to_modes.mxcsr), "m"(to_modes.x87));
  switch_context(from, to);
}
#endif

}  // namespace odo::lwkt
