// SPDX-License-Identifier: BSD-3-Clause
#include "lib/check/sha256.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/check/vector/host_cpu.h"
#include "lib/check/vector/sha256_ni.h"

namespace odo::check {
namespace {

std::vector<Sha256Function> engines() {
  std::vector<Sha256Function> all = {{&Sha256Portable::compress}};
  if (host_features().sha_instructions) {
    all.push_back({&Sha256Instructions::compress});
  }
  return all;
}

Sha256Digest openssl(Bytes bytes) {
  Sha256Digest digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(),
             reinterpret_cast<unsigned char*>(digest.data()), &size,
             EVP_sha256(), nullptr);
  return digest;
}

Bytes bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::vector<std::byte> noise(std::size_t size) {
  std::mt19937_64 random(21);
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// FIPS 180-2 appendix B, and the empty message of NIST's CAVP short messages.
TEST(Sha256Test, AnswersTheStandardsExamples) {
  const std::string million(1000000, 'a');
  for (const Sha256Function engine : engines()) {
    EXPECT_EQ(
        hex(sha256({}, engine)),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(
        hex(sha256(bytes_of_text("abc"), engine)),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(
        hex(sha256(bytes_of_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmn"
                                 "lmnomnopnopq"),
                   engine)),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(
        hex(sha256(bytes_of_text(million), engine)),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST(Sha256Test, AgreesAtEveryLengthAndAlignment) {
  const auto bytes = noise(400);
  for (const Sha256Function engine : engines()) {
    for (std::size_t size = 0; size <= 300; ++size) {
      const Bytes range = Bytes(bytes).subspan(size % 16, size);
      ASSERT_EQ(sha256(range, engine), openssl(range)) << size;
    }
    for (std::size_t at = 0; at < 16; ++at) {
      const Bytes range = Bytes(bytes).subspan(at, 256);
      ASSERT_EQ(sha256(range, engine), openssl(range)) << at;
    }
  }
}

TEST(Sha256Test, PiecesGiveTheCodeOfTheWhole) {
  const auto bytes = noise(400);
  for (const Sha256Function engine : engines()) {
    for (std::size_t first = 0; first <= 140; ++first) {
      for (std::size_t second = 0; second <= 140; second += 3) {
        Sha256<Sha256Function> stream(engine);
        stream.update(Bytes(bytes).first(first));
        stream.update(Bytes(bytes).subspan(first, second));
        stream.update(Bytes(bytes).subspan(first + second, 70));
        ASSERT_EQ(stream.value(),
                  openssl(Bytes(bytes).first(first + second + 70)))
            << first << ' ' << second;
      }
    }
  }
}

TEST(Sha256Test, ValueLeavesTheStreamGoing) {
  const auto bytes = noise(200);
  Sha256<> stream;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    ASSERT_EQ(stream.value(), openssl(Bytes(bytes).first(i)));
    stream.update(Bytes(bytes).subspan(i, 1));
  }
}

// Past 2^29 bytes the length in bits no longer fits in 32 bits.
TEST(Sha256Test, CountsBeyondFourGibibits) {
  const std::vector<std::byte> chunk(std::size_t{1} << 20, std::byte{0x5a});
  EVP_MD_CTX* const reference = EVP_MD_CTX_new();
  EVP_DigestInit_ex(reference, EVP_sha256(), nullptr);
  Sha256<Sha256Function> stream(engines().back());
  for (int i = 0; i < 513; ++i) {
    stream.update(chunk);
    EVP_DigestUpdate(reference, chunk.data(), chunk.size());
  }
  Sha256Digest expected{};
  EVP_DigestFinal_ex(
      reference, reinterpret_cast<unsigned char*>(expected.data()), nullptr);
  EVP_MD_CTX_free(reference);
  EXPECT_EQ(stream.value(), expected);
}

TEST(Sha256Test, FoldsWordThreeIntoWordTwo) {
  const Sha256Digest digest = sha256(bytes_of_text("abc"));
  const Sha192Digest folded = fold_sha192(digest);
  std::uint64_t words[4];
  for (std::size_t i = 0; i < 4; ++i) {
    words[i] = load_le<std::uint64_t>(digest.data() + 8 * i);
  }
  EXPECT_EQ(load_le<std::uint64_t>(folded.data()), words[0]);
  EXPECT_EQ(load_le<std::uint64_t>(folded.data() + 8), words[1]);
  EXPECT_EQ(load_le<std::uint64_t>(folded.data() + 16), words[2] ^ words[3]);
}

}  // namespace
}  // namespace odo::check
