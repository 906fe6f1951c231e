"""Every compiler flag of the project, in one place.

Used by the macros in odo.bzl (host), by the header checks (all three modes)
and by the kernel's toolchain (//kernel/toolchain).
"""

# Warnings that both compilers know. All of them are errors.
_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    "-Wold-style-cast",
    "-Wcast-qual",
    "-Wunused",
    "-Wundef",
    "-Werror",
]

CLANG_WARNINGS = _WARNINGS + [
    "-Wthread-safety",
    "-Wimplicit-fallthrough",
    "-Wextra-semi",
]

# g++ 12 reports some of these inside templates that are right: it warns about
# conversions of promoted bit operations that clang proves harmless, and its
# array-bounds analysis trips over freestanding pointer arithmetic. clang-19
# keeps both on for the same lines.
GCC_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wnon-virtual-dtor",
    "-Wundef",
    "-Werror",
]

STANDARD = ["-std=c++23"]

# What libraries, tests, benchmarks and tools are compiled with on the host.
HOST_COPTS = STANDARD + CLANG_WARNINGS

# The contract that every header in lib/ honours unless it says that it is
# hosted: no exceptions, no RTTI, no SSE, nothing but what a kernel has.
# -mgeneral-regs-only would also forbid x87, which <limits> and <type_traits>
# name through long double: a test on the linked kernel proves that none is
# used instead.
FREESTANDING_COPTS = STANDARD + CLANG_WARNINGS + [
    "-ffreestanding",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-pic",
    "-fno-stack-protector",
    "-mcmodel=kernel",
    "-mno-red-zone",
    "-mno-mmx",
    "-mno-sse",
    "-mno-sse2",
]

# What only the kernel's own objects add: backtraces by frame pointer, sections
# that the linker can drop one by one, and what gdb wants to know (paths as from
# the repository's root), which the image itself does without.
KERNEL_CODEGEN = [
    "-g",
    "-fdebug-compilation-dir=.",
    "-O2",
    "-fno-omit-frame-pointer",
    "-mno-omit-leaf-frame-pointer",
    "-fno-asynchronous-unwind-tables",
    "-ffunction-sections",
    "-fdata-sections",
    "-DNDEBUG",
]
