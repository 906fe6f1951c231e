// SPDX-License-Identifier: BSD-3-Clause
// Threads that answer a FUSE session's requests.
//
// The kernel gives each request to the thread that has waited longest, so that
// a pool of waiting threads costs two switches of context where one would do.
// So only one thread waits, the leader. It answers what the caches hold at once
// and by itself; another takes the lead when the leader is about to wait for a
// device, or when more requests are queued already.
//
// Contexts: run() blocks its caller, which is one of the workers.
// Invariants:
//   L1. at most one thread leads; only it receives.
//   L2. whoever leads gives the lead up before waiting for anything else.
// Failure: run() answers an errno, or 0.
#pragma once

// 3.12, as server.h says.
#define FUSE_USE_VERSION 312  // NOLINT(readability-identifier-naming)
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "tools/h2/volume.h"

namespace odo::h2fuse {

class Workers {
 public:
  Workers(fuse_session& session, std::size_t threads)
      : session_(session), threads_(threads) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    if (signals_ >= 0) ::close(signals_);
  }

  // Answers requests until the session is unmounted, or until SIGINT, SIGTERM
  // or SIGHUP says that it is enough.
  [[nodiscard]] int run() {
    sigset_t ends = {};
    ::sigemptyset(&ends);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      ::sigaddset(&ends, signal);
    }
    // The threads inherit this: signals come to the leader, as input.
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    signals_ = ::signalfd(-1, &ends, SFD_CLOEXEC);
    const int flags = ::fcntl(fuse_session_fd(&session_), F_GETFL);
    if (signals_ < 0 || flags < 0 ||
        ::fcntl(fuse_session_fd(&session_), F_SETFL, flags | O_NONBLOCK) != 0) {
      return errno;
    }
    {
      std::vector<std::jthread> others;
      for (std::size_t i = 1; i < threads_; ++i) {
        others.emplace_back([this] { work(); });
      }
      work();
    }
    return result_;
  }

 private:
  // The thread's own view of the lead.
  inline static thread_local Workers* leader_of = nullptr;

  void take_lead() {
    std::unique_lock lock(mutex_);
    given_.wait(lock, [this] { return !led_; });
    led_ = true;
    leader_of = this;
  }
  void give_lead() {
    leader_of = nullptr;
    {
      const std::lock_guard lock(mutex_);
      led_ = false;
    }
    given_.notify_one();
  }
  static void before_device_read() {
    if (leader_of != nullptr) leader_of->give_lead();
  }

  void work() {
    h2::SharedDevice::before_read = before_device_read;
    fuse_buf buffer = {};
    for (;;) {
      if (leader_of != this) take_lead();
      bool waited = false;
      if (!receive(buffer, waited)) break;
      if (!waited && request_is_queued()) give_lead();
      fuse_session_process_buf(&session_, &buffer);
    }
    give_lead();
    std::free(buffer.mem);  // NOLINT: libfuse allocates it so
  }

  // The next request. False when there will be none.
  [[nodiscard]] bool receive(fuse_buf& buffer, bool& waited) {
    while (fuse_session_exited(&session_) == 0) {
      const int got = fuse_session_receive_buf(&session_, &buffer);
      if (got > 0) return true;
      if (got == -EAGAIN) {
        wait();
        waited = true;
      } else if (got != -EINTR) {
        if (got < 0) result_ = -got;
        fuse_session_exit(&session_);
      }
    }
    return false;
  }

  void wait() {
    std::array<pollfd, 2> inputs = {
        pollfd{
            .fd = fuse_session_fd(&session_), .events = POLLIN, .revents = 0},
        pollfd{.fd = signals_, .events = POLLIN, .revents = 0}};
    if (::poll(inputs.data(), inputs.size(), -1) > 0 &&
        inputs[1].revents != 0) {
      fuse_session_exit(&session_);
    }
  }

  [[nodiscard]] bool request_is_queued() {
    pollfd input = {
        .fd = fuse_session_fd(&session_), .events = POLLIN, .revents = 0};
    return ::poll(&input, 1, 0) > 0;
  }

  fuse_session& session_;
  std::size_t threads_;
  int signals_ = -1;
  int result_ = 0;  // written by the leader, read after all are gone
  std::mutex mutex_;
  std::condition_variable given_;
  bool led_ = false;
};

}  // namespace odo::h2fuse
