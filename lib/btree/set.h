// SPDX-License-Identifier: BSD-3-Clause
// Ordered sets. See container.h for their face, options.h for their choices,
// docs/btree.md for when to use them and when not.
#pragma once

#include "lib/btree/container.h"
#include "lib/btree/options.h"
#include "lib/btree/relocate.h"

namespace odo::btree {

// Each key once.
template <class K, class Choice = Options<K>>
using BTreeSet = Container<K, NoValue, Choice, true>;

// Equal keys in the order in which they came.
template <class K, class Choice = Options<K>>
using BTreeMultiSet = Container<K, NoValue, Choice, false>;

}  // namespace odo::btree
