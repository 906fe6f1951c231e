// SPDX-License-Identifier: BSD-3-Clause
// The machine's text screen, if the boot loader left a frame buffer.
//
// Contexts: any but NMI after init_screen(). Who writes has the console
//   (log.h); look() takes it.
// Failure: without a frame buffer that can be used, nothing happens; why not is
//   told on the line.
#pragma once

#include <string_view>

#include "lib/base/bytes.h"
#include "lib/boot/boot_info.h"
#include "lib/console/keyboard.h"

namespace odo::x86 {

// After the page tables and the heap.
void init_screen(const boot::BootInfo& info);
[[nodiscard]] bool has_screen();

// A terminal's bytes as they are.
void write_screen(Bytes bytes);
// For people: "\n" begins a row.
void write_screen_text(std::string_view text);
void look(console::Look where);

}  // namespace odo::x86
