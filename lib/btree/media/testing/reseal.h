// SPDX-License-Identifier: BSD-3-Clause
// Gives an image of a tree right check codes again, from the leaves up, so that
// damage is met by the rules behind the check codes.
//
// Contexts: tests; hosted. Total on any bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bytes.h"
#include "lib/btree/media/format.h"
#include "lib/btree/media/page.h"

namespace odo::btree::media::testing {

// Whether references are given their children's generations too.
enum class Generations : std::uint8_t { kLeave, kCopy };

// The sizes that the newest header which looks like one states.
inline std::optional<Shape> shape_of_image(Bytes image,
                                           std::uint32_t page_bytes) {
  std::optional<Shape> shape;
  std::uint64_t newest = 0;
  for (std::uint64_t slot = 0; slot < kHeaderPages; ++slot) {
    const auto header = read_struct<RootHeader>(image, slot * page_bytes);
    if (!header || header->magic != kHeaderMagic ||
        header->generation < newest) {
      continue;
    }
    newest = header->generation;
    shape = Shape::make(page_bytes, header->key_bytes, header->value_bytes);
  }
  return shape;
}

inline void reseal(MutableBytes image, std::uint32_t page_bytes,
                   Generations generations = Generations::kLeave) {
  const std::uint64_t pages = image.size() / page_bytes;
  const auto bytes_of_page = [&](std::uint64_t page) {
    return image.subspan(page * page_bytes, page_bytes);
  };
  const auto mend = [&](std::byte* ref) {
    const auto page = load_le<std::uint64_t>(ref + offsetof(ChildRef, page));
    if (page < kHeaderPages || page >= pages) return;
    const std::byte* child = bytes_of_page(page).data();
    store_le(ref + offsetof(ChildRef, check), load_le<std::uint64_t>(child));
    if (generations == Generations::kCopy) {
      store_le(
          ref + offsetof(ChildRef, generation),
          load_le<std::uint64_t>(child + offsetof(PageHeader, generation)));
    }
  };
  const auto seal = [&](std::uint64_t page) {
    const MutableBytes bytes = bytes_of_page(page);
    store_le(bytes.data(), check_of(bytes));
  };
  if (const auto shape = shape_of_image(image, page_bytes)) {
    for (std::uint32_t level = 0; level < kMaxLevels; ++level) {
      for (std::uint64_t page = kHeaderPages; page < pages; ++page) {
        std::byte* bytes = bytes_of_page(page).data();
        const PageView view(*shape, bytes);
        if (view.level() != level) continue;
        for (std::uint32_t i = 0;
             level > 0 && i < view.count() && i < shape->inner_slots; ++i) {
          mend(bytes + (view.payload(i) - bytes));
        }
        seal(page);
      }
    }
  }
  for (std::uint64_t slot = 0; slot < kHeaderPages && slot < pages; ++slot) {
    mend(bytes_of_page(slot).data() + offsetof(RootHeader, root));
    seal(slot);
  }
}

}  // namespace odo::btree::media::testing
