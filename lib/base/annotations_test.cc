// SPDX-License-Identifier: BSD-3-Clause
#include "lib/base/annotations.h"

#include <gtest/gtest.h>

namespace odo {
namespace {

// A lock, its guard and what it guards, with every word in use: that this
// compiles, with clang's analysis as errors where the build asks for it, is
// most of the test.
class ODO_CAPABILITY("toy lock") ToyLock {
 public:
  void lock() ODO_ACQUIRE() { held_ = true; }
  void unlock() ODO_RELEASE() { held_ = false; }
  bool try_lock() ODO_TRY_ACQUIRE(true) {
    if (held_) return false;
    held_ = true;
    return true;
  }
  void lock_shared() ODO_ACQUIRE_SHARED() { held_ = true; }
  void unlock_shared() ODO_RELEASE_SHARED() { held_ = false; }
  bool held() const { return held_; }

 private:
  bool held_ = false;
};

class ODO_SCOPED_CAPABILITY ToyGuard {
 public:
  explicit ToyGuard(ToyLock& lock) ODO_ACQUIRE(lock) : lock_(lock) {
    lock_.lock();
  }
  ~ToyGuard() ODO_RELEASE() { lock_.unlock(); }

 private:
  ToyLock& lock_;
};

class Account {
 public:
  void put(int amount) ODO_EXCLUDES(lock) {
    ToyGuard guard(lock);
    add(amount);
  }
  int read() ODO_REQUIRES_SHARED(lock) { return balance_; }
  int peek() const ODO_NO_THREAD_SAFETY_ANALYSIS { return balance_; }

  ToyLock lock;

 private:
  ODO_ALWAYS_INLINE void add(int amount) ODO_REQUIRES(lock) {
    balance_ += amount;
  }
  int balance_ ODO_GUARDED_BY(lock) = 0;
};

ODO_NOINLINE ODO_MAY_BLOCK int ODO_CAT(odo_, ODO_CAT(cat, 3))() { return 3; }

TEST(AnnotationsTest, AnnotatedCodeStillWorks) {
  Account account;
  account.put(5);
  EXPECT_FALSE(account.lock.held());
  account.lock.lock_shared();
  EXPECT_EQ(account.read(), 5);
  account.lock.unlock_shared();
  EXPECT_EQ(account.peek(), 5);
  EXPECT_EQ(odo_cat3(), 3);
}

}  // namespace
}  // namespace odo
