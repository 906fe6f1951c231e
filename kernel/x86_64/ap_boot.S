// SPDX-License-Identifier: BSD-3-Clause
// Where other CPUs begin: from real mode, in a page below 1 MiB that the code
// is copied to, to ap_main(PerCpu*) on a stack of their own. All of them may be
// here at once.
//
// In:  CS:IP = page:0, interrupts off. smp.cc has filled the words at the end of
//      the page's copy.
// Out: ap_main() in the kernel's half, on the kernel's page tables. A CPU that
//      is not in the list halts.
// Origin: Intel SDM vol. 3 §9.4.4.

#include "kernel/x86_64/long_mode.inc"

#define CR0_PE 0x1

  .section .rodata.ap_boot, "a"
  .globl ap_boot_begin, ap_boot_end, ap_boot_words
  .balign 16
ap_boot_begin:
  .code16
  cli
  cld
  mov %cs, %ax
  mov %ax, %ds
  // The page's address, for addressing without segments.
  xor %ebx, %ebx
  mov %ax, %bx
  shl $4, %ebx
  lgdtl ap_gdt_pointer - ap_boot_begin
  mov $CR0_PE, %eax
  mov %eax, %cr0
  ljmpl *(ap_jump_32 - ap_boot_begin)

  .code32
ap_boot_32:
  mov $0x10, %eax
  mov %eax, %ds
  mov %eax, %ss
  mov (ap_start_tables - ap_boot_begin)(%ebx), %ecx
  enter_long_mode
  ljmpl *(ap_jump_64 - ap_boot_begin)(%ebx)

  .code64
ap_boot_64:
  mov (ap_entry_address - ap_boot_begin)(%rbx), %rax
  jmp *%rax

  .balign 8
ap_gdt:
  .quad 0
  .quad 0x00cf9b000000ffff // 32-bit code
  .quad 0x00cf93000000ffff // data
  .quad 0x00af9b000000ffff // 64-bit code
ap_gdt_end:

// ApWords in smp.cc. The offsets of the jumps and the table's address are from
// the page's beginning until smp.cc adds that.
  .balign 8
ap_boot_words:
ap_jump_32:
  .long ap_boot_32 - ap_boot_begin
  .short 0x08
  .short 0
ap_jump_64:
  .long ap_boot_64 - ap_boot_begin
  .short 0x18
  .short 0
ap_gdt_pointer:
  .short ap_gdt_end - ap_gdt - 1
  .long ap_gdt - ap_boot_begin
  .short 0
ap_start_tables:
  .quad 0
ap_entry_address:
  .quad ap_entry
ap_boot_end:

// --- In the kernel's half, without a stack yet -------------------------------
  .section .text.ap_entry, "ax"
  .globl ap_entry
ap_entry:
  xor %eax, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov %eax, %ss
  mov ap_kernel_tables(%rip), %rax
  mov %rax, %cr3

  // Who am I? Leaf 0xB has all 32 bits of the id, leaf 1 eight.
  xor %eax, %eax
  cpuid
  cmp $0xb, %eax
  jb 1f
  mov $0xb, %eax
  xor %ecx, %ecx
  cpuid
  test %ebx, %ebx
  jz 1f
  mov %edx, %ebx
  jmp 2f
1:
  mov $1, %eax
  cpuid
  shr $24, %ebx
2:
  // ApStart in smp.cc: 24 bytes, the id first, then the stack and the CPU.
  mov ap_start_list(%rip), %rsi
  mov ap_start_count(%rip), %rcx
3:
  test %rcx, %rcx
  jz 4f
  cmp %ebx, (%rsi)
  je 5f
  add $24, %rsi
  dec %rcx
  jmp 3b
4:
  cli
  hlt
  jmp 4b
5:
  mov 8(%rsi), %rsp
  mov 16(%rsi), %rdi
  xor %ebp, %ebp // ends every backtrace
  call ap_main
  ud2
