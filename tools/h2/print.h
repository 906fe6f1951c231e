// SPDX-License-Identifier: BSD-3-Clause
// How `h2` shows names, times, modes and nodes, to people and to programs.
//
// Contexts: the tool's one thread.
// Shapes: JSON entries have the fields of the reference images' manifests.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "lib/hammer2/format/uuid.h"
#include "lib/hammer2/types.h"
#include "nlohmann/json.hpp"

namespace odo::h2 {

using Json = nlohmann::ordered_json;

inline void print_json(const Json& json) { std::cout << json.dump(1) << "\n"; }

[[nodiscard]] inline std::string uuid_string(
    const hammer2::format::Uuid& uuid) {
  const auto text = hammer2::format::uuid_text(uuid);
  return std::string(text.data(), text.size());
}

[[nodiscard]] inline std::string octal(std::uint32_t mode) {
  return absl::StrFormat("%04o", mode);
}

// Bytes that would upset a terminal, and the backslash, as \xHH.
[[nodiscard]] inline std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') {
      absl::StrAppendFormat(&text, "\\x%02x", byte);
    } else {
      text += c;
    }
  }
  return text;
}

[[nodiscard]] inline bool is_utf8(std::string_view text) {
  try {
    (void)Json(std::string(text)).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

// "name": text, or "name_hex" where the bytes aren't UTF-8.
inline void put_text(Json& to, const std::string& name, std::string_view text) {
  if (is_utf8(text)) {
    to[name] = std::string(text);
  } else {
    to[name + "_hex"] = absl::BytesToHexString(std::string(text));
  }
}

[[nodiscard]] inline std::string time_text(std::uint64_t us) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E6S",
                          absl::FromUnixMicros(static_cast<std::int64_t>(us)),
                          absl::UTCTimeZone());
}

[[nodiscard]] inline std::string mode_text(const hammer2::Attributes& of) {
  using hammer2::ObjectType;
  std::string text = "?rwxrwxrwx";
  switch (of.type) {
    case ObjectType::kDirectory:
      text[0] = 'd';
      break;
    case ObjectType::kRegular:
      text[0] = '-';
      break;
    case ObjectType::kSymlink:
      text[0] = 'l';
      break;
    case ObjectType::kFifo:
      text[0] = 'p';
      break;
    case ObjectType::kSocket:
      text[0] = 's';
      break;
    case ObjectType::kCharDevice:
      text[0] = 'c';
      break;
    case ObjectType::kBlockDevice:
      text[0] = 'b';
      break;
    default:
      break;
  }
  for (unsigned bit = 0; bit < 9; ++bit) {
    if ((of.mode >> bit & 1) == 0) text[9 - bit] = '-';
  }
  const auto special = [&](unsigned bit, std::size_t at, char with_x) {
    if ((of.mode & bit) == 0) return;
    const char without_x = static_cast<char>(with_x - 'a' + 'A');
    text[at] = text[at] == 'x' ? with_x : without_x;
  };
  special(04000, 3, 's');
  special(02000, 6, 's');
  special(01000, 9, 't');
  return text;
}

[[nodiscard]] inline bool is_device(const hammer2::Attributes& of) {
  return of.type == hammer2::ObjectType::kCharDevice ||
         of.type == hammer2::ObjectType::kBlockDevice;
}

[[nodiscard]] inline std::string long_line(const hammer2::Attributes& of) {
  const std::string size = is_device(of)
                               ? absl::StrFormat("%u,%u", of.rmajor, of.rminor)
                               : absl::StrFormat("%u", of.size);
  return absl::StrFormat("%s %3u %5u %5u %12s %s ", mode_text(of), of.nlinks,
                         of.uid, of.gid, size, time_text(of.mtime_us));
}

[[nodiscard]] inline Json entry_json(std::string_view path,
                                     const hammer2::Attributes& of,
                                     std::string_view target) {
  Json entry;
  put_text(entry, "path", path);
  entry["type"] = hammer2::to_string(of.type);
  entry["mode"] = octal(of.mode);
  entry["uid"] = of.uid;
  entry["gid"] = of.gid;
  entry["mtime_us"] = of.mtime_us;
  entry["inum"] = of.inum;
  entry["nlink"] = of.nlinks;
  if (of.type == hammer2::ObjectType::kRegular ||
      of.type == hammer2::ObjectType::kSymlink) {
    entry["size"] = of.size;
  }
  if (of.type == hammer2::ObjectType::kSymlink) {
    put_text(entry, "target", target);
  }
  if (is_device(of)) {
    entry["rmajor"] = of.rmajor;
    entry["rminor"] = of.rminor;
  }
  return entry;
}

}  // namespace odo::h2
