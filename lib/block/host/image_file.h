// SPDX-License-Identifier: BSD-3-Clause
// Opens a disk image of the host for reading, raw or compressed with zstd.
//
// A compressed image is unpacked into a nameless file in $TMPDIR (or /tmp),
// with holes where it is zero, which goes away with the device. The image
// itself is never written.
//
// Contexts: thread; reads and writes files.
// Failure: one line that says which file and what is wrong with it.
// Cost: unpacking writes what isn't zero and runs over the rest at the speed of
//   the decompressor.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/result.h"
#include "lib/block/device.h"
#include "lib/block/host/descriptor.h"
#include "lib/block/host/file_device.h"

namespace odo::block {

namespace detail {

// A file without a name, for unpacked images.
inline ImageResult<Descriptor> nameless_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string name = folder != nullptr && *folder != '\0' ? folder : "/tmp";
  name += "/odo-image-XXXXXX";
  Descriptor file(::mkstemp(name.data()));
  if (file.get() < 0) return fail(system_error(name, errno));
  ::unlink(name.c_str());
  return file;
}

// All frames of `from` into `to`, leaving holes for 64 KiB runs of zeros.
inline ImageResult<void> unpack_zstd(int from, int to,
                                     const std::string& name) {
  constexpr int kWindowLog = 27;  // as `zstd --long=27` writes
  constexpr std::size_t kPieceBytes = 65536;
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLog);
  std::vector<std::byte> in(ZSTD_DStreamInSize());
  std::vector<std::byte> out(kPieceBytes);
  std::uint64_t offset = 0;
  std::size_t filled = 0;
  std::size_t hint = 0;  // 0: at the end of a frame
  const auto flush = [&]() -> ImageResult<void> {
    const Bytes piece = Bytes(out).first(filled);
    if (!all_zero(piece)) ODO_TRY_VOID(write_at(to, offset, piece));
    offset += filled;
    filled = 0;
    return {};
  };
  for (;;) {
    const ssize_t got = ::read(from, in.data(), in.size());
    if (got < 0) return fail(system_error(name, errno));
    if (got == 0) break;
    ZSTD_inBuffer input = {in.data(), static_cast<std::size_t>(got), 0};
    for (;;) {
      ZSTD_outBuffer output = {out.data(), out.size(), filled};
      const std::size_t taken = input.pos;
      const std::size_t result =
          ZSTD_decompressStream(context.get(), &output, &input);
      if (ZSTD_isError(result) != 0) {
        return fail(name + ": damaged zstd file: " + ZSTD_getErrorName(result));
      }
      // A call without progress asks for the next frame, which needn't come.
      if (input.pos != taken || output.pos != filled) hint = result;
      filled = output.pos;
      const bool full = filled == out.size();
      if (full) ODO_TRY_VOID(flush());
      if (input.pos == input.size && !full) break;
    }
  }
  if (hint != 0) return fail(name + ": truncated zstd file");
  ODO_TRY_VOID(flush());
  if (::ftruncate(to, static_cast<off_t>(offset)) != 0) {
    return fail(system_error("unpacking " + name, errno));
  }
  return {};
}

}  // namespace detail

// The image called `name`. What it is shows in its first bytes, not its name.
[[nodiscard]] inline ImageResult<FileDevice> open_image(
    const std::string& name, std::uint32_t block_bytes = kMinBlockBytes) {
  Descriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail(system_error(name, errno));
  std::array<std::byte, 4> magic = {};
  if (::pread(file.get(), magic.data(), magic.size(), 0) == 4 &&
      load_le<std::uint32_t>(magic.data()) == ZSTD_MAGICNUMBER) {
    ODO_TRY(Descriptor unpacked, detail::nameless_file());
    ODO_TRY_VOID(detail::unpack_zstd(file.get(), unpacked.get(), name));
    file = Descriptor(unpacked.release());
  }
  auto device = FileDevice::create(file.release(), block_bytes);
  if (!device) return fail(system_error(name, device.error()));
  return std::move(*device);
}

}  // namespace odo::block
