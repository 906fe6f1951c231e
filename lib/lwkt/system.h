// SPDX-License-Identifier: BSD-3-Clause
// The machine: its CPUs, the calls between them, and where their sleepers are.
//
// Contexts: any CPU; what a call may be made from stands beside it.
// Ownership: the storage is the caller's and outlives the system; no thread may
//   be alive when it goes.
// Failure: none.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "lib/base/check.h"
#include "lib/lwkt/cpu_mask.h"
#include "lib/lwkt/ipi_fabric.h"
#include "lib/lwkt/platform.h"
#include "lib/tokens/lane.h"

namespace odo::lwkt {

template <LwktPlatform P>
class Cpu;
template <LwktPlatform P>
class System;

namespace detail {

// What the fabric stands on: the ground, with interrupts that set a bit of the
// target's attention word.
template <LwktPlatform P>
class FabricGround : public P {
 public:
  explicit FabricGround(System<P>& system, P ground)
      : P(ground), system_(&system) {}
  void raise_ipi(unsigned cpu);

 private:
  System<P>* system_;
};

}  // namespace detail

template <LwktPlatform P>
class System {
 public:
  static constexpr std::uint32_t kSleepBuckets = P::kLwktTuning.sleep_buckets;
  static_assert((kSleepBuckets & (kSleepBuckets - 1)) == 0);
  using Fabric = IpiFabric<detail::FabricGround<P>, P::kLwktTuning.ipi_entries>;

  [[nodiscard]] static constexpr std::size_t storage_alignment() {
    return alignof(Cpu<P>) > Fabric::storage_alignment()
               ? alignof(Cpu<P>)
               : Fabric::storage_alignment();
  }
  [[nodiscard]] static constexpr std::size_t storage_bytes(unsigned cpus) {
    return fabric_offset(cpus) + Fabric::storage_bytes(cpus);
  }
  // `storage` is storage_bytes(cpus) long at least, and aligned.
  System(std::span<std::byte> storage, unsigned cpus, P ground = P());
  System(const System&) = delete;
  System& operator=(const System&) = delete;
  ~System();

  [[nodiscard]] unsigned cpus() const { return count_; }
  [[nodiscard]] Cpu<P>& cpu(unsigned index) {
    ODO_ASSERT(index < count_);
    return cpus_[index];
  }
  // Every CPU's run() returns when it has nothing more to run.
  void stop();

  // For Cpu and what is built on it.
  [[nodiscard]] Fabric& fabric() { return fabric_; }
  [[nodiscard]] AtomicCpuMask<P>& sleepers(std::uint32_t bucket) {
    return sleepers_[bucket];
  }
  [[nodiscard]] tokens::TokenDomain<P>& domain() { return domain_; }
  // Whether a rendezvous is under way (cpu_sync.h).
  [[nodiscard]] typename P::template Atomic<bool>& sync_turn() {
    return sync_turn_;
  }

 private:
  [[nodiscard]] static constexpr std::size_t fabric_offset(unsigned cpus) {
    const std::size_t align = Fabric::storage_alignment();
    return (cpus * sizeof(Cpu<P>) + align - 1) / align * align;
  }

  [[nodiscard]] Cpu<P>* make_cpus(std::byte* storage, P ground);

  unsigned count_;
  tokens::TokenDomain<P> domain_;
  // For each bucket, the CPUs that may have sleepers in it (sleep.h).
  std::array<AtomicCpuMask<P>, kSleepBuckets> sleepers_;
  typename P::template Atomic<bool> sync_turn_{false};
  // Before the many queues between them: a checker of memory orders keeps less
  // for variables that come first.
  Cpu<P>* cpus_;
  Fabric fabric_;
};

}  // namespace odo::lwkt

#include "lib/lwkt/cpu.h"  // what Cpu<P> is
