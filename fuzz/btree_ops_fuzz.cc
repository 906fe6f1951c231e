// SPDX-License-Identifier: BSD-3-Clause
// The B+tree against the standard's: any bytes are operations on a container of
// the kind that the first byte chooses, with memory that runs out when they say
// so (lib/btree/testing/operations.h).
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "lib/btree/testing/kinds.h"

namespace {

using Run = void (*)(std::span<const std::uint8_t>);

template <class Operations>
void run(std::span<const std::uint8_t> bytes) {
  // Asking everything after each operation would leave time for few of them.
  constexpr std::size_t kCheckEvery = 16;
  Operations operations;
  operations.run(bytes, kCheckEvery);
}

namespace t = odo::btree::testing;
constexpr Run kKinds[] = {
    run<t::NumberMap>,    run<t::NumberMultiMap>,   run<t::TinyMap>,
    run<t::TinyMultiMap>, run<t::AloneMap>,         run<t::LinearMap>,
    run<t::WordMap>,      run<t::WordMultiMap>,     run<t::OwnerMap>,
    run<t::CountingMap>,  run<t::CountingMultiMap>, run<t::SpanMap>,
    run<t::SpanMultiMap>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // What is longer takes longer and shows no more.
  constexpr std::size_t kLongest = 8192;
  if (size < 2 || size > kLongest) return 0;
  kKinds[data[0] % std::size(kKinds)]({data + 1, size - 1});
  return 0;
}
