// SPDX-License-Identifier: BSD-3-Clause
// The MADT: which processors there are, and how interrupts reach them.
//
//   const acpi::Madt madt(*table);
//   for (const acpi::Processor& cpu : madt.processors()) ...
//   const acpi::Interrupt timer = madt.isa_interrupt(0);
//
// Contexts: any. Pure; about 5 KiB for a Madt.
// Failure: entries that can't be are left out: too short for their type, an I/O
//   APIC without an address, an override of no ISA interrupt, a processor or an
//   I/O APIC that is there already. An entry whose length can't be ends the
//   list. Both show in is_damaged(). What there is no room for is counted in
//   left_out().
// Complexity: linear in the table, and in the processors for each of them.
// Origin: ACPI specification 6.5 §5.2.12 (MADT); §5.2.12.5 on what an ISA
//   interrupt is without an override.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/acpi/tables.h"
#include "lib/base/bits.h"
#include "lib/base/bytes.h"

namespace odo::acpi {

struct Processor {
  std::uint32_t apic_id = 0;
  std::uint32_t uid = 0;   // its name in the DSDT
  bool enabled = false;    // else it may be brought in later
  bool is_x2apic = false;  // named by an entry for x2APICs
};

struct IoApic {
  std::uint32_t id = 0;
  std::uint32_t address = 0;
  std::uint32_t first_interrupt = 0;  // its input 0, among all interrupts
};

enum class Polarity : std::uint8_t { kHigh, kLow };
enum class Trigger : std::uint8_t { kEdge, kLevel };

// An input of the I/O APICs, counted over all of them.
struct Interrupt {
  std::uint32_t number = 0;
  Polarity polarity = Polarity::kHigh;
  Trigger trigger = Trigger::kEdge;
};

// A local APIC's LINT pin that NMIs come by.
struct LocalNmi {
  std::uint32_t uid = 0;  // of the processor, or kAllProcessors
  std::uint8_t pin = 0;
  Polarity polarity = Polarity::kHigh;
  Trigger trigger = Trigger::kEdge;
};

class Madt {
 public:
  static constexpr std::size_t kMaxProcessors = 256;
  static constexpr std::size_t kMaxIoApics = 16;
  static constexpr std::size_t kMaxNmis = 16;  // of each kind
  static constexpr std::size_t kIsaInterrupts = 16;
  static constexpr std::uint32_t kAllProcessors = 0xffffffff;

  // `table` is a verified table with the signature "APIC".
  explicit Madt(Bytes table) {
    for (std::uint32_t i = 0; i < kIsaInterrupts; ++i) isa_[i].number = i;
    const auto address = read_le<std::uint32_t>(table, kTableHeaderBytes);
    const auto flags = read_le<std::uint32_t>(table, kTableHeaderBytes + 4);
    if (!address || !flags) {
      damaged_ = true;
      return;
    }
    local_apic_address_ = *address;
    has_pics_ = (*flags & 1) != 0;
    for (Bytes rest = table.subspan(kTableHeaderBytes + 8); !rest.empty();) {
      constexpr std::size_t kEntryHeaderBytes = 2;
      const std::size_t length =
          rest.size() < kEntryHeaderBytes ? 0 : byte(rest, 1);
      if (length < kEntryHeaderBytes || length > rest.size()) {
        damaged_ = true;
        return;
      }
      take(rest.first(length));
      rest = rest.subspan(length);
    }
  }

  // In the order of the table, the one that boots usually first.
  [[nodiscard]] std::span<const Processor> processors() const {
    return {processors_.data(), processor_count_};
  }
  [[nodiscard]] std::span<const IoApic> io_apics() const {
    return {io_apics_.data(), io_apic_count_};
  }
  // Of numbers below kIsaInterrupts, as they were wired to the two PICs.
  [[nodiscard]] Interrupt isa_interrupt(std::size_t number) const {
    return isa_[number];
  }
  [[nodiscard]] std::span<const Interrupt> nmis() const {
    return {nmis_.data(), nmi_count_};
  }
  [[nodiscard]] std::span<const LocalNmi> local_nmis() const {
    return {local_nmis_.data(), local_nmi_count_};
  }
  [[nodiscard]] std::uint64_t local_apic_address() const {
    return local_apic_address_;
  }
  // The two PICs are there, too, and must be masked.
  [[nodiscard]] bool has_pics() const { return has_pics_; }
  [[nodiscard]] bool is_damaged() const { return damaged_; }
  [[nodiscard]] std::size_t left_out() const { return left_out_; }

 private:
  enum Type : std::uint8_t {
    kLocalApic = 0,
    kIoApic = 1,
    kOverride = 2,
    kNmi = 3,
    kLocalApicNmi = 4,
    kLocalApicAddress = 5,
    kX2Apic = 9,
    kX2ApicNmi = 10,
  };

  // The least that an entry of a type has; 0 for types that aren't looked at.
  [[nodiscard]] static std::size_t bytes_of(std::uint8_t type) {
    switch (type) {
      case kLocalApic:
      case kNmi:
        return 8;
      case kIoApic:
      case kLocalApicAddress:
      case kX2ApicNmi:
        return 12;
      case kOverride:
        return 10;
      case kLocalApicNmi:
        return 6;
      case kX2Apic:
        return 16;
      default:
        return 0;
    }
  }
  // All of these lie in an entry that is as long as its type asks for.
  [[nodiscard]] static std::uint8_t byte(Bytes entry, std::size_t at) {
    return load_le<std::uint8_t>(entry.data() + at);
  }
  [[nodiscard]] static std::uint16_t half(Bytes entry, std::size_t at) {
    return load_le<std::uint16_t>(entry.data() + at);
  }
  [[nodiscard]] static std::uint32_t word(Bytes entry, std::size_t at) {
    return load_le<std::uint32_t>(entry.data() + at);
  }

  void take(Bytes entry) {
    const std::uint8_t type = byte(entry, 0);
    const std::size_t least = bytes_of(type);
    if (least == 0) return;
    if (entry.size() < least) {
      damaged_ = true;
      return;
    }
    switch (type) {
      case kLocalApic:
        return add({.apic_id = byte(entry, 3), .uid = byte(entry, 2)},
                   word(entry, 4));
      case kX2Apic:
        return add({.apic_id = word(entry, 4),
                    .uid = word(entry, 12),
                    .is_x2apic = true},
                   word(entry, 8));
      case kIoApic:
        return add(IoApic{.id = byte(entry, 2),
                          .address = word(entry, 4),
                          .first_interrupt = word(entry, 8)});
      case kOverride:
        return redirect(byte(entry, 2), byte(entry, 3),
                        wired(word(entry, 4), half(entry, 8)));
      case kNmi:
        return put(nmis_, nmi_count_, wired(word(entry, 4), half(entry, 2)));
      case kLocalApicNmi: {
        const std::uint8_t uid = byte(entry, 2);
        return add_local_nmi(uid == 0xff ? kAllProcessors : uid, half(entry, 3),
                             byte(entry, 5));
      }
      case kX2ApicNmi:
        return add_local_nmi(word(entry, 4), half(entry, 2), byte(entry, 8));
      default:
        local_apic_address_ = load_le<std::uint64_t>(entry.data() + 4);
    }
  }

  // Where the flags leave it to the bus, it is ISA's: high, by edges.
  [[nodiscard]] static Interrupt wired(std::uint32_t number,
                                       std::uint16_t flags) {
    constexpr unsigned kLow = 3;
    constexpr unsigned kLevel = 3;
    return {.number = number,
            .polarity = (flags & 3) == kLow ? Polarity::kLow : Polarity::kHigh,
            .trigger =
                (flags >> 2 & 3) == kLevel ? Trigger::kLevel : Trigger::kEdge};
  }

  template <class T, std::size_t N>
  void put(std::array<T, N>& list, std::size_t& count, const T& one) {
    if (count == N) {
      ++left_out_;
    } else {
      list[count++] = one;
    }
  }

  void add(Processor cpu, std::uint32_t flags) {
    constexpr std::uint32_t kEnabled = 1;
    constexpr std::uint32_t kOnlineCapable = 2;
    // Firmware keeps entries for sockets that are empty.
    if ((flags & (kEnabled | kOnlineCapable)) == 0) return;
    cpu.enabled = (flags & kEnabled) != 0;
    const bool known = std::ranges::any_of(
        processors(),
        [&](const auto& other) { return other.apic_id == cpu.apic_id; });
    if (known) {
      damaged_ = true;
      return;
    }
    put(processors_, processor_count_, cpu);
  }

  void add(const IoApic& io_apic) {
    const bool known = std::ranges::any_of(io_apics(), [&](const auto& other) {
      return other.address == io_apic.address ||
             other.first_interrupt == io_apic.first_interrupt;
    });
    if (known || io_apic.address == 0) {
      damaged_ = true;
      return;
    }
    put(io_apics_, io_apic_count_, io_apic);
  }

  void redirect(std::uint8_t bus, std::uint8_t source, const Interrupt& to) {
    if (bus != 0 || source >= kIsaInterrupts) {
      damaged_ = true;
      return;
    }
    isa_[source] = to;
  }

  void add_local_nmi(std::uint32_t uid, std::uint16_t flags, std::uint8_t pin) {
    if (pin > 1) {
      damaged_ = true;
      return;
    }
    const Interrupt how = wired(0, flags);
    put(local_nmis_, local_nmi_count_,
        LocalNmi{.uid = uid,
                 .pin = pin,
                 .polarity = how.polarity,
                 .trigger = how.trigger});
  }

  std::array<Processor, kMaxProcessors> processors_ = {};
  std::array<IoApic, kMaxIoApics> io_apics_ = {};
  std::array<Interrupt, kIsaInterrupts> isa_ = {};
  std::array<Interrupt, kMaxNmis> nmis_ = {};
  std::array<LocalNmi, kMaxNmis> local_nmis_ = {};
  std::size_t processor_count_ = 0;
  std::size_t io_apic_count_ = 0;
  std::size_t nmi_count_ = 0;
  std::size_t local_nmi_count_ = 0;
  std::size_t left_out_ = 0;
  std::uint64_t local_apic_address_ = 0;
  bool has_pics_ = false;
  bool damaged_ = false;
};

}  // namespace odo::acpi
