// SPDX-License-Identifier: BSD-3-Clause
// Numbers of the HAMMER2 on-disk format: sizes, zones, types and methods.
//
// Contexts: any; constants only.
// Shapes: enumerations here are stored as they are; a byte read from media may
// hold a value that isn't listed, so a switch over one needs a default.
// Origin: DragonFly sys/vfs/hammer2/hammer2_disk.h, in the version of
// kusumi/freebsd_hammer2 v1.2.13. See docs/hammer2-format.md.
#pragma once

#include <cstdint>

namespace odo::hammer2::format {

// --- Magic and versions ------------------------------------------------------
inline constexpr std::uint64_t kVolumeMagic = 0x48414d3205172011;
inline constexpr std::uint64_t kVolumeMagicSwapped = 0x11201705324d4148;
inline constexpr std::uint32_t kVersionSingleVolume = 1;
inline constexpr std::uint32_t kVersionMultiVolume = 2;
inline constexpr std::uint16_t kInodeVersion = 1;

// --- Sizes -------------------------------------------------------------------
inline constexpr unsigned kMinRadix = 10;  // least allocation: 1 KiB
inline constexpr unsigned kMaxRadix = 16;  // largest allocation: 64 KiB
inline constexpr std::uint32_t kMinAllocBytes = 1U << kMinRadix;
inline constexpr std::uint32_t kMaxAllocBytes = 1U << kMaxRadix;
inline constexpr std::uint32_t kVolumeHeaderBytes = 65536;
inline constexpr std::uint32_t kInodeBytes = 1024;
inline constexpr std::uint32_t kBlockrefBytes = 128;
inline constexpr std::uint32_t kEmbeddedBytes = 512;  // in an inode
inline constexpr unsigned kBlocksetCount = 4;         // blockrefs in an inode
inline constexpr std::uint32_t kInodeNameBytes = 256;
inline constexpr std::uint32_t kEmbeddedNameBytes = 64;  // in a blockref
inline constexpr unsigned kLogicalRadix =
    16;  // file data covered by a blockref

// --- Zones of a volume -------------------------------------------------------
inline constexpr unsigned kVolumeHeaderCount = 4;
inline constexpr std::uint64_t kVolumeHeaderStride = std::uint64_t{2} << 30;
inline constexpr std::uint64_t kVolumeAlignBytes = std::uint64_t{8} << 20;
inline constexpr std::uint64_t kZoneBytes = std::uint64_t{1} << 30;
// At the start of every zone: volume header, freemap blocks.
inline constexpr std::uint64_t kZoneReserveBytes = std::uint64_t{4} << 20;
inline constexpr unsigned kMaxVolumes = 64;
inline constexpr std::uint8_t kRootVolume = 0;
inline constexpr std::uint64_t kUnusedVolumeOffset = ~std::uint64_t{0};

// --- Keys --------------------------------------------------------------------
inline constexpr unsigned kKeyBits = 64;
// Set in the key of everything that a directory shows; clear in the inode
// index, whose keys are inode numbers.
inline constexpr std::uint64_t kDirhashVisible = std::uint64_t{1} << 63;
// The low bits of a directory key count up among equal hashes.
inline constexpr std::uint64_t kDirhashCollisionMask = 0x7fff;
inline constexpr std::uint64_t kSuperRootKey = 0;
inline constexpr std::uint64_t kBootKey = 0xd9b36ce135528000;  // label "BOOT"
inline constexpr std::uint64_t kRootInum = 1;                  // of every PFS
inline constexpr std::uint64_t kFirstInum = 1024;  // given to new inodes

// --- Blockrefs ---------------------------------------------------------------
enum class BlockType : std::uint8_t {
  kEmpty = 0,
  kInode = 1,
  kIndirect = 2,
  kData = 3,
  kDirent = 4,
  kFreemapNode = 5,
  kFreemapLeaf = 6,
  kInvalid = 7,
  kFreemap = 254,  // never on media: the freemap as a whole
  kVolume = 255,   // never on media: the volume header
};

inline constexpr std::uint8_t kRefPfsRoot = 0x01;          // Blockref::flags
inline constexpr std::uint8_t kRefModifiedInPlace = 0x04;  // emergency mode

// The high half of Blockref::methods, the low half of InodeMeta::check_algo.
enum class CheckMethod : std::uint8_t {
  kNone = 0,
  kDisabled = 1,
  kIscsi32 = 2,
  kXxhash64 = 3,
  kSha192 = 4,
  kFreemap = 5,
};

// The low half of Blockref::methods and of InodeMeta::comp_algo.
enum class CompMethod : std::uint8_t {
  kNone = 0,
  kAutozero = 1,
  kLz4 = 2,
  kZlib = 3,
};

[[nodiscard]] constexpr CheckMethod check_method(std::uint8_t methods) {
  return static_cast<CheckMethod>(methods >> 4);
}
[[nodiscard]] constexpr CompMethod comp_method(std::uint8_t methods) {
  return static_cast<CompMethod>(methods & 15);
}
[[nodiscard]] constexpr std::uint8_t encode_methods(CheckMethod check,
                                                    CompMethod comp) {
  return static_cast<std::uint8_t>((static_cast<unsigned>(check) << 4) |
                                   static_cast<unsigned>(comp));
}

// Seed of every XXH64 check code ("Matt" "Dill" read in two halves).
inline constexpr std::uint64_t kXxhashSeed = 0x4d617474446c6c6e;

// Bytes before an LZ4 payload that tell its length.
inline constexpr std::uint32_t kLz4SizeBytes = 4;

// --- Inodes ------------------------------------------------------------------
enum class ObjectType : std::uint8_t {
  kUnknown = 0,
  kDirectory = 1,
  kRegular = 2,
  kFifo = 4,
  kCharDevice = 5,
  kBlockDevice = 6,
  kSymlink = 7,
  kUnused8 = 8,
  kSocket = 9,
  kWhiteout = 10,
};

inline constexpr std::uint8_t kInodeDirectData = 0x01;  // InodeMeta::op_flags
inline constexpr std::uint8_t kInodePfsRoot = 0x02;

enum class PfsType : std::uint8_t {
  kNone = 0,
  kCache = 1,
  kSlave = 3,
  kSoftSlave = 4,
  kSoftMaster = 5,
  kMaster = 6,
  kSuperRoot = 8,
  kDummy = 9,
};

enum class PfsSubtype : std::uint8_t {
  kNone = 0,
  kSnapshot = 1,
  kAutoSnapshot = 2,
};

// --- Freemap -----------------------------------------------------------------
inline constexpr std::uint32_t kFreemapBlockBytes = 32768;
inline constexpr unsigned kFreemapRotation = 8;     // sets of blocks in a zone
inline constexpr unsigned kFreemapLevels = 5;       // blocks in a set
inline constexpr unsigned kFreemapLeafRadix = 30;   // 1 GiB by a leaf block
inline constexpr unsigned kFreemapEntryRadix = 22;  // 4 MiB by a leaf entry
inline constexpr unsigned kFreemapUnitRadix = 14;   // 16 KiB by two bits
inline constexpr unsigned kFreemapEntries = 256;    // in a leaf block

// Two bits of BmapData::bitmap.
enum class FreemapState : std::uint8_t {
  kFree = 0,
  kReserved = 1,
  kMaybeFree = 2,
  kAllocated = 3,
};

}  // namespace odo::hammer2::format
