// SPDX-License-Identifier: BSD-3-Clause
// A part of a string that is there whatever the numbers say.
//
// Contexts: any; constexpr.
// Failure: none: what lies past the end is not part of the answer. (The
// standard's substr() throws there, and so drags a symbol for it into a kernel
// that has no exceptions.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace odo {

// Up to `count` characters of `text` from `from` on.
[[nodiscard]] constexpr std::string_view slice(
    std::string_view text, std::size_t from,
    std::size_t count = std::string_view::npos) {
  from = std::min(from, text.size());
  return {text.data() + from, std::min(count, text.size() - from)};
}

}  // namespace odo
