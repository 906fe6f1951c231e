// SPDX-License-Identifier: BSD-3-Clause
// A slab: objects of one class, and which of them are free.
//
// The free ones are bits, in the chunk's header and not in the objects: to take
// a batch or to give one back touches no object, and what somebody writes to
// freed memory breaks nothing here.
//
// Contexts: the owning lane's, but for free_from_afar().
// Invariants:
//   S1. an object is given out, or its free bit is set, or its remote bit is;
//   S2. a slab is on its class's list if any of its free bits is set; `out`
//       counts the other objects, those with remote bits among them, and those
//       whose bits were taken but that have yet to be counted in `coming`: as
//       long as one who frees from afar is not done, the slab stays what it is;
//   S3. a slab with a remote bit is on its owner's list of told ones, or
//       somebody is about to count that bit, or to put the slab there.
// Ordering: KF: the bit's fetch_or releases what was done to the object, the
//   owner's exchange acquires it.
//   KT: `coming` is changed by read-modify-writes alone, acq_rel: the owner's
//   clearing sees the bits of all whom it counts. Who finds none there puts the
//   slab on the list, which comes after the owner's taking it off; the others
//   are done with it.
// Failure: an object freed twice, or an address inside one, is a fault.
// Complexity: take and harvest: one step for each word and each object.
// Origin: own; a bit for each object as in jemalloc's slabs, from afar too.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/base/bits.h"
#include "lib/kmalloc/chunk.h"
#include "lib/kmalloc/size_class.h"

namespace odo::kmalloc {

// Where a slab's objects lie, by value: what loops over many of them keep at
// hand, whatever else they write to.
class SlabPlaces {
 public:
  SlabPlaces(const std::byte* start, const ClassInfo& info)
      : start_(start),
        end_bytes_(info.units * kUnitBytes),
        first_bytes_(info.first_bytes),
        bytes_(info.bytes),
        reciprocal_(info.reciprocal),
        objects_(info.objects) {}

  // Whether an address lies in the slab.
  [[nodiscard]] bool holds(const void* object) const {
    return offset_of(object) < end_bytes_;
  }
  // Which object begins there; false if none does, in the slab or elsewhere.
  [[nodiscard]] bool index_of(const void* object, std::size_t& index) const {
    const std::uint64_t offset = offset_of(object) - first_bytes_;
    // Exact for beginnings: the offset is below 2^18, the reciprocal's error
    // below 1, and so the quotient's below 2^-14. Of an address elsewhere the
    // quotient may be anything, but not times the size that offset.
    index = static_cast<std::size_t>(offset * reciprocal_ >> 32);
    return index < objects_ && index * bytes_ == offset;
  }

 private:
  [[nodiscard]] std::uint64_t offset_of(const void* object) const {
    return reinterpret_cast<std::uintptr_t>(object) -
           reinterpret_cast<std::uintptr_t>(start_);
  }

  const std::byte* start_;
  std::uint64_t end_bytes_;
  std::uint64_t first_bytes_;
  std::uint64_t bytes_;
  std::uint64_t reciprocal_;
  std::uint64_t objects_;
};

template <KmallocPlatform P>
class Slab {
 public:
  using Fields = SlabFields<P>;
  using Chunk = SlabChunk<P>;
  using RemoteBits = typename Chunk::RemoteBits;

  explicit Slab(Fields& fields)
      : fields_(&fields),
        chunk_(&static_cast<Chunk&>(ChunkFront<P>::of(&fields))),
        info_(kIsGuarded<P> ? &kGuardedClassInfo[fields.cls]
                            : &kClassInfo[fields.cls]) {}
  // Of an object that is given out.
  [[nodiscard]] static Slab of(const void* object) {
    auto& chunk = static_cast<Chunk&>(ChunkFront<P>::of(object));
    const unsigned unit = ChunkFront<P>::unit_of(object);
    return Slab(chunk.slabs[chunk.first_unit[unit]]);
  }

  [[nodiscard]] Fields& fields() const { return *fields_; }
  [[nodiscard]] Chunk& chunk() const { return *chunk_; }
  [[nodiscard]] const ClassInfo& info() const { return *info_; }
  [[nodiscard]] std::byte* start() const {
    return chunk_->unit_at(fields_->unit);
  }

  // Fresh units become a slab of this class, all of it free.
  static Slab make(Chunk& chunk, unsigned unit, std::uint32_t cls,
                   Lane<P>& owner) {
    Fields& fields = chunk.slabs[unit];
    fields.cls = static_cast<std::uint8_t>(cls);
    fields.out = 0;
    fields.first_word = 0;
    fields.owner = &owner;
    const Slab slab(fields);
    for (unsigned u = unit; u < unit + slab.info_->units; ++u) {
      chunk.first_unit[u] = static_cast<std::uint8_t>(unit);
      chunk.info[u] = cls;
    }
    std::uint64_t* bits = slab.free_bits();
    std::size_t left = slab.info_->objects;
    for (std::size_t i = 0; i < slab.words(); ++i) {
      const std::size_t here = left < 64 ? left : 64;
      bits[i] = here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
      left -= here;
      std::construct_at(&slab.remote_bits()[i], std::uint64_t{0});
    }
    return slab;
  }
  // The other way, when nothing is out.
  void unmake() const {
    std::destroy_n(remote_bits(), words());
    for (unsigned u = fields_->unit; u < fields_->unit + info_->units; ++u) {
      chunk_->info[u] = ChunkFront<P>::kNoSlab;
    }
  }

  // Up to `most` free objects: the one of the lowest address goes to end[-1],
  // the next before that. How many.
  std::size_t take(void** end, std::size_t most) const {
    std::uint64_t* bits = free_bits();
    std::byte* first = start() + info_->first_bytes;
    const std::size_t bytes = info_->bytes;
    std::size_t taken = 0;
    std::size_t word = fields_->first_word;
    for (const std::size_t last = words(); word < last; ++word) {
      std::uint64_t here = bits[word];
      while (here != 0 && taken < most) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(here));
        here &= here - 1;
        *--end = first + (word * 64 + bit) * bytes;
        ++taken;
      }
      bits[word] = here;
      if (here != 0) break;
    }
    fields_->first_word = static_cast<std::uint16_t>(word);
    fields_->out = static_cast<std::uint32_t>(fields_->out + taken);
    return taken;
  }
  [[nodiscard]] bool is_spent() const { return fields_->first_word == words(); }

  // Takes objects back, up to the first that is not in this slab; how many. If
  // one can't be right, those before it, and its address in `wrong`.
  std::size_t give_back(void* const* objects, std::size_t count,
                        const void*& wrong) const {
    const SlabPlaces places = this->places();
    std::uint64_t* bits = free_bits();
    std::size_t lowest = fields_->first_word;
    std::size_t done = 0;
    for (; done < count; ++done) {
      std::size_t index = 0;
      if (!places.index_of(objects[done], index)) {
        if (places.holds(objects[done])) [[unlikely]]
          wrong = objects[done];
        break;
      }
      std::uint64_t& word = bits[index / 64];
      const std::uint64_t bit = std::uint64_t{1} << (index % 64);
      if ((word & bit) != 0) [[unlikely]] {
        wrong = objects[done];
        break;
      }
      word |= bit;
      if (index / 64 < lowest) lowest = index / 64;
    }
    fields_->first_word = static_cast<std::uint16_t>(lowest);
    fields_->out = static_cast<std::uint32_t>(fields_->out - done);
    return done;
  }

  // What lies behind the last object's last page.
  [[nodiscard]] std::byte* guard() const {
    return start() + align_up(info_->first_bytes +
                                  std::size_t{info_->objects} * info_->bytes,
                              kPageBytes);
  }
  [[nodiscard]] std::size_t guard_bytes() const {
    return static_cast<std::size_t>(start() + info_->units * kUnitBytes -
                                    guard());
  }

  // From another lane: the bits of one word; those that were set already. KF.
  [[nodiscard]] std::uint64_t free_from_afar(std::size_t word,
                                             std::uint64_t bits) const {
    return remote_bits()[word].fetch_or(bits, std::memory_order_release) & bits;
  }
  // Then, of how many objects those were: true if the caller has to tell the
  // owner. If not, the slab may be gone already. KT.
  [[nodiscard]] bool is_first_to_tell(std::uint32_t count) const {
    return fields_->coming.fetch_add(count, std::memory_order_acq_rel) == 0;
  }
  // By the owner, who was told: what was freed from afar is free.
  void harvest() const {
    const std::uint32_t count =
        fields_->coming.exchange(0, std::memory_order_acq_rel);  // KT
    std::uint64_t* bits = free_bits();
    RemoteBits* remote = remote_bits();
    for (std::size_t i = 0; i < words(); ++i) {
      // A look first: most words have nothing.
      if (remote[i].load(std::memory_order_relaxed) == 0) continue;
      const std::uint64_t freed =
          remote[i].exchange(0, std::memory_order_acquire);  // KF
      bits[i] |= freed;
      lower_first_word(i);
    }
    // Not the bits' number: some may not be counted yet, or were taken before.
    fields_->out = fields_->out - count;
  }

  [[nodiscard]] SlabPlaces places() const { return {start(), *info_}; }
  // The first one of some bits.
  [[nodiscard]] const void* object_at(std::size_t word,
                                      std::uint64_t bits) const {
    const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
    return start() + info_->first_bytes + (word * 64 + bit) * info_->bytes;
  }
  // Which one it is; false if it is not the beginning of one.
  [[nodiscard]] bool index_of(const void* object, std::size_t& index) const {
    return places().index_of(object, index);
  }

 private:
  [[nodiscard]] std::size_t words() const {
    return (info_->objects + std::size_t{63}) / 64;
  }
  void lower_first_word(std::size_t word) const {
    if (word < fields_->first_word) {
      fields_->first_word = static_cast<std::uint16_t>(word);
    }
  }
  [[nodiscard]] std::uint64_t* free_bits() const {
    if (info_->first_bytes != 0) [[unlikely]] {
      return reinterpret_cast<std::uint64_t*>(start());
    }
    return chunk_->free_bits[fields_->unit];
  }
  [[nodiscard]] RemoteBits* remote_bits() const {
    if (info_->first_bytes != 0) [[unlikely]] {
      return reinterpret_cast<RemoteBits*>(start()) + kBitWordsInFront;
    }
    return reinterpret_cast<RemoteBits*>(chunk_->remote_room[fields_->unit]);
  }

  Fields* fields_;
  Chunk* chunk_;
  const ClassInfo* info_;
};

}  // namespace odo::kmalloc
