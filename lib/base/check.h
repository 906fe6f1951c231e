// SPDX-License-Identifier: BSD-3-Clause
// Broken invariants stop the machine: ODO_CHECK always, ODO_ASSERT in debug
// builds. For our own mistakes only; bad input gives a Result instead.
//
// Contexts: any, including interrupt. The hook runs in the failing context and
// must not return.
#pragma once

namespace odo {

// What failed and where. All pointers are to string literals.
struct PanicSite {
  const char* text;
  const char* file;
  int line;
};

using PanicHook = void (*)(const PanicSite&);

// Called once per failure; null means "trap at once". The ground (kernel, host,
// sim) sets it before it starts a second thread, and never again.
inline constinit PanicHook panic_hook = nullptr;

[[noreturn, gnu::cold, gnu::noinline]] inline void panic(const char* text,
                                                         const char* file,
                                                         int line) {
  if (panic_hook != nullptr) panic_hook(PanicSite{text, file, line});
  __builtin_trap();
}

}  // namespace odo

#define ODO_PANIC(text) ::odo::panic(text, __FILE__, __LINE__)

#define ODO_CHECK(condition)       \
  do {                             \
    if (!(condition)) [[unlikely]] \
      ODO_PANIC(#condition);       \
  } while (false)

// In release builds the condition is parsed but never evaluated.
#if defined(NDEBUG)
#define ODO_ASSERT(condition) \
  do {                        \
    if (false) {              \
      (void)(condition);      \
    }                         \
  } while (false)
#else
#define ODO_ASSERT(condition) ODO_CHECK(condition)
#endif
