// SPDX-License-Identifier: BSD-3-Clause
// A device that does as fuzz bytes say: it works well, or writes over the
// memory that it shares with its driver, or has registers that say anything.
// What is left when the bytes are used up works well.
//
// Contexts: fuzzers only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/driver/ground.h"
#include "lib/driver/registers.h"
#include "lib/driver/testing/sim_memory.h"

namespace odo::fuzz {

class Script {
 public:
  explicit Script(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool is_over() const { return bytes_.empty(); }
  // Zero where there is nothing left.
  template <class T>
  [[nodiscard]] T take() {
    T value = 0;
    const std::size_t size = std::min(sizeof(T), bytes_.size());
    for (std::size_t i = 0; i < size; ++i) {
      value = static_cast<T>(value | std::to_integer<std::uint64_t>(bytes_[i])
                                         << (8 * i));
    }
    bytes_ = bytes_.subspan(size);
    return value;
  }

 private:
  Bytes bytes_;
};

// Which registers lie, and how.
struct Lies {
  std::uint32_t offset = 0;
  std::uint32_t value = 0;
  unsigned left = 0;  // so many reads
};

template <driver::Registers R>
class LyingRegisters {
 public:
  LyingRegisters(R registers, Lies& lies)
      : registers_(registers), lies_(&lies) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) {
    const std::uint32_t truth = registers_.read32(offset);
    if (lies_->left == 0 || offset != lies_->offset) return truth;
    --lies_->left;
    return lies_->value;
  }
  void write32(std::uint32_t offset, std::uint32_t value) {
    registers_.write32(offset, value);
  }
  [[nodiscard]] std::uint64_t size_bytes() const {
    return registers_.size_bytes();
  }

 private:
  R registers_;
  Lies* lies_;
};

// One step of the device: an honest one, or what the script says. `offsets` is
// where registers are that matter.
template <class Device>
void step(Device& device, Script& script, Lies& lies, MutableBytes shared,
          std::span<const std::uint32_t> offsets) {
  const auto what = script.take<std::uint8_t>();
  switch (what & 3) {
    case 2: {
      const std::size_t at = script.take<std::uint16_t>() % shared.size();
      const std::size_t length =
          std::min<std::size_t>(1 + (what >> 2 & 31), shared.size() - at);
      for (std::size_t i = 0; i < length; ++i) {
        shared[at + i] = std::byte{script.take<std::uint8_t>()};
      }
      break;
    }
    case 3:
      lies.offset = offsets[(what >> 2) % offsets.size()];
      lies.left = 1 + script.take<std::uint8_t>() % 8;
      lies.value = script.take<std::uint32_t>();
      break;
    default:
      device.step();
      break;
  }
}

// Time is short, so that a device that never answers costs little.
class HastyGround : public driver::SimGround {
 public:
  using driver::SimGround::SimGround;
  void begin_wait(std::uint32_t limit_ms) {
    constexpr std::uint32_t kMost = 100;
    driver::SimGround::begin_wait(std::min(limit_ms, kMost));
  }
};

static_assert(driver::DriverGround<HastyGround>);

// Requests of all kinds, at places and of lengths that the script names.
template <class Disk>
void use_disk(Disk& disk, driver::SimMemory& memory, Script& script) {
  constexpr std::size_t kMostBytes = 300 * 1024;
  for (int i = 0; i < 8 && !script.is_over(); ++i) {
    const auto what = script.take<std::uint8_t>();
    const std::uint64_t unit =
        (what & 0x80) != 0 ? 1 : std::uint64_t{disk.block_bytes()};
    const std::uint64_t offset = script.take<std::uint16_t>() * unit;
    const std::size_t length =
        std::min<std::size_t>(kMostBytes, script.take<std::uint16_t>() * unit);
    std::vector<std::byte> buffer(length + (what >> 3 & 7));
    const MutableBytes data = MutableBytes(buffer).subspan(what >> 3 & 7);
    memory.lend(data);
    if constexpr (requires { disk.flush(); }) {
      switch (what & 7) {
        case 0:
          (void)disk.flush();
          break;
        case 1:
          (void)disk.discard(offset, length);
          break;
        case 2:
        case 3:
          (void)disk.write(offset, data);
          break;
        default:
          (void)disk.read(offset, data);
          break;
      }
    } else {
      (void)disk.read(offset, data);
    }
    memory.take_back();
  }
}

}  // namespace odo::fuzz
