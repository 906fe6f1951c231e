// SPDX-License-Identifier: BSD-3-Clause
// Why a decompressor stopped. Compressed data is input like any other: each of
// these is an ordinary answer, and what was written to the output so far is
// unspecified.
//
// Contexts: any.
#pragma once

#include <cstdint>

#include "lib/base/result.h"

namespace odo::codec {

enum class Error : std::uint8_t {
  kTruncated,        // the input ends before the data does
  kCorrupt,          // no compressor writes this
  kNoRoom,           // the data is longer than the output span
  kBadCheck,         // decoded, but the stream's own check value differs
  kNeedsDictionary,  // a zlib stream that wants a preset dictionary
};

template <class T>
using Result = odo::Result<T, Error>;

}  // namespace odo::codec
