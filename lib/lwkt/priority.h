// SPDX-License-Identifier: BSD-3-Clause
// The 32 fixed priorities of kernel threads, in bands; higher runs first.
//
// Contexts: any.
// Origin: DragonFly's sys/sys/thread.h (TDPRI_*), whose bands and numbers these
// are.
#pragma once

namespace odo::lwkt {

using Priority = unsigned;

inline constexpr Priority kIdleThread = 0;  // the CPU itself, never queued
inline constexpr Priority kIdleWork = 1;    // zeroing pages and the like
inline constexpr Priority kUserIdle = 4;    // the chosen user thread, by class
inline constexpr Priority kUserNormal = 6;
inline constexpr Priority kUserRealtime = 8;
inline constexpr Priority kKernelUser = 10;  // a user thread in the kernel
inline constexpr Priority kKernelNormal = 12;
inline constexpr Priority kSoftNormal = 14;  // soft interrupts
inline constexpr Priority kSoftTimer = 16;
inline constexpr Priority kInterruptSupport = 20;
inline constexpr Priority kInterruptLow = 27;
inline constexpr Priority kInterruptMedium = 28;
inline constexpr Priority kInterruptHigh = 29;
inline constexpr Priority kPriorities = 32;

// Threads of this band run at once, in front of whatever runs, as soon as that
// is in no critical section.
[[nodiscard]] constexpr bool preempts(Priority priority) {
  return priority >= kInterruptSupport;
}

}  // namespace odo::lwkt
