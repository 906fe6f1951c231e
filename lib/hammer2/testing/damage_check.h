// SPDX-License-Identifier: BSD-3-Clause
// Tries one damaged variant of a reference image, for tests: the reader must
// name the block that was damaged, and show what can still be shown.
//
// Contexts: tests; hosted.
#pragma once

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/testing/corpus.h"
#include "lib/hammer2/testing/tree_check.h"
#include "lib/hammer2/verify.h"

namespace odo::hammer2::testing {

class DamageCheck {
 public:
  DamageCheck(block::FileDevice& image, const Json& manifest)
      : image_(image), manifest_(manifest), memory_(8 << 20) {}

  void run(const Json& patch) {
    SCOPED_TRACE("variant " + patch.at("id").get<std::string>());
    PatchedDevice device(image_);
    device.apply(patch);
    PatchedDevice* devices[] = {&device};
    fs_ = std::make_unique<FileSystem<PatchedDevice>>(
        VerifyChecks(host_checks()));
    const auto opened = fs_->open(devices, memory_);

    const std::string target = patch.at("target");
    if (patch.contains("truncate") &&
        patch.at("truncate") < image_.size_bytes()) {
      expect_refused_as_short(opened);
    } else if (patch.at("newest_usable_header").is_null()) {
      expect_refused(patch, opened);
    } else if (!opened) {
      ADD_FAILURE() << text_of(opened.error());
    } else if (patch.contains("block") && target != "freemap block") {
      EXPECT_EQ(fs_->info().header,
                patch.at("newest_usable_header").get<int>());
      expect_named(patch);
    } else {
      EXPECT_EQ(fs_->info().header,
                patch.at("newest_usable_header").get<int>());
      expect_intact();
    }
  }

 private:
  static void expect_refused_as_short(const Result<void>& opened) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kDeviceTooSmall)
        << text_of(opened.error());
  }

  static void expect_refused(const Json& patch, const Result<void>& opened) {
    ASSERT_FALSE(opened);
    const Error& error = opened.error();
    const bool swapped = patch.at("id") == "vh-byteswapped-magic";
    EXPECT_TRUE(swapped ? error.code == Code::kByteSwapped
                        : error.code == Code::kNoUsableHeader ||
                              error.code == Code::kNoFilesystem)
        << text_of(error);
    // The header named is one of those that were damaged.
    EXPECT_EQ(error.type, format::BlockType::kVolume);
    bool named = false;
    for (const Json& change : patch.at("changes")) {
      const std::uint64_t offset = change.at("offset");
      named |= align_down(offset, format::kVolumeHeaderBytes) == error.offset;
    }
    EXPECT_TRUE(named) << text_of(error);
  }

  // Every complaint is about the damaged block, and there is one, both when
  // blocks are walked and when files are read.
  void expect_named(const Json& patch) {
    const Json& block = patch.at("block");
    const std::string methods = block.at("methods");
    const bool unchecked =
        methods.starts_with("none|") || methods.starts_with("disabled|");
    const std::uint64_t offset = block.at("offset");

    std::vector<Error> errors = verify();
    const std::size_t by_walk = errors.size();
    for (const Error& error : read_everything()) errors.push_back(error);
    if (unchecked) return;  // nothing can be promised but an end
    EXPECT_GE(by_walk, 1U) << "verify found nothing";
    EXPECT_GT(errors.size(), by_walk) << "reading found nothing";
    for (const Error& error : errors) {
      EXPECT_EQ(error.code, Code::kCheckMismatch) << text_of(error);
      EXPECT_EQ(error.offset, offset) << text_of(error);
      EXPECT_EQ(error.bytes, block.at("length").get<std::uint32_t>())
          << text_of(error);
      EXPECT_EQ(short_name(error.type), block.at("type").get<std::string>())
          << text_of(error);
      // An inode that is bad itself can't say its number, and the roots'
      // numbers aren't in their references.
      const bool own_number = error.type != format::BlockType::kInode ||
                              error.inum != Error::kUnknown;
      if (own_number && !patch.at("inum").is_null()) {
        EXPECT_EQ(error.inum, patch.at("inum").get<std::uint64_t>())
            << text_of(error);
      }
    }
  }

  static std::string short_name(format::BlockType type) {
    switch (type) {
      case format::BlockType::kInode:
        return "inode";
      case format::BlockType::kIndirect:
        return "indirect";
      case format::BlockType::kData:
        return "data";
      case format::BlockType::kDirent:
        return "dirent";
      default:
        return "other";
    }
  }

  std::vector<Error> verify() {
    std::vector<Error> errors;
    auto verifier =
        std::make_unique<Verifier<FileSystem<PatchedDevice>::Store>>(
            fs_->blocks());
    Error error{.code = Code::kNotFound};
    for (;;) {
      const Step step = verifier->next(error);
      if (step == Step::kDone) return errors;
      if (step == Step::kBad) errors.push_back(error);
    }
  }

  std::vector<Error> read_everything() {
    std::vector<Error> errors;
    TreeCheck<PatchedDevice> check(*fs_);
    DirCursor cursor;
    Pfs pfs;
    for (;;) {
      const auto more = fs_->next_pfs(cursor, pfs);
      if (!more) {
        errors.push_back(more.error());
        return errors;
      }
      if (!*more) return errors;
      Node root;
      if (const auto got = fs_->root(pfs, root); !got) {
        errors.push_back(got.error());
        continue;
      }
      for (const Error& error : check.read_all(root)) errors.push_back(error);
    }
  }

  void expect_intact() {
    for (const Error& error : verify()) ADD_FAILURE() << text_of(error);
    TreeCheck<PatchedDevice> check(*fs_);
    const auto compare = [&](const std::string& label, const Json& tree) {
      Pfs pfs;
      const auto found = fs_->find_pfs(label, pfs);
      ASSERT_TRUE(found) << text_of(found.error());
      Node root;
      ASSERT_TRUE(fs_->root(pfs, root));
      for (const std::string& line : check.compare(root, tree)) {
        ADD_FAILURE() << label << ": " << line;
      }
    };
    if (!manifest_.contains("generations")) {
      for (const auto& [label, tree] : manifest_.at("trees").items()) {
        compare(label, tree);
      }
      return;
    }
    bool known = false;
    for (const Json& generation : manifest_.at("generations")) {
      if (generation.at("header") != fs_->info().header) continue;
      known = true;
      compare(generation.at("pfs"), generation.at("tree"));
    }
    EXPECT_TRUE(known);
  }

  block::FileDevice& image_;
  const Json& manifest_;
  std::vector<std::byte> memory_;
  std::unique_ptr<FileSystem<PatchedDevice>> fs_;
};

}  // namespace odo::hammer2::testing
