// SPDX-License-Identifier: BSD-3-Clause
// Where a run script's output goes, byte for byte: a virtio console if the
// machine has one, which takes it in bulk, else COM2, else, because nobody
// wants it elsewhere, COM1.
//
// Contexts: boot, then one thread. write() waits for a slow reader.
// Failure: a virtio console that does not start is told and left out; one that
//   breaks later stops the machine, for output must not be lost unsaid.
#pragma once

#include "kernel/x86_64/pci_config.h"
#include "lib/base/bytes.h"
#include "lib/pci/config.h"

namespace odo::x86 {

// Starts the console at `function`, unless there is one already. True when it
// is now in use.
bool add_output_console(PciConfig& config, const pci::Function& function);

void write_run_output(Bytes bytes);

}  // namespace odo::x86
