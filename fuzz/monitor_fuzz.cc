// SPDX-License-Identifier: BSD-3-Clause
// The monitor's keyboard and script language: any bytes typed at the line
// editor leave the terminal unharmed and the editor sound, and any bytes are a
// script that ends.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/check.h"
#include "lib/block/memory_device.h"
#include "lib/check/checks.h"
#include "lib/monitor/line_editor.h"
#include "lib/monitor/monitor.h"
#include "lib/monitor/testing/fake_machine.h"
#include "lib/monitor/testing/vt_screen.h"

namespace {

using odo::block::MemoryDevice;
using odo::monitor::EditEvent;
using odo::monitor::LineEditor;
using odo::monitor::Monitor;
using odo::monitor::testing::FakeConsole;
using odo::monitor::testing::FakeMachine;
using odo::monitor::testing::ScreenOut;
using odo::monitor::testing::VtScreen;
using Subject = Monitor<FakeConsole, FakeMachine<MemoryDevice>>;

void type(std::string_view keys) {
  auto editor = std::make_unique<LineEditor>();
  VtScreen screen;
  ScreenOut out(screen);
  editor->begin("odo> ", out);
  for (char c : keys) {
    EditEvent event = editor->feed(static_cast<std::byte>(c), out);
    ODO_CHECK(editor->cursor() <= editor->line().size());
    ODO_CHECK(screen.trouble().empty());
    if (event == EditEvent::kLine) editor->remember(editor->line());
    if (event == EditEvent::kLine || event == EditEvent::kInterrupt) {
      editor->begin("odo> ", out);
    }
  }
}

// A machine with one disk, which has no filesystem on it.
struct World {
  World() { machine.add_disk("vd0", "serial", MemoryDevice(disk)); }
  std::vector<std::byte> disk = std::vector<std::byte>(65536);
  std::vector<std::byte> memory =
      std::vector<std::byte>(Subject::kMinMemoryBytes);
  FakeConsole console;
  FakeMachine<MemoryDevice> machine;
  Subject monitor{console, machine, memory, odo::check::Checks()};
};

void run(std::string_view script) {
  static auto* world = new World;  // NOLINT: lives as long as the fuzzer
  (void)world->monitor.run(script);
  // Every complaint is one line of harmless text.
  for (std::string_view rest = world->console.err; !rest.empty();) {
    std::size_t length = odo::monitor::printable_prefix(rest);
    ODO_CHECK(length != 0 || rest[0] == '\n');
    rest.remove_prefix(length == 0 ? 1 : length);
  }
  world->console = FakeConsole();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  constexpr std::size_t kMost = 4096;
  if (size == 0 || size > kMost) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if ((data[0] & 1) != 0) {
    type(text);
  } else {
    run(text);
  }
  return 0;
}
