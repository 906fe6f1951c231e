// SPDX-License-Identifier: BSD-3-Clause
// The HAMMER2 reader on whole images: every PFS, directory, link and file, with
// the smallest cache and with a larger one, which must make no difference.
//
// Shape of an input: a container (fuzz/hammer2/container.h).
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/session.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes) { return 0; }
Mutator::Focus mutation_focus() { return Mutator::Focus::kAll; }

namespace {

template <CheckPolicy Checks>
void read_all(const Container& container, MutableBytes memory) {
  constexpr std::size_t kLeast =
      FileSystem<SparseDevice, Checks>::kMinMemoryBytes;
  Session<Checks> small(container, memory.first(kLeast));
  small.run();
  if (small.fails()) return;
  Session<Checks> large(container, memory);
  large.run();
  ODO_CHECK(small.digest() == large.digest());
}

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  static std::vector<std::byte> memory(std::size_t{4} << 20);
  const Container container =
      decode({reinterpret_cast<const std::byte*>(data), size});
  if (container.believes()) {
    read_all<BelieveAll>(container, memory);
  } else {
    read_all<odo::hammer2::VerifyChecks>(container, memory);
  }
  return 0;
}
