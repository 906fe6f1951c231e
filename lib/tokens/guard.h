// SPDX-License-Identifier: BSD-3-Clause
// Tokens held for as long as a C++ object lives, and data that can be reached
// only so.
//
// Contexts: as ThreadTokens::acquire().
// Failure: none; guards end in reverse order of their beginning, as objects on
//   a stack do, which is the order that tokens ask for.
#pragma once

#include <source_location>
#include <utility>

#include "lib/base/annotations.h"
#include "lib/tokens/thread_tokens.h"

namespace odo::tokens {

// `Self` is a ThreadTokens.
template <class Self, TokenPlatform P>
class ODO_SCOPED_CAPABILITY TokenGuard {
 public:
  TokenGuard(Self& self, Token<P>& token, Where where = Where::current())
      ODO_ACQUIRE(token)
      : self_(self), token_(token) {
    self_.acquire(token_, where);
  }
  TokenGuard(const TokenGuard&) = delete;
  TokenGuard& operator=(const TokenGuard&) = delete;
  ~TokenGuard() ODO_RELEASE() { self_.release(token_); }

 private:
  Self& self_;
  Token<P>& token_;
};

template <class Self, TokenPlatform P>
class ODO_SCOPED_CAPABILITY SharedTokenGuard {
 public:
  SharedTokenGuard(Self& self, Token<P>& token, Where where = Where::current())
      ODO_ACQUIRE_SHARED(token)
      : self_(self), token_(token) {
    self_.acquire_shared(token_, where);
  }
  SharedTokenGuard(const SharedTokenGuard&) = delete;
  SharedTokenGuard& operator=(const SharedTokenGuard&) = delete;
  ~SharedTokenGuard() ODO_RELEASE() { self_.release(token_); }

 private:
  Self& self_;
  Token<P>& token_;
};

// Data with the token that guards it. The only ways in are objects that hold
// the token:
//
//   Guarded<int, P> count(kCountClass, 0);
//   auto access = count.exclusive(self);
//   ++*access;
//
// What is read before a wait has to be read again after it, here too.
template <class T, TokenPlatform P>
class Guarded {
 public:
  template <class... Args>
  explicit Guarded(const TokenClass& kind, Args&&... args)
      : token_(kind), value_(std::forward<Args>(args)...) {}

  template <class Self>
  class Exclusive {
   public:
    [[nodiscard]] T& operator*() const { return *value_; }
    [[nodiscard]] T* operator->() const { return value_; }

   private:
    friend class Guarded;
    Exclusive(Self& self, Guarded& guarded, Where where)
        : guard_(self, guarded.token_, where), value_(&guarded.value_) {}
    TokenGuard<Self, P> guard_;
    T* value_;
  };
  template <class Self>
  class Shared {
   public:
    [[nodiscard]] const T& operator*() const { return *value_; }
    [[nodiscard]] const T* operator->() const { return value_; }

   private:
    friend class Guarded;
    Shared(Self& self, Guarded& guarded, Where where)
        : guard_(self, guarded.token_, where), value_(&guarded.value_) {}
    SharedTokenGuard<Self, P> guard_;
    const T* value_;
  };

  template <class Self>
  [[nodiscard]] Exclusive<Self> exclusive(Self& self,
                                          Where where = Where::current()) {
    return Exclusive<Self>(self, *this, where);
  }
  template <class Self>
  [[nodiscard]] Shared<Self> shared(Self& self,
                                    Where where = Where::current()) {
    return Shared<Self>(self, *this, where);
  }

  [[nodiscard]] Token<P>& token() { return token_; }

 private:
  Token<P> token_;
  T value_;
};

}  // namespace odo::tokens
