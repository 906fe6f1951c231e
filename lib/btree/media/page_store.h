// SPDX-License-Identifier: BSD-3-Clause
// What a tree on media asks of the thing that stores its pages.
//
// Contexts: thread; a store serves one caller at a time, and any call but the
//   first two may put it to sleep (ODO_MAY_BLOCK).
// Ownership: the caller owns store and buffers; no reference to a buffer is
//   kept after a call has returned.
// Failure: Error with the code that Code's comments name and the page. A failed
//   read leaves the buffer unspecified; a failed write, the page: its old
//   bytes, its new ones or a mixture, now and after a power cut. Whether writes
//   before a failed flush are durable is unknown.
#pragma once

#include <concepts>
#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/btree/media/error.h"

namespace odo::btree::media {

// Enough to read a tree.
template <class S>
concept PageSource =
    requires(S& store, const S& constant, std::uint64_t page, MutableBytes to) {
      // Constant over the store's life; a power of two.
      { constant.page_bytes() } -> std::same_as<std::uint32_t>;
      // Pages are numbered from 0; may grow, never shrinks.
      { constant.page_count() } -> std::same_as<std::uint64_t>;
      // Fills `to`, of page_bytes(), with the bytes last written to `page`. Any
      // number may be asked; one not below page_count() fails.
      { store.read(page, to) } -> std::same_as<Result<void>>;
    };

// How a transaction ended.
enum class Outcome : std::uint8_t { kCommitted, kAborted };

// And to change it. Which pages are free is the store's own knowledge: it may
// keep it on the medium, or learn it from Reader::verify() after opening.
template <class S>
concept PageStore = PageSource<S> && requires(S& store, std::uint64_t page,
                                              Bytes from, Outcome outcome) {
  // Order between writes is kept by flush() alone.
  { store.write(page, from) } -> std::same_as<Result<void>>;
  // All writes before are durable once it has answered well.
  { store.flush() } -> std::same_as<Result<void>>;
  // A page that neither the committed tree nor this transaction uses.
  { store.allocate() } -> std::same_as<Result<std::uint64_t>>;
  // This transaction needs the page no longer. One that it allocated itself is
  // free at once; a page of the committed tree stays as it is until
  // settle(kCommitted), as a power cut before brings that tree back.
  { store.release(page) } -> std::same_as<void>;
  // kCommitted: the header that commits the transaction is durable.
  // kAborted: as though nothing had been allocated or released since the last.
  { store.settle(outcome) } -> std::same_as<void>;
};

}  // namespace odo::btree::media
