// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/container_of.h"

#include <gtest/gtest.h>

namespace odo {
namespace {

struct Base {
  long padding = 0;
  int first = 0;
};
struct Derived : Base {
  virtual ~Derived() = default;
  char text[3] = {};
  int second = 0;
};

TEST(ContainerOfTest, FindsTheObjectFromAnyMember) {
  Derived object;
  EXPECT_EQ(container_of(&object.second, &Derived::second), &object);
  EXPECT_EQ(container_of(&object.text, &Derived::text), &object);
  EXPECT_EQ(container_of(&object.padding, &Base::padding), &object);
  EXPECT_EQ((container_of<Derived, int>(&object.first, &Derived::first)),
            &object);
}

}  // namespace
}  // namespace odo
