// SPDX-License-Identifier: BSD-3-Clause
// A PCI configuration space for tests: functions with 256 bytes each, base
// addresses that answer to sizing, and everything writable bits may do.
//
// Contexts: tests only. Satisfies ConfigSpace.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "lib/base/bytes.h"
#include "lib/pci/config.h"

namespace odo::pci {

class FakeConfigSpace {
 public:
  struct FakeFunction {
    std::array<std::byte, 256> bytes{};
    std::array<std::uint32_t, 6> bar_writable{};  // bits that may change
    unsigned moves_while_decoding = 0;  // base addresses written while in use

    template <class T>
    void set(std::size_t at, T value) {
      store_le(bytes.data() + at, value);
    }
    template <class T>
    [[nodiscard]] T get(std::size_t at) const {
      return load_le<T>(bytes.data() + at);
    }
  };

  FakeFunction& add(const Address& at, std::uint16_t vendor = 0x1af4,
                    std::uint16_t device = 0x1042) {
    FakeFunction& function = functions_[key(at)];
    function.set(0, vendor);
    function.set(2, device);
    return function;
  }

  [[nodiscard]] std::uint32_t read32(const Address& at, std::uint16_t offset) {
    ++reads;
    const FakeFunction* function = find(at);
    if (function == nullptr || offset % 4 != 0 || offset > 252) {
      return 0xffffffff;
    }
    return function->get<std::uint32_t>(offset);
  }
  void write16(const Address& at, std::uint16_t offset, std::uint16_t value) {
    FakeFunction* function = find(at);
    if (function != nullptr && offset <= 254) function->set(offset, value);
  }
  void write32(const Address& at, std::uint16_t offset, std::uint32_t value) {
    FakeFunction* function = find(at);
    if (function == nullptr || offset > 252) return;
    if (offset >= 0x10 && offset < 0x28) {
      if ((function->get<std::uint16_t>(kCommand) & 3) != 0) {
        ++function->moves_while_decoding;
      }
      const std::uint32_t mask = function->bar_writable[(offset - 0x10u) / 4];
      const auto old = function->get<std::uint32_t>(offset);
      value = (old & ~mask) | (value & mask);
    }
    function->set(offset, value);
  }

  unsigned reads = 0;

 private:
  using Key = std::tuple<unsigned, unsigned, unsigned, unsigned>;
  [[nodiscard]] static Key key(const Address& at) {
    return {at.segment, at.bus, at.device, at.function};
  }
  [[nodiscard]] FakeFunction* find(const Address& at) {
    const auto it = functions_.find(key(at));
    return it == functions_.end() ? nullptr : &it->second;
  }

  std::map<Key, FakeFunction> functions_;
};

}  // namespace odo::pci
