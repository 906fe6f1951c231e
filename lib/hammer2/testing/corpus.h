// SPDX-License-Identifier: BSD-3-Clause
// Reference images for tests: their manifests and damaged variants, in the
// folder that $ODO_CORPUS_DIR names, and the one image that the tree carries.
//
// Contexts: tests; hosted; throws on a corpus that isn't as its README says.
// Shapes: see the corpus's README.md for the fields of manifests and patches.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/block/host/image_file.h"
#include "nlohmann/json.hpp"
#include "zstd.h"

namespace odo::hammer2::testing {

using Json = nlohmann::json;

// The corpus's folder, or nothing where there is none.
inline std::optional<std::string> corpus_folder() {
  const char* folder = std::getenv("ODO_CORPUS_DIR");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  if (!std::ifstream(std::string(folder) + "/index.json")) return std::nullopt;
  return folder;
}

// True in builds so slow that only a part of the corpus is tried.
inline bool sanitized() { return std::getenv("ODO_SANITIZER") != nullptr; }

inline std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Text, from `path` or, compressed, from `path`.zst.
inline std::string read_text(const std::string& path) {
  if (std::ifstream(path)) return read_whole(path);
  const std::string packed = read_whole(path + ".zst");
  std::string text;
  std::string piece(ZSTD_DStreamOutSize(), '\0');
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in = {packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    ZSTD_outBuffer out = {piece.data(), piece.size(), 0};
    const std::size_t hint = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(hint) != 0) throw std::runtime_error("bad zstd: " + path);
    text.append(piece, 0, out.pos);
  }
  ZSTD_freeDCtx(context);
  return text;
}

inline Json read_json(const std::string& path) {
  return Json::parse(read_text(path));
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// A device with some of its bytes replaced and perhaps another length.
class PatchedDevice {
 public:
  explicit PatchedDevice(block::FileDevice& below)
      : below_(below), size_(below.size_bytes()) {}

  // Applies one entry of a patch file, on top of what was applied before.
  void apply(const Json& patch) {
    for (const Json& change : patch.at("changes")) {
      const std::uint64_t offset = change.at("offset");
      if (change.contains("new")) {
        write(offset, from_hex(change.at("new")));
        continue;
      }
      const std::size_t length = change.at("length");
      if (change.contains("fill")) {
        const int value = change.at("fill");
        write(offset, std::string(length, static_cast<char>(value)));
      } else {
        write(offset, bytes_at(change.at("copy_from"), length));
      }
    }
    if (patch.contains("truncate")) size_ = patch.at("truncate");
  }

  void write(std::uint64_t offset, std::string bytes) {
    segments_.push_back({offset, std::move(bytes)});
  }

  [[nodiscard]] std::uint64_t size_bytes() const {
    return align_down(size_, block_bytes());
  }
  [[nodiscard]] std::uint32_t block_bytes() const {
    return below_.block_bytes();
  }
  [[nodiscard]] block::Result<void> read(std::uint64_t offset,
                                         MutableBytes to) {
    ODO_TRY_VOID(
        block::check_request(offset, to.size(), size_bytes(), block_bytes()));
    zero_bytes(to);
    if (offset < below_.size_bytes()) {
      const std::uint64_t there =
          std::min<std::uint64_t>(to.size(), below_.size_bytes() - offset);
      ODO_TRY_VOID(below_.read(offset, to.first(there)));
    }
    for (const Segment& segment : segments_) {
      const std::uint64_t begin = std::max(offset, segment.offset);
      const std::uint64_t end =
          std::min(offset + to.size(), segment.offset + segment.bytes.size());
      if (begin >= end) continue;
      std::copy_n(reinterpret_cast<const std::byte*>(segment.bytes.data()) +
                      (begin - segment.offset),
                  end - begin,
                  to.begin() + static_cast<std::ptrdiff_t>(begin - offset));
    }
    return {};
  }

 private:
  struct Segment {
    std::uint64_t offset;
    std::string bytes;
  };

  std::string bytes_at(std::uint64_t offset, std::size_t length) {
    const std::uint64_t begin = align_down(offset, block_bytes());
    const std::uint64_t end = align_up(offset + length, block_bytes());
    std::string cover(end - begin, '\0');
    if (!read(begin, std::as_writable_bytes(std::span(cover)))) {
      throw std::runtime_error("patch copies from past the end");
    }
    return cover.substr(offset - begin, length);
  }

  block::FileDevice& below_;
  std::uint64_t size_;
  std::vector<Segment> segments_;
};
static_assert(block::BlockDevice<PatchedDevice>);

// An image's file, unpacked where $ODO_CORPUS_RAW has it so.
inline std::string image_path(const std::string& folder,
                              const std::string& file) {
  constexpr std::string_view kPacked = ".zst";
  if (const char* raw = std::getenv("ODO_CORPUS_RAW")) {
    const std::string name = file.substr(file.rfind('/') + 1);
    std::string path =
        std::string(raw) + "/" + name.substr(0, name.size() - kPacked.size());
    if (name.ends_with(kPacked) && std::ifstream(path)) return path;
  }
  return folder + "/" + file;
}

// One reference image: its devices and its manifest.
struct Reference {
  Json manifest;
  std::vector<block::FileDevice> devices;

  static block::FileDevice open(const std::string& path) {
    auto device = block::open_image(path);
    if (!device) throw std::runtime_error(device.error());
    return std::move(*device);
  }

  // An image of the corpus by its name.
  static Reference load(const std::string& folder, const std::string& name) {
    Reference reference;
    reference.manifest = read_json(folder + "/manifests/" + name + ".json");
    for (const Json& volume : reference.manifest.at("volumes")) {
      reference.devices.push_back(
          open(image_path(folder, volume.at("file").get<std::string>())));
    }
    return reference;
  }
};

}  // namespace odo::hammer2::testing
