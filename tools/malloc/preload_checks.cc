// SPDX-License-Identifier: BSD-3-Clause
// What a program may expect of malloc and its relatives, whoever provides them:
// tools/malloc/preload_test.py runs this program under libodomalloc.so, a check
// a process.
//
//   preload_checks --list
//   preload_checks NAME
//
// The exit status is 0 if all is well, 1 and a line on stderr if not, 77 if the
// check can't be done here.
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <source_location>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using std::size_t;

constexpr int kSkipped = 77;
constexpr size_t kMiB = size_t{1} << 20;

void want(bool right,
          std::source_location at = std::source_location::current()) {
  if (right) return;
  std::fprintf(stderr, "%s:%u: not so\n", at.file_name(), at.line());
  std::_Exit(1);
}

// Keeps the compiler from knowing what it is, and from leaving calls out.
template <class T>
T unknown(T value) {
  asm volatile("" : "+r"(value) : : "memory");
  return value;
}
void* get(size_t bytes) { return unknown(std::malloc(unknown(bytes))); }

bool is_at(const void* object, size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(object) % alignment == 0;
}
void fill(void* object, size_t bytes, unsigned char with) {
  std::memset(unknown(object), with, bytes);
}
bool is_filled(const void* object, size_t bytes, unsigned char with) {
  const auto* at = static_cast<const unsigned char*>(unknown(object));
  return std::all_of(at, at + bytes,
                     [=](unsigned char c) { return c == with; });
}
// In KiB, of /proc/self/status.
size_t status(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  want(file != nullptr);
  std::array<char, 256> line{};
  size_t value = 0;
  while (std::fgets(line.data(), line.size(), file) != nullptr) {
    if (std::strncmp(line.data(), field, std::strlen(field)) == 0) {
      value = std::strtoul(line.data() + std::strlen(field) + 1, nullptr, 10);
    }
  }
  std::fclose(file);
  return value;
}
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t operator()() {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return state_ >> 33;
  }

 private:
  std::uint64_t state_;
};
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  want(sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}
void stay_on(int cpu, pid_t thread = 0) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  (void)sched_setaffinity(thread, sizeof one, &one);
}

// Objects that are filled with a byte of their own while they are allocated:
// one that is given out twice shows.
class Crowd {
 public:
  Crowd(std::uint64_t seed, size_t live) : random_(seed), live_(live) {}
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() {
    for (Object& one : live_) drop(one);
  }
  // Replaces one. Now and then a large one, and many at once, which makes the
  // allocator leave its fast ways.
  void step() {
    Object& one = live_[random_() % live_.size()];
    drop(one);
    const size_t kind = random_() % 1000;
    one.bytes = 1 + random_() % (kind == 0 ? 300'000 : kind < 20 ? 9000 : 400);
    make(one);
    if (kind < 5) burst();
  }
  // May be out of memory in between.
  void be_patient() { patient_ = true; }

 private:
  struct Object {
    void* at = nullptr;
    size_t bytes = 0;
    unsigned char with = 0;
  };
  void make(Object& one) {
    one.at = get(one.bytes);
    if (one.at == nullptr && patient_) return;
    want(one.at != nullptr);
    one.with = static_cast<unsigned char>(random_());
    fill(one.at, one.bytes, one.with);
  }
  static void drop(Object& one) {
    if (one.at == nullptr) return;
    want(is_filled(one.at, one.bytes, one.with));
    std::free(one.at);
    one.at = nullptr;
  }
  void burst() {
    std::array<Object, 600> many;
    const size_t bytes = 8 + random_() % 200;
    for (Object& one : many) {
      one.bytes = bytes;
      make(one);
    }
    for (Object& one : many) drop(one);
  }

  Random random_;
  bool patient_ = false;
  std::vector<Object> live_;
};
class Threads {
 public:
  template <class Body>
  Threads(unsigned count, Body body) {
    for (unsigned t = 0; t < count; ++t) {
      threads_.emplace_back([this, t, body] {
        while (!stop_.load(std::memory_order_relaxed)) body(t);
      });
    }
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  std::vector<std::thread>& all() { return threads_; }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};
auto seconds_from_now(double seconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::duration<double>(seconds));
}

// --- the C functions ---------------------------------------------------------

int sizes() {
  std::vector<void*> objects;
  for (size_t bytes = 0; bytes < 5000; ++bytes) {
    void* object = get(bytes);
    want(object != nullptr && is_at(object, 16));
    want(malloc_usable_size(object) >= bytes);
    fill(object, malloc_usable_size(object),
         static_cast<unsigned char>(bytes % 251));
    objects.push_back(object);
  }
  for (size_t bytes = 0; bytes < objects.size(); ++bytes) {
    want(is_filled(objects[bytes], malloc_usable_size(objects[bytes]),
                   static_cast<unsigned char>(bytes % 251)));
    std::free(objects[bytes]);
  }
  void* one = get(0);
  void* other = get(0);
  want(one != nullptr && other != nullptr && one != other);
  std::free(one);
  std::free(other);
  std::free(unknown<void*>(nullptr));
  want(malloc_usable_size(unknown<void*>(nullptr)) == 0);
  return 0;
}

template <class Allocate>
void fails(Allocate allocate, int error = ENOMEM,
           std::source_location at = std::source_location::current()) {
  errno = 0;
  want(unknown(allocate()) == nullptr && errno == error, at);
}
int too_large() {
  constexpr size_t kHalf = std::numeric_limits<std::ptrdiff_t>::max();
  void* object = get(100);
  fill(object, 100, 7);
  for (const size_t bytes :
       {kHalf - 4096, kHalf, kHalf + 1, ~size_t{0} - 4096, ~size_t{0}}) {
    fails([=] { return std::malloc(unknown(bytes)); });
    fails([=] { return std::calloc(1, unknown(bytes)); });
    fails([=] { return std::calloc(unknown(bytes), 1); });
    fails([=] { return std::realloc(object, unknown(bytes)); });
    fails([=] { return std::realloc(nullptr, unknown(bytes)); });
    fails([=] { return reallocarray(object, unknown(bytes), 1); });
    fails([=] { return aligned_alloc(4096, unknown(bytes)); });
    fails([=] { return aligned_alloc(16, unknown(bytes)); });
    fails([=] { return memalign(4 * kMiB, unknown(bytes)); });
    fails([=] { return valloc(unknown(bytes)); });
    fails([=] { return pvalloc(unknown(bytes)); });
    void* into = &into;
    want(posix_memalign(&into, 64, unknown(bytes)) == ENOMEM);
    want(into == &into);
    want(unknown(::operator new(unknown(bytes), std::nothrow)) == nullptr);
    bool thrown = false;
    try {
      (void)unknown(::operator new(unknown(bytes)));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    want(thrown);
  }
  // Products that do not fit into a size.
  constexpr size_t kRoot = size_t{1} << 32;
  fails([] { return std::calloc(unknown(kRoot), unknown(kRoot)); });
  fails([] { return std::calloc(unknown(kRoot), unknown(kRoot + 1)); });
  fails([=] { return reallocarray(object, unknown(kRoot), unknown(kRoot)); });
  want(is_filled(object, 100, 7));
  std::free(object);
  return 0;
}

int zeroes() {
  for (int round = 0; round < 3; ++round) {
    for (const size_t bytes : {1u, 24u, 100u, 1000u, 5000u, 33'000u, 100'000u,
                               900'000u, 3'000'000u}) {
      std::array<void*, 20> objects{};
      for (void*& object : objects) {
        object = unknown(std::calloc(unknown(bytes), 1));
        want(object != nullptr && is_filled(object, bytes, 0));
        fill(object, malloc_usable_size(object), 0xa5);
      }
      for (void* object : objects) std::free(object);
    }
  }
  void* none = unknown(std::calloc(0, unknown(size_t{5})));
  want(none != nullptr);
  std::free(none);
  return 0;
}

int reallocates() {
  void* object = unknown(std::realloc(nullptr, unknown(size_t{1})));
  want(object != nullptr);
  const auto byte_at = [](size_t i) {
    return static_cast<unsigned char>(i * 31 + i / 1000);
  };
  Random random(1);
  size_t bytes = 0;
  for (int i = 0; i < 3000; ++i) {
    const size_t now =
        1 + random() % (size_t{1} << (4 + static_cast<size_t>(i) % 19));
    object = unknown(std::realloc(object, unknown(now)));
    want(object != nullptr && is_at(object, 16));
    want(malloc_usable_size(object) >= now);
    auto* at = static_cast<unsigned char*>(object);
    const size_t kept = std::min(bytes, now);
    for (size_t k = 0; k < kept; k += 1 + k / 64) want(at[k] == byte_at(k));
    if (kept != 0) want(at[kept - 1] == byte_at(kept - 1));
    for (size_t k = 0; k < now; ++k) at[k] = byte_at(k);
    bytes = now;
  }
  want(unknown(std::realloc(object, unknown(size_t{0}))) == nullptr);
  // Of aligned ones, of each kind.
  for (const size_t alignment : {size_t{64}, size_t{65'536}, 4 * kMiB}) {
    void* aligned = aligned_alloc(alignment, alignment);
    fill(aligned, 64, 9);
    for (const size_t size :
         {12'000'000u, 40'000'000u, 200u, 90'000u, 5'000'000u, 9'000'000u,
          3'000'000u, 1'100'000u, 70u}) {
      aligned = unknown(std::realloc(aligned, unknown(size)));
      want(aligned != nullptr && is_filled(aligned, 64, 9));
    }
    std::free(aligned);
  }
  return 0;
}

// A program that reads what it does not know the size of.
int grows_by_steps() {
  const auto begin = std::chrono::steady_clock::now();
  constexpr size_t kStep = 4096;
  constexpr size_t kSteps = 8 * kMiB / kStep;
  std::array<unsigned char*, 3> buffers{};
  for (size_t n = 1; n <= kSteps; ++n) {
    for (unsigned char*& buffer : buffers) {
      buffer = static_cast<unsigned char*>(
          unknown(std::realloc(buffer, unknown(n * kStep))));
      want(buffer != nullptr);
      fill(buffer + (n - 1) * kStep, kStep, static_cast<unsigned char>(n));
    }
  }
  want(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  for (unsigned char* buffer : buffers) {
    for (size_t n = 1; n <= kSteps; ++n) {
      want(is_filled(buffer + (n - 1) * kStep, kStep,
                     static_cast<unsigned char>(n)));
    }
    for (size_t n = kSteps; n > 0; n -= n / 8 + 1) {
      buffer = static_cast<unsigned char*>(
          unknown(std::realloc(buffer, unknown(n * kStep))));
      want(is_filled(buffer + (n - 1) * kStep, kStep,
                     static_cast<unsigned char>(n)));
    }
    std::free(buffer);
  }
  want(status("VmRSS") < 60 * 1024);
  return 0;
}

int aligns() {
  for (const size_t wrong : {0u, 1u, 2u, 3u, 4u, 12u, 24u, 4097u}) {
    void* into = &into;
    want(posix_memalign(&into, unknown(wrong), 100) == EINVAL);
    want(into == &into);
  }
  for (size_t alignment = 1; alignment <= 4 * kMiB; alignment *= 2) {
    std::vector<void*> objects;
    for (const size_t bytes :
         {size_t{0}, size_t{1}, size_t{40}, size_t{3000}, size_t{40'000},
          alignment, 3 * alignment, 2 * kMiB}) {
      for (int again = 0; again < 3; ++again) {
        void* object = aligned_alloc(unknown(alignment), unknown(bytes));
        want(object != nullptr && is_at(object, alignment));
        want(malloc_usable_size(object) >= bytes);
        fill(object, bytes, 3);
        objects.push_back(object);
        if (alignment < sizeof(void*)) continue;
        want(posix_memalign(&object, unknown(alignment), unknown(bytes)) == 0);
        want(object != nullptr && is_at(object, alignment));
        fill(object, bytes, 4);
        objects.push_back(object);
      }
      void* object =
          ::operator new(unknown(bytes), std::align_val_t(alignment));
      want(object != nullptr && is_at(object, alignment));
      ::operator delete(object, std::align_val_t(alignment));
    }
    for (void* object : objects) std::free(object);
  }
  for (const size_t alignment : {0u, 1u, 3u, 16u, 17u, 24u, 63u, 65u, 4095u,
                                 4097u, 40'000u, 3'000'000u}) {
    void* object = memalign(unknown(alignment), unknown(size_t{100}));
    want(object != nullptr && is_at(object, std::bit_ceil(alignment)));
    fill(object, 100, 5);
    std::free(object);
  }
  // First, no memory begins at a multiple of that; then there is no such power.
  constexpr size_t kTop = size_t{1} << 63;
  for (const size_t alignment : {kTop / 2 + 1, kTop - 1, kTop}) {
    fails([=] { return memalign(unknown(alignment), 100); });
  }
  for (const size_t wrong : {kTop + 1, ~size_t{0}}) {
    fails([=] { return memalign(unknown(wrong), 100); }, EINVAL);
  }
  // aligned_alloc() takes powers of two alone.
  for (const size_t wrong : {size_t{0}, size_t{3}, size_t{24}, kTop + 1}) {
    fails([=] { return aligned_alloc(unknown(wrong), 100); }, EINVAL);
  }
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* object = valloc(unknown(size_t{10}));
  want(object != nullptr && is_at(object, page));
  std::free(object);
  object = pvalloc(unknown(size_t{10}));
  want(is_at(object, page) && malloc_usable_size(object) >= page);
  std::free(object);
  return 0;
}

int keeps_errno() {
  for (const size_t bytes : {1u, 1000u, 50'000u, 900'000u, 5'000'000u}) {
    std::vector<void*> objects;
    for (int i = 0; i < 20; ++i) objects.push_back(get(bytes));
    for (void* object : objects) {
      errno = 77;
      std::free(object);
      want(errno == 77);
    }
  }
  // One between others of its kind, when the system can't take apart what it
  // joined: it has as many mappings as it may.
  std::vector<void*> large;
  for (int i = 0; i < 60; ++i) large.push_back(get(1'000'000));
  constexpr size_t kPages = 200'000;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* field = mmap(nullptr, kPages * page, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  want(field != MAP_FAILED);
  size_t at = 0;
  while (at < kPages && mprotect(static_cast<char*>(field) + at * page, page,
                                 PROT_READ) == 0) {
    at += 2;
  }
  for (size_t i = 0; i < large.size(); ++i) {
    if (i / 4 % 2 == 0) continue;
    errno = 77;
    std::free(large[i]);
    want(errno == 77);
  }
  munmap(field, kPages * page);
  for (size_t i = 0; i < large.size(); ++i) {
    if (i / 4 % 2 == 0) std::free(large[i]);
  }
  void* object = get(5'000'000);
  want(object != nullptr);
  std::free(object);
  return 0;
}

int trims() {
  std::vector<void*> objects;
  for (int i = 0; i < 100'000; ++i) {
    objects.push_back(get(700));
    fill(objects.back(), 700, 1);
  }
  for (void* object : objects) std::free(object);
  (void)malloc_trim(0);
  want(status("VmRSS") < 40 * 1024);
  return 0;
}

// --- C++ ---------------------------------------------------------------------

int handlers = 0;

int new_handler() {
  std::set_new_handler([] {
    if (++handlers == 3) std::set_new_handler(nullptr);
  });
  bool thrown = false;
  try {
    (void)unknown(::operator new(unknown(~size_t{0} / 2)));
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  want(thrown && handlers == 3);
  struct Mine {};
  std::set_new_handler([] { throw Mine(); });
  bool mine = false;
  try {
    (void)unknown(::operator new[](unknown(~size_t{0} / 2)));
  } catch (const Mine&) {
    mine = true;
  }
  want(mine);
  std::set_new_handler(nullptr);
  return 0;
}

int out_of_memory() {
  // What the C library wants for itself.
  std::fputs("", stderr);
  const rlimit before = [] {
    rlimit limit{};
    want(getrlimit(RLIMIT_AS, &limit) == 0);
    return limit;
  }();
  for (const size_t bytes : {48u, 700u, 6000u, 100'000u, 3'000'000u}) {
    rlimit limit = before;
    limit.rlim_cur = status("VmSize") * 1024 + 64 * kMiB;
    want(setrlimit(RLIMIT_AS, &limit) == 0);
    void* first = nullptr;
    size_t count = 0;
    while (true) {
      errno = 0;
      void* object = get(bytes);
      if (object == nullptr) break;
      std::memcpy(object, &first, sizeof first);
      first = object;
      ++count;
    }
    want(errno == ENOMEM);
    want(count * bytes > 20 * kMiB);
    fails([] { return std::calloc(1, unknown(80 * kMiB)); });
    bool thrown = false;
    try {
      (void)unknown(::operator new(unknown(80 * kMiB)));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    want(thrown);
    const size_t all = count;
    while (first != nullptr) {
      void* next = nullptr;
      std::memcpy(&next, first, sizeof next);
      std::free(first);
      first = next;
      --count;
    }
    want(count == 0);
    // As much as before, or nearly.
    std::vector<void*> again;
    again.reserve(all);
    while (again.size() < all * 3 / 4) {
      void* object = get(bytes);
      want(object != nullptr);
      again.push_back(object);
    }
    for (void* object : again) std::free(object);
    want(setrlimit(RLIMIT_AS, &before) == 0);
    (void)malloc_trim(0);
  }
  return 0;
}
int out_of_memory_in_threads() {
  rlimit limit{};
  want(getrlimit(RLIMIT_AS, &limit) == 0);
  const rlimit before = limit;
  {
    std::vector<std::unique_ptr<Crowd>> crowds;
    for (unsigned t = 0; t < 4; ++t) {
      crowds.push_back(std::make_unique<Crowd>(t, 20'000));
      crowds.back()->be_patient();
    }
    const Threads threads(4, [&](unsigned t) { crowds[t]->step(); });
    limit.rlim_cur = status("VmSize") * 1024 + 4 * kMiB;
    want(setrlimit(RLIMIT_AS, &limit) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    want(setrlimit(RLIMIT_AS, &before) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  void* object = get(10 * kMiB);
  want(object != nullptr);
  std::free(object);
  return 0;
}

// --- threads, processes and signals ------------------------------------------

// Which lanes there are: of two threads on one CPU the second gets what the
// first has freed only from the CPU's.
int lanes() {
  stay_on(allowed_cpus().front());
  void* first = nullptr;
  void* second = nullptr;
  std::atomic<int> turn{0};
  std::thread one([&] {
    std::free(get(600));  // fills the stack
    first = get(600);
    std::free(first);
    turn = 1;
    while (turn != 2) std::this_thread::yield();
  });
  while (turn != 1) std::this_thread::yield();
  second = get(600);
  turn = 2;
  one.join();
  std::puts(first == second ? "cpus" : "threads");
  std::free(second);
  Dl_info info{};
  want(dladdr(unknown(reinterpret_cast<void*>(&std::malloc)), &info) != 0);
  const std::string_view file = info.dli_fname;
  std::puts(info.dli_fname + file.rfind('/') + 1);
  return 0;
}

int forks() {
  std::array<std::unique_ptr<Crowd>, 3> crowds;
  for (unsigned t = 0; t < 3; ++t) {
    crowds[t] = std::make_unique<Crowd>(t, 300);
  }
  Crowd own(9, 300);
  const Threads threads(3, [&](unsigned t) { crowds[t]->step(); });
  const auto end = seconds_from_now(3);
  for (int i = 0; i < 300 && std::chrono::steady_clock::now() < end; ++i) {
    for (int k = 0; k < 50; ++k) own.step();
    const pid_t child = fork();
    want(child >= 0);
    if (child == 0) {
      alarm(20);  // if a lock is held by a thread that is not here
      const std::vector<int> cpus = allowed_cpus();
      for (int k = 0; k < 300; ++k) {
        if (k % 100 == 0) {
          stay_on(cpus[static_cast<size_t>(k / 100) % cpus.size()]);
        }
        own.step();
      }
      if (i % 10 == 0) {
        std::thread([] {
          Crowd more(1, 100);
          for (int k = 0; k < 300; ++k) more.step();
        }).join();
      }
      std::_Exit(0);
    }
    int how = 0;
    want(waitpid(child, &how, 0) == child);
    want(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  }
  return 0;
}

// Objects go from thread to thread.
int passes_on() {
  struct Object {
    void* at;
    size_t bytes;
    unsigned char with;
  };
  std::mutex mutex;
  std::vector<Object> shared;
  std::atomic<std::uint64_t> seed{1};
  {
    const Threads threads(4, [&](unsigned) {
      thread_local Random random(seed++);
      Object one{nullptr, 1 + random() % (random() % 100 == 0 ? 50'000 : 500),
                 static_cast<unsigned char>(random())};
      one.at = get(one.bytes);
      fill(one.at, one.bytes, one.with);
      {
        const std::scoped_lock lock(mutex);
        if (shared.size() < 2000) {
          shared.push_back(one);
          return;
        }
        std::swap(one, shared[random() % shared.size()]);
      }
      want(is_filled(one.at, one.bytes, one.with));
      std::free(one.at);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(800));
  }
  for (const Object& one : shared) std::free(one.at);
  return 0;
}

pthread_key_t key;
thread_local std::vector<std::unique_ptr<int>> at_thread_end;

// Threads that allocate until their very end, in the destructors of keys and of
// thread-local objects; the C library frees after those. Nothing piles up.
int thread_ends() {
  want(pthread_key_create(&key, [](void* value) {
         auto* left = static_cast<int*>(value);
         std::free(get(40));
         const int rounds = *left;
         std::free(left);
         if (rounds == 0) return;
         left = static_cast<int*>(get(sizeof *left));
         *left = rounds - 1;
         pthread_setspecific(key, left);
       }) == 0);
  const auto some = [](int threads) {
    for (int i = 0; i < threads; ++i) {
      std::thread([i] {
        at_thread_end.push_back(std::make_unique<int>(i));
        auto* left = static_cast<int*>(get(sizeof(int)));
        *left = i % 5;
        pthread_setspecific(key, left);
        // Kept until after all destructors.
        want(unknown(strerror(100'000 + i)) != nullptr);
        want(dlopen("no-such-library", RTLD_NOW) == nullptr);
        want(unknown(dlerror()) != nullptr);
      }).join();
    }
  };
  some(200);
  const size_t size = status("VmSize");
  const size_t resident = status("VmRSS");
  some(2000);
  want(status("VmSize") < size + 20 * 1024);
  want(status("VmRSS") < resident + 4 * 1024);
  return 0;
}

// The process ends while threads of it allocate.
struct AtExit {
  ~AtExit() {
    for (int i = 0; i < 1000; ++i) std::free(get(100));
    Crowd crowd(3, 100);
    for (int i = 0; i < 1000; ++i) crowd.step();
  }
};
int exits() {
  static const AtExit at_exit;
  std::atexit([] { std::free(get(100'000)); });
  for (unsigned t = 0; t < 3; ++t) {
    std::thread([t] {
      Crowd crowd(t, 100);
      while (true) crowd.step();
    }).detach();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return 0;
}

std::atomic<std::uint64_t> signals{0};

// A handler interrupts allocations; it allocates nothing itself.
int interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int) {
    signals.fetch_add(1, std::memory_order_relaxed);
  };
  action.sa_flags = SA_RESTART;
  want(sigaction(SIGALRM, &action, nullptr) == 0);
  want(sigaction(SIGUSR1, &action, nullptr) == 0);
  itimerval timer{};
  timer.it_interval.tv_usec = 100;
  timer.it_value.tv_usec = 100;
  want(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
  std::vector<std::unique_ptr<Crowd>> crowds;
  for (unsigned t = 0; t < 3; ++t) {
    crowds.push_back(std::make_unique<Crowd>(t, 200));
  }
  {
    Threads threads(3, [&](unsigned t) { crowds[t]->step(); });
    const auto end = seconds_from_now(3);
    for (size_t i = 0;
         signals < 30'000 && std::chrono::steady_clock::now() < end; ++i) {
      pthread_kill(threads.all()[i % 3].native_handle(), SIGUSR1);
      if (i % 16 == 0) sched_yield();
    }
  }
  timer = {};
  want(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
  want(signals > 2000);
  return 0;
}

// Threads are moved between CPUs, by themselves and by others.
int moves() {
  const std::vector<int> cpus = allowed_cpus();
  if (cpus.size() < 2) return kSkipped;
  std::vector<std::unique_ptr<Crowd>> crowds;
  std::array<std::atomic<pid_t>, 4> ids{};
  for (unsigned t = 0; t < 4; ++t) {
    crowds.push_back(std::make_unique<Crowd>(t, 200));
  }
  const Threads threads(4, [&](unsigned t) {
    ids[t] = static_cast<pid_t>(syscall(SYS_gettid));
    for (size_t i = 0; i < 200; ++i) {
      crowds[t]->step();
      if (i % 20 == 0) stay_on(cpus[(i / 20 + t) % cpus.size()]);
    }
  });
  const auto end = seconds_from_now(2);
  for (size_t i = 0; std::chrono::steady_clock::now() < end; ++i) {
    const pid_t id = ids[i % 4];
    if (id != 0) stay_on(cpus[i / 4 % cpus.size()], id);
  }
  return 0;
}

int loads_libraries() {
  void* library = dlopen("libz.so.1", RTLD_NOW);
  if (library == nullptr) return kSkipped;
  dlclose(library);
  std::vector<std::unique_ptr<Crowd>> crowds;
  for (unsigned t = 0; t < 2; ++t) {
    crowds.push_back(std::make_unique<Crowd>(t, 200));
  }
  const Threads threads(2, [&](unsigned t) { crowds[t]->step(); });
  for (int i = 0; i < 300; ++i) {
    library = dlopen("libz.so.1", RTLD_NOW);
    want(library != nullptr);
    want(dlsym(library, "inflate") != nullptr);
    want(dlclose(library) == 0);
  }
  return 0;
}

const struct {
  const char* name;
  int (*body)();
} kChecks[] = {
    {"sizes", sizes},
    {"too_large", too_large},
    {"zeroes", zeroes},
    {"reallocates", reallocates},
    {"grows_by_steps", grows_by_steps},
    {"aligns", aligns},
    {"keeps_errno", keeps_errno},
    {"trims", trims},
    {"new_handler", new_handler},
    {"out_of_memory", out_of_memory},
    {"out_of_memory_in_threads", out_of_memory_in_threads},
    {"lanes", lanes},
    {"forks", forks},
    {"passes_on", passes_on},
    {"thread_ends", thread_ends},
    {"exits", exits},
    {"interrupts", interrupts},
    {"moves", moves},
    {"loads_libraries", loads_libraries},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view wanted = argc == 2 ? argv[1] : "";
  for (const auto& [name, body] : kChecks) {
    if (wanted == "--list") std::puts(name);
    if (wanted == name) return body();
  }
  if (wanted == "--list") return 0;
  std::fputs("usage: preload_checks --list|NAME\n", stderr);
  return 2;
}
