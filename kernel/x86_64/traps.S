// SPDX-License-Identifier: BSD-3-Clause
// One stub per interrupt vector: makes the stack look alike for all of them
// and calls trap_entry(TrapFrame*). The layout is TrapFrame's in traps.h.
//
// Contexts: whatever was interrupted; interrupts are off.
// Origin: Intel SDM vol. 3 §6.12–6.14 (frames, and which vectors push an error
//         code: 8, 10–14, 17, 21, 29, 30).

#define STUB_BYTES 16
#define RIP_IN_FRAME (17 * 8)

  .section .text.trap_stubs, "ax"
  .globl trap_stubs
  .balign STUB_BYTES
trap_stubs:
  vector = 0
  .rept 256
  .balign STUB_BYTES
  .if !((vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30))
  push $0
  .endif
  push $vector
  jmp trap_common
  vector = vector + 1
  .endr

trap_common:
  cld
  push %rax
  push %rbx
  push %rcx
  push %rdx
  push %rsi
  push %rdi
  push %rbp
  push %r8
  push %r9
  push %r10
  push %r11
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, %rdi
  // For who looks back: a frame in which what was interrupted is our caller.
  push RIP_IN_FRAME(%rdi)
  push %rbp
  mov %rsp, %rbp
  // The hardware aligned the stack to 16 before its 5 words; with 2 of the stub,
  // 15 registers and 2 for the frame, a call meets the ABI's alignment.
  call trap_entry
  add $16, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rbp
  pop %rdi
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rbx
  pop %rax
  add $16, %rsp // vector and error code
  iretq
