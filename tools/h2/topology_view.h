// SPDX-License-Identifier: BSD-3-Clause
// The topology as `h2 show` prints it: a node for each reference, and the ways
// to draw the tree of them as it is walked.
//
// Contexts: the tool's main thread; writes to std::cout as it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/hammer2/format/blockref.h"
#include "lib/hammer2/inspect/topology.h"

namespace odo::h2 {

// A reference, in words.
struct ShownNode {
  hammer2::format::Blockref ref = {};
  unsigned depth = 0;
  std::size_t slot = 0;
  bool freemap = false;
  hammer2::inspect::State state = {};
  hammer2::inspect::Reach reach = {};
  std::string error;       // empty where all is well
  std::string pfs;         // bytes, as they are
  std::string name;        // of an entry or inode; bytes, as they are
  std::string type;        // of a file or what an entry names; may be empty
  std::uint64_t inum = 0;  // of an inode, what an entry names, or the owner
  bool has_inum = false;
  std::uint64_t size = 0;  // of a file
  bool has_size = false;

  [[nodiscard]] bool bad() const { return !error.empty(); }
  // Whether others may hang below.
  [[nodiscard]] bool container() const;
};

[[nodiscard]] ShownNode shown_node(const hammer2::inspect::Visit& visit);

struct ShownHeader {
  unsigned index = 0;
  bool mended = false;
  std::uint64_t offset = 0;
  std::uint64_t mirror_tid = 0;
  std::uint64_t freemap_tid = 0;
  std::string image;
};

// How a tree is drawn: open() and close() come in pairs, as brackets do.
class TopologySink {
 public:
  TopologySink() = default;
  TopologySink(const TopologySink&) = delete;
  TopologySink& operator=(const TopologySink&) = delete;
  virtual ~TopologySink() = default;
  virtual void begin(const ShownHeader& header) = 0;
  virtual void open(const ShownNode& node) = 0;
  virtual void close(const ShownNode& node) = 0;
  virtual void end(std::uint64_t references, std::uint64_t bad) = 0;
};

enum class Drawing : std::uint8_t { kText, kJson, kDot, kHtml };

[[nodiscard]] std::unique_ptr<TopologySink> make_sink(Drawing drawing);

}  // namespace odo::h2
