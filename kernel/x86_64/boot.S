// SPDX-License-Identifier: BSD-3-Clause
// From the boot loader's 32-bit flat mode to kernel_main() in the higher half.
//
// In:  PVH: EBX = physical address of hvm_start_info.
//      Multiboot2: EAX = magic, EBX = physical address of the information.
// Out: kernel_main(protocol, information, tsc) on the boot stack, interrupts
//      off, on early page tables that map the first 4 GiB three times: at 0, at
//      the direct map, and (the first 2 GiB of it) at the kernel's own base.
//      They are writable and executable; paging.cc replaces them at once.
// Origin: Xen docs/misc/pvh.pandoc; Multiboot2 specification 2.0 §3.1–3.3.

#include "kernel/x86_64/long_mode.inc"

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define PROTOCOL_PVH 0
#define PROTOCOL_MULTIBOOT2 1

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

// --- What boot loaders look for ---------------------------------------------
  .section .boot.multiboot2, "a"
  .balign 8
multiboot2_header:
  .long MULTIBOOT2_HEADER_MAGIC
  .long 0 // i386 entry state
  .long multiboot2_header_end - multiboot2_header
  .long -(MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))
  // Entry address: the ELF entry is a virtual address for other loaders.
  .balign 8
  .short 3, 0
  .long 12
  .long multiboot2_entry
  // A frame buffer, if there can be one: any size, 32 bits a pixel.
  .balign 8
  .short 5, 1
  .long 20
  .long 0, 0, 32
  // Modules on page boundaries.
  .balign 8
  .short 6, 0
  .long 8
  .balign 8
  .short 0, 0
  .long 8
multiboot2_header_end:

  .section .note.pvh, "a", @note
  .balign 4
  .long 2f - 1f
  .long 4f - 3f
  .long XEN_ELFNOTE_PHYS32_ENTRY
1: .asciz "Xen"
2: .balign 4
3: .quad pvh_entry
4: .balign 4

// --- 32-bit code, running where it was loaded -------------------------------
  .section .boot.text, "ax"
  .code32
  .globl pvh_entry
pvh_entry:
  mov $PROTOCOL_PVH, %edi
  jmp enter

  .globl multiboot2_entry
multiboot2_entry:
  mov $text_bad_loader, %esi
  cmp $MULTIBOOT2_LOADER_MAGIC, %eax
  jne refuse
  mov $PROTOCOL_MULTIBOOT2, %edi

enter:
  cli
  cld
  mov %ebx, %ebp
  rdtsc
  mov %eax, boot_tsc
  mov %edx, boot_tsc + 4

  // Long mode (bit 29) and no-execute (bit 20), or one line that says so.
  mov $text_no_long_mode, %esi
  mov $0x80000000, %eax
  cpuid
  cmp $0x80000001, %eax
  jb refuse
  mov $0x80000001, %eax
  cpuid
  test $(1 << 29), %edx
  jz refuse
  mov $text_no_nx, %esi
  test $(1 << 20), %edx
  jz refuse

  // Four page directories of 2 MiB pages: the first 4 GiB, one after the other.
  mov $early_directories, %ecx
  mov $0x83, %eax // present, writable, large
1:
  mov %eax, (%ecx)
  add $8, %ecx
  add $0x200000, %eax
  jnc 1b

  mov $(early_directories + 0x3), %eax
  mov %eax, early_low
  mov %eax, early_high + 510 * 8
  add $0x1000, %eax
  mov %eax, early_low + 8
  mov %eax, early_high + 511 * 8
  add $0x1000, %eax
  mov %eax, early_low + 16
  add $0x1000, %eax
  mov %eax, early_low + 24

  mov $(early_low + 0x3), %eax
  mov %eax, early_top
  mov %eax, early_top + 256 * 8 // direct map
  mov $(early_high + 0x3), %eax
  mov %eax, early_top + 511 * 8

  mov $early_top, %ecx
  enter_long_mode
  lgdt boot_gdt_pointer
  ljmp $0x08, $enter_64

// Prints the text at ESI on COM1 and stops; under QEMU with exit status 1.
refuse:
  mov $COM1 + 3, %dx
  mov $0x80, %al // divisor latch
  out %al, %dx
  mov $COM1, %dx
  mov $1, %al // 115200 baud
  out %al, %dx
  inc %dx
  mov $0, %al
  out %al, %dx
  mov $COM1 + 3, %dx
  mov $0x03, %al // 8 bits, no parity
  out %al, %dx
1:
  mov $COM1 + 5, %dx
  mov $0x10000, %ecx // a line that never empties must not hang us
2:
  in %dx, %al
  test $0x20, %al
  loopz 2b
  lodsb
  test %al, %al
  jz 3f
  mov $COM1, %dx
  out %al, %dx
  jmp 1b
3:
  mov $1, %eax
  mov $DEBUG_EXIT, %dx
  out %eax, %dx
4:
  cli
  hlt
  jmp 4b

// --- 64-bit, still at the low address ---------------------------------------
  .code64
enter_64:
  xor %eax, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  mov %eax, %ss
  mov %edi, %edi // the protocol, zero-extended: first argument
  mov %ebp, %esi // the information's address: second
  mov boot_tsc, %rdx // third
  mov $boot_stack_top, %rsp
  xor %ebp, %ebp // ends every backtrace
  mov $kernel_main, %rax
  call *%rax
  ud2

  .balign 8
boot_gdt:
  .quad 0
  .quad 0x00af9b000000ffff // 64-bit code
boot_gdt_end:
boot_gdt_pointer:
  .short boot_gdt_end - boot_gdt - 1
  .long boot_gdt

text_bad_loader:
  .asciz "odo: entered without the Multiboot2 magic: boot with QEMU -kernel or GRUB multiboot2\r\n"
text_no_long_mode:
  .asciz "odo: this CPU has no 64-bit mode: an x86-64 CPU is needed\r\n"
text_no_nx:
  .asciz "odo: this CPU has no no-execute pages (NX): enable them in the firmware\r\n"

  .section .boot.tables, "aw", @nobits
  .balign 4096
early_top: .skip 4096
early_low: .skip 4096
early_high: .skip 4096
early_directories: .skip 4 * 4096
boot_tsc: .skip 8

// --- Stacks, each above a page that is never mapped --------------------------
  .section .stacks, "aw", @nobits
  .globl boot_stack_guard, boot_stack_top
  .globl fault_stack_guard, fault_stack_top, nmi_stack_guard, nmi_stack_top
  .globl machine_check_stack_guard, machine_check_stack_top
  .globl monitor_stack_guard, monitor_stack_top, sync_stack_guard
  .globl sync_stack_top
  .balign 4096
boot_stack_guard: .skip 4096
  .skip 65536
boot_stack_top:
fault_stack_guard: .skip 4096
  .skip 16384
fault_stack_top:
nmi_stack_guard: .skip 4096
  .skip 8192
nmi_stack_top:
machine_check_stack_guard: .skip 4096
  .skip 16384
machine_check_stack_top:
monitor_stack_guard: .skip 4096
  .skip 65536
monitor_stack_top:
sync_stack_guard: .skip 4096
  .skip 32768
sync_stack_top:
