// SPDX-License-Identifier: BSD-3-Clause
// The parts of writer.h that begin and end transactions, and the look-ups.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/btree/media/writer.h"

namespace odo::btree::media {

template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::create(const Shape& shape,
                                          std::uint64_t tree) {
  state_ = State::kClosed;
  if (!can_hold_tree(store_) || shape.page_bytes != store_.page_bytes() ||
      Shape::make(shape.page_bytes, shape.key_bytes, shape.value_bytes) !=
          shape) {
    return fail(Error{Code::kBadShape});
  }
  frames_.divide(shape.page_bytes);
  if (frames_.count() == 0) return fail(Error{Code::kNoFrames});
  ODO_TRY_VOID(store_.flush());
  RootHeader header{};
  if (const auto old = newest_header(store_, frames_.span(0)); old) {
    header.generation = old->generation;
  } else if (old.error().code != Code::kNoTree) {
    return fail(old.error());
  }
  header.magic = kHeaderMagic;
  header.version = kVersion;
  header.page_bytes = shape.page_bytes;
  header.key_bytes = static_cast<std::uint16_t>(shape.key_bytes);
  header.value_bytes = static_cast<std::uint16_t>(shape.value_bytes);
  header.tree = tree;
  // Both pages, the older first: no header of an old tree is left to be taken
  // for this one's.
  for (std::uint64_t i = 0; i < kHeaderPages; ++i) {
    if (header.generation >= kMaxGeneration) {
      return fail(Error{Code::kTooDeep});
    }
    ++header.generation;
    ODO_TRY_VOID(write_header(header));
  }
  shape_ = shape;
  adopt(header);
  return {};
}

template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::open() {
  state_ = State::kClosed;
  if (!can_hold_tree(store_)) return fail(Error{Code::kBadShape});
  frames_.divide(store_.page_bytes());
  if (frames_.count() == 0) return fail(Error{Code::kNoFrames});
  // A header that can be read but isn't durable yet must not be built upon: its
  // predecessor's pages would be reused.
  ODO_TRY_VOID(store_.flush());
  ODO_TRY(const RootHeader header, newest_header(store_, frames_.span(0)));
  shape_ =
      *Shape::make(header.page_bytes, header.key_bytes, header.value_bytes);
  adopt(header);
  return {};
}

template <PageStore S, std::size_t MaxFrames>
Result<bool> Writer<S, MaxFrames>::find(Bytes key, MutableBytes value) {
  ODO_TRY_VOID(ready());
  if (key.size() != shape_.key_bytes || value.size() != shape_.value_bytes) {
    return fail(Error{Code::kBadShape});
  }
  if (tree_.root.page == 0) return false;
  const Pins pins(frames_);
  ODO_TRY_VOID(descend(key.data()));
  const PageView leaf = view(path_[0].frame);
  const std::uint32_t i = leaf.lower(key.data());
  if (!leaf.is_at(i, key.data())) return false;
  copy_bytes(value, leaf.value(i));
  return true;
}

template <PageStore S, std::size_t MaxFrames>
Result<bool> Writer<S, MaxFrames>::lower_bound(Bytes key, MutableBytes found,
                                               MutableBytes value) {
  ODO_TRY_VOID(ready());
  if (key.size() != shape_.key_bytes || found.size() != shape_.key_bytes ||
      value.size() != shape_.value_bytes) {
    return fail(Error{Code::kBadShape});
  }
  if (tree_.root.page == 0) return false;
  const Pins pins(frames_);
  ODO_TRY_VOID(descend(key.data()));
  std::uint32_t i = view(path_[0].frame).lower(key.data());
  if (i == view(path_[0].frame).count()) {
    const PageView leaf = view(path_[0].frame);
    if (leaf.rightmost()) return false;
    // Leaves aren't empty: the next one's first entry is what is wanted.
    std::byte next[kMaxKeyBytes];
    copy_bytes(next, {leaf.high(), shape_.key_bytes});
    ODO_TRY_VOID(descend(next));
    i = 0;
  }
  const PageView leaf = view(path_[0].frame);
  copy_bytes(found, {leaf.key(i), shape_.key_bytes});
  copy_bytes(value, leaf.value(i));
  return true;
}

// Writes `header` to its page and makes it durable. All frames are clean.
template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::write_header(RootHeader& header) {
  const Pins pins(frames_);
  ODO_TRY(const std::uint32_t frame, take_frame());
  header.page = header.generation % kHeaderPages;
  header.page_count = store_.page_count();
  seal_header(header, frames_.span(frame));
  ODO_TRY_VOID(store_.write(header.page, frames_.span(frame)));
  return store_.flush();
}

template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::commit() {
  if (state_ != State::kInDoubt) {
    ODO_TRY_VOID(ready());
    if (!changed_) return {};
    if (generation() > kMaxGeneration) return fail(Error{Code::kTooDeep});
    for (std::uint32_t level = 0; level <= tree_.root_level; ++level) {
      for (std::uint32_t f = 0; f < frames_.count(); ++f) {
        if (frames_.dirty(f) && view(f).level() == level) {
          ODO_TRY_VOID(write_back(f));
        }
      }
    }
    if (const auto flushed = store_.flush(); !flushed) {
      // Pages that were written, and are no longer in a frame, may be lost.
      state_ = State::kMustAbort;
      return flushed;
    }
  }
  RootHeader header = header_;
  header.generation = generation();
  header.root = tree_.root;
  header.root_level = tree_.root_level;
  header.entries = tree_.entries;
  header.pages = tree_.pages;
  state_ = State::kInDoubt;
  ODO_TRY_VOID(write_header(header));
  adopt(header);
  store_.settle(Outcome::kCommitted);
  return {};
}

template <PageStore S, std::size_t MaxFrames>
Result<void> Writer<S, MaxFrames>::abort() {
  if (state_ != State::kMustAbort) ODO_TRY_VOID(ready());
  // Copies have taken the place of what was committed.
  frames_.clear();
  store_.settle(Outcome::kAborted);
  adopt(header_);
  return {};
}

}  // namespace odo::btree::media
