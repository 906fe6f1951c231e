// SPDX-License-Identifier: BSD-3-Clause
// Tries one damaged variant of a reference image, for tests: the reader must
// name the block that was damaged, and show what can still be shown; the
// complete check must name it, with its path and PFS, and nothing else.
//
// Contexts: tests; hosted.
#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/hammer2/testing/corpus.h"
#include "lib/hammer2/testing/run_check.h"
#include "lib/hammer2/testing/tree_check.h"

namespace odo::hammer2::testing {

class DamageCheck {
 public:
  DamageCheck(block::FileDevice& image, const Json& manifest)
      : image_(image), manifest_(manifest), memory_(8 << 20) {}

  // Variants so far that nothing noticed: their blocks have no check code.
  [[nodiscard]] std::size_t unnoticed() const { return unnoticed_; }

  void run(const Json& patch) {
    SCOPED_TRACE("variant " + patch.at("id").get<std::string>());
    PatchedDevice device(image_);
    device.apply(patch);
    run_whole_check(patch, device);
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

  // --- The complete check
  // -----------------------------------------------------

  void run_whole_check(const Json& patch, PatchedDevice& device) {
    PatchedDevice* devices[] = {&device};
    const CheckResult result =
        run_check(std::span<PatchedDevice* const>(devices), {}, check_memory(),
                  VerifyChecks(host_checks()));
    const std::vector<Found>& findings = result.findings;
    const std::string target = patch.at("target");
    std::string all;
    for (const Found& found : findings) {
      all += "@" + found.pfs + " " + found.path + ": " + found.text + "\n";
    }
    SCOPED_TRACE(all);
    if (patch.contains("truncate") &&
        patch.at("truncate") < image_.size_bytes()) {
      // What lies behind the cut is named block by block.
      ASSERT_FALSE(findings.empty());
      EXPECT_TRUE(
          std::any_of(findings.begin(), findings.end(), [](const Found& found) {
            return found.finding.rule == audit::Rule::kVolumeSet &&
                   found.finding.at.code == Code::kDeviceTooSmall;
          }));
    } else if (target.find("volume header") != std::string::npos) {
      expect_headers_named(patch, result);
    } else if (target == "freemap block") {
      expect_freemap_named(patch, findings);
    } else if (patch.contains("block")) {
      expect_block_named(patch, findings);
    } else {
      // Bytes past the volume, in the boot area or of no block: they belong to
      // nobody, and the format promises nothing about them.
      EXPECT_TRUE(findings.empty());
      EXPECT_EQ(patch.at("fsck").at("exit"), 0);
    }
  }

  // The damaged headers, each once, and if none is left that nothing can be
  // opened.
  static void expect_headers_named(const Json& patch,
                                   const CheckResult& result) {
    std::set<std::uint64_t> damaged;
    for (const Json& change : patch.at("changes")) {
      damaged.insert(align_down(change.at("offset").get<std::uint64_t>(),
                                std::uint64_t{format::kVolumeHeaderBytes}));
    }
    std::multiset<std::uint64_t> named;
    bool unopened = false;
    for (const Found& found : result.findings) {
      if (found.finding.rule == audit::Rule::kVolumeHeader) {
        named.insert(found.finding.at.offset);
      } else {
        EXPECT_EQ(found.finding.rule, audit::Rule::kVolumeSet);
        unopened = true;
      }
    }
    EXPECT_TRUE(
        std::equal(named.begin(), named.end(), damaged.begin(), damaged.end()));
    const Json& usable = patch.at("newest_usable_header");
    EXPECT_EQ(unopened, usable.is_null());
    EXPECT_EQ(result.verdicts.opened, !usable.is_null());
    for (const audit::HeaderReport& header : result.headers) {
      if (header.in_use) {
        EXPECT_EQ(header.index, usable.get<int>());
      }
    }
  }

  static void expect_freemap_named(const Json& patch,
                                   const std::vector<Found>& findings) {
    ASSERT_EQ(findings.size(), 1U);
    const audit::Finding& finding = findings[0].finding;
    EXPECT_EQ(finding.rule, audit::Rule::kFreemapBlock);
    EXPECT_EQ(finding.at.code, Code::kCheckMismatch);
    EXPECT_EQ(finding.at.bytes, format::kFreemapBlockBytes);
    const std::uint64_t at = patch.at("changes")[0].at("offset");
    EXPECT_TRUE(range_inside(at - finding.at.offset, 1, finding.at.bytes));
  }

  void expect_block_named(const Json& patch,
                          const std::vector<Found>& findings) {
    const Json& block = patch.at("block");
    if (is_unchecked(block)) {
      // No code covers it: the block may be anything. That is by design.
      if (findings.empty()) ++unnoticed_;
      return;
    }
    ASSERT_FALSE(findings.empty());
    bool pfs_named = false;
    bool path_named = false;
    const Json& names = patch.at("names");
    const Json& pfs = patch.at("pfs");
    for (const Found& found : findings) {
      const Error& error = found.finding.at;
      EXPECT_EQ(found.finding.rule, audit::Rule::kBlock);
      expect_this_block(patch, error);
      pfs_named |= pfs.is_null() || pfs.get<std::string>() == found.pfs;
      for (const std::string name : names) {
        path_named |= found.path.ends_with("/" + name);
      }
    }
    // The roots' own labels stand in what was damaged.
    const std::string target = patch.at("target");
    if (target == "super-root inode" || target == "PFS root inode") return;
    EXPECT_TRUE(pfs_named);
    // A long name that can't be read can't be told.
    if (target == "block holding a long file name") {
      EXPECT_TRUE(findings[0].path.ends_with("/?"));
      return;
    }
    EXPECT_TRUE(path_named || names.empty());
  }

  static bool is_unchecked(const Json& block) {
    const std::string methods = block.at("methods");
    return methods.starts_with("none|") || methods.starts_with("disabled|");
  }

  static void expect_this_block(const Json& patch, const Error& error) {
    const Json& block = patch.at("block");
    EXPECT_EQ(error.code, Code::kCheckMismatch) << text_of(error);
    EXPECT_EQ(error.offset, block.at("offset").get<std::uint64_t>())
        << text_of(error);
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

  // --- The reader
  // -------------------------------------------------------------

  // Every complaint is about the damaged block, and there is one.
  void expect_named(const Json& patch) {
    const std::vector<Error> errors = read_everything();
    if (is_unchecked(patch.at("block"))) return;  // nothing but an end
    EXPECT_FALSE(errors.empty()) << "reading found nothing";
    for (const Error& error : errors) expect_this_block(patch, error);
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
  std::size_t unnoticed_ = 0;
};

}  // namespace odo::hammer2::testing
