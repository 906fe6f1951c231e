// SPDX-License-Identifier: BSD-3-Clause
// Tokens in an ordinary program: two threads move money between two accounts,
// each taking the accounts in its own order. With mutexes that is a deadlock.
#include <cstdio>
#include <mutex>
#include <thread>

#include "lib/tokens/host/thread_token.h"

namespace tokens = odo::tokens;

constexpr tokens::TokenClass kAccount{"account"};

struct Account {
  tokens::ThreadToken token{kAccount};
  long balance = 1000;
};

void move_money(Account& from, Account& to, int times) {
  for (int i = 0; i < times; ++i) {
    const std::scoped_lock first(from.token);
    const std::scoped_lock second(to.token);  // `first` may lapse in here
    --from.balance;
    ++to.balance;
  }
}

int main() {
  Account a;
  Account b;
  std::thread forth([&] { move_money(a, b, 100000); });
  std::thread back([&] { move_money(b, a, 100000); });
  forth.join();
  back.join();
  std::printf("%ld + %ld = %ld\n", a.balance, b.balance, a.balance + b.balance);
  return a.balance + b.balance == 2000 ? 0 : 1;
}
