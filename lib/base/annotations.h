// SPDX-License-Identifier: BSD-3-Clause
// Words for contracts that the compiler can help to keep: lock capabilities
// for clang's thread-safety analysis, inlining, and branch weight.
//
// Contexts: any. Under compilers other than clang the capability words vanish.
#pragma once

#if defined(__clang__)
#define ODO_CAPABILITY_ATTRIBUTE_(x) __attribute__((x))
#else
#define ODO_CAPABILITY_ATTRIBUTE_(x)
#endif

// On a class: it is a lock of the named kind ("token", "spinlock").
#define ODO_CAPABILITY(kind) ODO_CAPABILITY_ATTRIBUTE_(capability(kind))
// On a class: its constructor takes a lock and its destructor releases it.
#define ODO_SCOPED_CAPABILITY ODO_CAPABILITY_ATTRIBUTE_(scoped_lockable)
// On a field: only touched while `lock` is held.
#define ODO_GUARDED_BY(lock) ODO_CAPABILITY_ATTRIBUTE_(guarded_by(lock))
// On a function: the caller holds the locks, exclusively or shared.
#define ODO_REQUIRES(...) \
  ODO_CAPABILITY_ATTRIBUTE_(requires_capability(__VA_ARGS__))
#define ODO_REQUIRES_SHARED(...) \
  ODO_CAPABILITY_ATTRIBUTE_(requires_shared_capability(__VA_ARGS__))
// On a function: takes or gives up the locks.
#define ODO_ACQUIRE(...) \
  ODO_CAPABILITY_ATTRIBUTE_(acquire_capability(__VA_ARGS__))
#define ODO_ACQUIRE_SHARED(...) \
  ODO_CAPABILITY_ATTRIBUTE_(acquire_shared_capability(__VA_ARGS__))
#define ODO_RELEASE(...) \
  ODO_CAPABILITY_ATTRIBUTE_(release_capability(__VA_ARGS__))
#define ODO_RELEASE_SHARED(...) \
  ODO_CAPABILITY_ATTRIBUTE_(release_shared_capability(__VA_ARGS__))
#define ODO_TRY_ACQUIRE(...) \
  ODO_CAPABILITY_ATTRIBUTE_(try_acquire_capability(__VA_ARGS__))
#define ODO_TRY_ACQUIRE_SHARED(...) \
  ODO_CAPABILITY_ATTRIBUTE_(try_acquire_shared_capability(__VA_ARGS__))
// On a function: checks at run time that the lock is held.
#define ODO_ASSERT_HELD(...) \
  ODO_CAPABILITY_ATTRIBUTE_(assert_capability(__VA_ARGS__))
#define ODO_ASSERT_HELD_SHARED(...) \
  ODO_CAPABILITY_ATTRIBUTE_(assert_shared_capability(__VA_ARGS__))
// On a function: the caller must not hold the locks.
#define ODO_EXCLUDES(...) ODO_CAPABILITY_ATTRIBUTE_(locks_excluded(__VA_ARGS__))
// On a function: beyond the analysis; the reason stands beside it.
#define ODO_NO_THREAD_SAFETY_ANALYSIS \
  ODO_CAPABILITY_ATTRIBUTE_(no_thread_safety_analysis)

// The function may put the thread to sleep, and tokens lapse while it sleeps:
// no spinlock or interrupt-off guard may be alive, and facts read under a
// token must be read again. For readers and for grep; it generates nothing.
#define ODO_MAY_BLOCK

// A static object that is there until the program's very end: where the
// compiler knows the word, not even its no-op of a destructor is registered.
#if defined(__clang__)
#define ODO_NO_DESTROY [[clang::no_destroy]]
#else
#define ODO_NO_DESTROY
#endif

#define ODO_ALWAYS_INLINE [[gnu::always_inline]] inline
#define ODO_NOINLINE [[gnu::noinline]]

// Two-step paste, so that arguments are expanded first.
#define ODO_CAT_(a, b) a##b
#define ODO_CAT(a, b) ODO_CAT_(a, b)
