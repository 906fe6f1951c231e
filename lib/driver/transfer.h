// SPDX-License-Identifier: BSD-3-Clause
// The loop of every driver of disks: data of any length become requests, of
// which as many are under way at once as the device takes, until all were
// answered or something went wrong.
//
// Contexts: thread, one caller at a time for one queue. Waits.
// Failure: see Outcome. After kDone and kFailed no request is under way; after
//   the others some may be, and the caller must stop the device before anyone
//   uses the memory again.
// Complexity: one turn for each answer or wait.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/driver/ground.h"

namespace odo::driver {

// What became of the front of the data.
struct Submitted {
  // kNoRoom: not now; kImpossible: never, as the device is.
  enum Outcome : std::uint8_t { kAdded, kNoRoom, kImpossible } outcome;
  std::size_t bytes = 0;
};

// What the answers that were there say together; the worst counts.
enum class Collected : std::uint8_t { kNothing, kSome, kFailure, kLie };

enum class Outcome : std::uint8_t {
  kDone,
  kFailed,   // the device refused a request, or could not do it
  kTimeout,  // no answer came within the limit
  kLie,      // an answer came that cannot be
};

template <class Q>
concept RequestQueue =
    requires(Q& queue, std::uint64_t offset_bytes, Bytes data) {
      // Prepares one request for the front of `data`, or for all of them if
      // there are none.
      { queue.submit(offset_bytes, data) } -> std::same_as<Submitted>;
      // Hands over what was submitted since the last call.
      { queue.publish() } -> std::same_as<void>;
      // Takes all answers that are there; never waits.
      { queue.collect() } -> std::same_as<Collected>;
      { queue.in_flight() } -> std::same_as<std::size_t>;
    };

// Each answer starts the limit anew.
template <RequestQueue Q, DriverGround G>
[[nodiscard]] Outcome transfer(Q& queue, G& ground, std::uint64_t offset_bytes,
                               Bytes data, std::uint32_t limit_ms) {
  bool has_failed = false;
  bool is_due = true;
  ground.begin_wait(limit_ms);
  while ((is_due && !has_failed) || queue.in_flight() != 0) {
    bool has_added = false;
    while (is_due && !has_failed) {
      const Submitted submitted = queue.submit(offset_bytes, data);
      if (submitted.outcome == Submitted::kNoRoom) break;
      if (submitted.outcome == Submitted::kImpossible) {
        has_failed = true;
        break;
      }
      has_added = true;
      offset_bytes += submitted.bytes;
      data = data.subspan(submitted.bytes);
      is_due = !data.empty();
    }
    if (has_added) queue.publish();
    switch (queue.collect()) {
      case Collected::kNothing:
        if (queue.in_flight() == 0 && has_failed) break;
        if (!ground.wait()) return Outcome::kTimeout;
        break;
      case Collected::kSome:
        ground.begin_wait(limit_ms);
        break;
      case Collected::kFailure:
        has_failed = true;
        break;
      case Collected::kLie:
        return Outcome::kLie;
    }
  }
  return has_failed ? Outcome::kFailed : Outcome::kDone;
}

}  // namespace odo::driver
