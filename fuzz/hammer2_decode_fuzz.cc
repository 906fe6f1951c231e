// SPDX-License-Identifier: BSD-3-Clause
// HAMMER2's structures out of raw bytes: references, inodes, names, freemap
// entries, and the texts about them, each against the format's letter.
//
// Shape of an input: u8 what to decode, then its bytes; missing ones are 0.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/hammer2/container.h"
#include "fuzz/hammer2/session.h"
#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/inodes.h"
#include "lib/hammer2/check/seen_set.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/format/dirhash.h"
#include "lib/hammer2/format/freemap.h"
#include "lib/hammer2/format/uuid.h"
#include "lib/hammer2/path.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/validate.h"

namespace odo::hammer2::fuzz {
namespace {

using format::Blockref;
using format::BlockType;

class Input : public detail::Cursor {
 public:
  using Cursor::Cursor;
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  std::uint64_t word() { return number(8); }
  template <Plain T>
  T structure() {
    T value;
    const MutableBytes bytes = mutable_bytes_of(value);
    zero_bytes(bytes);
    copy_bytes(bytes, take(bytes.size()));
    return value;
  }
  std::vector<std::byte> rest(std::size_t most) {
    const Bytes taken = take(most);
    return {taken.begin(), taken.end()};
  }
};

Tree any_tree(Input& input) { return static_cast<Tree>(input.byte() % 5); }

KeyRange any_range(Input& input) {
  const unsigned bits = input.byte() % 65;
  if (bits == 64) return {};
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const std::uint64_t key = input.word() & ~mask;
  return {.first = key, .last = key | mask, .bits = bits};
}

std::vector<std::byte> any_refs(Input& input) {
  std::vector<std::byte> bytes = input.rest(512 * sizeof(Blockref));
  bytes.resize((bytes.size() + sizeof(Blockref) - 1) / sizeof(Blockref) *
               sizeof(Blockref));
  return bytes;
}

// Whether one reference may stand there, but for its neighbours.
bool may_stand(const Blockref& ref, Tree tree, const KeyRange& range) {
  const bool inode = ref.type == BlockType::kInode;
  const bool indirect = ref.type == BlockType::kIndirect;
  const bool data = ref.type == BlockType::kData;
  const bool entry = ref.type == BlockType::kDirent;
  if (!inode && !indirect && !data && !entry) return false;
  if (tree == Tree::kNone || (tree == Tree::kVolume && !inode) ||
      (tree == Tree::kSuperRoot && !inode && !indirect) ||
      (tree == Tree::kDirectory && data) ||
      (tree == Tree::kFile && !data && !indirect)) {
    return false;
  }
  if ((inode || entry) && ref.keybits != 0) return false;
  if (data && (ref.keybits < 10 || ref.keybits > 16)) return false;
  if (indirect && (ref.keybits == 0 || ref.keybits >= range.bits)) return false;
  const std::uint64_t size = std::uint64_t{1} << ref.keybits;
  return ref.key % size == 0 && ref.key >= range.first &&
         ref.key + (size - 1) <= range.last;
}

void references(Input& input) {
  const Tree tree = any_tree(input);
  const KeyRange range = any_range(input);
  const std::uint64_t wanted = input.word();
  const std::vector<std::byte> bytes = any_refs(input);
  std::vector<Blockref> refs(bytes.size() / sizeof(Blockref));
  const RefArray array(bytes, refs.size());
  bool good = true;
  std::size_t used = 0;
  std::optional<std::uint64_t> last;
  for (std::size_t i = 0; i < refs.size(); ++i) {
    array.copy(i, refs[i]);
    ODO_CHECK(array.type(i) == refs[i].type && array.key(i) == refs[i].key &&
              array.keybits(i) == refs[i].keybits);
    if (refs[i].type == BlockType::kEmpty) continue;
    used = i + 1;
    good = good && may_stand(refs[i], tree, range) &&
           (!last || refs[i].key > *last);
    if (good) last = array.last_key(i);
  }
  const Blockref at = {};
  const auto validated = validate_refs(bytes, tree, range, at, 1);
  ODO_CHECK(validated.has_value() == good);
  if (!validated) return check_told(validated.error());
  ODO_CHECK(*validated == used);
  const RefArray in_use(bytes, used);
  std::vector<std::uint64_t> keys = {0, wanted, ~std::uint64_t{0}};
  for (const Blockref& ref : refs) {
    keys.insert(keys.end(), {ref.key - 1, ref.key, ref.key + 1});
  }
  for (const std::uint64_t key : keys) {
    std::size_t first = 0;
    while (first < used && (refs[first].type == BlockType::kEmpty ||
                            in_use.last_key(first) < key)) {
      ++first;
    }
    ODO_CHECK(in_use.lower_bound(key) == first);
  }
}

void inode(Input& input) {
  const Tree in = any_tree(input);
  const auto value = input.structure<format::Inode>();
  const Bytes bytes = bytes_of(value);
  const Blockref at = {};
  const auto fields = validate_inode_fields(bytes, in, at, 1);
  const auto all = validate_inode(bytes, in, at, 1);
  if (!fields) {
    check_told(fields.error());
    ODO_CHECK(!all);
    return;
  }
  const format::InodeMeta& meta = value.meta;
  const bool embeds = (meta.op_flags & format::kInodeDirectData) != 0;
  ODO_CHECK(meta.version == 1 && meta.name_len <= 256 && meta.size >> 63 == 0);
  ODO_CHECK(!embeds || meta.size <= format::kEmbeddedBytes);
  const bool embeds_body = embeds && (meta.type == ObjectType::kRegular ||
                                      meta.type == ObjectType::kSymlink);
  ODO_CHECK(!embeds_body || *fields == Tree::kNone || in == Tree::kVolume);
  if (!all) return check_told(all.error());
  ODO_CHECK(*all <= format::kBlocksetCount);
}

// A block of references as a checker sees it.
void examined(Input& input) {
  const audit::Task task = {.ref = input.structure<Blockref>(),
                            .inum = input.word(),
                            .size = input.word(),
                            .depth = 1,
                            .tree = any_tree(input),
                            .rooted = (input.byte() & 1) != 0};
  Blockref ref = task.ref;
  ref.keybits %= 64;
  ref.key &= ~((std::uint64_t{1} << ref.keybits) - 1);
  audit::Task proven = task;
  proven.ref = ref;
  const std::vector<std::byte> bytes = any_refs(input);
  const audit::Block block = audit::indirect_block(proven, bytes);
  std::size_t bad = 0;
  std::size_t all = 0;
  audit::examine(block, [&](const audit::Remark& remark) {
    ODO_CHECK(remark.entry == audit::kWholeBlock ||
              remark.entry < block.refs.size());
    ++all;
    if (remark.rule == audit::Rule::kBlock) ++bad;
  });
  const auto valid = validate_refs(bytes, proven.tree, block.range, ref, 1);
  ODO_CHECK(valid || bad > 0);
  // Each entry has at most five things wrong with it, each block three.
  ODO_CHECK(all <= 5 * block.refs.size() + 3);
}

// The hash of a name by the letter of hammer2_dirhash(), bit by bit.
std::uint32_t plain_crc(std::string_view text) {
  std::uint32_t crc = ~0U;
  for (const char c : text) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int i = 0; i < 8; ++i) {
      crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
    }
  }
  return ~crc;
}
std::uint64_t plain_dirhash(std::string_view name) {
  std::uint32_t sum = 0;
  std::string field;
  for (const char c : name) {
    const bool separates = c == '.' || c == '-' || c == '_' || c == '~';
    if (!separates) field += c;
    if (separates && !field.empty()) {
      sum += plain_crc(field);
      field.clear();
    }
  }
  if (!field.empty()) sum += plain_crc(field);
  const std::uint32_t whole = plain_crc(name);
  return std::uint64_t{1} << 63 | std::uint64_t{sum} << 32 |
         ((whole ^ whole << 16) & 0xffff0000U) | 0x8000U;
}

void name(Input& input) {
  const std::vector<std::byte> bytes = input.rest(600);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  const bool possible = !text.empty() && text.size() <= 256 && text != "." &&
                        text != ".." &&
                        text.find('/') == std::string_view::npos &&
                        text.find('\0') == std::string_view::npos;
  ODO_CHECK(name_possible(text) == possible);
  const std::uint64_t key = format::dirhash(text);
  ODO_CHECK(key == plain_dirhash(text));
  ODO_CHECK(audit::key_fits(key, text) && audit::key_fits(key + 1, text));
  ODO_CHECK(audit::entry_name_fits(key, text) == possible);
  // Taking a path apart gives its parts, in order.
  std::array<std::byte, Path::kBufferBytes> buffer;
  Path path(text, buffer);
  std::string_view part;
  std::size_t at = 0;
  while (path.next(part)) {
    at = text.find_first_not_of('/', at);
    ODO_CHECK(part == text.substr(at, part.size()) && !part.empty());
    at += part.size();
    ODO_CHECK(path.at_last() == (at == text.size()));
  }
  ODO_CHECK(text.find_first_not_of('/', at) == std::string_view::npos);
}

void freemap(Input& input) {
  const auto entry = input.structure<format::BmapData>();
  for (unsigned unit = 0; unit < 256; ++unit) {
    const Bytes bytes = bytes_of(entry);
    const auto byte = std::to_integer<unsigned>(
        bytes[offsetof(format::BmapData, bitmap) + unit / 4]);
    ODO_CHECK(static_cast<unsigned>(format::unit_state(entry, unit)) ==
              (byte >> unit % 4 * 2 & 3));
  }
}

void texts(Input& input) {
  // Not as read from media, but whatever numbers stand in it.
  Error error{.code = static_cast<Code>(
                  input.byte() % (static_cast<unsigned>(Code::kTooDeep) + 1))};
  error.type = static_cast<BlockType>(input.byte());
  error.check = static_cast<format::CheckMethod>(input.byte() % 16);
  error.device = static_cast<block::Error>(input.byte() % 3);
  error.volume = input.byte();
  error.bytes = static_cast<std::uint32_t>(input.number(4));
  error.offset = input.word();
  error.key = input.word();
  error.inum = input.word();
  error.found = input.word();
  error.expected = input.word();
  check_told(error);
  audit::Finding finding{
      .rule = static_cast<audit::Rule>(input.byte() % audit::kRules)};
  finding.at = error;
  finding.has_numbers = (input.byte() & 1) != 0;
  if ((input.byte() & 1) != 0) finding.detail = "detail";
  std::array<char, kErrorTextBytes + 128> buffer;
  const auto line = audit::finding_text(finding, buffer);
  ODO_CHECK(!line.empty() && line.size() < buffer.size());
  std::array<char, 8> small;
  ODO_CHECK(error_text(error, small).size() <= small.size());

  // A byte read from media may hold a value that isn't listed.
  struct Enums {
    ObjectType type;
    format::PfsType pfs_type;
    format::PfsSubtype pfs_subtype;
    CheckMethod check;
    CompMethod comp;
    BlockType block;
  };
  const auto enums = input.structure<Enums>();
  ODO_CHECK(!hammer2::to_string(enums.type).empty());
  ODO_CHECK(!hammer2::to_string(enums.pfs_type).empty());
  ODO_CHECK(!hammer2::to_string(enums.pfs_subtype).empty());
  ODO_CHECK(!hammer2::to_string(enums.check).empty());
  ODO_CHECK(!hammer2::to_string(enums.comp).empty());
  ODO_CHECK(!hammer2::to_string(enums.block).empty());

  const auto uuid = input.structure<format::Uuid>();
  const auto text = format::uuid_text(uuid);
  ODO_CHECK(std::count(text.begin(), text.end(), '-') == 4);
  ODO_CHECK(format::load_uuid(bytes_of(uuid), 0) == uuid);
  ODO_CHECK(format::unix_id(uuid) ==
            load_le<std::uint32_t>(bytes_of(uuid).data() + 12));
}

// Claims of blocks against one byte for each KiB.
void space(Input& input) {
  constexpr std::uint64_t kTotal = std::uint64_t{16} << 20;
  struct Kib {
    std::uint64_t start = 0;  // of the block that lies here, plus one
    unsigned radix = 0;
    bool meta = false;
    bool due = false;
  };
  static std::vector<std::byte> memory(std::size_t{1} << 16);
  std::vector<Kib> plain(kTotal >> 10);
  // Bytes in use twice, overlapping, make the plain map lose its meaning.
  bool overlapped = false;
  audit::Arena arena(memory);
  audit::SpaceMap map;
  ODO_CHECK(map.init(arena, kTotal));
  std::uint64_t used = 0;
  while (!input.empty()) {
    const unsigned radix = 10 + input.byte() % 7;
    const std::uint64_t bytes = std::uint64_t{1} << radix;
    const std::uint64_t offset = input.number(3) % kTotal & ~(bytes - 1);
    const std::uint8_t flags = input.byte();
    const bool meta = (flags & 1) != 0;
    const bool due = (flags & 2) != 0;
    const audit::Claim claim =
        map.claim(offset, radix,
                  meta ? audit::Content::kMeta : audit::Content::kData, due);
    bool any = false;
    bool same = true;
    for (std::uint64_t kib = offset >> 10; kib < (offset + bytes) >> 10;
         ++kib) {
      any = any || plain[kib].start != 0;
      same = same && plain[kib].start == offset + 1 &&
             plain[kib].radix == radix && plain[kib].meta == meta;
      plain[kib].due = plain[kib].due || due;
    }
    ODO_CHECK((claim == audit::Claim::kNew) == !any);
    if (!overlapped)
      ODO_CHECK((claim == audit::Claim::kShared) == (any && same));
    overlapped = overlapped || claim == audit::Claim::kOverlap;
    if (claim != audit::Claim::kShared) used += bytes;
    ODO_CHECK(map.used_bytes() == used);
    for (std::uint64_t kib = offset >> 10; kib < (offset + bytes) >> 10;
         ++kib) {
      if (plain[kib].start == 0) {
        plain[kib] = {.start = offset + 1,
                      .radix = radix,
                      .meta = meta,
                      .due = plain[kib].due};
      }
    }
    const auto units = map.units(offset);
    const std::uint64_t page = align_down(offset, audit::SpaceMap::kPageSpan);
    for (unsigned unit = 0; unit < audit::SpaceMap::kUnits; ++unit) {
      bool in_use = false;
      bool is_due = false;
      for (unsigned i = 0; i < 16; ++i) {
        const Kib& kib = plain[(page >> 10) + std::uint64_t{unit} * 16 + i];
        in_use = in_use || kib.start != 0;
        is_due = is_due || kib.due;
      }
      ODO_CHECK((units.used[unit / 64] >> unit % 64 & 1) == (in_use ? 1 : 0));
      ODO_CHECK((units.due[unit / 64] >> unit % 64 & 1) == (is_due ? 1 : 0));
    }
  }
}

// The table of inodes against a map, with numbers that somebody may have chosen
// so that they meet in it.
void inodes(Input& input) {
  static std::vector<std::byte> memory(std::size_t{1} << 20);
  audit::InodeTable table;
  table.reset(memory);
  std::map<std::uint64_t, std::uint32_t> plain;
  // Inverse of the table's multiplier: numbers whose hashes are neighbours.
  constexpr std::uint64_t kInverse = 0xf1de83e19937733d;
  static_assert(kInverse * 0x9e3779b97f4a7c15 == 1);
  // Numbers that all meet cost as many steps each as there are.
  unsigned left = 8192;
  bool full = false;
  const auto add = [&](std::uint64_t inum) {
    if (inum == audit::InodeRecord::kEmpty || full || left == 0) return;
    --left;
    audit::InodeRecord* record = table.find_or_add(inum);
    full = record == nullptr;
    if (full) return;
    ODO_CHECK(record->inum == inum && record->entries == plain[inum]);
    plain[inum] = ++record->entries;
  };
  while (!input.empty()) {
    const std::uint8_t kind = input.byte();
    const std::uint64_t number = input.word();
    if (kind % 4 != 0) {
      for (unsigned i = 0; i < kind; ++i) add(number + i);
      continue;
    }
    for (std::uint64_t i = 0; i < std::uint64_t{kind} << 8; ++i) {
      const std::uint64_t place = (number >> 50 << 50 | i) * kInverse;
      if (place >> 60 == 0) add(place << 4 | (i & 15));
    }
  }
  ODO_CHECK(full || table.size() == plain.size());
  for (const auto& [inum, entries] : plain) {
    const audit::InodeRecord* record = table.find(inum);
    ODO_CHECK(full || record != nullptr);
    ODO_CHECK(record == nullptr || record->entries == entries);
  }
}

// The set of proven references against what has been put into it.
void seen(Input& input) {
  static std::vector<std::byte> memory(std::size_t{1} << 15);
  audit::Arena arena(MutableBytes(memory).first(input.number(2) % 32768));
  audit::SeenSet set;
  set.init(arena);
  std::set<std::uint64_t> plain;
  while (!input.empty()) {
    const std::uint64_t base = input.number(3);
    const unsigned count = input.byte();
    for (unsigned i = 0; i < count; ++i) {
      Blockref ref = {};
      ref.data_off = (base + i) << 10;
      const unsigned mark = (base & 3) == 0 ? 1 : 0;
      const std::uint64_t name = ref.data_off | mark;
      const bool is_new = set.insert(ref, mark);
      // Once it is full, what is known is known and all else is new.
      ODO_CHECK(is_new == !plain.contains(name));
      ODO_CHECK(set.full() || set.contains(ref, mark));
      if (set.contains(ref, mark)) plain.insert(name);
    }
  }
  ODO_CHECK(set.empty() == plain.empty());
}

}  // namespace
}  // namespace odo::hammer2::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace odo::hammer2::fuzz;  // NOLINT: a file of one function
  Input input({reinterpret_cast<const std::byte*>(data), size});
  switch (input.byte() % 9) {
    case 0:
      references(input);
      break;
    case 1:
      inode(input);
      break;
    case 2:
      examined(input);
      break;
    case 3:
      name(input);
      break;
    case 4:
      freemap(input);
      break;
    case 5:
      texts(input);
      break;
    case 6:
      inodes(input);
      break;
    case 7:
      seen(input);
      break;
    default:
      space(input);
      break;
  }
  return 0;
}
