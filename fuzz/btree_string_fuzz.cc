// SPDX-License-Identifier: BSD-3-Clause
// Trees of strings against std::map: any bytes are a program of insertions,
// erasures and look-ups of keys that are hard for such a tree, with memory that
// runs out. The first byte says which kind of tree, and how often everything is
// compared.
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/btree/testing/string_operations.h"

namespace odo::btree {
namespace {

template <class Operations>
void run(std::span<const std::uint8_t> bytes, std::size_t check_every) {
  Operations operations;
  operations.run(bytes, check_every);
}

}  // namespace
}  // namespace odo::btree

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::btree;
  if (size == 0) return 0;
  const std::span<const std::uint8_t> bytes(data + 1, size - 1);
  const std::size_t check_every = 1 + data[0] / 8U * 8;
  switch (data[0] % 8) {
    case 0:
      run<testing::UsualStringMap>(bytes, check_every);
      break;
    case 1:
      run<testing::OwnerStringMap>(bytes, check_every);
      break;
    case 2:
      run<testing::ByteStringMap>(bytes, check_every);
      break;
    case 3:
      run<testing::LinearStringMap>(bytes, check_every);
      break;
    default:
      run<testing::SmallStringMap>(bytes, check_every);
  }
  return 0;
}
