// SPDX-License-Identifier: BSD-3-Clause
// The words in which a processor's banks report errors: how bad it is, what
// failed, as far as the architecture names it. Models add to that; what they
// add is left as bits.
//
// Contexts: any; pure, no memory but the answer's.
// Failure: total on any word: what no table has is called by its bits.
// Origin: Intel SDM vol. 3 §16.3 (registers), §16.6.2–16.6.3 (classes of
//   uncorrected errors), §16.9 (error codes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace odo::machine_check {

// IA32_MCG_CAP.
class Capabilities {
 public:
  constexpr explicit Capabilities(std::uint64_t word) : word_(word) {}
  [[nodiscard]] constexpr unsigned banks() const { return word_ & 0xff; }
  [[nodiscard]] constexpr bool has_control() const { return bit(8); }
  // Corrected errors are counted in the status.
  [[nodiscard]] constexpr bool counts_corrected() const { return bit(10); }
  // Uncorrected errors have classes.
  [[nodiscard]] constexpr bool can_recover() const { return bit(24); }

 private:
  [[nodiscard]] constexpr bool bit(unsigned n) const {
    return (word_ >> n & 1) != 0;
  }
  std::uint64_t word_;
};

// IA32_MCG_STATUS.
class GlobalStatus {
 public:
  constexpr explicit GlobalStatus(std::uint64_t word) : word_(word) {}
  // The interrupted program could go on.
  [[nodiscard]] constexpr bool can_go_on() const { return (word_ & 1) != 0; }
  // The interrupted instruction has to do with the error.
  [[nodiscard]] constexpr bool is_at_instruction() const {
    return (word_ >> 1 & 1) != 0;
  }
  // This CPU's alone; else all of them were told.
  [[nodiscard]] constexpr bool is_local() const {
    return (word_ >> 3 & 1) != 0;
  }

 private:
  std::uint64_t word_;
};

enum class Severity : std::uint8_t {
  kCorrected,
  kUncorrected,     // on a processor that has no classes of them
  kNoActionNeeded,  // bad data somewhere, which nobody has used
  kActionOptional,  // the same, found by somebody who looks for it
  kActionRequired,  // bad data were used
  kContextCorrupt   // the processor's own state is lost
};

[[nodiscard]] constexpr std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kCorrected:
      return "corrected";
    case Severity::kUncorrected:
      return "uncorrected";
    case Severity::kNoActionNeeded:
      return "uncorrected, no action needed";
    case Severity::kActionOptional:
      return "uncorrected, action optional";
    case Severity::kActionRequired:
      return "uncorrected, action required";
    case Severity::kContextCorrupt:
      return "uncorrected, processor context corrupt";
  }
  return "?";
}

// What failed, in pieces that are printed one after the other, and the memory
// channel where one is named.
struct ErrorName {
  std::array<std::string_view, 6> parts{};
  std::optional<unsigned> channel{};
};

// IA32_MCi_STATUS.
class BankStatus {
 public:
  constexpr BankStatus(std::uint64_t word, Capabilities capabilities)
      : word_(word), capabilities_(capabilities) {}

  [[nodiscard]] constexpr bool is_valid() const { return bit(63); }
  // Another error came before this one was read.
  [[nodiscard]] constexpr bool has_lost_others() const { return bit(62); }
  [[nodiscard]] constexpr bool has_misc() const { return bit(59); }
  [[nodiscard]] constexpr bool has_address() const { return bit(58); }
  [[nodiscard]] constexpr std::uint16_t code() const {
    return static_cast<std::uint16_t>(word_);
  }
  // The model's own code beside it.
  [[nodiscard]] constexpr std::uint16_t model_code() const {
    return static_cast<std::uint16_t>(word_ >> 16);
  }
  [[nodiscard]] constexpr std::optional<unsigned> corrected_count() const {
    if (!capabilities_.counts_corrected()) return std::nullopt;
    return static_cast<unsigned>(word_ >> 38 & 0x7fff);
  }

  [[nodiscard]] constexpr Severity severity() const {
    if (!bit(61)) return Severity::kCorrected;
    if (bit(57)) return Severity::kContextCorrupt;
    if (!capabilities_.can_recover()) return Severity::kUncorrected;
    const bool is_signaled = bit(56);
    const bool needs_action = bit(55);
    if (needs_action) return Severity::kActionRequired;
    return is_signaled ? Severity::kActionOptional : Severity::kNoActionNeeded;
  }

  [[nodiscard]] constexpr ErrorName name() const {
    // Bit 12 of compound codes says that reports are filtered, no more.
    constexpr std::uint16_t kFiltered = 0x1000;
    if (const std::string_view simple = simple_name(code()); !simple.empty()) {
      return {{simple}};
    }
    const auto compound = static_cast<std::uint16_t>(code() & ~kFiltered);
    if ((compound & 0xfffc) == 0x000c) {
      return {{"cache", level(compound)}};
    }
    if ((compound & 0xfff0) == 0x0010) {
      return {{"TLB", transaction(compound), level(compound)}};
    }
    if ((compound & 0xff80) == 0x0080) {
      return {{"memory controller", memory(compound)}, channel(compound)};
    }
    if ((compound & 0xff80) == 0x0280) {
      return {{"extended memory", memory(compound)}, channel(compound)};
    }
    if ((compound & 0xff00) == 0x0100) {
      return {
          {"cache", request(compound), transaction(compound), level(compound)}};
    }
    if ((compound & 0xf800) == 0x0800) {
      return {{"bus or interconnect", request(compound), target(compound),
               participation(compound),
               (compound & 0x100) != 0 ? ", timed out" : "", level(compound)}};
    }
    return {{"of a kind that the architecture does not name"}};
  }

 private:
  [[nodiscard]] constexpr bool bit(unsigned n) const {
    return (word_ >> n & 1) != 0;
  }

  [[nodiscard]] static constexpr std::string_view simple_name(
      std::uint16_t code) {
    switch (code) {
      case 0x0000:
        return "no error";
      case 0x0001:
        return "unclassified";
      case 0x0002:
        return "parity of the microcode ROM";
      case 0x0003:
        return "external, from another processor";
      case 0x0004:
        return "functional redundancy check";
      case 0x0005:
        return "internal parity";
      case 0x0006:
        return "code outside the SMM range";
      case 0x0400:
        return "internal timer";
      case 0x0e0b:
        return "I/O";
      default:
        // 0000 01xx xxxx xxxx, not all of them zero.
        return (code & 0xfc00) == 0x0400 ? "internal, unclassified" : "";
    }
  }

  template <std::size_t N>
  [[nodiscard]] static constexpr std::string_view pick(
      const std::array<std::string_view, N>& names, std::size_t index) {
    return index < N ? names[index] : ", reserved code";
  }
  [[nodiscard]] static constexpr std::string_view level(std::uint16_t code) {
    constexpr std::array<std::string_view, 4> kNames{", level 0", ", level 1",
                                                     ", level 2", ""};
    return pick(kNames, code & 3);
  }
  [[nodiscard]] static constexpr std::string_view transaction(
      std::uint16_t code) {
    constexpr std::array<std::string_view, 3> kNames{", of instructions",
                                                     ", of data", ""};
    return pick(kNames, code >> 2 & 3);
  }
  [[nodiscard]] static constexpr std::string_view request(std::uint16_t code) {
    constexpr std::array<std::string_view, 9> kNames{"",
                                                     ", read",
                                                     ", write",
                                                     ", data read",
                                                     ", data write",
                                                     ", instruction fetch",
                                                     ", prefetch",
                                                     ", eviction",
                                                     ", snoop"};
    return pick(kNames, code >> 4 & 15);
  }
  [[nodiscard]] static constexpr std::string_view participation(
      std::uint16_t code) {
    constexpr std::array<std::string_view, 4> kNames{
        ", this processor asked", ", this processor responded",
        ", this processor looked on", ""};
    return pick(kNames, code >> 9 & 3);
  }
  [[nodiscard]] static constexpr std::string_view target(std::uint16_t code) {
    constexpr std::array<std::string_view, 4> kNames{
        ", memory", ", reserved code", ", I/O", ""};
    return pick(kNames, code >> 2 & 3);
  }
  [[nodiscard]] static constexpr std::string_view memory(std::uint16_t code) {
    constexpr std::array<std::string_view, 5> kNames{
        "", ", read", ", write", ", address or command", ", scrubbing"};
    return pick(kNames, code >> 4 & 7);
  }
  [[nodiscard]] static constexpr std::optional<unsigned> channel(
      std::uint16_t code) {
    constexpr unsigned kNotSaid = 15;
    const unsigned number = code & 15;
    return number == kNotSaid ? std::nullopt : std::optional(number);
  }

  std::uint64_t word_;
  Capabilities capabilities_;
};

// IA32_MCi_MISC, where errors have classes: how many low bits of the address
// say nothing, and what kind of address it is.
class AddressKind {
 public:
  constexpr explicit AddressKind(std::uint64_t misc) : misc_(misc) {}
  [[nodiscard]] constexpr unsigned unknown_bits() const { return misc_ & 63; }
  [[nodiscard]] constexpr std::string_view name() const {
    constexpr std::array<std::string_view, 4> kNames{
        "offset in a segment", "linear", "physical", "memory"};
    const std::size_t mode = misc_ >> 6 & 7;
    return mode < kNames.size() ? kNames[mode] : "generic";
  }

 private:
  std::uint64_t misc_;
};

}  // namespace odo::machine_check
