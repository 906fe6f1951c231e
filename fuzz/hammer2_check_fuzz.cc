// SPDX-License-Identifier: BSD-3-Clause
// The HAMMER2 checker on whole images: it ends, all findings can be told, they
// are the same whatever the order in which blocks are read, and what it calls
// clean can be read.
//
// Shape of an input: a container (fuzz/hammer2/container.h). Bit 3 of the
// knobs: compressed data aren't decompressed; bit 4: few blocks may be shared.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fuzz/hammer2/check_session.h"
#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/session.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes) { return 0; }
Mutator::Focus mutation_focus() { return Mutator::Focus::kAll; }

namespace {

// Made once: memory that isn't touched costs nothing.
struct Memory {
  static constexpr std::size_t kReader = std::size_t{1} << 20;
  static constexpr std::size_t kChecker = std::size_t{34} << 20;

  std::unique_ptr<std::byte[]> reader =
      std::make_unique_for_overwrite<std::byte[]>(kReader);
  std::unique_ptr<std::byte[]> checker =
      std::make_unique_for_overwrite<std::byte[]>(kChecker);
};

template <CheckPolicy Checks>
void check_all(const Container& container) {
  static Memory memory;
  using Check = CheckSession<Checks>;
  // May be run again and again.
  static const auto checker =
      std::make_unique<typename Check::Checker>(host_policy<Checks>());
  const MutableBytes for_reader(memory.reader.get(), Memory::kReader);
  const MutableBytes for_checker(memory.checker.get(), Memory::kChecker);
  const audit::Limits limits{
      .shared_blocks = (container.knobs & 16) != 0 ? 2U : 4096U,
      .decode = (container.knobs & 8) == 0};

  Meter meter{.max_reads = 20000, .max_bytes = std::uint64_t{128} << 20};
  if (container.fail_after != 0) meter.max_reads = container.fail_after;
  const Devices devices(container, meter);
  Check check(devices, *checker, for_reader);
  check.run(for_checker.first(Check::Checker::kMinMemoryBytes),
            audit::SerialExecutor(), limits);
  if (meter.exhausted()) return;

  Meter other_meter;
  const Devices other_devices(container, other_meter);
  Check other(other_devices, *checker, for_reader);
  other.run(for_checker, BackwardExecutor(), limits);
  if (check.verdicts().incomplete != 0) return;
  ODO_CHECK(check.digest() == other.digest());

  Session<Checks> session(container, for_reader);
  session.run();
  if (session.fails()) return;
  const audit::Verdicts& verdicts = check.verdicts();
  ODO_CHECK(!session.opens() || verdicts.opened);
  if (verdicts.errors == 0 && limits.decode) {
    ODO_CHECK(verdicts.opened == session.opens());
    ODO_CHECK(!session.any_bad());
  }
}

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  const Container container =
      decode({reinterpret_cast<const std::byte*>(data), size});
  if (container.believes()) {
    check_all<BelieveAll>(container);
  } else {
    check_all<odo::hammer2::VerifyChecks>(container);
  }
  return 0;
}
