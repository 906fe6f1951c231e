// SPDX-License-Identifier: BSD-3-Clause
// Finding ACPI tables: from the root pointer through the XSDT or RSDT to a
// table with a given signature.
//
// Contexts: any. No state, no allocation; views live as long as the memory
// does. Failure: firmware is input: every length and check sum is verified
// before a
//   byte behind it is used, and every walk is bounded. See acpi::Error.
// Complexity: find_table() is linear in the root table's entries (at most
//   kMaxTables) and in the size of the table found.
// Origin: ACPI specification 6.5 §5.2.5 (RSDP), §5.2.6 (table header), §5.2.7
//   (RSDT), §5.2.8 (XSDT).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/result.h"

namespace odo::acpi {

enum class Error : std::uint8_t {
  kUnreadable,    // a table lies where the machine cannot read
  kBadSignature,  // not the structure that was expected there
  kBadChecksum,
  kBadLength,  // a length that cannot be, or that cuts a structure
  kNotFound,
};

template <class T>
using Result = odo::Result<T, Error>;

[[nodiscard]] constexpr std::string_view describe(Error error) {
  switch (error) {
    case Error::kUnreadable:
      return "ACPI table outside readable memory";
    case Error::kBadSignature:
      return "ACPI table with a wrong signature";
    case Error::kBadChecksum:
      return "ACPI table with a wrong check sum";
    case Error::kBadLength:
      return "ACPI table with an impossible length";
    case Error::kNotFound:
      return "no such ACPI table";
  }
  return "unknown ACPI error";
}

// Physical memory that firmware tables may lie in. `view` answers with the
// bytes from `address` on, at most `length` of them; fewer, or none, where
// memory that can be read ends.
template <class M>
concept FirmwareMemory =
    requires(M& memory, std::uint64_t address, std::size_t length) {
      { memory.view(address, length) } -> std::same_as<Bytes>;
    };

inline constexpr std::size_t kTableHeaderBytes = 36;
inline constexpr std::size_t kMaxTableBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxTables = 1024;
inline constexpr std::size_t kRsdpV1Bytes = 20;
inline constexpr std::size_t kRsdpV2Bytes = 36;

// The root pointer's answer: which root table, and how wide its entries are.
struct Root {
  std::uint64_t address;
  std::size_t entry_bytes;  // 8: XSDT, 4: RSDT
};

namespace detail {

[[nodiscard]] inline bool sums_to_zero(Bytes bytes) {
  unsigned sum = 0;
  for (const std::byte b : bytes) sum += std::to_integer<unsigned>(b);
  return (sum & 0xff) == 0;
}

[[nodiscard]] inline bool starts_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() &&
         equal_bytes(bytes.first(text.size()), std::as_bytes(std::span(text)));
}

}  // namespace detail

// Where the table of an entry of the root table lies.
[[nodiscard]] inline std::uint64_t entry_address(const Root& root,
                                                 const std::byte* entry) {
  return root.entry_bytes == 8 ? load_le<std::uint64_t>(entry)
                               : load_le<std::uint32_t>(entry);
}

// Reads a root pointer of either version from a copy or a view of its bytes.
[[nodiscard]] inline Result<Root> parse_root_pointer(Bytes bytes) {
  if (bytes.size() < kRsdpV1Bytes) return fail(Error::kBadLength);
  if (!detail::starts_with(bytes, "RSD PTR ")) {
    return fail(Error::kBadSignature);
  }
  if (!detail::sums_to_zero(bytes.first(kRsdpV1Bytes))) {
    return fail(Error::kBadChecksum);
  }
  const auto revision = load_le<std::uint8_t>(bytes.data() + 15);
  const auto rsdt = load_le<std::uint32_t>(bytes.data() + 16);
  if (revision < 2) return Root{rsdt, 4};
  if (bytes.size() < kRsdpV2Bytes) return fail(Error::kBadLength);
  if (!detail::sums_to_zero(bytes.first(kRsdpV2Bytes))) {
    return fail(Error::kBadChecksum);
  }
  const auto xsdt = load_le<std::uint64_t>(bytes.data() + 24);
  return xsdt != 0 ? Root{xsdt, 8} : Root{rsdt, 4};
}

// The whole table at `address`, header included, verified.
template <FirmwareMemory M>
[[nodiscard]] Result<Bytes> read_table(M& memory, std::uint64_t address,
                                       std::string_view signature) {
  const Bytes header = memory.view(address, kTableHeaderBytes);
  if (header.size() < kTableHeaderBytes) return fail(Error::kUnreadable);
  if (!detail::starts_with(header, signature)) {
    return fail(Error::kBadSignature);
  }
  const auto length = load_le<std::uint32_t>(header.data() + 4);
  if (length < kTableHeaderBytes || length > kMaxTableBytes) {
    return fail(Error::kBadLength);
  }
  const Bytes table = memory.view(address, length);
  if (table.size() < length) return fail(Error::kUnreadable);
  if (!detail::sums_to_zero(table)) return fail(Error::kBadChecksum);
  return table;
}

// The first table named `signature` (four characters) under the root.
template <FirmwareMemory M>
[[nodiscard]] Result<Bytes> find_table(M& memory, const Root& root,
                                       std::string_view signature) {
  ODO_TRY(const Bytes list,
          read_table(memory, root.address,
                     root.entry_bytes == 8 ? "XSDT" : "RSDT"));
  const std::size_t count =
      (list.size() - kTableHeaderBytes) / root.entry_bytes;
  for (std::size_t i = 0; i < count && i < kMaxTables; ++i) {
    const std::uint64_t address = entry_address(
        root, list.data() + kTableHeaderBytes + i * root.entry_bytes);
    if (!detail::starts_with(memory.view(address, 4), signature)) continue;
    return read_table(memory, address, signature);
  }
  return fail(Error::kNotFound);
}

}  // namespace odo::acpi
