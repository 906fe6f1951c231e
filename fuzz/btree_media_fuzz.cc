// SPDX-License-Identifier: BSD-3-Clause
// Trees on media that anybody may have written: an input is the image itself.
// Whatever it holds, opening, verifying, walking, looking up and changing it
// end in answers that agree with each other or in errors, within their bounds.
//
// Shape of an input: u8 page size (256 << (n % 3)), then pages; up to 64 count.
// Its mutator knows pages and fields, and gives what it changed right check
// codes, as no fuzzer would guess them: five mutations in six.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "lib/btree/media/format.h"
#include "lib/btree/media/testing/exercise.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/testing/reseal.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t max_size);

namespace odo::btree::media::testing {
namespace {

constexpr std::size_t kMaxPages = 64;

std::uint32_t page_bytes_of(std::uint8_t choice) {
  return std::uint32_t{256} << (choice % 3);
}

MutableBytes pages_of(std::uint8_t* data, std::size_t size) {
  const std::size_t page_bytes = page_bytes_of(data[0]);
  const std::size_t pages = std::min((size - 1) / page_bytes, kMaxPages);
  return {reinterpret_cast<std::byte*>(data + 1), pages * page_bytes};
}

void run(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> copy(data, data + size);
  const MutableBytes image = pages_of(copy.data(), size);
  if (image.empty()) return;
  MemoryPageStore store(page_bytes_of(data[0]), {image.begin(), image.end()});
  (void)exercise(store);
}

// A place in a page where something is decided.
std::size_t field(std::mt19937& random, const Shape& shape, std::byte* page) {
  const PageView view(shape, page);
  const std::uint32_t level = view.level() == 0 ? 0 : 1;
  const auto slot = static_cast<std::uint32_t>(random() % shape.slots(level));
  const std::uint32_t near = view.count() == 0 || random() % 4 == 0
                                 ? slot
                                 : slot % std::max(1U, view.count());
  const std::uint32_t entry = near % shape.slots(level);
  switch (random() % 10) {
    case 0:
      return offsetof(PageHeader, level);
    case 1:
      return offsetof(PageHeader, count);
    case 2:
      return offsetof(PageHeader, page);
    case 3:
      return offsetof(PageHeader, generation);
    case 4:
      return shape.low_at();
    case 5:
      return shape.high_at();
    case 6:
      return shape.keys_at() + entry * shape.key_bytes;
    case 7:
      return random() % (shape.page_bytes - 8);
    default:
      return shape.payloads_at(level) + entry * shape.payload_bytes(level) +
             8 * (random() % 3) * level;
  }
}

void store_near(std::mt19937& random, std::byte* at, std::size_t pages) {
  const auto old = load_le<std::uint64_t>(at);
  switch (random() % 6) {
    case 0:
      return store_le(at, old + 1);
    case 1:
      return store_le(at, old - 1);
    case 2:
      return store_le(at, std::uint64_t{random() % (pages + 2)});
    case 3:
      return store_le(at, static_cast<std::uint8_t>(random() % 8));
    case 4:
      return store_le(at, ~std::uint64_t{0} << (random() % 64));
    default:
      return store_le(at, old ^ (std::uint64_t{1} << (random() % 64)));
  }
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size,
                   unsigned seed) {
  std::mt19937 random(seed);
  if (size < 2 || random() % 6 == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const MutableBytes image = pages_of(data, size);
  const std::uint32_t page_bytes = page_bytes_of(data[0]);
  const std::size_t pages = image.size() / page_bytes;
  const auto shape = shape_of_image(image, page_bytes);
  if (pages < 3 || !shape) return LLVMFuzzerMutate(data, size, max_size);
  const auto any_page = [&] {
    return image.subspan(random() % pages * page_bytes, page_bytes);
  };
  for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
    const MutableBytes page = any_page();
    switch (random() % 8) {
      case 0: {  // the headers' numbers
        std::byte* header = image.data() + random() % 2 * page_bytes;
        store_near(random, header + 8 * (1 + random() % 12), pages);
        break;
      }
      case 1: {  // a page in another's place, as itself or as that one
        const MutableBytes from = any_page();
        const auto number =
            load_le<std::uint64_t>(page.data() + offsetof(PageHeader, page));
        std::memmove(page.data(), from.data(), page_bytes);
        if (random() % 2 == 0) {
          store_le(page.data() + offsetof(PageHeader, page), number);
        }
        break;
      }
      case 2: {  // bytes of one page into another
        const MutableBytes from = any_page();
        const std::size_t at = random() % page_bytes;
        const std::size_t length =
            std::min<std::size_t>(8 + random() % 64, page_bytes - at);
        std::memmove(page.data() + at, from.data() + at, length);
        break;
      }
      case 3:
        LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(page.data()),
                         page_bytes, page_bytes);
        break;
      default:
        store_near(random, page.data() + field(random, *shape, page.data()),
                   pages);
        break;
    }
  }
  if (random() % 8 != 0) {
    reseal(image, page_bytes,
           random() % 2 == 0 ? Generations::kCopy : Generations::kLeave);
  }
  return size;
}

}  // namespace
}  // namespace odo::btree::media::testing

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                               std::size_t size,
                                               std::size_t max_size,
                                               unsigned seed) {
  return odo::btree::media::testing::mutate(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size < 2) return 0;
  odo::btree::media::testing::run(data, size);
  return 0;
}
