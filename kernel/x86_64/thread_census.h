// SPDX-License-Identifier: BSD-3-Clause
// What threads there are, on all CPUs, for who looks into the kernel from the
// inside: each CPU is asked about its own.
//
// Contexts: one thread. Waits for an answer, kPatienceNs at most.
// Failure: a CPU that is stuck is told from one with no more threads. Its
//   question stays asked: it costs nobody more than that once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/lwkt/census.h"

namespace odo::x86 {

enum class CensusAnswer : std::uint8_t { kFound, kNoMore, kNoAnswer };

// The thread of that number on the CPU (lib/lwkt/census.h). `facts` points at
// what is valid until the next call. Before start_threads() there are none.
[[nodiscard]] CensusAnswer look_at_thread(unsigned cpu, std::size_t number,
                                          const lwkt::ThreadFacts*& facts);

}  // namespace odo::x86
