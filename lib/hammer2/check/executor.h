// SPDX-License-Identifier: BSD-3-Clause
// Who does the part of a check that can be done side by side: reading blocks
// and proving them. The checker cuts that part into pieces; an executor says
// on how many workers and runs them.
//
// Contexts: thread. run() returns when every piece is done, and what the pieces
//   wrote is then visible to the caller. Pieces of one run() may overlap in
//   time, but no two with the same worker do; with more than one worker the
//   devices must bear concurrent reads.
#pragma once

#include <concepts>
#include <cstddef>

namespace odo::hammer2::audit {

namespace detail {
struct AnyPiece {
  void operator()(std::size_t piece, std::size_t worker) const;
};
struct AnyOther {
  void operator()() const;
};
}  // namespace detail

template <class E>
concept Executor =
    requires(E& executor, std::size_t pieces, const detail::AnyPiece& piece,
             const detail::AnyOther& meanwhile) {
      // How many workers there are, at least 1; constant.
      { executor.workers() } -> std::same_as<std::size_t>;
      // Calls piece(i, worker) once for each i below `pieces`, and meanwhile()
      // once in the caller's thread, at any time before it returns.
      { executor.run(pieces, piece, meanwhile) } -> std::same_as<void>;
    };

// The caller's own thread: all there is in a freestanding build.
class SerialExecutor {
 public:
  [[nodiscard]] static constexpr std::size_t workers() { return 1; }
  template <class Piece, class Meanwhile>
  void run(std::size_t pieces, const Piece& piece, const Meanwhile& meanwhile) {
    meanwhile();
    for (std::size_t i = 0; i < pieces; ++i) piece(i, std::size_t{0});
  }
};

static_assert(Executor<SerialExecutor>);

}  // namespace odo::hammer2::audit
