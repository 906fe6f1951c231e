// SPDX-License-Identifier: BSD-3-Clause
// Readers for threads that answer requests at the same time.
//
// A reader of HAMMER2 is for one thread at a time, so a request borrows one for
// as long as it takes. The blocks that they read are shared, and so are the
// images below: reading them keeps no state.
//
// Contexts: any thread.
// Invariants:
//   R1. a reader is borrowed by at most one thread.
//   R2. the reader given back last is lent first: one program reading at a time
//   meets one reader, whose buffers are warm, whichever thread serves it.
// Bounds: as reader.h.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "tools/h2/volume.h"
#include "tools/h2fuse/reader.h"

namespace odo::h2fuse {

class Readers {
 public:
  // `memory_bytes` are for the blocks of all of them.
  Readers(const std::shared_ptr<const h2::Images>& images, std::size_t count,
          std::size_t memory_bytes)
      : blocks_(memory_bytes, count) {
    for (std::size_t i = 0; i < count; ++i) {
      all_.push_back(std::make_unique<Reader>(images, blocks_.cache()));
      idle_.push_back(all_.back().get());
    }
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  class Loan {
   public:
    explicit Loan(Readers& from) : from_(from), reader_(from.take()) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { from_.give_back(reader_); }

    [[nodiscard]] Reader* operator->() const { return &reader_; }
    [[nodiscard]] Reader& operator*() const { return reader_; }

   private:
    Readers& from_;
    Reader& reader_;
  };

 private:
  [[nodiscard]] Reader& take() {
    std::unique_lock lock(mutex_);
    // There are as many readers as threads, so that nobody waits for long.
    returned_.wait(lock, [this] { return !idle_.empty(); });
    Reader* reader = idle_.back();
    idle_.pop_back();
    return *reader;
  }
  void give_back(Reader& reader) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(&reader);
    }
    returned_.notify_one();
  }

  Blocks blocks_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Reader>> all_;
  std::vector<Reader*> idle_;
};

}  // namespace odo::h2fuse
