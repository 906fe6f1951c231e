// SPDX-License-Identifier: BSD-3-Clause
// SHA-256, and the 192-bit code that HAMMER2 folds from it.
//
//   check::Sha256Digest digest = check::sha256(bytes);
//   check::Sha256<> stream;                     // the same in pieces
//   stream.update(head).update(tail);
//   digest = stream.value();
//   check::Sha192Digest folded = check::fold_sha192(digest);
//
// Shapes: an *engine* takes whole 64-byte blocks into the eight-word state;
//   Sha256Portable is the integer one, vector/sha256_ni.h the instructions'.
//   checks.h chooses one at run time.
// Contexts: any, including interrupt and constant evaluation.
// Sizes: a stream is 112 bytes; the portable engine's stack about 100 bytes.
// Failure: none. Input is at most 2^61 - 1 bytes, as FIPS 180-4 has it.
// Cost: linear, 9 to 10 cycles a byte for the portable engine.
// Origin: FIPS 180-4 sections 4.1.2, 4.2.2, 5.1.1, 5.3.3 and 6.2. The fold is
//   hammer2_chain.c's: 64-bit word 3 is XORed into word 2 and dropped.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "lib/base/annotations.h"
#include "lib/base/bytes.h"

namespace odo::check {

using Sha256Digest = std::array<std::byte, 32>;
using Sha192Digest = std::array<std::byte, 24>;
using Sha256State = std::array<std::uint32_t, 8>;

inline constexpr std::size_t kSha256Block = 64;

template <class E>
concept Sha256Engine =
    requires(const E& engine, Sha256State& state, Bytes blocks) {
      { engine.compress(state, blocks) } -> std::same_as<void>;
    };

namespace detail {

inline constexpr Sha256State kSha256Start = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                             0xa54ff53a, 0x510e527f, 0x9b05688c,
                                             0x1f83d9ab, 0x5be0cd19};

alignas(64) inline constexpr std::array<std::uint32_t, 64> kSha256Rounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

}  // namespace detail

struct Sha256Portable {
  // `blocks` is a whole number of 64-byte blocks (asserted).
  static constexpr void compress(Sha256State& state, Bytes blocks) {
    ODO_ASSERT(blocks.size() % kSha256Block == 0);
    const std::byte* p = blocks.data();
    for (std::size_t n = blocks.size() / kSha256Block; n > 0; --n) {
      one_block(state, p);
      p += kSha256Block;
    }
  }

 private:
  using Word = std::uint32_t;

  // One round with the variables' roles rotated by the caller instead of moved:
  // only d and h change.
  ODO_ALWAYS_INLINE static constexpr void round(Word a, Word b, Word c, Word& d,
                                                Word e, Word f, Word g, Word& h,
                                                Word input) {
    const Word sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const Word choose = ((f ^ g) & e) ^ g;
    const Word t = h + sum1 + choose + input;
    const Word sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const Word majority = (a & b) | ((a | b) & c);
    d += t;
    h = t + sum0 + majority;
  }

  // The schedule's next word, in a ring of sixteen.
  ODO_ALWAYS_INLINE static constexpr Word expand(std::array<Word, 16>& w,
                                                 std::size_t i) {
    const Word w15 = w[(i + 1) % 16];
    const Word w2 = w[(i + 14) % 16];
    const Word s0 = std::rotr(w15, 7) ^ std::rotr(w15, 18) ^ (w15 >> 3);
    const Word s1 = std::rotr(w2, 17) ^ std::rotr(w2, 19) ^ (w2 >> 10);
    return w[i % 16] += s0 + w[(i + 9) % 16] + s1;
  }

  // `word(i)` is the schedule's word i of these sixteen. Indices are constants,
  // so that state and schedule can live in registers.
  template <class F>
  ODO_ALWAYS_INLINE static constexpr void sixteen_rounds(Sha256State& v,
                                                         std::size_t first,
                                                         F word) {
    auto [a, b, c, d, e, f, g, h] = v;
    const auto input = [&](std::size_t i) {
      return detail::kSha256Rounds[first + i] + word(i);
    };
    round(a, b, c, d, e, f, g, h, input(0));
    round(h, a, b, c, d, e, f, g, input(1));
    round(g, h, a, b, c, d, e, f, input(2));
    round(f, g, h, a, b, c, d, e, input(3));
    round(e, f, g, h, a, b, c, d, input(4));
    round(d, e, f, g, h, a, b, c, input(5));
    round(c, d, e, f, g, h, a, b, input(6));
    round(b, c, d, e, f, g, h, a, input(7));
    round(a, b, c, d, e, f, g, h, input(8));
    round(h, a, b, c, d, e, f, g, input(9));
    round(g, h, a, b, c, d, e, f, input(10));
    round(f, g, h, a, b, c, d, e, input(11));
    round(e, f, g, h, a, b, c, d, input(12));
    round(d, e, f, g, h, a, b, c, input(13));
    round(c, d, e, f, g, h, a, b, input(14));
    round(b, c, d, e, f, g, h, a, input(15));
    v = {a, b, c, d, e, f, g, h};
  }

  static constexpr void one_block(Sha256State& state, const std::byte* p) {
    std::array<Word, 16> w{};
    for (std::size_t i = 0; i < 16; ++i) w[i] = load_be<Word>(p + 4 * i);
    Sha256State v = state;
    sixteen_rounds(v, 0, [&w](std::size_t i) { return w[i]; });
    for (std::size_t first = 16; first < 64; first += 16) {
      sixteen_rounds(v, first, [&w](std::size_t i) { return expand(w, i); });
    }
    for (std::size_t i = 0; i < 8; ++i) state[i] += v[i];
  }
};

// An engine chosen at run time (see checks.h).
struct Sha256Function {
  void (*function)(Sha256State& state, Bytes blocks);

  constexpr void compress(Sha256State& state, Bytes blocks) const {
    function(state, blocks);
  }
};

// SHA-256 over bytes that come in pieces. value() may be asked at any point,
// and more bytes may follow.
template <Sha256Engine E = Sha256Portable>
class Sha256 {
 public:
  constexpr explicit Sha256(E engine = E{}) : engine_(engine) {}

  constexpr Sha256& update(Bytes bytes) {
    const std::size_t held = total_ % kSha256Block;
    total_ += bytes.size();
    if (held != 0) {
      const std::size_t room = kSha256Block - held;
      const std::size_t fill = room < bytes.size() ? room : bytes.size();
      hold(held, bytes.first(fill));
      if (fill < room) return *this;
      engine_.compress(state_, held_);
      bytes = bytes.subspan(fill);
    }
    const std::size_t whole = bytes.size() - bytes.size() % kSha256Block;
    if (whole != 0) engine_.compress(state_, bytes.first(whole));
    hold(0, bytes.subspan(whole));
    return *this;
  }

  [[nodiscard]] constexpr Sha256Digest value() const {
    // The padding: a one bit, zeros, and the length in bits, big-endian, in the
    // last eight bytes of a block.
    std::array<std::byte, 2 * kSha256Block> tail{};
    const std::size_t held = total_ % kSha256Block;
    for (std::size_t i = 0; i < held; ++i) tail[i] = held_[i];
    tail[held] = std::byte{0x80};
    const std::size_t size =
        held + 1 + 8 <= kSha256Block ? kSha256Block : 2 * kSha256Block;
    store_be<std::uint64_t>(tail.data() + size - 8, total_ * 8);
    Sha256State state = state_;
    engine_.compress(state, Bytes(tail).first(size));
    Sha256Digest digest{};
    for (std::size_t i = 0; i < 8; ++i) {
      store_be<std::uint32_t>(digest.data() + 4 * i, state[i]);
    }
    return digest;
  }

 private:
  constexpr void hold(std::size_t at, Bytes bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) held_[at + i] = bytes[i];
  }

  [[no_unique_address]] E engine_;
  Sha256State state_ = detail::kSha256Start;
  std::uint64_t total_ = 0;
  std::array<std::byte, kSha256Block> held_{};  // the first total_ % 64 count
};

// SHA-256 of one range.
template <Sha256Engine E = Sha256Portable>
[[nodiscard]] constexpr Sha256Digest sha256(Bytes bytes, E engine = E{}) {
  return Sha256<E>(engine).update(bytes).value();
}

// HAMMER2's "SHA-192".
[[nodiscard]] constexpr Sha192Digest fold_sha192(const Sha256Digest& digest) {
  Sha192Digest folded{};
  for (std::size_t i = 0; i < 24; ++i) folded[i] = digest[i];
  for (std::size_t i = 16; i < 24; ++i) folded[i] ^= digest[i + 8];
  return folded;
}

namespace detail {

inline constexpr std::array<std::byte, 3> kAbc = {
    std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
// FIPS 180-2 appendix B.1.
static_assert(load_be<std::uint64_t>(sha256(Bytes(kAbc)).data()) ==
              0xba7816bf8f01cfea);

}  // namespace detail

}  // namespace odo::check
