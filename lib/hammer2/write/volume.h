// SPDX-License-Identifier: BSD-3-Clause
// A HAMMER2 volume that can be changed: files, directories, PFSs, snapshots.
//
//   write::Volume<MyGround> volume(ground, checks);
//   ODO_TRY_VOID(volume.open(devices, write::Limits{}));
//   ODO_TRY(OpenInode * root, volume.open_pfs("DATA"));
//   ODO_TRY(OpenInode * file, volume.make(*root, "motd", {.mode = 0644}));
//   ODO_TRY_VOID(volume.write(*file, 0, text));
//   ODO_TRY_VOID(volume.sync());
//   volume.release(*file);
//
// Everything is copy-on-write up to the volume header. Changes gather in memory
// and go to free space when memory is short; sync() makes all of them the
// volume's state at once, and a power cut at any instant brings back the state
// of the last sync() that had begun to write its header, or the one before. So
// operations are atomic, and none is seen without those before it.
//
// Contexts: thread, one at a time but for flush_devices(); everything may block
//   where devices do.
// Ownership: refers to ground and devices. An OpenInode is held until
//   release(); all of them must be released before close().
// Failure: hammer2::Error. An operation that fails has changed nothing, but for
//   a write() that was cut short, which says so. When a device fails in the
//   middle of a flush, what it did is unknown: nothing is written from then on
//   and everything that would answers kReadOnly; the medium keeps the state of
//   the last good sync().
//   kNoSpace comes before anything is changed: what a later flush may need is
//   reserved. Removals may use a reserve that others may not, and space that
//   was freed is sought by bulkfree before kNoSpace is said.
// Bounds: memory as Limits says, plus 32 KiB for each GiB of the volume in
//   which blocks were taken since the last sync().
// Complexity: look-ups and changes O(depth) blocks; sync() O(what changed).
// Origin: DragonFly's sys/vfs/hammer2 for what is written; the order of writes
//   is argued in docs/hammer2-write.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/list.h"
#include "lib/hammer2/error.h"
#include "lib/hammer2/format/volume_header.h"
#include "lib/hammer2/inode_fields.h"
#include "lib/hammer2/stored_data.h"
#include "lib/hammer2/types.h"
#include "lib/hammer2/write/chain_cache.h"
#include "lib/hammer2/write/dedup_index.h"
#include "lib/hammer2/write/encoder.h"
#include "lib/hammer2/write/freemap.h"
#include "lib/hammer2/write/intent_log.h"
#include "lib/hammer2/write/media.h"
#include "lib/hammer2/write/open_inode.h"
#include "lib/hammer2/write/pending_changes.h"
#include "lib/hammer2/write/reclaim.h"
#include "lib/hammer2/write/space_marks.h"

namespace odo::hammer2::write {

// How new blocks are placed: each type in 4 MiB of its own, which keeps what is
// read together together; or one behind the other, for the smallest image.
enum class Placement : std::uint8_t { kByType, kCompact };

// How much memory a volume may take.
struct Limits {
  std::size_t cache_bytes = std::size_t{4} << 20;   // blocks that were read
  std::size_t chain_bytes = std::size_t{16} << 20;  // inodes, indirect blocks
  std::size_t data_bytes = std::size_t{8} << 20;    // file data to be written
  // Blocks of data, 128 bytes each, that are known by their codes so that equal
  // ones are stored once; a power of two, or 0. Codes must be XXH64 or SHA-192.
  std::size_t dedup_entries = 8192;
  Placement placement = Placement::kByType;
  // Space for the intent log; 0: there is none, and every sync writes a header.
  std::size_t log_bytes = 0;
};

// What a new inode is to be.
struct NewInode {
  ObjectType type = ObjectType::kRegular;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t rmajor = 0;  // of devices
  std::uint32_t rminor = 0;
};

// What set_attributes() changes; the rest stays.
struct Changes {
  std::optional<std::uint32_t> mode = {};
  std::optional<std::uint32_t> uid = {};
  std::optional<std::uint32_t> gid = {};
  std::optional<std::uint32_t> uflags = {};
  std::optional<std::uint64_t> atime_us = {};
  std::optional<std::uint64_t> mtime_us = {};
  std::optional<std::uint64_t> ctime_us = {};  // now, if not said
  std::optional<std::uint64_t> btime_us = {};
  // For what is written from now on; new entries of a directory inherit them.
  std::optional<CompMethod> comp = {};
  std::optional<std::uint8_t> comp_level = {};
  std::optional<CheckMethod> check = {};
};

enum class RenameMode : std::uint8_t { kReplace, kNoReplace, kExchange };

struct Space {
  std::uint64_t total_bytes = 0;      // for data and metadata
  std::uint64_t free_bytes = 0;       // of these
  std::uint64_t available_bytes = 0;  // without the reserve for removals
  std::uint64_t inodes = 0;           // in use, of the PFS
};

// Which sync; none where nothing was to be done.
struct SyncTicket {
  std::uint64_t tid = 0;
  std::uint64_t logged = 0;  // so many groups, and no header
  [[nodiscard]] bool pending() const { return tid != 0 || logged != 0; }
};

struct BulkfreeResult {
  std::uint64_t freed_bytes = 0;
  std::uint64_t staged_bytes = 0;  // to be freed by the next pass
  std::uint64_t blocks = 0;        // looked at
};

template <Ground G>
class TreeMarker;

template <Ground G>
class Volume {
 public:
  using Device = typename G::Device;

  static constexpr std::uint64_t kMaxFileBytes = (std::uint64_t{1} << 63) - 1;
  static constexpr std::size_t kMaxNameBytes = 255;
  static constexpr std::uint64_t kMaxLinks = 0xffffffff;

  explicit Volume(G& ground, check::Checks checks = check::Checks{})
      : ground_(ground),
        checks_(checks),
        media_(ground, checks),
        freemap_(ground, media_, checks),
        chains_(ground, media_),
        encoder_(checks),
        log_(ground, media_, checks_) {}
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;
  ~Volume() { forget(); }

  // Refused where the volume's newest header, super-root or freemap can't be
  // used as it is. What an intent log has is done again and made durable.
  [[nodiscard]] Result<void> open(std::span<Device* const> devices,
                                  const Limits& limits);
  // sync(), and then forgets the volume whether that went well or not.
  [[nodiscard]] Result<void> close();
  // Forgets the volume and whatever was not synced.
  void forget();

  [[nodiscard]] G& ground() { return ground_; }
  [[nodiscard]] const check::Checks& checks() const { return checks_; }
  [[nodiscard]] const VolumeInfo& info() const {
    return media_.volumes().info();
  }
  // Makes everything done so far durable.
  [[nodiscard]] Result<void> sync();

  // --- A sync in steps, beside other calls -----------------------------------
  // For who lets other threads have the volume while devices flush: nothing but
  // flush_devices() waits for them, and it may run beside any other call.
  //   ODO_TRY(const SyncTicket sync, volume.begin_sync());
  //   for (bool more = sync.pending(); more;) {
  //     const auto flushed = volume.flush_devices();      // without the lock
  //     ODO_TRY(more, volume.continue_sync(sync, flushed));
  //   }
  // What is done after begin_sync() belongs to the next sync. A call that needs
  // a sync of its own, and begin_sync() itself, first ends the one under way;
  // its owner then finds nothing more to do.
  //
  [[nodiscard]] Result<SyncTicket> begin_sync();
  // The same by a group in the intent log, which takes one flush; without a
  // value where there is no log, or it can't say what has changed, or is full:
  // then it takes a begin_sync().
  [[nodiscard]] Result<std::optional<SyncTicket>> begin_log();
  // Needs devices whose flush() may be called beside their other calls, and
  // tells of a failure that another flush() beside it has met.
  [[nodiscard]] Result<void> flush_devices() { return media_.flush_devices(); }
  // True when the devices are to be flushed once more.
  [[nodiscard]] Result<bool> continue_sync(SyncTicket sync,
                                           const Result<void>& flushed);
  // A write or a flush has failed.
  [[nodiscard]] bool read_only() const { return media_.failed(); }

  // --- File data that wait, stored beside other calls ------------------------
  // For WriteBehind, which knows how to use the first two: it encodes what
  // take_block() answers without the lock, and brings it back. False where
  // nothing waits that isn't being encoded.
  [[nodiscard]] Result<bool> take_block(OutgoingBlock& out);
  // Unless it has changed, in which case it goes on waiting.
  [[nodiscard]] Result<void> store_block(OutgoingBlock& out,
                                         const PreparedBlock& prepared);
  // Half of what may wait does.
  [[nodiscard]] bool is_behind() const {
    return data_bytes_ > limits_.data_bytes / 2;
  }

  // --- PFSs -----------------------------------------------------------------
  // In the order of their keys; false, and `out` untouched, after the last.
  [[nodiscard]] Result<bool> next_pfs(DirCursor& cursor, Pfs& out);
  // The root of the PFS of that label, held.
  [[nodiscard]] Result<OpenInode*> open_pfs(std::string_view label);
  [[nodiscard]] Result<void> create_pfs(std::string_view label);
  // The PFS must not be open.
  [[nodiscard]] Result<void> delete_pfs(std::string_view label);
  [[nodiscard]] Result<void> rename_pfs(std::string_view from,
                                        std::string_view to);
  // A writable copy of the PFS as it is now; takes a sync() and a few blocks,
  // however large the PFS.
  [[nodiscard]] Result<void> snapshot(OpenInode& root, std::string_view label);
  // Puts the state of `source` in the place of `label`, which isn't open, and
  // keeps its identity.
  [[nodiscard]] Result<void> roll_back(std::string_view label,
                                       std::string_view source);

  // --- Inodes ---------------------------------------------------------------
  // Each OpenInode* is held once more; give it back with release().
  [[nodiscard]] Result<OpenInode*> lookup(OpenInode& directory,
                                          std::string_view name);
  [[nodiscard]] Result<OpenInode*> by_inum(OpenInode& root, std::uint64_t inum);
  void hold(OpenInode& inode) { ++inode.holds; }
  // The last release of an inode without a name frees it.
  void release(OpenInode& inode);

  [[nodiscard]] Attributes attributes(const OpenInode& inode) const;
  [[nodiscard]] Result<void> set_attributes(OpenInode& inode,
                                            const Changes& changes);

  // --- Directories ----------------------------------------------------------
  [[nodiscard]] Result<OpenInode*> make(OpenInode& directory,
                                        std::string_view name,
                                        const NewInode& wanted);
  [[nodiscard]] Result<OpenInode*> make_symlink(OpenInode& directory,
                                                std::string_view name,
                                                std::string_view target,
                                                const NewInode& wanted);
  [[nodiscard]] Result<void> link(OpenInode& inode, OpenInode& directory,
                                  std::string_view name);
  // Of anything but a directory.
  [[nodiscard]] Result<void> unlink(OpenInode& directory,
                                    std::string_view name);
  [[nodiscard]] Result<void> remove_directory(OpenInode& directory,
                                              std::string_view name);
  [[nodiscard]] Result<void> rename(OpenInode& from, std::string_view old_name,
                                    OpenInode& to, std::string_view new_name,
                                    RenameMode mode);
  // As FileSystem::read_directory().
  [[nodiscard]] Result<bool> read_directory(OpenInode& directory,
                                            DirCursor& cursor, DirEntry& out);

  // --- Content --------------------------------------------------------------
  [[nodiscard]] Result<std::size_t> read(OpenInode& file, std::uint64_t offset,
                                         MutableBytes to);
  [[nodiscard]] Result<std::size_t> read_link(OpenInode& link, MutableBytes to);
  // All of it or none.
  [[nodiscard]] Result<void> write(OpenInode& file, std::uint64_t offset,
                                   Bytes from);
  // A whole block of up to 64 KiB at a multiple of that, `length` bytes of
  // which are content; the last of the file where that is less. Other threads
  // may have prepared it (Encoder::prepare).
  [[nodiscard]] Result<void> write_prepared(OpenInode& file,
                                            std::uint64_t offset,
                                            std::uint64_t length,
                                            const PreparedBlock& block);
  [[nodiscard]] Result<void> truncate(OpenInode& file, std::uint64_t size);
  // The next byte from `offset` on that is stored, or that is not; the file's
  // size where there is none.
  [[nodiscard]] Result<std::uint64_t> next_data(OpenInode& file,
                                                std::uint64_t offset);
  [[nodiscard]] Result<std::uint64_t> next_hole(OpenInode& file,
                                                std::uint64_t offset);

  // --- Space ----------------------------------------------------------------
  [[nodiscard]] Space space(const OpenInode& any) const;
  // One pass: what nothing refers to is staged, what was staged and still isn't
  // referred to is free.
  [[nodiscard]] Result<BulkfreeResult> bulkfree();
  // sync(), and tells the devices of all space that is free; answers how much.
  // Costs a look at the freemap. An error leaves the rest untold.
  [[nodiscard]] Result<std::uint64_t> discard_free()
  requires block::DiscardingDevice<typename G::Device>;
  // Gives up the end of a filesystem of one volume that holds nothing, syncs,
  // and forgets the volume; answers the bytes that it has now, at which the
  // caller may cut the device. Not atomic: a cut in the middle may leave a
  // filesystem that wants the device's old size.
  [[nodiscard]] Result<std::uint64_t> shrink_to_fit();

 private:
  enum class Need : std::uint8_t { kNormal, kRemoval };

  // Where a name stands in its directory, or could.
  struct NameSlot {
    Position at;                 // not found: nowhere
    std::uint64_t free_key = 0;  // 0: every key of its hash is taken
  };

  struct LabelSlot {
    Chain* chain = nullptr;
    std::uint64_t free_key = 0;
  };

  // What one operation may dirty, whatever it does.
  static constexpr std::uint64_t kSlackQuads = 8;
  static constexpr std::uint64_t kMostReserveQuads = 256;
  static constexpr std::uint32_t kBlockBytes = format::kMaxAllocBytes;
  static constexpr std::size_t kDataAlign = 16;

  // open_close.h
  [[nodiscard]] Result<void> load_header();
  [[nodiscard]] Result<void> recover_freemap();

  // commit.h
  [[nodiscard]] Result<void> begin(Need need, std::uint64_t data_quads);
  [[nodiscard]] Result<void> make_room(Need need, std::uint64_t data_quads);
  [[nodiscard]] std::uint64_t reserve_quads() const;
  [[nodiscard]] bool has_room(Need need, std::uint64_t data_quads) const;
  [[nodiscard]] Result<void> flush_chains();
  [[nodiscard]] Result<void> write_chain(Chain& chain);
  [[nodiscard]] Result<void> commit();
  [[nodiscard]] Result<void> finish(SyncTicket sync);
  [[nodiscard]] Result<void> write_header();
  [[nodiscard]] format::VolumeHeader& header() {
    return *reinterpret_cast<format::VolumeHeader*>(header_.begin());
  }
  [[nodiscard]] bool is_fresh(const format::Blockref& ref) const {
    return ref.data_off != 0 && ref.mirror_tid == open_tid_;
  }
  void retire(const format::Blockref& ref);
  [[nodiscard]] Result<void> settle_memory();

  // inodes.h
  [[nodiscard]] Result<OpenInode*> open_chain(Chain& chain, OpenInode* pfs);
  [[nodiscard]] Result<Position> find_inum(OpenInode& root, std::uint64_t inum);
  [[nodiscard]] Result<OpenInode*> take_inum(OpenInode& pfs,
                                             std::uint64_t inum);
  void close_inode(OpenInode& inode);
  void touch(OpenInode& inode, std::uint64_t now);
  [[nodiscard]] static std::uint8_t metadata_methods(const format::Inode& of,
                                                     CompMethod comp);

  // directory.h, rename.h
  [[nodiscard]] Result<bool> has_name(const format::Blockref& ref,
                                      std::string_view name);
  [[nodiscard]] Result<NameSlot> find_name(OpenInode& directory,
                                           std::string_view name);
  [[nodiscard]] Result<NameSlot> find_dirent(OpenInode& directory,
                                             std::string_view name);
  [[nodiscard]] Result<void> add_entry(OpenInode& directory,
                                       std::string_view name, std::uint64_t key,
                                       std::uint64_t inum, ObjectType type);
  void remove_entry(const Position& at);
  [[nodiscard]] Result<void> drop_link(OpenInode& inode, std::uint64_t now);
  [[nodiscard]] Result<bool> is_empty(OpenInode& directory);
  [[nodiscard]] Result<bool> is_inside(OpenInode& directory,
                                       std::uint64_t ancestor);
  [[nodiscard]] static Result<void> check_directory(const OpenInode& inode);
  [[nodiscard]] static Result<void> check_name(std::string_view name);
  [[nodiscard]] Result<void> remove_name(OpenInode& directory,
                                         std::string_view name, bool folders);
  [[nodiscard]] Result<void> replace_entry(OpenInode& from,
                                           const Position& source,
                                           OpenInode& to,
                                           std::string_view new_name,
                                           const NameSlot& target);
  [[nodiscard]] Result<void> exchange(OpenInode& from, const Position& source,
                                      OpenInode& to, const Position& target);
  void move_to(OpenInode& inode, OpenInode& directory, std::uint64_t now);

  // content.h
  [[nodiscard]] Result<DataBlock*> data_block(OpenInode& file,
                                              std::uint64_t offset,
                                              std::uint32_t size, bool old);
  [[nodiscard]] Result<void> enlarge(DataBlock& block, std::uint32_t size);
  [[nodiscard]] Result<void> replace_bytes(DataBlock& block,
                                           std::uint32_t size);
  void let_go_of_bytes(DataBlock& block);
  void free_block(DataBlock& block);
  [[nodiscard]] Result<bool> find_twin(const PreparedBlock& block,
                                       format::Blockref& ref);
  [[nodiscard]] Result<void> place_data(OpenInode& file, std::uint64_t offset,
                                        const PreparedBlock& block);
  [[nodiscard]] Result<void> store_block(DataBlock& block);
  [[nodiscard]] Result<void> replace_data(OpenInode& file,
                                          const format::Blockref& ref);
  [[nodiscard]] Result<std::uint32_t> stored_size(DataBlock& block);
  [[nodiscard]] Result<void> finish_block(DataBlock& block,
                                          const PreparedBlock& prepared);
  [[nodiscard]] Result<void> store_old_blocks(std::size_t keep_bytes);
  [[nodiscard]] Result<void> write_content(OpenInode& file,
                                           std::uint64_t offset, Bytes from,
                                           std::uint64_t now);
  [[nodiscard]] Result<void> unembed(OpenInode& file);
  [[nodiscard]] Result<void> cut_blocks(OpenInode& file, std::uint64_t from);
  void drop_subtree(Chain& chain);
  [[nodiscard]] Result<std::size_t> read_content(OpenInode& file,
                                                 std::uint64_t offset,
                                                 MutableBytes to);

  // pfs.h
  [[nodiscard]] Result<LabelSlot> find_label(std::string_view label);
  [[nodiscard]] Result<Chain*> existing_root(std::string_view label);
  [[nodiscard]] static Result<void> check_label(std::string_view label);
  [[nodiscard]] Result<Chain*> make_root();
  [[nodiscard]] Result<void> add_root(Chain& chain, std::string_view label);
  [[nodiscard]] Result<void> drop_root(Chain& chain);
  void new_identity(format::Inode& inode);

  // logged.h
  void note_change(const OpenInode& inode, std::uint64_t offset,
                   std::uint64_t bytes);
  [[nodiscard]] Result<bool> log_change(const PendingChange& change);
  void rebase_log();
  [[nodiscard]] Result<OpenInode*> logged_inode(std::uint64_t pfs,
                                                std::uint64_t inum);
  [[nodiscard]] Result<void> redo(const LogRecord& record, Bytes content);
  [[nodiscard]] Result<void> redo_group(Bytes records);
  [[nodiscard]] Result<void> redo_log();

  // bulkfree.h
  [[nodiscard]] Result<void> mark_all(SpaceMarks<G>& marks);
  [[nodiscard]] Result<void> mark_held(Chain& root, SpaceMarks<G>& marks,
                                       TreeMarker<G>& marker);
  [[nodiscard]] Result<void> compare(std::uint64_t zone,
                                     const SpaceMarks<G>& marks,
                                     Reclaim reclaim, BulkfreeResult& result);
  [[nodiscard]] Result<void> reclaim(Reclaim mode, BulkfreeResult& result);

  G& ground_;
  check::Checks checks_;
  Media<G> media_;
  Freemap<G> freemap_;
  ChainCache<G> chains_;
  Encoder<G> encoder_;
  Limits limits_;
  Array<G, std::byte> header_;    // as it will be written next
  Array<G, std::byte> outgoing_;  // a compressed block
  Array<G, std::byte> twin_;      // one that may be its equal
  DedupIndex<G> dedup_;
  List<OpenInode, &OpenInode::all> open_;
  List<DataBlock, &DataBlock::by_age> dirty_data_;  // the oldest first
  std::size_t data_bytes_ = 0;
  std::uint64_t data_blocks_ = 0;
  std::uint64_t open_tid_ = 0;       // of all that isn't committed
  std::uint64_t modify_tid_ = 0;     // the same in the PFSs' own count
  std::uint64_t exhausted_tid_ = 0;  // when bulkfree last found nothing
  std::uint64_t header_offset_ = 0;  // of the header written last
  SyncTicket sync_;                  // that is under way
  bool header_written_ = false;      // of that
  IntentLog<G> log_;
  PendingChanges changes_;          // that are not in it
  std::uint64_t logged_quads_ = 0;  // that doing it again may take
  bool is_closing_ = false;
  std::size_t root_slot_ = 0;  // the super-root's place in the header
};

}  // namespace odo::hammer2::write

#include "lib/hammer2/write/bulkfree.h"
#include "lib/hammer2/write/commit.h"
#include "lib/hammer2/write/content.h"
#include "lib/hammer2/write/directory.h"
#include "lib/hammer2/write/discard.h"
#include "lib/hammer2/write/inodes.h"
#include "lib/hammer2/write/logged.h"
#include "lib/hammer2/write/open_close.h"
#include "lib/hammer2/write/pfs.h"
#include "lib/hammer2/write/rename.h"
#include "lib/hammer2/write/shrink.h"
