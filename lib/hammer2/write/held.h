// SPDX-License-Identifier: BSD-3-Clause
// An inode that is held until this goes out of scope.
//
// Contexts: as Volume.
// Ownership: refers to the volume, and takes over one hold.
#pragma once

#include <utility>

#include "lib/hammer2/write/volume.h"

namespace odo::hammer2::write {

template <Ground G>
class Held {
 public:
  Held(Volume<G>& volume, OpenInode* inode) : volume_(&volume), inode_(inode) {}
  Held(Held&& other) noexcept
      : volume_(other.volume_), inode_(std::exchange(other.inode_, nullptr)) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(volume_, other.volume_);
    std::swap(inode_, other.inode_);
    return *this;
  }
  ~Held() {
    if (inode_ != nullptr) volume_->release(*inode_);
  }

  [[nodiscard]] OpenInode& operator*() const { return *inode_; }
  // Gives the hold to the caller.
  [[nodiscard]] OpenInode* take() { return std::exchange(inode_, nullptr); }

 private:
  Volume<G>* volume_;
  OpenInode* inode_;
};

}  // namespace odo::hammer2::write
