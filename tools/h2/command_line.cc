// SPDX-License-Identifier: BSD-3-Clause
#include "tools/h2/command_line.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "tools/h2/command.h"
#include "tools/h2/flag_text.h"
#include "tools/h2/nearest.h"
#include "tools/h2/request.h"

namespace odo::h2 {
namespace {

constexpr std::string_view kEndOfFlags = "--";

bool is_flag(std::string_view word) {
  return word.size() > 1 && word.front() == '-';
}

// "-lR" means "-l -R", as everybody types it.
std::vector<std::string> split_letters(const Command& command,
                                       const std::vector<std::string>& words) {
  const std::vector<std::string_view> names = flags_of(command);
  const auto is_letter = [&](char c) {
    return std::ranges::find(names, std::string_view(&c, 1)) != names.end();
  };
  std::vector<std::string> split;
  bool flags = true;
  for (const std::string& word : words) {
    flags = flags && word != kEndOfFlags;
    if (flags && word.size() > 2 && word[0] == '-' && word[1] != '-' &&
        std::all_of(word.begin() + 1, word.end(), is_letter)) {
      for (const char c : word.substr(1)) split.push_back({'-', c});
    } else {
      split.push_back(word);
    }
  }
  return split;
}

// One flag as it was written: "--name", "--name=value" or "-n".
struct Written {
  std::string_view name;
  std::optional<std::string_view> value;
};

Written take_apart(std::string_view word) {
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  Written written;
  const std::size_t equals = word.find('=');
  written.name = word.substr(0, equals);
  if (equals != std::string_view::npos) written.value = word.substr(equals + 1);
  return written;
}

[[noreturn]] void unknown_flag(const Command& command, std::string_view word) {
  const std::vector<std::string_view> names = flags_of(command);
  std::string text = absl::StrFormat("`%s` takes no %s", command.name, word);
  const std::string_view near = nearest(take_apart(word).name, names);
  if (!near.empty()) text += "; did you mean " + dashed(near);
  throw UsageError(text);
}

class Reader {
 public:
  Reader(const Command& command, std::vector<std::string> words)
      : command_(command), words_(std::move(words)) {}

  Request read() {
    bool flags = true;
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (flags && word == kEndOfFlags) {
        flags = false;
      } else if (flags && is_flag(word)) {
        read_flag(word);
      } else {
        request_.words.push_back(word);
      }
    }
    if (command_.path == PathArgument::kOwn) {
      request_.images = std::move(volumes_);
    } else {
      place_words();
    }
    return std::move(request_);
  }

 private:
  void read_flag(std::string_view word) {
    const std::vector<std::string_view> names = flags_of(command_);
    Written written = take_apart(word);
    bool denied = false;
    const auto known = [&](std::string_view name) {
      return std::ranges::find(names, name) != names.end();
    };
    if (!known(written.name) && written.name.starts_with("no") &&
        known(written.name.substr(2)) && !written.value) {
      written.name.remove_prefix(2);
      denied = true;
    }
    absl::CommandLineFlag* flag =
        known(written.name) ? find_flag(written.name) : nullptr;
    if (flag == nullptr || (denied && !flag->IsOfType<bool>())) {
      unknown_flag(command_, word);
    }
    if (flag->IsOfType<bool>() && !written.value) {
      written.value = denied ? "false" : "true";
    }
    if (!written.value) {
      if (at_ == words_.size()) {
        throw UsageError(absl::StrFormat("%s wants a value", word));
      }
      written.value = words_[at_++];
    }
    if (written.name == kVolumeFlag) {
      volumes_.emplace_back(*written.value);
      return;
    }
    std::string error;
    const absl::string_view value(written.value->data(), written.value->size());
    if (!flag->ParseFrom(value, &error)) {
      throw UsageError(absl::StrFormat("%s takes no '%s'%s%s",
                                       dashed(written.name), value,
                                       error.empty() ? "" : ": ", error));
    }
    if (written.name == kPfsFlag) request_.pfs = *written.value;
  }

  // Sorts the words into images, PFS and path.
  void place_words() {
    std::vector<std::string> words = std::move(request_.words);
    request_.words.clear();
    if (command_.path == PathArgument::kWithoutImage) {
      request_.words = std::move(words);
      return;
    }
    const auto label = std::ranges::find_if(
        words, [](const std::string& word) { return word.starts_with('@'); });
    request_.images.assign(words.begin(), label);
    const bool path_may_be = command_.path == PathArgument::kOptional ||
                             command_.path == PathArgument::kRequired;
    auto rest = label;
    if (rest != words.end()) {
      if (!request_.pfs.empty()) throw UsageError("two PFSs are named");
      if (!takes_pfs(command_)) {
        throw UsageError("this command takes images only");
      }
      request_.pfs = rest++->substr(1);
      if (path_may_be && rest != words.end()) request_.path = *rest++;
    } else if (path_may_be && request_.images.size() > 1) {
      request_.path = request_.images.back();
      request_.images.pop_back();
    }
    if (rest != words.end()) throw UsageError("unexpected argument: " + *rest);
    if (request_.images.empty()) throw UsageError("no image given");
    request_.images.insert(request_.images.end(), volumes_.begin(),
                           volumes_.end());
    if (command_.path == PathArgument::kRequired && request_.path.empty()) {
      throw UsageError("no path given");
    }
    if (request_.path.empty()) request_.path = "/";
  }

  const Command& command_;
  std::vector<std::string> words_;
  std::size_t at_ = 0;
  std::vector<std::string> volumes_;
  Request request_;
};

}  // namespace

bool asks_for_help(const Command& command,
                   const std::vector<std::string>& words) {
  const std::vector<std::string_view> names = flags_of(command);
  const bool letter = std::ranges::find(names, "h") == names.end();
  for (const std::string& word : words) {
    if (word == kEndOfFlags) return false;
    if (word == "--help" || (letter && word == "-h")) return true;
  }
  return false;
}

Request read_command_line(const Command& command,
                          const std::vector<std::string>& words) {
  return Reader(command, split_letters(command, words)).read();
}

}  // namespace odo::h2
