// SPDX-License-Identifier: BSD-3-Clause
// fsx: random operations on one file, each checked against a copy in memory.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "tools/fs_exercise/calls.h"
#include "tools/fs_exercise/dice.h"
#include "tools/fs_exercise/history.h"

ABSL_FLAG(std::uint64_t, seed, 1, "what all random choices come from");
ABSL_FLAG(std::uint64_t, operations, 1000, "how many to do");
ABSL_FLAG(std::uint64_t, max_size, 512 << 10, "bytes that the file may get");
ABSL_FLAG(std::uint64_t, last, 30, "operations to show where one fails");

namespace odo::fs_exercise {
namespace {

struct Range {
  std::size_t offset;
  std::size_t length;
  [[nodiscard]] std::size_t end() const { return offset + length; }
};

class Mapping {
 public:
  Mapping(int file, std::size_t offset, std::size_t length, int protection)
      : length_(length),
        at_(::mmap(nullptr, length, protection, MAP_SHARED, file,
                   static_cast<off_t>(offset))) {
    if (at_ == MAP_FAILED) good(-1, "mmap");
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(at_, length_); }

  [[nodiscard]] char* data() const { return static_cast<char*>(at_); }
  void sync() const { good(::msync(at_, length_, MS_SYNC), "msync"); }

 private:
  std::size_t length_;
  void* at_;
};

class Exercise {
 public:
  Exercise(std::string path, std::uint64_t seed, std::size_t most,
           std::size_t last)
      : path_(std::move(path)),
        dice_(seed),
        most_(most),
        history_(last),
        file_(path_, O_RDWR | O_CREAT | O_TRUNC, 0644) {
    for (const Operation& operation : kOperations) {
      weights_.push_back(operation.weight);
    }
    leave_out_what_is_not_supported();
  }

  void run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      const Operation& chosen = kOperations[dice_.weighted(weights_)];
      (this->*chosen.act)();
      check_size();
    }
    note("compare all");
    reopen();
    check_all();
  }

  void tell(std::ostream& to) const { history_.tell(to); }

 private:
  struct Operation {
    const char* name;
    unsigned weight;
    void (Exercise::*act)();
  };
  enum : std::size_t {
    kRead,
    kMapRead,
    kWrite,
    kMapWrite,
    kAppend,
    kTruncate,
    kOpenTruncating,
    kAllocate,
    kPunch,
    kZero,
    kZeroKeeping,
    kCollapse,
    kInsert,
    kCopy,
    kSeek,
    kReopen,
    kSync,
    kForget,
    kCount
  };
  static const std::array<Operation, kCount> kOperations;

  // --- Choices ---------------------------------------------------------------

  // Up to `limit`, often at or beside a boundary of a page or a block.
  [[nodiscard]] std::size_t point(std::size_t limit) {
    std::size_t at = dice_.up_to(limit);
    if (dice_.one_in(2)) {
      const std::size_t unit = dice_.one_in(2) ? 4096 : 65536;
      at = at / unit * unit + dice_.below(3);
      if (at != 0) --at;
    }
    return std::min(at, limit);
  }

  // Within the first `limit` bytes; empty only if there are none.
  [[nodiscard]] Range range(std::size_t limit) {
    if (limit == 0) return {0, 0};
    const std::size_t offset = point(limit - 1);
    const std::size_t length = 1 + point(std::min(limit - offset - 1,  //
                                                  most_ / 4));
    return {offset, std::min(length, limit - offset)};
  }

  void note(const char* name) { history_.add(name); }
  void note(const char* name, Range r) {
    history_.add(absl::StrFormat("%s %d..%d, size %d", name, r.offset, r.end(),
                                 model_.size()));
  }

  // --- Looking ---------------------------------------------------------------

  void read() {
    const Range r = range(most_);
    note("read", r);
    expect_same(r.offset, read_all(*file_, r.offset, r.length), part(r));
  }

  void map_read() {
    const Range r = range(model_.size());
    if (r.length == 0) return;
    note("map_read", r);
    const std::size_t begin = r.offset / kPage * kPage;
    const std::size_t end = (r.end() + kPage - 1) / kPage * kPage;
    const Mapping map(*file_, begin, end - begin, PROT_READ);
    expect_same(r.offset, {map.data() + (r.offset - begin), r.length}, part(r));
    // What a page has behind the file's end is zero.
    if (end > model_.size()) {
      const std::size_t behind = end - model_.size();
      expect_same(model_.size(), {map.data() + (model_.size() - begin), behind},
                  std::string(behind, '\0'));
    }
  }

  // What is said to be a hole reads as zeros; data and holes take turns. Of a
  // file that is being written, a file system may say nothing: EINVAL.
  void seek() {
    note("seek");
    const bool alone = dice_.one_in(2);
    if (alone) {
      file_.close();
      file_ = Descriptor(path_, O_RDONLY);
    }
    try_seeking();
    if (alone) reopen();
  }

  void try_seeking() {
    std::size_t at = 0;
    while (at < model_.size()) {
      const off_t data = ::lseek(*file_, static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno == EINVAL) return;
      if (data < 0 && errno != ENXIO) good(data, "lseek");
      const std::size_t hole_end =
          data < 0 ? model_.size() : static_cast<std::size_t>(data);
      if (hole_end < at || hole_end > model_.size()) {
        throw Failure(absl::StrFormat("data at %d, asked from %d", data, at));
      }
      if (model_.find_first_not_of('\0', at) < hole_end) {
        throw Failure(absl::StrFormat("a hole %d..%d has data", at, hole_end));
      }
      if (data < 0) break;
      const off_t hole = ::lseek(*file_, data, SEEK_HOLE);
      if (hole < 0 && errno == EINVAL) return;
      at = static_cast<std::size_t>(good(hole, "lseek"));
      if (at <= hole_end || at > model_.size()) {
        throw Failure(
            absl::StrFormat("a hole at %d after data at %d", at, hole_end));
      }
    }
  }

  void check_size() {
    struct stat status = {};
    good(::fstat(*file_, &status), "fstat");
    if (static_cast<std::size_t>(status.st_size) != model_.size()) {
      throw Failure(absl::StrFormat("the file's size is %d, not %d",
                                    status.st_size, model_.size()));
    }
  }

  void check_all() {
    expect_same(0, read_all(*file_, 0, model_.size() + 1), model_);
  }

  // --- Changes ---------------------------------------------------------------

  void write() {
    const Range r = range(most_);
    note("write", r);
    const std::string bytes = dice_.content(r.length);
    write_all(*file_, r.offset, bytes);
    put(r.offset, bytes);
  }

  void map_write() {
    const Range r = range(most_);
    note("map_write", r);
    if (r.end() > model_.size()) set_size(r.end());
    const std::string bytes = dice_.content(r.length);
    const std::size_t begin = r.offset / kPage * kPage;
    const Mapping map(*file_, begin, r.end() - begin, PROT_READ | PROT_WRITE);
    std::memcpy(map.data() + (r.offset - begin), bytes.data(), r.length);
    if (dice_.one_in(2)) map.sync();
    put(r.offset, bytes);
  }

  void append() {
    const std::string bytes =
        dice_.content(dice_.up_to(std::min(most_ - model_.size(), most_ / 8)));
    note("append", {model_.size(), bytes.size()});
    const Descriptor end(path_, O_WRONLY | O_APPEND);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      rest.remove_prefix(static_cast<std::size_t>(
          good(::write(*end, rest.data(), rest.size()), "write")));
    }
    model_ += bytes;
  }

  void truncate() {
    const std::size_t size = point(most_);
    note("truncate", {0, size});
    set_size(size);
  }

  void open_truncating() {
    note("open_truncating", {0, 0});
    file_.close();
    file_ = Descriptor(path_, O_RDWR | O_TRUNC);
    model_.clear();
  }

  void allocate() {
    const Range r = range(most_);
    note("allocate", r);
    fallocate(0, r);
    model_.resize(std::max(model_.size(), r.end()));
  }

  void punch() {
    const Range r = range(most_);
    note("punch", r);
    fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r);
    clear(r);
  }

  void zero() {
    const Range r = range(most_);
    note("zero", r);
    fallocate(FALLOC_FL_ZERO_RANGE, r);
    model_.resize(std::max(model_.size(), r.end()));
    clear(r);
  }

  void zero_keeping() {
    const Range r = range(most_);
    note("zero_keeping", r);
    fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, r);
    clear(r);
  }

  // Whole blocks go, or come, and what is behind them moves.
  void collapse() {
    const std::size_t blocks = model_.size() / unit_;
    if (blocks < 2) return;
    const std::size_t first = dice_.below(blocks - 1);
    const Range r = {first * unit_,
                     unit_ * (1 + dice_.below(blocks - 1 - first))};
    note("collapse", r);
    fallocate(FALLOC_FL_COLLAPSE_RANGE, r);
    model_.erase(r.offset, r.length);
  }

  void insert() {
    const std::size_t room = (most_ - model_.size()) / unit_;
    const std::size_t blocks = model_.size() / unit_;
    if (room == 0 || blocks == 0) return;
    const Range r = {dice_.below(blocks) * unit_,
                     unit_ * (1 + dice_.below(room))};
    note("insert", r);
    fallocate(FALLOC_FL_INSERT_RANGE, r);
    model_.insert(r.offset, r.length, '\0');
  }

  void copy() {
    const Range from = range(model_.size());
    if (from.length == 0) return;
    const std::size_t to = point(most_ - from.length);
    // Within one file they mustn't overlap.
    if (to < from.end() && from.offset < to + from.length) return;
    note("copy", from);
    note("   to", {to, from.length});
    auto in = static_cast<off_t>(from.offset);
    auto out = static_cast<off_t>(to);
    std::size_t rest = from.length;
    while (rest != 0) {
      const auto done = static_cast<std::size_t>(
          good(::copy_file_range(*file_, &in, *file_, &out, rest, 0),
               "copy_file_range"));
      if (done == 0) throw Failure("copy_file_range copies nothing");
      rest -= done;
    }
    put(to, std::string(part(from)));
  }

  // --- The descriptor --------------------------------------------------------

  void close_and_open() {
    note("reopen");
    reopen();
  }

  void reopen() {
    file_.close();
    file_ = Descriptor(path_, O_RDWR);
  }

  void sync() {
    note("sync");
    if (dice_.one_in(2)) {
      good(::fsync(*file_), "fsync");
    } else {
      good(::fdatasync(*file_), "fdatasync");
    }
  }

  // The kernel forgets its pages: what is then read comes from below.
  void forget() {
    note("forget");
    good(::fsync(*file_), "fsync");
    ::posix_fadvise(*file_, 0, 0, POSIX_FADV_DONTNEED);
    check_all();
  }

  // --- The model -------------------------------------------------------------

  [[nodiscard]] std::string_view part(Range r) const {
    if (r.offset >= model_.size()) return {};
    return std::string_view(model_).substr(r.offset, r.length);
  }
  void put(std::size_t offset, const std::string& bytes) {
    model_.resize(std::max(model_.size(), offset + bytes.size()));
    model_.replace(offset, bytes.size(), bytes);
  }
  void clear(Range r) {
    const std::size_t end = std::min(r.end(), model_.size());
    if (r.offset < end) put(r.offset, std::string(end - r.offset, '\0'));
  }
  void set_size(std::size_t size) {
    good(::ftruncate(*file_, static_cast<off_t>(size)), "ftruncate");
    model_.resize(size);
  }
  void fallocate(int mode, Range r) {
    good(::fallocate(*file_, mode, static_cast<off_t>(r.offset),
                     static_cast<off_t>(r.length)),
         "fallocate");
  }

  // --- What the file system can do -------------------------------------------

  void leave_out_what_is_not_supported() {
    struct statvfs status = {};
    good(::fstatvfs(*file_, &status), "fstatvfs");
    unit_ = status.f_bsize;
    const auto unit = static_cast<off_t>(unit_);
    set_size(unit_ * 3);
    const auto needs = [&](std::size_t operation, int result) {
      if (result >= 0) return;
      if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EXDEV) {
        good(-1, kOperations[operation].name);
      }
      std::cout << absl::StrFormat("fsx: no %s here\n",
                                   kOperations[operation].name);
      weights_[operation] = 0;
    };
    const auto try_mode = [&](std::size_t operation, int mode) {
      needs(operation, ::fallocate(*file_, mode, unit, unit));
    };
    try_mode(kAllocate, 0);
    try_mode(kPunch, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    try_mode(kZero, FALLOC_FL_ZERO_RANGE);
    try_mode(kZeroKeeping, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
    try_mode(kCollapse, FALLOC_FL_COLLAPSE_RANGE);
    try_mode(kInsert, FALLOC_FL_INSERT_RANGE);
    off_t in = 0;
    off_t out = unit;
    needs(kCopy,
          static_cast<int>(::copy_file_range(*file_, &in, *file_, &out, 1, 0)));
    set_size(0);
  }

  static constexpr std::size_t kPage = 4096;

  std::string path_;
  Dice dice_;
  std::size_t most_;
  History history_;
  Descriptor file_;
  std::string model_;  // what the file must hold
  std::vector<unsigned> weights_;
  std::size_t unit_ = 0;  // what ranges that move are multiples of
};

const std::array<Exercise::Operation, Exercise::kCount> Exercise::kOperations =
    {{{"read", 10, &Exercise::read},
      {"map_read", 8, &Exercise::map_read},
      {"write", 12, &Exercise::write},
      {"map_write", 8, &Exercise::map_write},
      {"append", 5, &Exercise::append},
      {"truncate", 6, &Exercise::truncate},
      {"open_truncating", 1, &Exercise::open_truncating},
      {"allocate", 2, &Exercise::allocate},
      {"punch", 4, &Exercise::punch},
      {"zero", 2, &Exercise::zero},
      {"zero_keeping", 2, &Exercise::zero_keeping},
      {"collapse", 3, &Exercise::collapse},
      {"insert", 3, &Exercise::insert},
      {"copy", 4, &Exercise::copy},
      {"seek", 3, &Exercise::seek},
      {"reopen", 3, &Exercise::close_and_open},
      {"sync", 2, &Exercise::sync},
      {"forget", 3, &Exercise::forget}}};

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "random operations on one file, checked against a copy in memory\n\n"
      "  fsx [--seed N] [--operations N] FILE\n\n"
      "FILE is overwritten. Exit status: 0 if the file was always as it must "
      "be; 1 if not,\nwith the last operations; 2 for a command line that "
      "makes no sense.");
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  const std::uint64_t seed = absl::GetFlag(FLAGS_seed);
  if (words.size() != 2 || absl::GetFlag(FLAGS_max_size) < 4) {
    std::cerr << "fsx: takes one FILE; `fsx --help` shows how\n";
    return 2;
  }
  try {
    Exercise exercise(words[1], seed, absl::GetFlag(FLAGS_max_size),
                      absl::GetFlag(FLAGS_last));
    try {
      exercise.run(absl::GetFlag(FLAGS_operations));
    } catch (const Failure& failure) {
      exercise.tell(std::cerr);
      throw;
    }
  } catch (const Failure& failure) {
    std::cerr << absl::StrFormat("fsx: seed %d: %s\n", seed, failure.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace odo::fs_exercise

int main(int argc, char** argv) { return odo::fs_exercise::main(argc, argv); }
