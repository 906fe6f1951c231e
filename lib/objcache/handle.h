// SPDX-License-Identifier: BSD-3-Clause
// An object on loan: goes back to its cache when its holder does.
//
// Contexts: as the cache's put(). Not shared between threads without a lock.
// Ownership: the holder's, until release(). Must not outlive its cache.
// Failure: empty when the cache had nothing to give.
#pragma once

#include <utility>

#include "lib/base/check.h"

namespace odo::objcache {

template <class Cache>
class [[nodiscard]] Handle {
 public:
  using Object = typename Cache::Object;

  Handle() = default;
  Handle(Cache& cache, Object* object) : cache_(&cache), object_(object) {}
  Handle(Handle&& other) noexcept
      : cache_(other.cache_), object_(other.release()) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      cache_ = other.cache_;
      object_ = other.release();
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  explicit operator bool() const { return object_ != nullptr; }
  [[nodiscard]] Object* get() const { return object_; }
  Object& operator*() const {
    ODO_ASSERT(object_ != nullptr);
    return *object_;
  }
  Object* operator->() const {
    ODO_ASSERT(object_ != nullptr);
    return object_;
  }

  // Back to the cache now.
  void reset() {
    if (Object* object = release()) cache_->put(*object);
  }
  // From here on the caller's, who puts it back.
  [[nodiscard]] Object* release() { return std::exchange(object_, nullptr); }

 private:
  Cache* cache_ = nullptr;
  Object* object_ = nullptr;
};

}  // namespace odo::objcache
