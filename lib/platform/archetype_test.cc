// SPDX-License-Identifier: BSD-3-Clause
#include "lib/platform/archetype.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <type_traits>

#include "lib/platform/concepts.h"
#include "lib/platform/spinlock.h"

namespace odo::platform {

// Every component of this folder, compiled over nothing but what it lists.
struct Ground : ArchetypeAtomics, ArchetypeRelax {};
template class SpinLock<Ground>;
template class SpinGuard<Ground>;

namespace {

constexpr std::memory_order kRelaxed = std::memory_order_relaxed;

// The archetype must lack what std::atomic adds, or it proves nothing.
using Number = ArchetypeAtomic<std::uint32_t>;
static_assert(!std::is_convertible_v<Number, std::uint32_t>);
static_assert(!std::is_copy_constructible_v<Number>);
static_assert(!std::is_assignable_v<Number&, std::uint32_t>);
template <class A>
concept HasDefaultOrder = requires(A& a) { a.load(); };
static_assert(!HasDefaultOrder<Number>);
template <class A>
concept CanIncrement = requires(A& a) { ++a; };
static_assert(!CanIncrement<Number>);
static_assert(AtomicOf<ArchetypeAtomic<bool>, bool>);
static_assert(!AtomicNumberOf<ArchetypeAtomic<bool>, bool>);
static_assert(!AtomicNumberOf<ArchetypeAtomic<void*>, void*>);

struct DefaultsAnOrder {
  std::uint32_t load() const { return 0; }
};
static_assert(!AtomicOf<DefaultsAnOrder, std::uint32_t>);

// A stateless platform costs a component no byte.
static_assert(sizeof(SpinLock<Ground>) == sizeof(std::uint32_t));

TEST(ArchetypeTest, AtomicsCountLikeOneThreadDoes) {
  Number number(5);
  EXPECT_EQ(number.fetch_add(3, kRelaxed), 5u);
  EXPECT_EQ(number.fetch_sub(1, kRelaxed), 8u);
  EXPECT_EQ(number.fetch_and(6, kRelaxed), 7u);
  EXPECT_EQ(number.fetch_or(9, kRelaxed), 6u);
  EXPECT_EQ(number.exchange(1, kRelaxed), 15u);
  std::uint32_t expected = 2;
  EXPECT_FALSE(number.compare_exchange_weak(expected, 7, kRelaxed, kRelaxed));
  EXPECT_EQ(expected, 1u);
  EXPECT_TRUE(number.compare_exchange_strong(expected, 7, kRelaxed, kRelaxed));
  EXPECT_EQ(number.load(kRelaxed), 7u);
}

}  // namespace
}  // namespace odo::platform
