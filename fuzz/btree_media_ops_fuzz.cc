// SPDX-License-Identifier: BSD-3-Clause
// Operations on a tree on media against a map, over a store that fails and
// loses power when the input says so. After each failure the tree is as it was
// before the operation; after a power cut, the last committed tree or the one
// whose commit was under way is there.
//
// Shape of an input: u8 shape, u8 frames, then operations: u8 kind and u16
// arguments as each needs them. What the input lacks is 0.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/check.h"
#include "lib/btree/media/testing/media_model.h"
#include "lib/btree/media/testing/memory_page_store.h"
#include "lib/btree/media/writer.h"

namespace odo::btree::media::testing {
namespace {

constexpr std::uint64_t kPages = 160;
constexpr std::uint64_t kKeys = 512;

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : at_(data), end_(data + size) {}
  [[nodiscard]] bool empty() const { return at_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }
  std::uint16_t word() {
    const unsigned low = byte();
    return static_cast<std::uint16_t>(low | unsigned{byte()} << 8);
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

Shape chosen_shape(std::uint8_t choice) {
  static const Shape kShapes[] = {
      *Shape::make(256, 8, 8), *Shape::make(256, 8, 0),
      *Shape::make(256, 8, 40), *Shape::make(512, 48, 3)};
  return kShapes[choice % 4];
}

class Session {
 public:
  Session(Input& input, const Shape& shape, std::size_t frames)
      : input_(input),
        shape_(shape),
        store_(shape.page_bytes, kPages),
        memory_(frames * shape.page_bytes),
        value_(shape.value_bytes) {
    renew();
    ODO_CHECK(writer_->create(shape_, 1));
  }

  void run() {
    for (unsigned steps = 0; !input_.empty() && steps < 300; ++steps) step();
    store_.fail_never();
    if (settled_) ODO_CHECK(seen(model_));
    lose_power();
  }

 private:
  void step() {
    const std::uint8_t kind = input_.byte();
    switch (kind % 16) {
      case 0:
      case 1:
      case 2:
        return assign_some();
      case 3:
        return insert();
      case 4:
      case 5:
        return erase_some();
      case 6:
        return find();
      case 7:
        return lower_bound();
      case 8:
      case 9:
        return commit();
      case 10:
        return abort();
      case 11:
        store_.fail_after(input_.byte(), 1U + kind / 64U);
        return;
      case 12:
        store_.fail_after(input_.byte() % 8, 1000);
        return;
      case 13:
        store_.fail_never();
        return;
      case 14:
        return reopen();
      default:
        return lose_power();
    }
  }

  [[nodiscard]] std::vector<std::byte> key(std::uint64_t number) const {
    return key_of(number, shape_.key_bytes);
  }

  // A writer that isn't open, or must be told how to go on, refuses all.
  template <class T>
  [[nodiscard]] bool refused(const Result<T>& result) const {
    if (settled_) return false;
    ODO_CHECK(!result && (result.error().code == Code::kMustAbort ||
                          result.error().code == Code::kInDoubt));
    return true;
  }
  template <class T>
  static void check_failure(const Result<T>& result) {
    const Code code = result.error().code;
    ODO_CHECK(code == Code::kReadFailed || code == Code::kWriteFailed ||
              code == Code::kNoSpace || code == Code::kNoFrames);
  }

  void assign(std::uint64_t number) {
    const std::uint64_t content = input_.byte();
    const auto done =
        writer_->assign(key(number), value_of(content, shape_.value_bytes));
    if (refused(done)) return;
    if (!done) return check_failure(done);
    ODO_CHECK(*done == model_.insert_or_assign(number, content).second);
  }
  void assign_some() {
    const std::uint16_t word = input_.word();
    const unsigned count = 1U + (word >> 13);
    for (unsigned i = 0; i < count; ++i) assign((word + i * 5U) % kKeys);
  }
  void insert() {
    const std::uint64_t number = input_.word() % kKeys;
    const auto done =
        writer_->insert(key(number), value_of(number, shape_.value_bytes));
    if (refused(done)) return;
    if (!done) return check_failure(done);
    ODO_CHECK(*done == model_.emplace(number, number).second);
  }
  void erase_some() {
    const std::uint16_t word = input_.word();
    const unsigned count = 1U + (word >> 13);
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t number = (word + i * 3U) % kKeys;
      const auto done = writer_->erase(key(number));
      if (refused(done)) return;
      if (!done) {
        check_failure(done);
        continue;
      }
      ODO_CHECK(*done == (model_.erase(number) > 0));
    }
  }
  void find() {
    const std::uint64_t number = input_.word() % kKeys;
    const auto done = writer_->find(key(number), value_);
    if (refused(done)) return;
    if (!done) return check_failure(done);
    const auto at = model_.find(number);
    ODO_CHECK(*done == (at != model_.end()));
    if (*done) {
      ODO_CHECK(value_ == value_of(at->second, shape_.value_bytes));
    }
  }
  void lower_bound() {
    const std::uint64_t number = input_.word() % kKeys;
    std::vector<std::byte> found(shape_.key_bytes);
    const auto done = writer_->lower_bound(key(number), found, value_);
    if (refused(done)) return;
    if (!done) return check_failure(done);
    const auto at = model_.lower_bound(number);
    ODO_CHECK(*done == (at != model_.end()));
    if (*done) ODO_CHECK(number_of(found) == at->first);
  }

  void commit() {
    const auto done = writer_->commit();
    if (done) {
      ODO_CHECK(settled_ || in_doubt_);
      settled_ = true;
      in_doubt_ = false;
      committed_ = model_;
      ODO_CHECK(store_.used() == writer_->pages());
      return;
    }
    if (!settled_ && !in_doubt_) {
      ODO_CHECK(done.error().code == Code::kMustAbort);
      return;
    }
    // The state shows in what an operation would answer.
    const auto probe = writer_->find(key(0), value_);
    settled_ = probe || (probe.error().code != Code::kMustAbort &&
                         probe.error().code != Code::kInDoubt);
    in_doubt_ = !settled_ && probe.error().code == Code::kInDoubt;
  }
  void abort() {
    const auto done = writer_->abort();
    if (in_doubt_) {
      ODO_CHECK(!done && done.error().code == Code::kInDoubt);
      return;
    }
    ODO_CHECK(done);
    settled_ = true;
    model_ = committed_;
    ODO_CHECK(store_.used() == writer_->pages());
  }

  void renew() {
    writer_ = std::make_unique<Writer<MemoryPageStore>>(store_, memory_);
  }
  // A new writer, on what the store shows; the power stays on.
  void reopen() {
    store_.fail_never();
    renew();
    take_what_is_there();
  }
  void lose_power() {
    store_.fail_never();
    std::uint64_t bits = input_.word();
    bits |= std::uint64_t{input_.word()} << 16;
    store_.cut([&](std::size_t i) {
      return static_cast<Fate>((bits >> (2 * i % 32)) & 3);
    });
    renew();
    take_what_is_there();
  }
  void take_what_is_there() {
    if (!compare(store_, committed_).empty()) {
      ODO_CHECK(in_doubt_ && compare(store_, model_).empty());
      committed_ = model_;
    }
    ODO_CHECK(check_fill(store_).empty());
    ODO_CHECK(claim_pages(store_));
    ODO_CHECK(writer_->open());
    model_ = committed_;
    settled_ = true;
    in_doubt_ = false;
  }

  // Whether the writer shows just this.
  [[nodiscard]] bool seen(const Model& model) {
    if (writer_->entries() != model.size()) return false;
    std::vector<std::byte> found(shape_.key_bytes);
    std::uint64_t from = 0;
    for (const auto& [number, content] : model) {
      const auto there = writer_->lower_bound(key(from), found, value_);
      if (!there) {
        check_failure(there);
        return there.error().code == Code::kNoFrames;
      }
      if (!*there || number_of(found) != number ||
          value_ != value_of(content, shape_.value_bytes)) {
        return false;
      }
      from = number + 1;
    }
    return true;
  }

  Input& input_;
  Shape shape_;
  MemoryPageStore store_;
  std::vector<std::byte> memory_;
  std::vector<std::byte> value_;
  std::unique_ptr<Writer<MemoryPageStore>> writer_;
  Model committed_;
  Model model_;            // with the transaction's changes
  bool settled_ = true;    // the writer takes operations
  bool in_doubt_ = false;  // a commit ended between the two trees
};

}  // namespace
}  // namespace odo::btree::media::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using odo::btree::media::testing::chosen_shape;
  using odo::btree::media::testing::Input;
  using odo::btree::media::testing::Session;
  Input input(data, size);
  const odo::btree::media::Shape shape = chosen_shape(input.byte());
  const std::size_t frames = 4 + input.byte() % 60U;
  Session(input, shape, frames).run();
  return 0;
}
