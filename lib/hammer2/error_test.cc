// SPDX-License-Identifier: BSD-3-Clause
#include "lib/hammer2/error.h"

#include <array>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace odo::hammer2 {
namespace {

std::string line(const Error& error) {
  std::array<char, kErrorTextBytes> buffer;
  return std::string(error_text(error, buffer));
}

TEST(ErrorTest, Lines) {
  format::Blockref ref = {};
  ref.type = format::BlockType::kData;
  ref.methods = 0x40;
  ref.data_off = 0x9060000 | 10;
  EXPECT_EQ(line(error_at(Code::kCheckMismatch, ref, 1936)),
            "check code mismatch: data block at 0x9060000 (1 KiB, sha192) of "
            "inode 1936 key 0x0");
  ref.data_off = 0;
  ref.key = 0x10000;
  EXPECT_EQ(line(error_at(Code::kBadBlockSize, ref)),
            "impossible block size: data block at 0x0 key 0x10000");

  Error small{.code = Code::kDeviceTooSmall};
  small.type = format::BlockType::kVolume;
  small.offset = 0;
  small.found = 4194304;
  small.expected = 2147483648;
  EXPECT_EQ(line(small),
            "device is smaller than its volume (truncated image?): volume "
            "header at 0x0: 4 MiB, needs 2048 MiB");
  EXPECT_EQ(line(Error{.code = Code::kNotFound}), "no such file or directory");

  Error missing{.code = Code::kVolumeMissing};
  missing.found = 1;
  missing.expected = 3;
  EXPECT_EQ(line(missing),
            "wrong number of volumes: 1 given, filesystem has 3");

  Error device{.code = Code::kDeviceError};
  device.device = block::Error::kIo;
  device.volume = 2;
  EXPECT_EQ(line(device), "device error (the transfer failed) on volume 2");
}

TEST(ErrorTest, TextIsCutToTheBuffer) {
  const Error error{.code = Code::kNoDefaultPfs};
  const std::string whole = line(error);
  for (std::size_t n = 0; n < whole.size() + 5; ++n) {
    std::string buffer(n, '#');
    EXPECT_EQ(error_text(error, buffer), whole.substr(0, n));
  }
}

TEST(ErrorTest, LongestLineFits) {
  Error error{.code = Code::kMissingInode};
  error.type = format::BlockType::kInvalid;
  error.check = static_cast<format::CheckMethod>(9);
  error.bytes = 65535;
  error.volume = 63;
  error.offset = error.key = error.inum = error.found = error.expected =
      Error::kUnknown - 1;
  for (int code = 0; code <= static_cast<int>(Code::kTooDeep); ++code) {
    error.code = static_cast<Code>(code);
    EXPECT_LT(line(error).size(), kErrorTextBytes);
  }
}

TEST(ErrorTest, EveryCodeHasWordsOfItsOwn) {
  std::set<std::string_view> seen;
  const int count = static_cast<int>(Code::kTooDeep) + 1;
  for (int code = 0; code < count; ++code) {
    seen.insert(to_string(static_cast<Code>(code)));
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(kind_of(Code::kNoMemory), ErrorKind::kRequest);
  EXPECT_EQ(kind_of(Code::kDeviceError), ErrorKind::kDevice);
  EXPECT_EQ(kind_of(Code::kVolumeMismatch), ErrorKind::kDevice);
  EXPECT_EQ(kind_of(Code::kCheckMismatch), ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace odo::hammer2
