// SPDX-License-Identifier: BSD-3-Clause
// The functions that a compiler may call on its own, and the two more that
// <string_view> calls. String instructions are fast on every CPU with ERMS, and
// one instruction per step under an emulator.
//
// Contexts: any, including before the kernel's own page tables.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t count) {
  void* const start = to;
  // Whole words first: an emulator pays per step, not per byte.
  std::size_t words = count / 8;
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
  std::size_t rest = count % 8;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
  return start;
}

void* memset(void* to, int value, std::size_t count) {
  void* const start = to;
  const std::uint64_t pattern =
      std::uint64_t{static_cast<unsigned char>(value)} * 0x0101010101010101;
  std::size_t words = count / 8;
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
  std::size_t rest = count % 8;
  asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
  return start;
}

void* memmove(void* to, const void* from, std::size_t count) {
  const auto to_address = reinterpret_cast<std::uintptr_t>(to);
  const auto from_address = reinterpret_cast<std::uintptr_t>(from);
  if (to_address - from_address >= count) return memcpy(to, from, count);
  // The destination begins inside the source: copy from the end.
  void* last_to = static_cast<unsigned char*>(to) + count - 1;
  const void* last_from = static_cast<const unsigned char*>(from) + count - 1;
  asm volatile("std; rep movsb; cld"
               : "+D"(last_to), "+S"(last_from), "+c"(count)
               :
               : "memory");
  return to;
}

int memcmp(const void* a, const void* b, std::size_t count) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (; count >= 8; count -= 8, x += 8, y += 8) {
    std::uint64_t p;
    std::uint64_t q;
    __builtin_memcpy(&p, x, 8);
    __builtin_memcpy(&q, y, 8);
    if (p != q) break;
  }
  for (; count != 0; --count, ++x, ++y) {
    if (*x != *y) return *x < *y ? -1 : 1;
  }
  return 0;
}

const void* memchr(const void* in, int value, std::size_t count) {
  const auto* p = static_cast<const unsigned char*>(in);
  for (; count != 0; --count, ++p) {
    if (*p == static_cast<unsigned char>(value)) return p;
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  const char* end = text;
  // The compiler must not see strlen() in its own body.
  while (*static_cast<const volatile char*>(end) != '\0') ++end;
  return static_cast<std::size_t>(end - text);
}

}  // extern "C"
