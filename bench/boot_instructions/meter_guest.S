// SPDX-License-Identifier: BSD-3-Clause
// A guest that checks the meter: it reads the time stamp counter before and
// after a loop of known length, prints the difference as a kernel prints its
// mark, and ends the machine. 32-bit, entered as a PVH kernel.
//
// From one read to the other: the read, 2 moves, 2,000,000 of the loop.

  .section .note.pvh, "a", @note
  .long 4, 4, 18  // name's size, descriptor's size, XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .long _start

  .text
  .code32
  .globl _start
_start:
  mov $stack_end, %esp
  rdtsc
  mov %eax, %esi
  mov $1000000, %ecx
1:
  dec %ecx
  jnz 1b
  rdtsc
  sub %esi, %eax
  mov $line_end, %edi
  mov $10, %ecx
2:
  xor %edx, %edx
  div %ecx
  add $'0', %dl
  dec %edi
  mov %dl, (%edi)
  test %eax, %eax
  jnz 2b
  mov $text, %esi
  call print
  mov %edi, %esi
  call print
  mov $0xf4, %edx  // isa-debug-exit
  out %al, %dx
  hlt

print:  // the bytes at %esi, up to a zero
  mov $0x3f8, %edx
3:
  lodsb
  test %al, %al
  jz 4f
  out %al, %dx
  jmp 3b
4:
  ret

  .data
text:
  .asciz "boot-instructions "
  .skip 10
line_end:
  .asciz "\n"
  .skip 256
stack_end:
