// SPDX-License-Identifier: BSD-3-Clause
// All that is left of files on a medium: every version of every inode, and
// every name, from the newest volume header's tree, from older ones, and from
// space that nothing known lies in.
//
//   recover::Catalogue<Medium> catalogue(medium, newest_space, older_space);
//   if (!catalogue.init(arena)) ...
//   catalogue.walk_headers(observer);     // the trees that there are
//   catalogue.scan(observer);             // and what no tree reaches
//   catalogue.finish();
//   for (const Version& version : catalogue.versions()) ...
//
// A version that an older tree leads to is proven by check codes, with the PFS
// and the names of its time. Of one that lies alone only what it says itself is
// known; its blocks are proven by the check codes in it.
//
// Contexts: thread, one at a time; reads block where the device does.
// Bounds: the arena, half of what is left when init() is called for versions
//   and a third for names; where they are full, full() says so. The bounds of
//   the walks; an older tree is walked only where it differs from those walked
//   before. A path has at most kMaxComponents.
// Failure: what is damaged in the newest tree is told to the observer; of older
//   ones whatever is good is taken.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/seen_set.h"
#include "lib/hammer2/check/space.h"
#include "lib/hammer2/inspect/topology.h"
#include "lib/hammer2/recover/candidate.h"
#include "lib/hammer2/recover/scan.h"
#include "lib/hammer2/types.h"

namespace odo::hammer2::recover {

// Where something is known from, the best first.
enum class Source : std::uint8_t {
  kNewest,  // the newest usable header's tree
  kOlder,   // the tree of an older header, or of an older PFS root
  kAlone,   // it lies on the medium
};

[[nodiscard]] constexpr std::string_view to_string(Source source) {
  using std::operator""sv;
  switch (source) {
    case Source::kNewest:
      return "newest"sv;
    case Source::kOlder:
      return "older"sv;
    case Source::kAlone:
      break;
  }
  return "alone"sv;
}

inline constexpr std::uint16_t kNoPfs = 0xffff;

// An inode as it was at some time.
struct Version {
  std::uint64_t offset;  // of its block
  std::uint64_t inum;
  std::uint64_t iparent;
  std::uint64_t size;
  std::uint64_t mtime_us;
  std::uint64_t ctime_us;
  std::uint64_t tid;  // of its last change, 0 if unknown
  std::uint32_t mode;
  std::uint16_t pfs;  // kNoPfs if unknown
  ObjectType type;
  Source source;
};

struct Name {
  std::uint64_t inum;
  std::uint64_t parent;  // the directory's number, 0 if unknown
  std::uint64_t tid;
  const char* text;
  std::uint16_t length;
  std::uint16_t pfs;
  Source source;

  [[nodiscard]] std::string_view view() const { return {text, length}; }
};

// What has become of a version.
enum class Fate : std::uint8_t {
  kCurrent,  // the newest tree has it, or has its name and lost the inode
  kDeleted,  // the newest tree has no name for it
  kOlder,    // the newest tree has another version
};

[[nodiscard]] constexpr std::string_view to_string(Fate fate) {
  using std::operator""sv;
  switch (fate) {
    case Fate::kCurrent:
      return "current"sv;
    case Fate::kDeleted:
      return "deleted"sv;
    case Fate::kOlder:
      break;
  }
  return "older"sv;
}

template <class Medium>
class Catalogue {
 public:
  static constexpr std::size_t kMaxPfss = 4096;
  static constexpr std::size_t kMaxRoots = 65536;  // older PFS roots
  static constexpr unsigned kMaxComponents = 256;

  using Reader = typename Medium::Reader;
  using Walk = inspect::TopologyWalk<Reader>;

  // Both maps are empty; `newest` tells what is reached afterwards.
  Catalogue(Medium& medium, audit::SpaceMap& newest, audit::SpaceMap& older)
      : medium_(medium),
        newest_walk_(medium.volumes(), medium.reader(), newest),
        older_walk_(medium.volumes(), medium.reader(), older),
        scan_(medium.volumes(), newest) {}

  [[nodiscard]] bool init(audit::Arena& arena) {
    header_ = arena.take<std::byte>(format::kVolumeHeaderBytes);
    labels_ = arena.take<Label>(kMaxPfss);
    roots_ = arena.take<std::uint64_t>(kMaxRoots);
    if (header_.empty() || labels_.empty() || roots_.empty() ||
        !newest_walk_.init(arena) || !older_walk_.init(arena) ||
        !scan_.init(arena)) {
      return false;
    }
    versions_ = arena.take<Version>(arena.left() / 2 / sizeof(Version));
    names_ = arena.take<Name>(arena.left() / 3 / sizeof(Name));
    texts_ = arena.take<char>(arena.left() / 2);
    seen_.init(arena);
    return !versions_.empty() && !names_.empty();
  }

  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] bool newest_is_whole() const { return lost_ == 0; }
  [[nodiscard]] const ScanTotals& scanned() const { return scanned_; }

  // The newest header's tree, and then what is different in older ones.
  // observer.lost(error, pfs label) is told what is damaged in the first.
  template <class Observer>
  void walk_headers(Observer& observer) {
    const unsigned newest = medium_.volumes().info().header;
    if (take_header(newest)) {
      Collector<Observer> collector{*this, Source::kNewest, &observer};
      newest_walk_.limit({.read_data = false});
      newest_walk_.run_blockset(blockset(), collector);
    }
    // Each older one as it is still there.
    older_walk_.limit({.read_data = false});
    for (unsigned i = 0; i < format::kVolumeHeaderCount; ++i) {
      if (i == newest || !take_header(i)) continue;
      Collector<Observer> collector{*this, Source::kOlder, nullptr};
      older_walk_.run_blockset(blockset(), collector);
    }
  }

  // What no header leads to. observer.progress(done, total) in bytes.
  template <class Observer>
  void scan(Observer& observer) {
    root_count_ = 0;
    Finder<Observer> finder{*this, observer};
    scanned_ = scan_.run(finder);
    // Older roots of PFSs lead to all that isn't overwritten, in its place.
    for (std::size_t i = 0; i < root_count_; ++i) {
      Collector<Observer> collector{*this, Source::kOlder, nullptr};
      older_walk_.run_inode(inode_at(roots_[i], 0), Tree::kSuperRoot,
                            collector);
    }
  }

  // Sorts what has been found. Afterwards each version is there once.
  void finish();

  // By PFS, number, source and age, the newest first.
  [[nodiscard]] std::span<const Version> versions() const {
    return versions_.first(version_count_);
  }
  // By number.
  [[nodiscard]] std::span<const Name> names() const {
    return names_.first(name_count_);
  }
  [[nodiscard]] std::string_view label(std::uint16_t pfs) const {
    if (pfs >= label_count_) return {};
    return {labels_[pfs].text.data(), labels_[pfs].length};
  }
  [[nodiscard]] Fate fate(const Version& version) const;

  // Whether two PFSs may be one.
  [[nodiscard]] static bool same_pfs(std::uint16_t a, std::uint16_t b) {
    return a == b || a == kNoPfs || b == kNoPfs;
  }
  // All names that anybody ever gave to that number.
  [[nodiscard]] std::span<const Name> names_of(std::uint64_t inum) const {
    const auto by_inum = [](const Name& name, std::uint64_t n) {
      return name.inum < n;
    };
    const auto all = names();
    const auto first = std::lower_bound(all.begin(), all.end(), inum, by_inum);
    auto last = first;
    while (last != all.end() && last->inum == inum) ++last;
    return {first, last};
  }
  // The best name of an inode, or null: of its own PFS first, then the one
  // known best.
  [[nodiscard]] const Name* best_name(std::uint16_t pfs,
                                      std::uint64_t inum) const {
    const Name* best = nullptr;
    for (const Name& name : names_of(inum)) {
      if (same_pfs(name.pfs, pfs) &&
          (best == nullptr || better(name, *best, pfs))) {
        best = &name;
      }
    }
    return best;
  }

  // Names that lead to `first`, which may be null, from the leaf up, in `to`;
  // `top` is the directory above them, kRootInum where they lead to the root.
  [[nodiscard]] std::size_t chain(const Version& version, const Name* first,
                                  std::span<const Name*> to,
                                  std::uint64_t& top) const {
    std::size_t count = 0;
    const auto above = [&](const Name* name, std::uint64_t otherwise) {
      return name != nullptr && name->parent != 0 ? name->parent : otherwise;
    };
    if (first != nullptr && !to.empty()) to[count++] = first;
    top = above(first, version.iparent);
    while (top > format::kRootInum && count < to.size()) {
      const Name* name = best_name(version.pfs, top);
      if (name == nullptr) break;
      to[count++] = name;
      // Without a parent's number the chain ends here.
      top = name->parent;
    }
    return count;
  }

 private:
  struct Label {
    std::array<char, format::kInodeNameBytes> text;
    std::uint16_t length;
  };

  // Takes what a walk tells.
  template <class Observer>
  struct Collector {
    Catalogue& catalogue;
    Source source;
    Observer* observer;  // of damage; null for older trees

    inspect::Follow enter(const inspect::Visit& visit) {
      if (visit.error && observer != nullptr) {
        ++catalogue.lost_;
        observer->lost(*visit.error, visit.pfs);
      }
      return catalogue.take(visit, source);
    }
    void leave(const format::Blockref&, unsigned) {}
  };

  template <class Observer>
  struct Finder {
    Catalogue& catalogue;
    Observer& observer;

    void inode(std::uint64_t offset, InodeSort sort, Bytes bytes) {
      if (sort == InodeSort::kPfsRoot) {
        if (catalogue.root_count_ == catalogue.roots_.size()) {
          catalogue.full_ = true;
          return;
        }
        catalogue.roots_[catalogue.root_count_++] = offset;
        return;
      }
      const auto meta = read_struct<format::InodeMeta>(bytes, 0);
      catalogue.add_version(*meta, offset, 0, kNoPfs, Source::kAlone);
      if (sort == InodeSort::kNamed) {
        catalogue.add_name(
            {.inum = meta->inum,
             .parent = meta->iparent,
             .tid = 0,
             .text = reinterpret_cast<const char*>(
                 bytes.data() + offsetof(format::Inode, filename)),
             .length = meta->name_len,
             .pfs = kNoPfs,
             .source = Source::kAlone});
      }
      // A directory tells the names in it, up to four.
      if (meta->type != ObjectType::kDirectory) return;
      for (std::size_t i = 0; i < format::kBlocksetCount; ++i) {
        const auto ref =
            entry_in(inode_refs(bytes).subspan(i * sizeof(format::Blockref)));
        if (ref) catalogue.add_entry(*ref, meta->inum, kNoPfs, Source::kAlone);
      }
    }
    void entry(std::uint64_t, const format::Blockref& ref) {
      catalogue.add_entry(ref, 0, kNoPfs, Source::kAlone);
    }
    void header(std::uint64_t) {}
    void progress(std::uint64_t done, std::uint64_t total) {
      observer.progress(done, total);
    }
  };

  [[nodiscard]] bool take_header(unsigned index) {
    const auto header = medium_.header(index);
    if (!header) return false;
    copy_bytes(header_, *header);
    return true;
  }
  [[nodiscard]] Bytes blockset() const {
    return Bytes(header_).subspan(
        offsetof(format::VolumeHeader, sroot_blockset),
        sizeof(format::Blockset));
  }

  inspect::Follow take(const inspect::Visit& visit, Source source) {
    const format::Blockref& ref = visit.ref;
    if (visit.state == inspect::State::kBad) return inspect::Follow::kNo;
    const std::uint16_t pfs = number_of(visit.pfs);
    if (ref.type == format::BlockType::kDirent) {
      const std::string_view name = visit.entry_name();
      if (audit::entry_name_fits(ref.key, name)) {
        add_name({.inum = ref.embed.dirent.inum,
                  .parent = visit.inum,
                  .tid = ref.modify_tid,
                  .text = name.data(),
                  .length = static_cast<std::uint16_t>(name.size()),
                  .pfs = pfs,
                  .source = source});
      }
      return inspect::Follow::kNo;
    }
    const auto meta = visit.inode();
    if (meta && visit.tree != Tree::kVolume) {
      add_version(*meta, ref.offset(), ref.modify_tid, pfs, source);
      const std::string_view name = visit.inode_name();
      if (visit.tree == Tree::kDirectory &&
          ref.key >= format::kDirhashVisible &&
          audit::entry_name_fits(ref.key, name)) {
        add_name({.inum = meta->inum,
                  .parent = visit.inum,
                  .tid = ref.modify_tid,
                  .text = name.data(),
                  .length = static_cast<std::uint16_t>(name.size()),
                  .pfs = pfs,
                  .source = source});
      }
      // Whatever hangs below a file is read with it.
      if (visit.below == Tree::kFile) return inspect::Follow::kNo;
    }
    // What is the same as in a tree walked before has nothing new.
    return seen_.insert(ref, pfs) ? inspect::Follow::kYes
                                  : inspect::Follow::kNo;
  }

  void add_version(const format::InodeMeta& meta, std::uint64_t offset,
                   std::uint64_t tid, std::uint16_t pfs, Source source) {
    if (version_count_ == versions_.size()) {
      full_ = true;
      return;
    }
    versions_[version_count_++] = {.offset = offset,
                                   .inum = meta.inum,
                                   .iparent = meta.iparent,
                                   .size = meta.size,
                                   .mtime_us = meta.mtime_us,
                                   .ctime_us = meta.ctime_us,
                                   .tid = tid,
                                   .mode = meta.mode,
                                   .pfs = pfs,
                                   .type = meta.type,
                                   .source = source};
  }
  void add_entry(const format::Blockref& ref, std::uint64_t parent,
                 std::uint16_t pfs, Source source) {
    add_name({.inum = ref.embed.dirent.inum,
              .parent = parent,
              .tid = ref.modify_tid,
              .text = ref.check.name.data(),
              .length = ref.embed.dirent.name_len,
              .pfs = pfs,
              .source = source});
  }
  void add_name(Name name) {
    if (name_count_ == names_.size() ||
        name.length > texts_.size() - text_length_) {
      full_ = true;
      return;
    }
    char* const to = texts_.data() + text_length_;
    std::copy_n(name.text, name.length, to);
    text_length_ += name.length;
    name.text = to;
    names_[name_count_++] = name;
  }

  // The number of a PFS, given as it is met.
  [[nodiscard]] std::uint16_t number_of(std::string_view label_text) {
    if (label_text.empty()) return kNoPfs;
    if (last_pfs_ < label_count_ && label(last_pfs_) == label_text) {
      return last_pfs_;
    }
    for (std::uint16_t i = 0; i < label_count_; ++i) {
      if (label(i) == label_text) return last_pfs_ = i;
    }
    if (label_count_ == labels_.size()) {
      full_ = true;
      return kNoPfs;
    }
    Label& made = labels_[label_count_];
    made.length = static_cast<std::uint16_t>(label_text.size());
    std::copy_n(label_text.data(), label_text.size(), made.text.data());
    return last_pfs_ = label_count_++;
  }

  [[nodiscard]] static bool better(const Name& a, const Name& b,
                                   std::uint16_t pfs) {
    if ((a.pfs == pfs) != (b.pfs == pfs)) return a.pfs == pfs;
    if (a.source != b.source) return a.source < b.source;
    if ((a.parent != 0) != (b.parent != 0)) return a.parent != 0;
    return a.tid > b.tid;
  }

  Medium& medium_;
  Walk newest_walk_;
  Walk older_walk_;
  Scan<typename Medium::Volumes> scan_;
  ScanTotals scanned_;
  audit::SeenSet seen_;  // references that have been followed, for each PFS
  MutableBytes header_;
  std::span<Label> labels_;
  std::uint16_t label_count_ = 0;
  std::uint16_t last_pfs_ = 0;
  std::span<std::uint64_t> roots_;  // older PFS roots' places
  std::size_t root_count_ = 0;
  std::span<Version> versions_;
  std::size_t version_count_ = 0;
  std::span<Name> names_;
  std::size_t name_count_ = 0;
  std::span<char> texts_;
  std::size_t text_length_ = 0;
  std::uint64_t lost_ = 0;
  bool full_ = false;
};

template <class Medium>
void Catalogue<Medium>::finish() {
  // One place is one version, however often it has been reached: the best known
  // counts.
  const auto all = versions_.first(version_count_);
  std::sort(all.begin(), all.end(), [](const Version& a, const Version& b) {
    // kNoPfs, and with it what lies alone, comes last.
    if (a.offset != b.offset) return a.offset < b.offset;
    if (a.pfs != b.pfs) return a.pfs < b.pfs;
    if (a.source != b.source) return a.source < b.source;
    return a.tid > b.tid;
  });
  const auto same = [](const Version& a, const Version& b) {
    return a.offset == b.offset &&
           (a.pfs == b.pfs || b.source == Source::kAlone);
  };
  version_count_ = static_cast<std::size_t>(
      std::unique(all.begin(), all.end(), same) - all.begin());
  const auto left = versions_.first(version_count_);
  std::sort(left.begin(), left.end(), [](const Version& a, const Version& b) {
    if (a.pfs != b.pfs) return a.pfs < b.pfs;
    if (a.inum != b.inum) return a.inum < b.inum;
    if (a.source != b.source) return a.source < b.source;
    if (a.tid != b.tid) return a.tid > b.tid;
    if (a.ctime_us != b.ctime_us) return a.ctime_us > b.ctime_us;
    return a.offset < b.offset;
  });
  const auto named = names_.first(name_count_);
  const auto less = [](const Name& a, const Name& b) {
    if (a.inum != b.inum) return a.inum < b.inum;
    if (a.pfs != b.pfs) return a.pfs < b.pfs;
    if (a.parent != b.parent) return a.parent < b.parent;
    if (a.view() != b.view()) return a.view() < b.view();
    if (a.source != b.source) return a.source < b.source;
    return a.tid > b.tid;
  };
  std::sort(named.begin(), named.end(), less);
  const auto equal = [](const Name& a, const Name& b) {
    return a.inum == b.inum && a.pfs == b.pfs && a.parent == b.parent &&
           a.view() == b.view();
  };
  name_count_ = static_cast<std::size_t>(
      std::unique(named.begin(), named.end(), equal) - named.begin());
}

template <class Medium>
Fate Catalogue<Medium>::fate(const Version& version) const {
  // Where the newest tree has the name, it has the file or has lost its inode;
  // an inode without a name waits for being released.
  bool named = version.inum == format::kRootInum;
  for (const Name& name : names_of(version.inum)) {
    named |= name.source == Source::kNewest && same_pfs(name.pfs, version.pfs);
  }
  if (version.source == Source::kNewest) {
    return named ? Fate::kCurrent : Fate::kDeleted;
  }
  const auto is_there = [&](std::uint16_t pfs) {
    const auto all = versions();
    const auto before = [&](const Version& v, std::uint64_t inum) {
      return v.pfs != pfs ? v.pfs < pfs : v.inum < inum;
    };
    const auto it =
        std::lower_bound(all.begin(), all.end(), version.inum, before);
    return it != all.end() && it->pfs == pfs && it->inum == version.inum &&
           it->source == Source::kNewest;
  };
  if (version.pfs != kNoPfs) {
    if (is_there(version.pfs)) return Fate::kOlder;
  } else {
    for (std::uint16_t pfs = 0; pfs < label_count_; ++pfs) {
      if (is_there(pfs)) return Fate::kOlder;
    }
  }
  return named ? Fate::kCurrent : Fate::kDeleted;
}

}  // namespace odo::hammer2::recover
