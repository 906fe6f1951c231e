// SPDX-License-Identifier: BSD-3-Clause
// Paths in trees that somebody made on purpose: whatever the names, links and
// directories are, a path leads where walking it step by step leads.
//
// Shape of an input: u16 length of the path (modulo 1024), the path, in which
// bytes from 0x80 on stand for the name of the n-th entry of the directory
// reached so far; then a container (fuzz/hammer2/container.h).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/custom_mutator.h"
#include "fuzz/hammer2/path_model.h"
#include "fuzz/hammer2/session.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"

namespace odo::hammer2::fuzz {

std::size_t container_offset(Bytes input) {
  const std::size_t length =
      read_le<std::uint16_t>(input, 0).value_or(0) % 1024;
  return std::min(input.size(), 2 + length);
}
Mutator::Focus mutation_focus() { return Mutator::Focus::kAll; }

namespace {

template <CheckPolicy Checks>
class Walker {
 public:
  using Fs = FileSystem<SparseDevice, Checks>;

  // An input that needs more reads than these isn't looked at.
  Walker(const Container& container, MutableBytes memory)
      : meter_{.max_reads = 20000, .max_bytes = std::uint64_t{64} << 20},
        devices_(container, meter_),
        memory_(memory) {
    if (container.fail_after != 0) meter_.max_reads = container.fail_after;
  }

  void run(Bytes path) {
    if (!fs_->open(devices_.all(), memory_)) return;
    Pfs pfs;
    if (!fs_->default_pfs(pfs)) {
      DirCursor cursor;
      const auto first = fs_->next_pfs(cursor, pfs);
      if (!first || !*first) return;
    }
    if (!fs_->root(pfs, root_)) return;
    const std::string text = spell(path);
    for (const FollowLast follow : {FollowLast::kYes, FollowLast::kNo}) {
      compare(root_, text, follow);
      // And from where the first half of it leads.
      Node start;
      const std::size_t half = text.size() / 2;
      if (fs_->resolve(root_, text.substr(0, half), FollowLast::kYes, start)) {
        compare(start, text.substr(half), follow);
      }
    }
  }

 private:
  std::string spell(Bytes path) {
    std::string text;
    for (const std::byte byte : path) {
      const auto c = std::to_integer<unsigned>(byte);
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else {
        add_name(text, c - 0x80);
      }
      if (text.size() > 6000) break;
    }
    return text;
  }
  void add_name(std::string& text, unsigned n) {
    Node at = root_;
    if (!text.empty() && !fs_->resolve(root_, text, FollowLast::kYes, at)) {
      return;
    }
    DirCursor cursor;
    DirEntry entry;
    for (unsigned i = 0; i <= n; ++i) {
      const auto more = fs_->read_directory(at, cursor, entry);
      if (!more || !*more) break;
    }
    if (!text.empty() && text.back() != '/') text += '/';
    text += entry.name();
  }

  void compare(const Node& start, const std::string& text, FollowLast follow) {
    Node found;
    const auto ours = fs_->resolve(start, text, follow, found);
    if (meter_.exhausted()) return;
    const auto expected = model_resolve(*fs_, root_, start, text, follow);
    if (meter_.exhausted()) return;
    if (!ours) check_told(ours.error());
    ODO_CHECK(ours.has_value() == expected.has_value());
    if (ours) {
      ODO_CHECK(found.inum() == expected->inum() &&
                found.ref.data_off == expected->ref.data_off &&
                found.attributes.type == expected->attributes.type);
    } else {
      ODO_CHECK(ours.error().code == expected.error().code);
    }
  }

  Meter meter_;
  Devices devices_;
  MutableBytes memory_;
  std::unique_ptr<Fs> fs_ = std::make_unique<Fs>(host_policy<Checks>());
  Node root_;
};

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo;                 // NOLINT: a file of one function
  using namespace odo::hammer2::fuzz;  // NOLINT
  static std::vector<std::byte> memory(
      hammer2::FileSystem<SparseDevice>::kMinMemoryBytes);
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const std::size_t front = container_offset(input);
  if (front < 2) return 0;
  const Container container = decode(input.subspan(front));
  const Bytes path = input.subspan(2, front - 2);
  if (container.believes()) {
    Walker<BelieveAll>(container, memory).run(path);
  } else {
    Walker<hammer2::VerifyChecks>(container, memory).run(path);
  }
  return 0;
}
