// SPDX-License-Identifier: BSD-3-Clause
// Changes containers as somebody would who knows the format: fields of
// structures, names, references and whole sub-trees; then seals what it has
// changed, so that a reader that proves check codes comes to see it.
//
// Contexts: fuzzers and tests; hosted, one thread.
// Ownership: refers to the source of random numbers and to the byte mutator.
// Failure: none. A container in which nothing is to be found keeps its bytes;
//   what mutate() answers is then false, and the caller does it in other ways.
// Determinism: the same container, seed and byte mutator give the same result.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/fields.h"
#include "fuzz/hammer2/topology.h"
#include "lib/base/bytes.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/freemap.h"

namespace odo::hammer2::fuzz {

class Mutator {
 public:
  // Changes bytes in place in some way of its own.
  using ByteMutator = std::function<void(MutableBytes)>;

  // Where changes go.
  enum class Focus : std::uint8_t { kAll, kHeaders };

  Mutator(std::uint32_t seed, ByteMutator bytes, Focus focus = Focus::kAll)
      : random_(seed), mutate_bytes_(std::move(bytes)), focus_(focus) {}

  // One to four changes. False where nothing could be changed.
  bool mutate(Container& container) {
    changed_.clear();
    bool any = false;
    for (std::size_t n = 1 + pick(4); n > 0; --n) {
      any = change(container) || any;
    }
    finish(container);
    return any;
  }

  // Takes a sub-tree of `from` into `to`, to the places it had, and has some
  // reference in `to` lead to it.
  bool splice(Container& to, Container& from) {
    changed_.clear();
    Topology there(from);
    Topology here(to);
    const std::size_t count = std::min(to.volumes.size(), from.volumes.size());
    if (there.refs().empty() || here.refs().empty()) return false;
    const Topology::Ref& root = any_of(there.refs());
    std::vector<std::size_t> left;
    if (root.child != Topology::kNone) left.push_back(root.child);
    std::vector<bool> taken(there.nodes().size());
    while (!left.empty()) {
      const std::size_t n = left.back();
      left.pop_back();
      const Topology::Node& node = there.nodes()[n];
      if (taken[n] || node.place.volume >= count) continue;
      taken[n] = true;
      write(to, node.place, there.content(node));
      for (const std::size_t r : node.refs) {
        const std::size_t child = there.refs()[r].child;
        if (child != Topology::kNone) left.push_back(child);
      }
    }
    const Blockref value = there.load(root);
    write(to, here.place_of(any_of(here.refs())), bytes_of(value));
    finish(to);
    return true;
  }

 private:
  // --- Chance ---------------------------------------------------------------

  std::size_t pick(std::size_t count) { return random_() % count; }
  bool one_in(std::size_t count) { return pick(count) == 0; }
  std::uint64_t word() {
    const std::uint64_t high = random_();
    return high << 32 | random_();
  }
  template <class T>
  const T& any_of(const std::vector<T>& values) {
    return values[pick(values.size())];
  }

  // A number that is near, or of some importance, or anything.
  std::uint64_t variant(std::uint64_t old, std::uint64_t small) {
    switch (pick(9)) {
      case 0:
        return old + 1;
      case 1:
        return old - 1;
      case 2:
        return old ^ std::uint64_t{1} << pick(64);
      case 3:
        return std::uint64_t{1} << pick(64);
      case 4:
        return (std::uint64_t{1} << pick(64)) - 1;
      case 5:
        return ~std::uint64_t{0} - pick(4);
      case 6:
        return 0;
      case 7:
        return one_in(2) ? word() : old + (std::uint64_t{1} << pick(40));
      default:
        return small != 0 ? pick(small) : old << 1;
    }
  }

  // --- Bytes ----------------------------------------------------------------

  void write(Container& container, const Place& place, Bytes bytes) {
    Volume& volume = container.volumes[place.volume];
    if (!range_inside(place.offset, bytes.size(), volume.size)) return;
    volume.bytes.write(place.offset, bytes);
    changed_.push_back({place.volume, place.offset, bytes.size()});
  }
  static std::vector<std::byte> read(const Container& container,
                                     const Place& place) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(place.length));
    container.volumes[place.volume].bytes.read(place.offset, bytes);
    return bytes;
  }

  void change_field(Container& container, Place at, const Field& field) {
    at.offset += field.offset;
    at.length = field.width;
    std::vector<std::byte> bytes = read(container, at);
    bytes.resize(8);
    store_le(bytes.data(),
             variant(load_le<std::uint64_t>(bytes.data()), field.small));
    write(container, at, Bytes(bytes).first(field.width));
  }
  template <std::size_t N>
  bool change_one_of(Container& container, const Place& at,
                     const std::array<Field, N>& fields) {
    change_field(container, at, fields[pick(N)]);
    return true;
  }

  // --- What to change -------------------------------------------------------

  bool change(Container& container) {
    const bool headers = focus_ == Focus::kHeaders;
    if (container.volumes.empty() || one_in(headers ? 4 : 24)) {
      return change_whole(container);
    }
    const Topology topology(container);
    if (topology.nodes().empty()) return false;
    if (headers && !one_in(4)) {
      const Topology::Node& node = any_of(topology.nodes());
      return change_block(container, topology, topology.header_of(node));
    }
    if (topology.refs().empty() || one_in(8)) {
      return change_block(container, topology, any_of(topology.nodes()));
    }
    const Topology::Ref& ref = any_of(topology.refs());
    switch (pick(8)) {
      case 0:
        return change_structure(container, topology, ref);
      case 1:
      case 2:
        return change_ref(container, topology, ref);
      case 3:
        return rename(container, topology, ref);
      default:
        return change_block(container, topology,
                            ref.child != Topology::kNone
                                ? topology.nodes()[ref.child]
                                : topology.nodes()[ref.parent]);
    }
  }

  // Devices and volumes.
  bool change_whole(Container& container) {
    std::vector<Volume>& volumes = container.volumes;
    const std::size_t choice = pick(6);
    if (choice == 0 || volumes.empty()) {
      container.knobs = static_cast<std::uint8_t>(random_());
      return true;
    }
    Volume& volume = volumes[pick(volumes.size())];
    switch (choice) {
      case 1:
        container.fail_after =
            static_cast<std::uint16_t>(one_in(2) ? 0 : 1 + pick(64));
        break;
      case 2:
        volume.size = variant(volume.size / Container::kSectorBytes, 0) %
                      (std::uint64_t{1} << 32) * Container::kSectorBytes;
        break;
      case 3:
        volume.size =
            std::max(volume.size >> (1 + pick(4)), std::uint64_t{1} << 16);
        break;
      case 4:
        std::swap(volume, volumes[pick(volumes.size())]);
        break;
      default:
        if (volumes.size() < 4 && one_in(2)) {
          const Volume copy = volume;
          volumes.push_back(copy);
        } else if (volumes.size() > 1) {
          volumes.pop_back();
        }
        break;
    }
    return true;
  }

  bool change_block(Container& container, const Topology& topology,
                    const Topology::Node& node) {
    switch (node.type) {
      case BlockType::kVolume:
        return one_in(4) ? rotate_header(container, node)
                         : change_one_of(container, node.place, kHeaderFields);
      case BlockType::kInode:
        if (node.place.length < sizeof(format::Inode)) return false;
        return change_inode(container, topology, node);
      case BlockType::kFreemapLeaf: {
        Place entry = node.place;
        entry.offset += pick(node.place.length / sizeof(format::BmapData)) *
                        sizeof(format::BmapData);
        return change_one_of(container, entry, kBmapFields);
      }
      case BlockType::kIndirect:
      case BlockType::kFreemapNode:
        if (node.refs.empty()) return false;
        return change_ref(container, topology,
                          topology.refs()[any_of(node.refs)]);
      default:
        return change_payload(container, node.place);
    }
  }

  bool change_inode(Container& container, const Topology& topology,
                    const Topology::Node& node) {
    Place place = node.place;
    place.length = sizeof(format::Inode);
    switch (pick(6)) {
      case 0: {  // its name
        std::string name = any_name();
        const auto length = static_cast<std::uint16_t>(name.size());
        name.resize(format::kInodeNameBytes);
        place.offset += offsetof(format::Inode, filename);
        write(container, place, std::as_bytes(std::span(name)));
        place.offset =
            node.place.offset + offsetof(format::InodeMeta, name_len);
        write(container, place, bytes_of(length));
        return true;
      }
      case 1: {  // what is embedded, or its references
        place.offset += offsetof(format::Inode, payload);
        place.length = format::kEmbeddedBytes;
        if (!node.refs.empty()) {
          return change_ref(container, topology,
                            topology.refs()[any_of(node.refs)]);
        }
        return one_in(2) ? change_payload(container, place)
                         : retarget_symlink(container, node.place);
      }
      default:
        return change_one_of(container, place, kInodeFields);
    }
  }

  bool retarget_symlink(Container& container, const Place& inode) {
    std::string target;
    for (std::size_t n = 1 + pick(6); n > 0; --n) {
      target += one_in(3) ? "/" : any_name().substr(0, 40);
    }
    target.resize(std::min<std::size_t>(target.size(), format::kEmbeddedBytes));
    const std::uint64_t size = target.size();
    Place at = inode;
    at.offset = inode.offset + offsetof(format::Inode, payload);
    write(container, at, std::as_bytes(std::span(target)));
    at.offset = inode.offset + offsetof(format::InodeMeta, size);
    write(container, at, bytes_of(size));
    return true;
  }

  // The bytes that aren't zero at a block's front, or some of them.
  bool change_payload(Container& container, const Place& place) {
    std::vector<std::byte> bytes = read(container, place);
    std::size_t used = bytes.size();
    while (used > 0 && bytes[used - 1] == std::byte{0}) --used;
    used = std::min(bytes.size(), used + pick(16));
    if (used == 0) return false;
    const std::size_t begin = one_in(2) ? 0 : pick(used);
    const std::size_t length = std::min<std::size_t>(used - begin, 64);
    const MutableBytes part = MutableBytes(bytes).subspan(begin, length);
    mutate_bytes_(part);
    write(container, {place.volume, place.offset + begin, length}, part);
    return true;
  }

  // One header in another's place, as older or newer.
  bool rotate_header(Container& container, const Topology::Node& node) {
    std::vector<std::byte> header = read(container, node.place);
    std::byte* tid = header.data() + offsetof(format::VolumeHeader, mirror_tid);
    store_le(tid, load_le<std::uint64_t>(tid) + 1 - pick(3));
    Place to = node.place;
    to.offset = pick(format::kVolumeHeaderCount) * format::kVolumeHeaderStride;
    write(container, to, header);
    return true;
  }

  // --- References -----------------------------------------------------------

  bool change_ref(Container& container, const Topology& topology,
                  const Topology::Ref& ref) {
    const Place at = topology.place_of(ref);
    Blockref value = topology.load(ref);
    switch (pick(8)) {
      case 0:
        value.methods =
            format::encode_methods(static_cast<format::CheckMethod>(pick(7)),
                                   static_cast<format::CompMethod>(pick(5)));
        break;
      case 1:
        value.data_off = value.offset() | pick(20);
        break;
      case 2:
        value.data_off += (pick(9) - std::uint64_t{4}) << format::kMinRadix;
        break;
      case 3: {
        const Blockref other = topology.load(any_of(topology.refs()));
        value.key = one_in(2) ? other.key : other.key + 1;
        break;
      }
      case 4:
        value.key &= ~std::uint64_t{0} << value.keybits % 64;
        break;
      default:
        if (value.type == BlockType::kDirent) {
          return change_one_of(container, at, kDirentFields);
        }
        return change_one_of(container, at, kRefFields);
    }
    write(container, at, bytes_of(value));
    return true;
  }

  // References in other places, and blocks in several.
  bool change_structure(Container& container, const Topology& topology,
                        const Topology::Ref& ref) {
    const Topology::Ref& other = any_of(topology.refs());
    const Blockref mine = topology.load(ref);
    Blockref theirs = topology.load(other);
    const Place at = topology.place_of(ref);
    switch (pick(6)) {
      case 0:  // the same sub-tree twice
        write(container, at, bytes_of(theirs));
        return true;
      case 1:  // under this one's key
        theirs.key = mine.key;
        theirs.keybits = mine.keybits;
        write(container, at, bytes_of(theirs));
        return true;
      case 2:  // change places
        write(container, at, bytes_of(theirs));
        write(container, topology.place_of(other), bytes_of(mine));
        return true;
      case 3:  // gone
        write(container, at, bytes_of(Blockref{}));
        return true;
      case 4: {  // a block into itself: no check code may be in the way
        const auto offset =
            topology.offset_of(topology.nodes()[ref.parent].place);
        if (!offset) return false;
        const Topology::Node& parent = topology.nodes()[ref.parent];
        Blockref loop = mine;
        loop.type = parent.type;
        loop.methods = 0;
        loop.data_off = *offset | static_cast<unsigned>(
                                      std::countr_zero(parent.place.length));
        write(container, at, bytes_of(loop));
        unseal_parents(container, topology, ref.parent);
        return true;
      }
      default:
        return insert(container, topology, ref);
    }
  }

  // What leads to `node` claims no check code any more.
  void unseal_parents(Container& container, const Topology& topology,
                      std::size_t node) {
    for (const Topology::Ref& ref : topology.refs()) {
      if (ref.child != node) continue;
      Place at = topology.place_of(ref);
      at.offset += offsetof(Blockref, methods);
      write(container, at, bytes_of(std::uint8_t{0}));
    }
  }

  // A copy of `ref` in the slot behind it, one key range further on.
  bool insert(Container& container, const Topology& topology,
              const Topology::Ref& ref) {
    Blockref value = topology.load(ref);
    const Place& parent = topology.nodes()[ref.parent].place;
    Place at = topology.place_of(ref);
    at.offset += sizeof(Blockref);
    if (at.offset + sizeof(Blockref) > parent.offset + parent.length) {
      return false;
    }
    value.key += std::uint64_t{1} << value.keybits % 64;
    write(container, at, bytes_of(value));
    return true;
  }

  // --- Names ----------------------------------------------------------------

  std::string any_name() {
    static constexpr std::array<std::string_view, 12> kNames = {
        ".",   "..",   "a/b",  "",     "DATA", "LOCAL",
        "dir", "file", "BOOT", "link", "self", "0x0000000000000400"};
    switch (pick(4)) {
      case 0:
        return std::string(1 + pick(256), static_cast<char>('a' + pick(26)));
      case 1: {
        std::string name(1 + pick(12), '\0');
        for (char& c : name) c = static_cast<char>(random_());
        return name;
      }
      default:
        return std::string(kNames[pick(kNames.size())]);
    }
  }

  // Another name for an entry, or the name that its key is made of.
  bool rename(Container& container, const Topology& topology,
              const Topology::Ref& ref) {
    Blockref value = topology.load(ref);
    const std::string name = any_name();
    if (value.type == BlockType::kDirent) {
      value.embed.dirent.name_len = static_cast<std::uint16_t>(name.size());
      if (name.size() <= format::kEmbeddedNameBytes) {
        value.check = {};
        std::copy(name.begin(), name.end(), value.check.name.begin());
      } else if (ref.child != Topology::kNone) {
        write(container, topology.nodes()[ref.child].place,
              std::as_bytes(std::span(name)));
      }
    } else if (value.type != BlockType::kInode) {
      return false;
    }
    if (!one_in(4)) value.key = format::dirhash(name) + pick(3);
    write(container, topology.place_of(ref), bytes_of(value));
    return true;
  }

  // --- Afterwards -----------------------------------------------------------

  // Puts references in order and seals, mostly.
  void finish(Container& container) {
    if (one_in(3)) sort_changed(container);
    if (!one_in(8)) Topology(container).seal(changed_);
  }

  // The references of blocks that were changed, in the order of their keys.
  void sort_changed(Container& container) {
    const Topology topology(container);
    for (const Topology::Node& node : topology.nodes()) {
      if (node.refs.size() < 2 || node.type == BlockType::kVolume) continue;
      const bool touched =
          std::any_of(changed_.begin(), changed_.end(),
                      [&](const Place& p) { return p.touches(node.place); });
      if (!touched) continue;
      std::vector<Blockref> values;
      values.reserve(node.refs.size());
      for (const std::size_t r : node.refs) {
        values.push_back(topology.load(topology.refs()[r]));
      }
      std::sort(
          values.begin(), values.end(),
          [](const Blockref& a, const Blockref& b) { return a.key < b.key; });
      for (std::size_t i = 0; i < values.size(); ++i) {
        write(container, topology.place_of(topology.refs()[node.refs[i]]),
              bytes_of(values[i]));
      }
    }
  }

  std::mt19937 random_;
  ByteMutator mutate_bytes_;
  Focus focus_;
  std::vector<Place> changed_;
};

}  // namespace odo::hammer2::fuzz
