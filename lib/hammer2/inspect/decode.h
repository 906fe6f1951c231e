// SPDX-License-Identifier: BSD-3-Clause
// Takes a block apart in place: tells of its fields one after the other, each
// with its name, its place and its bytes, and puts values into words.
//
//   for_each_field(Layout::kInode, block, [&](const FieldView& view) {
//     show(view.offset, view.field->name, value_text(view, buffer));
//   });
//
// Contexts: any. Refers to the block during the call; nothing allocates.
// Bounds: one call a field of the block's own bytes. Fields for which the block
//   is too short are left out, and so are references and freemap entries that
//   are all zero.
// Failure: none: whatever the bytes are, they are shown as what they would
// mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/fields.h"
#include "lib/hammer2/format/uuid.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::inspect {

// What a block is taken for.
enum class Layout : std::uint8_t {
  kVolumeHeader,
  kInode,
  kBlockrefs,  // indirect blocks and inner nodes of the freemap
  kFreemapLeaf,
  kName,  // of a directory entry that is too long for its reference
  kData,
};

[[nodiscard]] constexpr Layout layout_of(format::BlockType type) {
  switch (type) {
    case format::BlockType::kVolume:
      return Layout::kVolumeHeader;
    case format::BlockType::kInode:
      return Layout::kInode;
    case format::BlockType::kIndirect:
    case format::BlockType::kFreemapNode:
      return Layout::kBlockrefs;
    case format::BlockType::kFreemapLeaf:
      return Layout::kFreemapLeaf;
    case format::BlockType::kDirent:
      return Layout::kName;
    default:
      return Layout::kData;
  }
}

// A field, in its block. Valid during the call that tells of it.
struct FieldView {
  const format::Field* field;
  std::string_view group;     // of structures that it stands in; empty for none
  std::uint32_t group_index;  // which of them
  std::uint32_t element;      // of a field that has several
  std::uint32_t offset;       // in the block
  Bytes bytes;
};

namespace detail {

// The fields of one structure, which begins at `base`, of a block.
template <class Visit>
void tell_fields(Bytes block, std::size_t base, format::Fields fields,
                 std::string_view group, std::uint32_t group_index,
                 Visit& visit) {
  for (const format::Field& field : fields) {
    for (std::uint32_t i = 0; i < field.count; ++i) {
      const std::size_t at = base + field.offset + std::size_t{i} * field.bytes;
      if (at > block.size() || block.size() - at < field.bytes) return;
      visit(FieldView{.field = &field,
                      .group = group,
                      .group_index = group_index,
                      .element = i,
                      .offset = static_cast<std::uint32_t>(at),
                      .bytes = block.subspan(at, field.bytes)});
    }
  }
}

// `count` references from `base` on.
template <class Visit>
void tell_blockrefs(Bytes block, std::size_t base, std::size_t count,
                    std::string_view group, Visit& visit) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = base + i * sizeof(format::Blockref);
    const auto ref = read_struct<format::Blockref>(block, at);
    if (!ref) return;
    if (all_zero(bytes_of(*ref))) continue;
    const auto index = static_cast<std::uint32_t>(i);
    tell_fields(block, at, format::kBlockrefFields, group, index, visit);
    tell_fields(block, at, format::embed_fields(ref->type), group, index,
                visit);
    tell_fields(block, at,
                format::check_fields(ref->type, ref->methods, ref->data_off),
                group, index, visit);
  }
}

template <class Visit>
void tell_bmaps(Bytes block, std::string_view group, Visit& visit) {
  const std::size_t count = block.size() / sizeof(format::BmapData);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = i * sizeof(format::BmapData);
    if (all_zero(block.subspan(at, sizeof(format::BmapData)))) continue;
    tell_fields(block, at, format::kBmapFields, group,
                static_cast<std::uint32_t>(i), visit);
  }
}

// A table whose structures are told of by their own.
template <class Visit>
void tell_table(Bytes block, format::Fields fields, Visit& visit) {
  for (const format::Field& field : fields) {
    if (field.kind == format::FieldKind::kBlockrefs) {
      tell_blockrefs(block, field.offset, field.count, field.name, visit);
    } else {
      tell_fields(block, 0, format::Fields(&field, 1), {}, 0, visit);
    }
  }
}

// A block that is one field as a whole.
template <class Visit>
void tell_whole(Bytes block, std::string_view name, format::FieldKind kind,
                Visit& visit) {
  if (block.empty()) return;
  const format::Field field = {
      .name = name,
      .offset = 0,
      .bytes = static_cast<std::uint32_t>(block.size()),
      .count = 1,
      .kind = kind};
  tell_fields(block, 0, format::Fields(&field, 1), {}, 0, visit);
}

// Whether the bytes of an inode say that data follow its name.
[[nodiscard]] inline bool embeds_data(Bytes inode) {
  const auto meta = read_struct<format::InodeMeta>(inode, 0);
  return meta && meta->type != ObjectType::kDirectory &&
         (meta->op_flags & format::kInodeDirectData) != 0;
}

}  // namespace detail

// Calls visit(const FieldView&) for every field of `block`, of up to 4 GiB, in
// the order of their offsets.
template <class Visit>
void for_each_field(Layout layout, Bytes block, Visit&& visit) {
  using std::operator""sv;
  switch (layout) {
    case Layout::kVolumeHeader:
      detail::tell_table(block, format::kVolumeHeaderFields, visit);
      break;
    case Layout::kInode:
      detail::tell_table(block, format::kInodeMetaFields, visit);
      detail::tell_table(block, format::kInodeNameFields, visit);
      if (detail::embeds_data(block)) {
        detail::tell_table(block, format::kInodeDataFields, visit);
      } else {
        detail::tell_table(block, format::kInodeBlocksetFields, visit);
      }
      break;
    case Layout::kBlockrefs:
      detail::tell_blockrefs(block, 0, block.size() / sizeof(format::Blockref),
                             "ref"sv, visit);
      break;
    case Layout::kFreemapLeaf:
      detail::tell_bmaps(block, "bmap"sv, visit);
      break;
    case Layout::kName:
      detail::tell_whole(block, "name"sv, format::FieldKind::kText, visit);
      break;
    case Layout::kData:
      detail::tell_whole(block, "data"sv, format::FieldKind::kBytes, visit);
      break;
  }
}

// The number that a field of up to eight bytes holds, 0 for longer ones.
[[nodiscard]] inline std::uint64_t number_of(Bytes bytes) {
  std::uint64_t value = 0;
  if (bytes.size() > sizeof value) return 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  }
  return value;
}

// Room for any value_text(), which cuts what is longer.
inline constexpr std::size_t kValueTextBytes = 1100;
// Bytes of a field without a meaning that are shown.
inline constexpr std::size_t kBytesShown = 32;

namespace detail {

using hammer2::detail::Line;

inline void put_hex_byte(Line& line, std::byte byte) {
  const auto value = std::to_integer<std::size_t>(byte);
  line.text({&"0123456789abcdef"[value >> 4], 1});
  line.text({&"0123456789abcdef"[value & 15], 1});
}

inline void put_text(Line& line, Bytes bytes) {
  // Zeros behind a name are padding.
  while (!bytes.empty() && bytes.back() == std::byte{0}) {
    bytes = bytes.first(bytes.size() - 1);
  }
  line.text("\"");
  for (const std::byte b : bytes) {
    const auto c = static_cast<char>(b);
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' ||
        c == '"') {
      put_hex_byte(line.text("\\x"), b);
    } else {
      line.text({&c, 1});
    }
  }
  line.text("\"");
}

inline void put_bytes(Line& line, Bytes bytes) {
  if (all_zero(bytes)) {
    line.text("zeros");
    return;
  }
  const std::size_t shown = std::min(bytes.size(), kBytesShown);
  for (const std::byte b : bytes.first(shown)) put_hex_byte(line, b);
  if (shown < bytes.size()) line.text("...");
}

inline void put_octal(Line& line, std::uint64_t value) {
  line.text("0");
  for (unsigned shift = 21; shift > 0;) {
    shift -= 3;
    line.text({&"01234567"[value >> shift & 7], 1});
  }
}

}  // namespace detail

// The value of a field in words, in `to`. Times stay microseconds.
[[nodiscard]] inline std::string_view value_text(const FieldView& view,
                                                 std::span<char> to) {
  using format::FieldKind;
  detail::Line line(to);
  const std::uint64_t value = number_of(view.bytes);
  const auto low = static_cast<std::uint8_t>(value);
  const auto named = [&](std::string_view name) {
    line.decimal(value).text(" (").text(name).text(")");
  };
  switch (view.field->kind) {
    case FieldKind::kNumber:
    case FieldKind::kTime:
      line.decimal(value);
      break;
    case FieldKind::kHex:
      line.hex(value);
      break;
    case FieldKind::kBytes:
    case FieldKind::kBlockrefs:
      detail::put_bytes(line, view.bytes);
      break;
    case FieldKind::kText:
      detail::put_text(line, view.bytes);
      break;
    case FieldKind::kUuid: {
      const auto text = format::uuid_text(format::load_uuid(view.bytes, 0));
      line.text({text.data(), text.size()});
      break;
    }
    case FieldKind::kDataOff: {
      const std::uint64_t radix = value & format::kOffsetRadixMask;
      line.hex(value & ~format::kOffsetRadixMask);
      if (radix != 0) line.text(" of ").size(std::uint64_t{1} << radix);
      break;
    }
    case FieldKind::kMode:
      detail::put_octal(line, value);
      break;
    case FieldKind::kBlockType:
      named(hammer2::to_string(static_cast<format::BlockType>(low)));
      break;
    case FieldKind::kMethods:
      line.hex(value).text(" (").text(
          hammer2::to_string(format::check_method(low)));
      line.text(", ")
          .text(hammer2::to_string(format::comp_method(low)))
          .text(")");
      break;
    case FieldKind::kObjectType:
      named(hammer2::to_string(static_cast<ObjectType>(low)));
      break;
    case FieldKind::kCheckAlgo:
      named(hammer2::to_string(static_cast<CheckMethod>(low & 15)));
      break;
    case FieldKind::kCompAlgo:
      named(hammer2::to_string(static_cast<CompMethod>(low & 15)));
      break;
    case FieldKind::kPfsType:
      named(hammer2::to_string(static_cast<format::PfsType>(low)));
      break;
    case FieldKind::kPfsSubtype:
      named(hammer2::to_string(static_cast<format::PfsSubtype>(low)));
      break;
  }
  return line.view();
}

}  // namespace odo::hammer2::inspect
