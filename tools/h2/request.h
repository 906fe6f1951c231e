// SPDX-License-Identifier: BSD-3-Clause
// What a command line asks of a command.
//
// Contexts: the tool's main thread; plain values.
#pragma once

#include <string>
#include <vector>

namespace odo::h2 {

struct Request {
  std::vector<std::string> images;  // all volumes of one filesystem
  std::string pfs;                  // label, empty for the default
  std::string path;                 // "/" if not given
  // The words that aren't flags, as they came, for a command that reads them
  // itself (PathArgument::kOwn); `images` then holds just what --volume named.
  std::vector<std::string> words;
};

}  // namespace odo::h2
