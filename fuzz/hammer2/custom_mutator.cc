// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer's mutation and crossing-over of inputs that end in a container: by
// the format's rules seven times in eight, byte by byte otherwise and in front
// of the container.
#include "fuzz/hammer2/custom_mutator.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/mutator.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t max_size);

namespace {

using odo::Bytes;
using odo::MutableBytes;
using odo::hammer2::fuzz::Container;
using odo::hammer2::fuzz::Mutator;

void mutate_bytes(MutableBytes bytes) {
  LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size(),
                   bytes.size());
}

Bytes view(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Stores front and container at `out`. False where they don't fit.
bool store(Bytes front, const Container& container, std::uint8_t* out,
           std::size_t max_size, std::size_t& size) {
  const std::vector<std::byte> encoded = odo::hammer2::fuzz::encode(container);
  if (front.size() + encoded.size() > max_size) return false;
  std::copy_n(reinterpret_cast<const std::uint8_t*>(front.data()), front.size(),
              out);
  std::copy_n(reinterpret_cast<const std::uint8_t*>(encoded.data()),
              encoded.size(), out + front.size());
  size = front.size() + encoded.size();
  return true;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                               std::size_t size,
                                               std::size_t max_size,
                                               unsigned seed) {
  const std::size_t front =
      odo::hammer2::fuzz::container_offset(view(data, size));
  const unsigned dice = seed % 24;
  if (dice == 0) return LLVMFuzzerMutate(data, size, max_size);
  if (dice < 6 && front > 0) {
    mutate_bytes({reinterpret_cast<std::byte*>(data), front});
    return size;
  }
  Container container =
      odo::hammer2::fuzz::decode(view(data, size).subspan(front));
  Mutator mutator(seed, mutate_bytes, odo::hammer2::fuzz::mutation_focus());
  const std::vector<std::byte> kept(view(data, front).begin(),
                                    view(data, front).end());
  std::size_t changed_size = 0;
  if (!mutator.mutate(container) ||
      !store(kept, container, data, max_size, changed_size)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  return changed_size;
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(
    const std::uint8_t* data, std::size_t size, const std::uint8_t* other,
    std::size_t other_size, std::uint8_t* out, std::size_t max_size,
    unsigned seed) {
  const Bytes first = view(data, size);
  const Bytes second = view(other, other_size);
  const std::size_t front = odo::hammer2::fuzz::container_offset(first);
  Container to = odo::hammer2::fuzz::decode(first.subspan(front));
  Container from = odo::hammer2::fuzz::decode(
      second.subspan(odo::hammer2::fuzz::container_offset(second)));
  Mutator mutator(seed, mutate_bytes, odo::hammer2::fuzz::mutation_focus());
  std::size_t changed_size = 0;
  if (!mutator.splice(to, from) ||
      !store(first.first(front), to, out, max_size, changed_size)) {
    return 0;
  }
  return changed_size;
}
