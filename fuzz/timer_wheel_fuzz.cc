// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel against a multimap of what is armed: any bytes are a program
// of arming, cancelling and going on in time, with small and large bounds on
// the work of a call, and with timers whose functions arm and cancel others.
//
// The model does not say what fires next where a bound stops a call, but
// whether a timer may fire, whether its turn has come, and what may be left.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/base/container_of.h"
#include "lib/lwkt/timer_wheel.h"

namespace odo::lwkt {
namespace {

constexpr std::uint64_t kTick = TimerWheel::kTickNs;
constexpr std::uint64_t kNever = TimerWheel::kNeverNs;
constexpr std::size_t kTimers = 32;

// Zero where the input has ended.
class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_empty() const { return rest_.empty(); }
  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const auto byte = std::to_integer<std::uint8_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    return byte;
  }

 private:
  Bytes rest_;
};

// Two bytes: which kind of time and the size of its distance, and a factor.
struct When {
  std::uint8_t kind;
  std::uint8_t factor;
  [[nodiscard]] std::uint64_t from(std::uint64_t now_ns) const {
    const unsigned bits = kind & 63;
    const std::uint64_t far = std::uint64_t{factor} << bits;
    switch (kind >> 6) {
      case 0:
        return far;
      case 1:  // the end of a digit, or shortly behind
        return (now_ns | ((std::uint64_t{1} << bits) - 1)) + factor;
      case 2:
        return far > now_ns ? 0 : now_ns - far;
      default:
        return far > kNever - now_ns ? kNever : now_ns + far;
    }
  }
};

struct Client {
  Timer timer{[](Timer&) { ODO_CHECK(false); }};
  // What its function does: nothing, arm or cancel another.
  std::uint8_t action = 0;
  std::uint8_t other = 0;
  When when{};

  // The model's side.
  bool is_armed = false;
  bool is_ahead = false;  // its tick was still to come when it was armed
  std::uint64_t not_in_call = 0;  // armed by that call, for a collected tick
  std::multimap<std::uint64_t, Client*>::iterator place;
};

class World {
 public:
  ~World() {
    for (Client& client : clients_) wheel_.cancel(client.timer);
    ODO_CHECK(wheel_.empty());
  }

  void run(Input input) {
    while (!input.is_empty()) {
      const std::uint8_t operation = input.next();
      Client& client = clients_[operation / 8 % kTimers];
      switch (operation % 8) {
        case 0:
        case 1:
        case 2:
          arm(client, next_when(input).from(now_ns_));
          break;
        case 3:
          cancel(client);
          break;
        case 4:
          client.action = input.next();
          client.other = input.next();
          client.when = next_when(input);
          break;
        case 5:
          advance(wheel_.next_deadline_ns(), operation / 8);
          break;
        case 6:
          advance(next_when(input).from(now_ns_), operation / 8);
          break;
        default:
          advance(next_when(input).from(now_ns_), TimerWheel::kAll);
      }
      compare();
    }
    finish();
  }

 private:
  using Armed = std::multimap<std::uint64_t, Client*>;

  static When next_when(Input& input) {
    const std::uint8_t kind = input.next();
    return {kind, input.next()};
  }

  void arm(Client& client, std::uint64_t deadline_ns) {
    forget(client);
    wheel_.arm(client.timer, deadline_ns);
    const std::uint64_t tick = deadline_ns / kTick + (deadline_ns % kTick != 0);
    client.place = armed_.emplace(tick, &client);
    client.is_armed = true;
    client.is_ahead = tick > now_ns_ / kTick;
    client.not_in_call = is_advancing_ && tick <= fired_tick_ ? calls_ : 0;
  }

  void cancel(Client& client) {
    ODO_CHECK(wheel_.cancel(client.timer) == client.is_armed);
    forget(client);
  }

  void forget(Client& client) {
    if (client.is_armed) armed_.erase(client.place);
    client.is_armed = false;
  }

  bool advance(std::uint64_t time_ns, std::uint32_t max_fired) {
    if (time_ns > now_ns_) now_ns_ = time_ns;
    ++calls_;
    fired_tick_ = 0;
    is_advancing_ = true;
    std::uint32_t fired = 0;
    const bool more = wheel_.advance(
        time_ns,
        [&](Timer& timer) {
          ++fired;
          on_fired(*container_of(&timer, &Client::timer));
        },
        max_fired);
    is_advancing_ = false;
    ODO_CHECK(fired <= max_fired);
    ODO_CHECK(more == (wheel_.next_deadline_ns() <= now_ns_ &&
                       wheel_.next_deadline_ns() != kNever));
    ODO_CHECK(more || armed_.empty() || first_due_ns() > now_ns_ ||
              first_due_ns() == kNever);
    return more;
  }

  void on_fired(Client& client) {
    ODO_CHECK(client.is_armed && !client.timer.is_armed());
    ODO_CHECK(client.timer.deadline_ns() <= now_ns_);
    ODO_CHECK(client.not_in_call != calls_);
    // Of those ahead, none has an earlier tick, or the same and is older.
    if (client.is_ahead) {
      for (auto it = armed_.begin(); it != client.place; ++it) {
        ODO_CHECK(!it->second->is_ahead);
      }
      fired_tick_ = client.place->first;
    }
    forget(client);
    Client& other = clients_[client.other % kTimers];
    if (client.action % 3 == 1) arm(other, client.when.from(now_ns_));
    if (client.action % 3 == 2) cancel(other);
    // Functions that arm for shortly ahead would need ever more turns.
    client.action = static_cast<std::uint8_t>(client.action / 3);
  }

  // When the first can fire.
  [[nodiscard]] std::uint64_t first_due_ns() const {
    const std::uint64_t tick = armed_.begin()->first;
    return tick > kNever / kTick ? kNever : tick * kTick;
  }

  void compare() {
    ODO_CHECK(wheel_.empty() == armed_.empty());
    const std::uint64_t next_ns = wheel_.next_deadline_ns();
    ODO_CHECK(next_ns <= (armed_.empty() ? kNever : first_due_ns()));
    ODO_CHECK(!armed_.empty() || next_ns == kNever);
  }

  // The smallest steps come to an end as well, and a sleeper wakes seldom.
  void finish() {
    for (Client& client : clients_) client.action = 0;
    for (std::size_t calls = 0; advance(now_ns_, 1);) {
      ODO_CHECK(++calls <= 10 * kTimers);
    }
    compare();
    for (std::size_t wakes = 0; wheel_.next_deadline_ns() != kNever;) {
      advance(wheel_.next_deadline_ns(), TimerWheel::kAll);
      ODO_CHECK(++wakes <= 10 * kTimers);
      compare();
    }
    ODO_CHECK(armed_.empty() || first_due_ns() == kNever);
  }

  TimerWheel wheel_;
  std::array<Client, kTimers> clients_;
  Armed armed_;  // by tick, then by age
  std::uint64_t now_ns_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t fired_tick_ = 0;
  bool is_advancing_ = false;
};

}  // namespace
}  // namespace odo::lwkt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  odo::lwkt::World world;
  world.run(odo::lwkt::Input(
      odo::Bytes(reinterpret_cast<const std::byte*>(data), size)));
  return 0;
}
