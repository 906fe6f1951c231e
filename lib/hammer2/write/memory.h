// SPDX-License-Identifier: BSD-3-Clause
// An array of a size that is known when it is made, in memory of the ground.
//
// Contexts: as the ground's.
// Failure: init() tells when there is no memory; the array is then empty.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>

#include "lib/base/check.h"
#include "lib/hammer2/error.h"

namespace odo::hammer2::write {

[[nodiscard]] constexpr Error no_memory(std::size_t bytes) {
  Error error{.code = Code::kOutOfMemory};
  error.bytes = static_cast<std::uint32_t>(bytes);
  return error;
}

template <class G, class T>
class Array {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  Array() = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { clear(); }

  // `count` elements, as T{} makes them; what was there is gone.
  [[nodiscard]] Result<void> init(G& ground, std::size_t count) {
    clear();
    if (count == 0) return {};
    void* memory = ground.allocate(count * sizeof(T), kAlign);
    if (memory == nullptr) return fail(no_memory(count * sizeof(T)));
    data_ = static_cast<T*>(memory);
    for (std::size_t i = 0; i < count; ++i) ::new (data_ + i) T{};
    size_ = count;
    ground_ = &ground;
    return {};
  }
  void clear() {
    if (data_ != nullptr) {
      ground_->deallocate(data_, size_ * sizeof(T), kAlign);
    }
    data_ = nullptr;
    size_ = 0;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T& operator[](std::size_t i) {
    ODO_ASSERT(i < size_);
    return data_[i];
  }
  [[nodiscard]] const T& operator[](std::size_t i) const {
    ODO_ASSERT(i < size_);
    return data_[i];
  }
  [[nodiscard]] std::span<T> span() { return {data_, size_}; }
  [[nodiscard]] std::span<const T> span() const { return {data_, size_}; }
  [[nodiscard]] T* begin() { return data_; }
  [[nodiscard]] T* end() { return data_ + size_; }

 private:
  static constexpr std::size_t kAlign = alignof(T) < 64 ? 64 : alignof(T);

  G* ground_ = nullptr;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace odo::hammer2::write
