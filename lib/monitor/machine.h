// SPDX-License-Identifier: BSD-3-Clause
// What the monitor asks of the machine it runs in: a console to talk over, and
// facts and switches to show and turn. A kernel implements both; a test fakes
// both.
//
// Contexts: thread, one at a time. The monitor calls everything here from the
// one thread that runs it.
// Ownership: every string_view and reference stays valid as long as the
// machine itself, or until the next call of the same function where it says so.
// Units: in the names.
// Failure: none of these calls fails, except reboot and poweroff, which return
// when the machine cannot do it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/console/log_ring.h"
#include "lib/hammer2/write/ground.h"

namespace odo::monitor {

// Where bytes go. In conversation both reach the same terminal; when a script
// runs, kOutput carries what commands print and nothing else.
enum class Channel : std::uint8_t { kOutput, kError };

// A line to a person or to a script.
template <class C>
concept Console = requires(C& console, Channel channel, Bytes bytes) {
  // Sends the bytes exactly as they are; the monitor itself sends "\r\n" where
  // a terminal needs it. Returns when they are accepted, in order.
  { console.write(channel, bytes) } -> std::same_as<void>;
  // The next byte typed, waiting for it (the CPU may halt meanwhile); nullopt
  // when no byte will ever come again.
  { console.read() } -> std::same_as<std::optional<std::byte>>;
  // The next byte typed if one is there already; never waits. The monitor polls
  // during long work to see ^C, and drops whatever else it takes.
  { console.poll() } -> std::same_as<std::optional<std::byte>>;
};

struct DiskInfo {
  std::string_view name;    // "vd0": short, unique, printable, no '+' or '@'
  std::string_view driver;  // "virtio-blk": printable; empty for a partition
  // As the device tells them: any bytes, may be empty.
  std::string_view model;
  std::string_view serial;
  std::uint64_t size_bytes;
  std::uint32_t block_bytes;  // logical block
  bool read_only;
  // What is on it by its partition table or by the one that it is in ("GPT",
  // "HAMMER2"); may be empty. Nobody has looked.
  std::string_view content = {};
  // Parts of it are disks of their own: it isn't looked into for a filesystem
  // unless somebody asks.
  bool is_divided = false;
  // It, or what it is a part of, was put into memory by who loaded the kernel:
  // what is written to it is gone at the end.
  bool in_memory = false;
};

struct MemoryInfo {
  std::uint64_t total_bytes;         // RAM that the boot map calls usable
  std::uint64_t free_bytes;          // in the page-frame allocator
  std::uint64_t largest_free_bytes;  // longest free contiguous run
  std::uint64_t kernel_bytes;        // the loaded image, its stacks and tables
  std::uint64_t heap_bytes;          // page frames that the kernel's heap has
  std::uint64_t heap_used_bytes;     // of those, by its objects
  std::uint64_t heap_objects;
  std::uint64_t heap_kept_bytes;      // at hand for more of them
  std::uint64_t heap_returned_bytes;  // given back so far
};

struct PciInfo {
  std::uint16_t segment;
  std::uint8_t bus;
  std::uint8_t device;    // 0–31
  std::uint8_t function;  // 0–7
  std::uint16_t vendor_id;
  std::uint16_t device_id;
  std::uint8_t base_class;
  std::uint8_t sub_class;
  std::uint8_t interface;
  std::uint8_t revision;
  std::string_view driver;  // "virtio-blk", empty where none took it
};

struct CpuInfo {
  std::string_view vendor;    // "GenuineIntel"
  std::string_view model;     // the brand string, may be empty
  std::string_view features;  // names the kernel uses, one space between
  std::uint32_t count;        // CPUs running
  std::uint32_t present;      // of so many
  std::uint64_t tsc_hz;       // 0 when unknown
  std::string_view timer;     // what rings: "tsc-deadline", "apic", "pit"
};

enum class ProcessorState : std::uint8_t {
  kRunning,
  kSilent,   // was started, and did not answer
  kLeftOut,  // was not started
};

struct ProcessorInfo {
  std::uint32_t apic_id;
  std::uint32_t package;
  std::uint32_t core;    // of the package
  std::uint32_t thread;  // of the core
  std::uint32_t number;  // among those that run
  ProcessorState state;
};

enum class ThreadState : std::uint8_t {
  kNew,        // made, not started
  kRunning,    // has its CPU
  kReady,      // could run
  kWaiting,    // for its tokens
  kAsleep,     // until somebody wakes it
  kMoving,     // on its way to another CPU
  kPreempted,  // an interrupt's thread has borrowed its CPU
  kEnded,      // and nobody has joined it yet
};

struct TokenInfo {
  std::string_view name;
  bool is_shared;
  bool is_held;  // else the thread has to have it before it goes on
};

struct ThreadInfo {
  std::string_view name;
  ThreadState state = ThreadState::kNew;
  std::uint32_t priority = 0;
  std::uint64_t asleep_on = 0;  // an address; 0 for none
  std::span<const TokenInfo> tokens;
  // Addresses that calls return to, youngest first.
  std::span<const std::uint64_t> frames;
};

enum class ThreadAnswer : std::uint8_t {
  kFound,
  kNoMore,    // the CPU has no thread of that number
  kNoAnswer,  // the CPU does not say, whatever it does
};

struct SymbolInfo {
  std::string_view name;  // demangled
  std::uint64_t offset;   // of the address in it
};

// What a CPU has done to the kernel's heap. Counts wrap.
struct HeapLaneInfo {
  std::uint64_t fills;     // batches of objects from slabs
  std::uint64_t drains;    // batches back to them
  std::uint64_t posts;     // batches to slabs of other CPUs
  std::uint64_t harvests;  // slabs looked at for what others freed
  std::uint64_t made;      // slabs
  std::uint64_t unmade;
};

// What a line of the kernel's log may have, line feed excluded.
inline constexpr std::size_t kMaxLogLineBytes = 512;

// Everything else. `index` arguments are below the matching count.
template <class M>
concept Machine =
    requires(M& machine, std::size_t index, std::uint8_t status,
             console::LogCursor& cursor, std::span<char> room,
             std::uint32_t cpu, ThreadInfo& thread, std::uint64_t address) {
      // What changes need, with a device in the sense of lib/block.
      requires hammer2::write::Ground<typename M::Ground>;
      requires std::same_as<typename M::Device, typename M::Ground::Device>;
      { machine.ground() } -> std::same_as<typename M::Ground&>;
      { machine.disk_count() } -> std::same_as<std::size_t>;
      { machine.disk(index) } -> std::same_as<DiskInfo>;
      { machine.disk_device(index) } -> std::same_as<typename M::Device&>;
      { machine.memory() } -> std::same_as<MemoryInfo>;
      { machine.pci_count() } -> std::same_as<std::size_t>;
      { machine.pci(index) } -> std::same_as<PciInfo>;
      { machine.cpu() } -> std::same_as<CpuInfo>;
      // Below cpu().present.
      { machine.processor(index) } -> std::same_as<ProcessorInfo>;
      { machine.uptime_ns() } -> std::same_as<std::uint64_t>;  // since power-on
      { machine.cmdline() } -> std::same_as<std::string_view>;
      // The kernel's own words: the next line, in `room` of kMaxLogLineBytes,
      // its time in nanoseconds since power-on (0 where there is no clock).
      {
        machine.log_line(cursor, room)
      } -> std::same_as<std::optional<console::LogLine>>;
      // A thread of a CPU (below cpu().count), by its number there; may wait
      // for the CPU. What it fills in is valid until the next call. Between
      // calls threads come and go.
      { machine.thread(cpu, index, thread) } -> std::same_as<ThreadAnswer>;
      // The function that an address lies in.
      { machine.symbol(address) } -> std::same_as<std::optional<SymbolInfo>>;
      { machine.heap_lane(cpu) } -> std::same_as<HeapLaneInfo>;
      { machine.reboot() } -> std::same_as<void>;
      { machine.poweroff(status) } -> std::same_as<void>;
    };

}  // namespace odo::monitor
