// SPDX-License-Identifier: BSD-3-Clause
// Where `h2 extract` puts what it reads: a directory, or a tar.
//
// Contexts: the tool's main thread. Calls come in the order of a walk: a
// directory, what is below it, its end; a link after what it links to.
// Failure: throws Failure for what couldn't be put, which leaves nothing of it
// and the sink ready for the next; a SinkClosed means that nothing more can be
// put.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/types.h"
#include "tools/h2/data_ranges.h"
#include "tools/h2/volume.h"

namespace odo::h2 {

class SinkClosed : public Failure {
 public:
  using Failure::Failure;
};

// What is to be made: its path below the start ("" is the start itself), and
// the same path's last name.
struct Entry {
  std::string_view path;
  std::string_view name;
  const hammer2::Attributes& attributes;
};

class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;

  virtual void begin_directory(const Entry& entry) = 0;
  virtual void end_directory(const Entry& entry) = 0;

  // A regular file: begin, then its data in ascending order, then the end.
  // `extents` are the parts that aren't holes.
  virtual void begin_file(const Entry& entry,
                          std::span<const DataRange> extents) = 0;
  virtual void data(std::uint64_t offset, Bytes bytes) = 0;
  virtual void end_file(const Entry& entry) = 0;
  // In place of the end: the rest couldn't be read.
  virtual void drop_file(const Entry& entry) = 0;

  // One more name of the file that was put at `first`.
  virtual void link(const Entry& entry, std::string_view first) = 0;
  virtual void symlink(const Entry& entry, const std::string& target) = 0;
  // FIFOs, sockets, device nodes.
  virtual void special(const Entry& entry) = 0;

  // After everything.
  virtual void finish() = 0;
};

}  // namespace odo::h2
