// SPDX-License-Identifier: BSD-3-Clause
// Reads batches of blocks in the order of the disk and proves them, on as many
// workers as there are. Of two batches one may be read while the other, read
// before, is looked at, and then filled anew.
//
// Contexts: run() in the checking thread; prove_run() on a worker, each with
//   its own Worker.
// Invariants:
//   R1. a run lies in one volume and its cover fits a worker's buffer.
//   R2. a worker writes only to outcomes and kept bytes of its run's blocks.
// Failure: an outcome for each block. Where a run can't be read whole, each of
//   its blocks is read by itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/bits.h"
#include "lib/base/bytes.h"
#include "lib/block/device.h"
#include "lib/hammer2/check/arena.h"
#include "lib/hammer2/check/examine.h"
#include "lib/hammer2/check/executor.h"
#include "lib/hammer2/check_codes.h"
#include "lib/hammer2/decode.h"
#include "lib/hammer2/volume_set.h"

namespace odo::hammer2::audit {

// What became of a block.
struct Outcome {
  std::uint32_t kept = 0;  // where its bytes are, for inodes and indirects
  std::optional<Code> bad;
  block::Error device = block::Error::kIo;
  Tree below = Tree::kNone;  // an inode's tree
  bool odd = false;          // examine() has something to say
  bool needed = false;       // it was to be read
  bool repeated = false;     // data that have been read for another reference
};

// Neighbours on disk, read as one.
struct Run {
  std::uint32_t first;
  std::uint32_t count;
};

// A block to be read.
template <class Volume>
struct Load {
  std::uint64_t offset;
  const Volume* volume;
  std::uint32_t task;
  std::uint32_t bytes;
};

// What is to be proven, and what came of it.
template <class Volume>
class Batch {
 public:
  static constexpr std::size_t kMaxTasks = 4096;
  static constexpr std::size_t kKeptBytes = std::size_t{4} << 20;

  [[nodiscard]] bool init(Arena& arena) {
    tasks_ = arena.take<Task>(kMaxTasks);
    outcomes_ = arena.take<Outcome>(kMaxTasks);
    loads_ = arena.take<Load<Volume>>(kMaxTasks);
    runs_ = arena.take<Run>(kMaxTasks);
    kept_ = arena.take<std::byte>(kKeptBytes);
    clear();
    return !kept_.empty();
  }

  void clear() {
    size_ = 0;
    load_count_ = 0;
    run_count_ = 0;
    kept_used_ = 0;
    references_ = 0;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == kMaxTasks; }
  // References that its blocks may hold.
  [[nodiscard]] std::size_t references() const { return references_; }
  void add(const Task& task, std::size_t references) {
    tasks_[size_] = task;
    outcomes_[size_] = Outcome{};
    references_ += references;
    ++size_;
  }

  [[nodiscard]] const Task& task(std::size_t i) const { return tasks_[i]; }
  [[nodiscard]] Outcome& outcome(std::size_t i) { return outcomes_[i]; }
  // The bytes of an inode or indirect block.
  [[nodiscard]] MutableBytes kept(std::size_t i) {
    return kept_.subspan(outcomes_[i].kept,
                         std::size_t{1} << tasks_[i].ref.radix());
  }

  // Task `i`, whose place is proven possible, is to be read.
  void need(std::size_t i, const Volume& volume) {
    const format::Blockref& ref = tasks_[i].ref;
    outcomes_[i].needed = true;
    if (keeps(ref.type)) {
      outcomes_[i].kept = static_cast<std::uint32_t>(kept_used_);
      kept_used_ += std::size_t{1} << ref.radix();
    }
    loads_[load_count_++] = {.offset = ref.offset(),
                             .volume = &volume,
                             .task = static_cast<std::uint32_t>(i),
                             .bytes = std::uint32_t{1} << ref.radix()};
  }
  [[nodiscard]] std::span<Load<Volume>> loads() const {
    return loads_.first(load_count_);
  }
  [[nodiscard]] std::span<Run> run_space() const { return runs_; }
  void set_runs(std::size_t count) { run_count_ = count; }
  [[nodiscard]] std::span<const Run> runs() const {
    return runs_.first(run_count_);
  }

  [[nodiscard]] static constexpr bool keeps(format::BlockType type) {
    return type == format::BlockType::kInode ||
           type == format::BlockType::kIndirect;
  }

 private:
  std::span<Task> tasks_;
  std::span<Outcome> outcomes_;
  std::span<Load<Volume>> loads_;
  std::span<Run> runs_;
  MutableBytes kept_;
  std::size_t size_ = 0;
  std::size_t load_count_ = 0;
  std::size_t run_count_ = 0;
  std::size_t kept_used_ = 0;
  std::size_t references_ = 0;
};

template <block::BlockDevice Device, CheckPolicy Checks>
class BlockReader {
 public:
  static constexpr std::size_t kRunBytes = std::size_t{256} << 10;
  static constexpr std::size_t kGapBytes = std::size_t{16} << 10;
  static constexpr std::size_t kMaxWorkers = 64;

  using Volumes = VolumeSet<Device>;
  using Volume = typename Volumes::Volume;
  using Batch = audit::Batch<Volume>;

  explicit BlockReader(Checks checks) : checks_(checks) {}

  // False where the memory doesn't suffice. `decode` has data decompressed.
  [[nodiscard]] bool init(Arena& arena, std::size_t workers, bool decode) {
    decode_ = decode;
    if (workers > kMaxWorkers) return false;
    for (std::size_t i = 0; i < workers; ++i) {
      Worker& worker = workers_[i];
      worker.buffer = arena.take<std::byte>(kBufferBytes);
      worker.data = arena.take<std::byte>(format::kMaxAllocBytes);
      const auto space = arena.take<std::byte>(Decoder::kWorkspaceBytes);
      if (space.empty()) return false;
      worker.decoder.use(space);
    }
    return true;
  }

  // Puts what `batch` needs in the order of the disk and cuts it into runs.
  void arrange(Batch& batch) const {
    const std::span<Load> loads = batch.loads();
    const auto by_offset = [](const Load& a, const Load& b) {
      return a.offset < b.offset;
    };
    if (!std::is_sorted(loads.begin(), loads.end(), by_offset)) {
      std::sort(loads.begin(), loads.end(), by_offset);
    }
    batch.set_runs(cut(loads, batch.run_space()));
  }

  // Reads and proves all that a batch, arranged, needs; meanwhile() is called
  // once.
  template <Executor E, class Meanwhile>
  void run(E& executor, Batch& batch, const Meanwhile& meanwhile) {
    executor.run(
        batch.runs().size(),
        [this, &batch](std::size_t piece, std::size_t worker) {
          prove_run(batch, batch.runs()[piece], workers_[worker]);
        },
        meanwhile);
  }

  // Reads one block by itself and proves its check code. For blocks outside
  // the walk; `to` has room for it.
  [[nodiscard]] Result<void> read_one(const format::Blockref& ref,
                                      const Volume& volume, MutableBytes to) {
    Load load{.offset = ref.offset(),
              .volume = &volume,
              .task = 0,
              .bytes = std::uint32_t{1} << ref.radix()};
    Worker& worker = workers_[0];
    Bytes bytes;
    if (const auto error = read_alone(load, worker, bytes)) {
      Error failed = error_at(Code::kDeviceError, ref);
      failed.device = *error;
      return fail(failed);
    }
    switch (checks_.block(ref, bytes)) {
      case Verdict::kMatch:
        copy_bytes(to, bytes);
        return {};
      case Verdict::kMismatch:
        return fail(error_at(Code::kCheckMismatch, ref));
      case Verdict::kUnknownMethod:
        break;
    }
    return fail(error_at(Code::kBadCheckMethod, ref));
  }

 private:
  // A run, the blocks of the device that its ends stand in, and one block that
  // may begin at its last byte but one.
  static constexpr std::size_t kBufferBytes =
      kRunBytes + format::kMaxAllocBytes +
      std::size_t{2} * block::kMaxBlockBytes;

  using Load = audit::Load<Volume>;
  struct Worker {
    MutableBytes buffer;
    MutableBytes data;
    Decoder decoder;
  };

  // Neighbours on disk into runs; those that several workers can share are
  // short, so that none waits long for another.
  [[nodiscard]] static std::size_t cut(std::span<const Load> loads,
                                       std::span<Run> to) {
    std::size_t runs = 0;
    std::size_t i = 0;
    while (i < loads.size()) {
      const Load& first = loads[i];
      std::uint64_t end = first.offset + first.bytes;
      std::size_t n = 1;
      while (i + n < loads.size()) {
        const Load& next = loads[i + n];
        const std::uint64_t next_end = next.offset + next.bytes;
        if (next.volume != first.volume || next.offset > end + kGapBytes ||
            next_end - first.offset > kRunBytes) {
          break;
        }
        end = std::max(end, next_end);
        ++n;
      }
      to[runs++] = {.first = static_cast<std::uint32_t>(i),
                    .count = static_cast<std::uint32_t>(n)};
      i += n;
    }
    return runs;
  }

  // The device's blocks around [offset, offset + length) of a volume, in the
  // worker's buffer.
  [[nodiscard]] static std::optional<block::Error> read_cover(
      const Volume& volume, std::uint64_t offset, std::uint64_t length,
      Worker& worker, Bytes& to) {
    const std::uint64_t granule = volume.device->block_bytes();
    const std::uint64_t inside = offset - volume.offset;
    const std::uint64_t begin = align_down(inside, granule);
    const std::uint64_t end = align_up(inside + length, granule);
    const MutableBytes cover =
        worker.buffer.first(static_cast<std::size_t>(end - begin));
    if (const auto read = volume.device->read(begin, cover); !read) {
      return read.error();
    }
    to = Bytes(cover).subspan(static_cast<std::size_t>(inside - begin),
                              static_cast<std::size_t>(length));
    return std::nullopt;
  }
  [[nodiscard]] static std::optional<block::Error> read_alone(const Load& load,
                                                              Worker& worker,
                                                              Bytes& to) {
    return read_cover(*load.volume, load.offset, load.bytes, worker, to);
  }

  void prove_run(Batch& batch, const Run& run, Worker& worker) {
    const std::span<const Load> loads =
        batch.loads().subspan(run.first, run.count);
    const std::uint64_t begin = loads.front().offset;
    std::uint64_t end = begin;
    for (const Load& load : loads)
      end = std::max(end, load.offset + load.bytes);
    Bytes bytes;
    const auto failed =
        read_cover(*loads.front().volume, begin, end - begin, worker, bytes);
    for (const Load& load : loads) {
      Bytes block;
      if (!failed) {
        block = bytes.subspan(static_cast<std::size_t>(load.offset - begin),
                              load.bytes);
      } else if (const auto error = read_alone(load, worker, block)) {
        batch.outcome(load.task).bad = Code::kDeviceError;
        batch.outcome(load.task).device = *error;
        continue;
      }
      prove(batch, load.task, block, worker);
    }
  }

  void prove(Batch& batch, std::size_t i, Bytes block, Worker& worker) {
    const Task& task = batch.task(i);
    Outcome& outcome = batch.outcome(i);
    switch (checks_.block(task.ref, block)) {
      case Verdict::kMatch:
        break;
      case Verdict::kMismatch:
        outcome.bad = Code::kCheckMismatch;
        return;
      case Verdict::kUnknownMethod:
        outcome.bad = Code::kBadCheckMethod;
        return;
    }
    const auto note = [&outcome](const Remark&) { outcome.odd = true; };
    switch (task.ref.type) {
      case format::BlockType::kInode: {
        const auto below =
            validate_inode_fields(block, place_of(task), task.ref, task.inum);
        if (!below) {
          outcome.bad = below.error().code;
          return;
        }
        outcome.below = *below;
        examine(inode_block(task, block, *below), note);
        copy_bytes(batch.kept(i), block);
        break;
      }
      case format::BlockType::kIndirect:
        examine(indirect_block(task, block), note);
        copy_bytes(batch.kept(i), block);
        break;
      case format::BlockType::kDirent:
        outcome.odd = !entry_name_fits(
            task.ref.key, {reinterpret_cast<const char*>(block.data()),
                           std::min<std::size_t>(task.ref.embed.dirent.name_len,
                                                 block.size())});
        break;
      default:
        outcome.bad = prove_data(task.ref, block, worker);
        break;
    }
  }

  // What an inode is read as: PFS roots are directories like others.
  [[nodiscard]] static Tree place_of(const Task& task) {
    return task.tree == Tree::kVolume ? Tree::kVolume : Tree::kDirectory;
  }

  [[nodiscard]] std::optional<Code> prove_data(const format::Blockref& ref,
                                               Bytes block, Worker& worker) {
    const format::CompMethod method = format::comp_method(ref.methods);
    if (ref.radix() > ref.keybits) return Code::kBadBlockSize;
    if (method <= format::CompMethod::kAutozero) return std::nullopt;
    if (method > format::CompMethod::kZlib) return Code::kBadCompMethod;
    if (!decode_) return std::nullopt;
    return worker.decoder.decode(
        method, block, worker.data.first(std::size_t{1} << ref.keybits));
  }

  [[no_unique_address]] Checks checks_;
  bool decode_ = false;
  std::array<Worker, kMaxWorkers> workers_;
};

}  // namespace odo::hammer2::audit
