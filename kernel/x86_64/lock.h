// SPDX-License-Identifier: BSD-3-Clause
// The kernel's lock for what several CPUs share and hold for a few dozen steps:
// a spinlock that is held with interrupts off, so that whoever interrupts its
// holder neither wants it nor runs in its place.
//
//   constinit IrqLock lock;
//   const IrqGuard guard(lock);
//
// Contexts: any but NMI. Nothing in between sleeps, sends to other CPUs and
//   waits for them, or takes the lock again.
// Failure: none.
#pragma once

#include "kernel/x86_64/cpu.h"
#include "lib/base/annotations.h"
#include "lib/platform/host/atomic.h"
#include "lib/platform/spinlock.h"

namespace odo::x86 {

struct LockGround {
  template <class T>
  using Atomic = platform::HostAtomic<T>;
  void relax() const { pause(); }
};

using IrqLock = platform::SpinLock<LockGround>;

class ODO_SCOPED_CAPABILITY IrqGuard {
 public:
  explicit IrqGuard(IrqLock& lock) ODO_ACQUIRE(lock) : lock_(lock) {
    lock_.lock();
  }
  IrqGuard(const IrqGuard&) = delete;
  IrqGuard& operator=(const IrqGuard&) = delete;
  ~IrqGuard() ODO_RELEASE() { lock_.unlock(); }

 private:
  InterruptsOff off_;  // first on, last off
  IrqLock& lock_;
};

}  // namespace odo::x86
