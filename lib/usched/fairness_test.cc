// SPDX-License-Identifier: BSD-3-Clause
// What the scheduler promises to many threads at once, shown on a simulated
// machine: shares, latency, classes, affinity, no idle CPU beside work. All
// times are virtual, and every figure follows from the seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "lib/usched/testing/simulation.h"

namespace odo::usched {
namespace {

using testing::Actor;
using testing::Behaviour;
using testing::kHog;
using testing::kMs;
using testing::kSecond;
using testing::kUs;
using testing::per_mille;
using testing::places;
using testing::Simulation;

double share(const Actor& actor, std::uint64_t period_ns) {
  return static_cast<double>(actor.ran_ns) / static_cast<double>(period_ns);
}
double ms(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

// --- equal shares
// -------------------------------------------------------------

struct Hogs {
  unsigned cpus;
  unsigned threads;
  double tolerance;
};

class EqualHogsTest : public ::testing::TestWithParam<Hogs> {};

TEST_P(EqualHogsTest, GetEqualShares) {
  const auto [cpus, threads, tolerance] = GetParam();
  Simulation sim(places(cpus, 2, 4, 2), 1);
  for (unsigned i = 0; i < threads; ++i) sim.add(kHog, 100 * kUs * i);
  sim.run_until(5 * kSecond);
  sim.forget();
  constexpr std::uint64_t kPeriodNs = 20 * kSecond;
  sim.run_until(25 * kSecond);

  const double due = std::min(1.0, static_cast<double>(cpus) / threads);
  double least = 1e9;
  double most = 0;
  double sum = 0;
  std::uint64_t wait_ns = 0;
  std::uint64_t migrations = 0;
  for (Actor& actor : sim.actors()) {
    const double got = share(actor, kPeriodNs);
    least = std::min(least, got);
    most = std::max(most, got);
    sum += got;
    wait_ns = std::max(wait_ns, actor.longest_wait_ns);
    migrations += actor.migrations;
  }
  std::printf(
      "%3u hogs on %3u CPUs: due %.4f, least %+.2f%%, most %+.2f%%, longest "
      "wait %.0f ms, %.1f migrations/s/CPU\n",
      threads, cpus, due, (least / due - 1) * 100, (most / due - 1) * 100,
      ms(wait_ns), static_cast<double>(migrations) / 20 / cpus);
  EXPECT_GT(least, due * (1 - tolerance));
  EXPECT_LT(most, due * (1 + tolerance));
  // Nothing is lost.
  EXPECT_GT(sum, std::min(cpus, threads) * 0.999);
}

// With many threads a CPU each has few turns, and chance its part in them.
INSTANTIATE_TEST_SUITE_P(
    Machines, EqualHogsTest,
    ::testing::Values(Hogs{1, 1, 0.01}, Hogs{1, 2, 0.01}, Hogs{1, 7, 0.01},
                      Hogs{1, 100, 0.06}, Hogs{2, 3, 0.01}, Hogs{4, 5, 0.01},
                      Hogs{4, 4, 0.01}, Hogs{8, 9, 0.01}, Hogs{8, 15, 0.02},
                      Hogs{16, 20, 0.01}, Hogs{16, 257, 0.05},
                      Hogs{64, 65, 0.01}, Hogs{64, 100, 0.03},
                      Hogs{64, 1000, 0.08}),
    [](const auto& info) {
      return std::to_string(info.param.threads) + "On" +
             std::to_string(info.param.cpus);
    });

// --- nice
// ---------------------------------------------------------------------

TEST(NiceTest, SharesFallWithEachStep) {
  Simulation sim(places(1, 1, 1, 1), 2);
  std::vector<Actor*> hogs;
  for (int nice = kMinNice; nice <= kMaxNice; nice += 4) {
    hogs.push_back(&sim.add_nice(kHog, nice));
  }
  sim.run_until(10 * kSecond);
  sim.forget();
  sim.run_until(130 * kSecond);
  std::printf("nice, share of one CPU (due):");
  double weights = 0;
  for (const Actor* hog : hogs) weights += weight_of(hog->thread.nice());
  for (std::size_t i = 0; i < hogs.size(); ++i) {
    const double due = weight_of(hogs[i]->thread.nice()) / weights;
    const double got = share(*hogs[i], 120 * kSecond);
    std::printf(" %+d %.3f (%.3f)", hogs[i]->thread.nice(), got, due);
    EXPECT_GT(got, due * 0.6);
    EXPECT_LT(got, due * 1.6);
    if (i > 0) {
      EXPECT_LT(hogs[i]->ran_ns, hogs[i - 1]->ran_ns);
    }
  }
  std::printf("\n");
}

TEST(NiceTest, RatioHoldsBetweenTwo) {
  std::printf("nice 0 against nice n, ratio of shares (due):");
  double before = 0.9;
  for (int nice = 0; nice <= kMaxNice; nice += 5) {
    Simulation sim(places(1, 1, 1, 1), 3);
    Actor& normal = sim.add(kHog);
    Actor& other = sim.add_nice(kHog, nice);
    sim.run_until(10 * kSecond);
    sim.forget();
    sim.run_until(70 * kSecond);
    const double ratio =
        static_cast<double>(normal.ran_ns) / static_cast<double>(other.ran_ns);
    const double due = static_cast<double>(weight_of(0)) / weight_of(nice);
    std::printf(" %+d %.2f (%.2f)", nice, ratio, due);
    EXPECT_GT(ratio, before);
    EXPECT_NEAR(ratio, due, due * 0.25);
    before = ratio;
  }
  std::printf("\n");
}

TEST(NiceTest, HoldsAcrossCpus) {
  Simulation sim(places(4, 1, 4, 1), 4);
  std::vector<Actor*> nicer;
  std::vector<Actor*> normal;
  for (int i = 0; i < 8; ++i) {
    normal.push_back(&sim.add(kHog));
    nicer.push_back(&sim.add_nice(kHog, 8));  // due half as much
  }
  sim.run_until(10 * kSecond);
  sim.forget();
  sim.run_until(70 * kSecond);
  double normal_share = 0;
  double nicer_share = 0;
  for (const Actor* actor : normal) normal_share += share(*actor, 60 * kSecond);
  for (const Actor* actor : nicer) nicer_share += share(*actor, 60 * kSecond);
  std::printf("8 of nice 0 and 8 of nice 8 on 4 CPUs: %.3f and %.3f CPUs\n",
              normal_share, nicer_share);
  EXPECT_NEAR(normal_share / nicer_share, 2.0, 0.4);
}

// --- no starvation
// ------------------------------------------------------------

// The bound of docs/usched.md: a calendar thread waits for no more than
// kMaxOffset slots, in each of which every other thread has one turn at most,
// and front threads have kFrontPayback times as much beside.
TEST(StarvationTest, NobodyWaitsBeyondTheBound) {
  Simulation sim(places(1, 1, 1, 1), 5);
  for (int i = 0; i < 20; ++i) sim.add_nice(kHog, kMinNice);
  Actor& last = sim.add_nice(kHog, kMaxNice);
  sim.run_until(60 * kSecond);
  const double due = static_cast<double>(weight_of(kMaxNice)) /
                     (20 * weight_of(kMinNice) + weight_of(kMaxNice));
  std::printf(
      "nice 20 against 20 hogs of nice -20: share %.4f (due %.4f), longest "
      "wait %.0f ms\n",
      share(last, 60 * kSecond), due, ms(last.longest_wait_ns));
  EXPECT_GT(share(last, 60 * kSecond), due * 0.5);
  EXPECT_LT(last.longest_wait_ns, kTurnNs * kMaxOffset * 20);
}

// Each sleeper alone looks interactive. Together they want three quarters of
// the CPU, then one and a half, when a hog is due no more than one of them.
TEST(StarvationTest, ManyLightThreadsCannotKeepAHogOut) {
  for (const unsigned sleepers : {150U, 300U}) {
    Simulation sim(places(1, 1, 1, 1), 6);
    for (unsigned i = 0; i < sleepers; ++i) {
      sim.add({.burst_ns = {400 * kUs, 600 * kUs},
               .kernel_ns = {},
               .sleep_ns = {90 * kMs, 110 * kMs}},
              300 * kUs * i);
    }
    Actor& hog = sim.add(kHog);
    sim.run_until(20 * kSecond);
    const double got = share(hog, 20 * kSecond);
    const double wanted = sleepers * 0.5 / 100;
    std::printf(
        "a hog under %u light threads that want %.0f%%: share %.3f, longest "
        "wait %.0f ms\n",
        sleepers, wanted * 100, got, ms(hog.longest_wait_ns));
    EXPECT_GT(got, wanted < 1 ? (1 - wanted) * 0.9 : 1.0 / (sleepers + 1));
    EXPECT_LT(hog.longest_wait_ns, 3 * kSecond);
  }
}

TEST(StarvationTest, YieldingGivesWayAndCostsNothing) {
  Simulation sim(places(1, 1, 1, 1), 7);
  Actor& polite = sim.add({.burst_ns = {50 * kUs, 50 * kUs},
                           .kernel_ns = {},
                           .sleep_ns = {},
                           .yields = true});
  Actor& hog = sim.add(kHog);
  sim.run_until(10 * kSecond);
  std::printf("a thread that yields every 50 us: share %.3f beside a hog\n",
              share(polite, 10 * kSecond));
  EXPECT_GT(share(hog, 10 * kSecond), 0.5);
  EXPECT_GT(polite.ran_ns, 0U);
}

// --- forks
// --------------------------------------------------------------------

TEST(ForkTest, ARelayOfChildrenHasOneThreadsShare) {
  for (const std::uint64_t burst_ns : {1 * kMs, 5 * kMs, 30 * kMs}) {
    Simulation sim(places(1, 1, 1, 1), 8);
    Actor& relay = sim.add({.burst_ns = {burst_ns, burst_ns},
                            .kernel_ns = {},
                            .sleep_ns = {},
                            .relay = true});
    Actor& hog = sim.add(kHog);
    sim.run_until(10 * kSecond);
    const double got =
        static_cast<double>(sim.lineage_ran_ns(relay)) / (10.0 * kSecond);
    std::printf(
        "children of %.0f ms, one after the other: share %.3f, hog %.3f\n",
        ms(burst_ns), got, share(hog, 10 * kSecond));
    EXPECT_LT(got, 0.55);
  }
}

// --- latency
// ------------------------------------------------------------------

struct Load {
  unsigned cpus;
  unsigned hogs;
  std::uint64_t p99_limit_ns;
};

class LatencyTest : public ::testing::TestWithParam<Load> {};

TEST_P(LatencyTest, InteractiveThreadsRunAtOnce) {
  const auto [cpus, hogs, p99_limit_ns] = GetParam();
  Simulation sim(places(cpus, 2, 4, 2), 9);
  for (unsigned i = 0; i < hogs; ++i) sim.add(kHog);
  std::vector<Actor*> sleepers;
  sleepers.reserve(std::size_t{cpus} * 2);
  for (unsigned i = 0; i < cpus * 2; ++i) {
    sleepers.push_back(&sim.add({.burst_ns = {100 * kUs, 500 * kUs},
                                 .kernel_ns = {},
                                 .sleep_ns = {20 * kMs, 100 * kMs}}));
  }
  sim.run_until(1 * kSecond);
  sim.forget();
  sim.run_until(11 * kSecond);
  std::vector<std::uint64_t> all;
  for (const Actor* actor : sleepers) {
    all.insert(all.end(), actor->latencies_ns.begin(),
               actor->latencies_ns.end());
  }
  std::printf(
      "%3u CPUs, %4u hogs: wake-up latency p50 %.3f, p99 %.3f, p99.9 %.3f, "
      "worst %.3f ms of %zu\n",
      cpus, hogs, ms(per_mille(all, 500)), ms(per_mille(all, 990)),
      ms(per_mille(all, 999)), ms(per_mille(all, 1000)), all.size());
  EXPECT_LE(per_mille(all, 990), p99_limit_ns);
}

INSTANTIATE_TEST_SUITE_P(
    Machines, LatencyTest,
    ::testing::Values(Load{1, 1, 1 * kMs}, Load{1, 10, 1 * kMs},
                      Load{1, 50, 2 * kMs}, Load{4, 9, 1 * kMs},
                      Load{16, 100, 1 * kMs}, Load{64, 640, 1 * kMs}),
    [](const auto& info) {
      return std::to_string(info.param.hogs) + "HogsOn" +
             std::to_string(info.param.cpus);
    });

// --- classes
// ------------------------------------------------------------------

// The simulation also checks at every choice that no better class waits.
TEST(ClassTest, RealtimeNeverWaitsForTimeshare) {
  Simulation sim(places(4, 2, 2, 1), 10);
  for (int i = 0; i < 40; ++i) sim.add_nice(kHog, kMinNice);
  std::vector<Actor*> realtime;
  realtime.reserve(4);
  for (unsigned i = 0; i < 4; ++i) {
    realtime.push_back(&sim.add_of_class({.burst_ns = {1 * kMs, 2 * kMs},
                                          .kernel_ns = {},
                                          .sleep_ns = {5 * kMs, 15 * kMs}},
                                         Class::kRealtime, i));
  }
  sim.run_until(20 * kSecond);
  std::vector<std::uint64_t> all;
  for (const Actor* actor : realtime) {
    all.insert(all.end(), actor->latencies_ns.begin(),
               actor->latencies_ns.end());
  }
  std::printf(
      "realtime over 40 hogs on 4 CPUs: latency p50 %.3f, worst %.3f ms "
      "of %zu\n",
      ms(per_mille(all, 500)), ms(per_mille(all, 1000)), all.size());
  // An interrupt to the other CPU, and one more if two meet at one CPU.
  EXPECT_LE(per_mille(all, 1000), 2 * Simulation::kIpiNs);
}

TEST(ClassTest, BetterRealtimePriorityAlwaysWins) {
  Simulation sim(places(1, 1, 1, 1), 11);
  Actor& high = sim.add_of_class(kHog, Class::kRealtime, 3);
  Actor& equal = sim.add_of_class(kHog, Class::kRealtime, 3);
  Actor& low = sim.add_of_class(kHog, Class::kRealtime, 4);
  Actor& timeshare = sim.add(kHog);
  sim.run_until(10 * kSecond);
  EXPECT_NEAR(share(high, 10 * kSecond), 0.5, 0.01);
  EXPECT_NEAR(share(equal, 10 * kSecond), 0.5, 0.01);
  EXPECT_LT(low.ran_ns, kMs);
  EXPECT_LT(timeshare.ran_ns, kMs);
}

TEST(ClassTest, IdleClassRunsOnlyWhenNothingElseDoes) {
  Simulation sim(places(2, 1, 2, 1), 12);
  Actor& a = sim.add(kHog);
  Actor& b = sim.add(kHog);
  Actor& idle = sim.add_of_class(kHog, Class::kIdle, 0);
  sim.run_until(10 * kSecond);
  EXPECT_LT(idle.ran_ns, kMs);
  EXPECT_GT(share(a, 10 * kSecond) + share(b, 10 * kSecond), 1.999);

  // And it has all that is left.
  Simulation half(places(1, 1, 1, 1), 13);
  Actor& busy = half.add({.burst_ns = {5 * kMs, 5 * kMs},
                          .kernel_ns = {},
                          .sleep_ns = {5 * kMs, 5 * kMs}});
  Actor& rest = half.add_of_class(kHog, Class::kIdle, 31);
  half.run_until(10 * kSecond);
  std::printf("idle class beside a thread that sleeps half the time: %.3f\n",
              share(rest, 10 * kSecond));
  EXPECT_GT(share(busy, 10 * kSecond), 0.499);
  EXPECT_GT(share(rest, 10 * kSecond), 0.49);
}

// --- kernel work
// --------------------------------------------------------------

TEST(KernelTest, WaitsForKernelWorkOnly) {
  std::uint64_t worst_ns[2] = {};
  for (unsigned loaded = 0; loaded < 2; ++loaded) {
    Simulation sim(places(4, 1, 4, 1), 14);
    // One that calls the kernel per CPU, so nothing else is ahead of it there.
    for (CpuId cpu = 0; cpu < 4; ++cpu) {
      sim.add_pinned({.burst_ns = {100 * kUs, 900 * kUs},
                      .kernel_ns = {50 * kUs, 200 * kUs},
                      .sleep_ns = {}},
                     CpuSet::of(cpu));
    }
    if (loaded != 0) {
      for (int i = 0; i < 200; ++i) sim.add(kHog);
    }
    sim.run_until(10 * kSecond);
    worst_ns[loaded] = per_mille(sim.kernel_waits_ns(), 1000);
    std::printf("kernel work, %s: %zu pieces, longest wait to start %.3f ms\n",
                loaded != 0 ? "200 hogs" : "no hogs",
                sim.kernel_waits_ns().size(), ms(worst_ns[loaded]));
    EXPECT_GT(sim.kernel_waits_ns().size(), 0U);
  }
  EXPECT_EQ(worst_ns[0], 0U);
  EXPECT_EQ(worst_ns[1], 0U);
}

// --- placement
// ----------------------------------------------------------------

TEST(PlacementTest, NoCpuIsIdleBesideWork) {
  for (std::uint64_t seed = 20; seed < 30; ++seed) {
    Simulation sim(places(16, 2, 4, 1), seed);
    sim.watch_idleness();
    // About as much work as there are CPUs, and a third of it pinned.
    for (unsigned i = 0; i < 40; ++i) {
      const Behaviour behaviour{.burst_ns = {1 * kMs, 60 * kMs},
                                .kernel_ns = {0, 100 * kUs},
                                .sleep_ns = {1 * kMs, 60 * kMs}};
      if (i % 3 == 0) {
        CpuSet pair = CpuSet::of(static_cast<CpuId>(i % 16));
        pair.add(static_cast<CpuId>((i * 7) % 16));
        sim.add_pinned(behaviour, pair);
      } else {
        sim.add(behaviour);
      }
    }
    sim.run_until(10 * kSecond);
    EXPECT_LE(sim.longest_idle_with_work_ns(), kBalancePeriodNs)
        << "seed " << seed;
    if (seed == 20) {
      std::printf("16 CPUs, 40 threads: longest idle beside work %.1f ms\n",
                  ms(sim.longest_idle_with_work_ns()));
    }
  }
}

// All the hogs start on one CPU, pinned; then they are let go.
TEST(PlacementTest, AHeapSpreadsWithinAFewPeriods) {
  Simulation sim(places(16, 1, 8, 1), 31);
  sim.watch_idleness();
  for (int i = 0; i < 32; ++i) sim.add_pinned(kHog, CpuSet::of(0));
  sim.run_until(1 * kSecond);
  for (Actor& actor : sim.actors()) sim.set_affinity(actor, CpuSet::all());
  sim.run_until(1 * kSecond + 4 * kBalancePeriodNs);
  for (CpuId cpu = 0; cpu < 16; ++cpu) {
    EXPECT_NE(sim.scheduler().queue(cpu).chosen(), nullptr) << cpu;
  }
  sim.run_until(1 * kSecond + 40 * kBalancePeriodNs);
  unsigned longest = 0;
  for (CpuId cpu = 0; cpu < 16; ++cpu) {
    longest = std::max(longest, sim.scheduler().queue(cpu).waiting());
  }
  std::printf(
      "32 hogs let go on 16 CPUs: longest queue %u, longest idle "
      "beside work %.1f ms\n",
      longest, ms(sim.longest_idle_with_work_ns()));
  EXPECT_LE(longest, 3U);
  EXPECT_LE(sim.longest_idle_with_work_ns(), kBalancePeriodNs);
}

TEST(PlacementTest, AffinityChangesAndCpusThatLeaveAreObeyed) {
  Simulation sim(places(8, 2, 2, 1), 32);
  for (int i = 0; i < 30; ++i) {
    if (i % 2 == 0) {
      sim.add(kHog);
    } else {
      sim.add({.burst_ns = {1 * kMs, 5 * kMs},
               .kernel_ns = {0, 50 * kUs},
               .sleep_ns = {1 * kMs, 9 * kMs}});
    }
  }
  std::mt19937_64 random(33);
  // The simulation checks at every choice that the thread may run there.
  for (std::uint64_t step = 1; step <= 200; ++step) {
    sim.run_until(step * 20 * kMs);
    Actor& actor = sim.actors()[random() % sim.actors().size()];
    CpuSet set = CpuSet::of(static_cast<CpuId>(random() % 4));
    set.add(static_cast<CpuId>(random() % 8));
    sim.set_affinity(actor, set);
    sim.set_nice(sim.actors()[random() % 30],
                 static_cast<int>(random() % 41) - 20);
    // CPUs 4 to 7 come and go; 0 to 3 stay, so that everybody has a place.
    const CpuId cpu = static_cast<CpuId>(4 + random() % 4);
    if (sim.scheduler().view().online().has(cpu)) {
      sim.take_offline(cpu);
    } else {
      sim.bring_online(cpu);
    }
  }
  for (const Actor& actor : sim.actors()) EXPECT_GT(actor.ran_ns, 0U);
}

// Threads that sleep and wake stay where their data is.
TEST(PlacementTest, AThreadStaysOnItsCpuWhileThatIsIdle) {
  Simulation sim(places(8, 2, 2, 1), 34);
  for (int i = 0; i < 8; ++i) {
    sim.add({.burst_ns = {1 * kMs, 3 * kMs},
             .kernel_ns = {},
             .sleep_ns = {5 * kMs, 9 * kMs}},
            static_cast<std::uint64_t>(i) * 100 * kUs);
  }
  sim.run_until(1 * kSecond);
  sim.forget();
  sim.run_until(11 * kSecond);
  std::uint64_t migrations = 0;
  std::size_t wakes = 0;
  for (const Actor& actor : sim.actors()) {
    migrations += actor.migrations;
    wakes += actor.latencies_ns.size();
  }
  std::printf("8 sleepers on 8 CPUs: %zu wake-ups, %zu migrations\n", wakes,
              static_cast<std::size_t>(migrations));
  EXPECT_LT(migrations * 100, wakes);
}

// --- size
// ---------------------------------------------------------------------

TEST(ScaleTest, FourThousandThreadsOn256Cpus) {
  Simulation sim(places(256, 2, 8, 4), 35);
  std::vector<Actor*> hogs;
  std::vector<Actor*> sleepers;
  for (unsigned i = 0; i < 4000; ++i) {
    if (i % 4 == 0) {
      hogs.push_back(&sim.add(kHog));
    } else {
      sleepers.push_back(&sim.add({.burst_ns = {100 * kUs, 1 * kMs},
                                   .kernel_ns = {5 * kUs, 50 * kUs},
                                   .sleep_ns = {10 * kMs, 100 * kMs}}));
    }
  }
  sim.run_until(2 * kSecond);
  sim.forget();
  sim.run_until(6 * kSecond);
  std::vector<std::uint64_t> latencies;
  for (const Actor* actor : sleepers) {
    latencies.insert(latencies.end(), actor->latencies_ns.begin(),
                     actor->latencies_ns.end());
  }
  double least = 1e9;
  double most = 0;
  double sum = 0;
  for (const Actor* actor : hogs) {
    least = std::min(least, share(*actor, 4 * kSecond));
    most = std::max(most, share(*actor, 4 * kSecond));
    sum += share(*actor, 4 * kSecond);
  }
  const double mean = sum / static_cast<double>(hogs.size());
  std::printf(
      "256 CPUs, 1000 hogs, 3000 sleepers: hog share mean %.3f, least %.3f, "
      "most %.3f; wake-up p50 %.3f, p99 %.3f, worst %.3f ms; %.1f million "
      "events\n",
      mean, least, most, ms(per_mille(latencies, 500)),
      ms(per_mille(latencies, 990)), ms(per_mille(latencies, 1000)),
      static_cast<double>(sim.steps()) / 1e6);
  EXPECT_GT(least, mean * 0.8);
  EXPECT_LT(most, mean * 1.2);
  EXPECT_LE(per_mille(latencies, 990), 2 * kMs);
}

}  // namespace
}  // namespace odo::usched
