// SPDX-License-Identifier: BSD-3-Clause
// Ordered maps. See container.h for their face, options.h for their choices,
// docs/btree.md for when to use them and when not.
#pragma once

#include "lib/btree/container.h"
#include "lib/btree/options.h"

namespace odo::btree {

// Each key once.
template <class K, class V, class Choice = Options<K>>
using BTreeMap = Container<K, V, Choice, true>;

// Equal keys in the order in which they came.
template <class K, class V, class Choice = Options<K>>
using BTreeMultiMap = Container<K, V, Choice, false>;

}  // namespace odo::btree
