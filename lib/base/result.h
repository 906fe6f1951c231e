// SPDX-License-Identifier: BSD-3-Clause
// How every library here says "it worked, and this is the answer" or "it did
// not, and this is why": std::expected with a small error type per library.
//
// Contexts: any. Costs nothing beyond the error type; never throws (`.value()`
// does and is not used), never allocates.
//
// A library names its own error and then a one-argument alias:
//
//   namespace odo::codec {
//   enum class Error : std::uint8_t { kTruncated, kCorrupt, kNoRoom };
//   template <class T> using Result = odo::Result<T, Error>;
//   }
#pragma once

#include <expected>
#include <utility>

#include "lib/base/annotations.h"

namespace odo {

template <class T, class E>
using Result = std::expected<T, E>;

// `return odo::fail(Error::kCorrupt);` in a function that returns a Result.
template <class E>
[[nodiscard]] constexpr std::unexpected<std::decay_t<E>> fail(E&& error) {
  return std::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

}  // namespace odo

// ODO_TRY(auto x, f(...)): evaluates a Result once; on failure returns its
// error from the enclosing function, else declares or assigns `x` by move.
// ODO_TRY_VOID(f(...)): the same for Result<void, E>.
// Both are statement sequences: inside `if` or `for` they need braces.
// NOLINTBEGIN(bugprone-macro-parentheses): `target` may be a declaration.
#define ODO_TRY(target, expression)                                     \
  auto ODO_CAT(odo_try_, __LINE__) = (expression);                      \
  if (!ODO_CAT(odo_try_, __LINE__)) [[unlikely]] {                      \
    return ::odo::fail(std::move(ODO_CAT(odo_try_, __LINE__)).error()); \
  }                                                                     \
  target = *std::move(ODO_CAT(odo_try_, __LINE__))
// NOLINTEND(bugprone-macro-parentheses)

#define ODO_TRY_VOID(expression)                             \
  do {                                                       \
    auto odo_try_result = (expression);                      \
    if (!odo_try_result) [[unlikely]] {                      \
      return ::odo::fail(std::move(odo_try_result).error()); \
    }                                                        \
  } while (false)
