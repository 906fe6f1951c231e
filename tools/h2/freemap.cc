// SPDX-License-Identifier: BSD-3-Clause
// `h2 freemap`: what the freemap says of all space, as a map and in numbers.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "lib/hammer2/inspect/freemap_walk.h"
#include "tools/h2/amount.h"
#include "tools/h2/command.h"
#include "tools/h2/commands.h"
#include "tools/h2/common_flags.h"
#include "tools/h2/inspected.h"
#include "tools/h2/picture.h"
#include "tools/h2/print.h"
#include "tools/h2/volume.h"

ABSL_DECLARE_FLAG(std::int32_t, header);
ABSL_FLAG(std::string, svg, "",
          "FILE: draw the map in a new SVG file; - for standard output");
ABSL_FLAG(std::string, png, "",
          "FILE: draw the map in a new PNG file; - for standard output");

namespace odo::h2 {
namespace freemap_command {
namespace {

namespace inspect = hammer2::inspect;
using hammer2::format::FreemapState;
using inspect::FreemapSpan;
using inspect::FreemapTotals;
using inspect::SpanKind;

constexpr std::size_t kSpansInRow = 64;  // 256 MiB

// How much of a span is taken, in tenths; 10 for all of it.
unsigned tenths(const FreemapSpan& span) {
  return (FreemapSpan::kUnits - span.in(FreemapState::kFree)) * 10 /
         FreemapSpan::kUnits;
}

char letter(const FreemapSpan& span) {
  switch (span.kind) {
    case SpanKind::kFixed:
      return '=';
    case SpanKind::kUnmade:
      return '.';
    case SpanKind::kUnknown:
      return '?';
    case SpanKind::kSpoken:
      break;
  }
  if (span.in(FreemapState::kReserved) != 0) return '!';
  if (span.in(FreemapState::kMaybeFree) != 0) return '~';
  if (span.in(FreemapState::kFree) == FreemapSpan::kUnits) return '.';
  const unsigned part = tenths(span);
  return part == 10 ? '#' : static_cast<char>('0' + part);
}

Colour colour(const FreemapSpan& span) {
  switch (span.kind) {
    case SpanKind::kFixed:
      return {.red = 120, .green = 120, .blue = 130};
    case SpanKind::kUnmade:
      return {.red = 240, .green = 244, .blue = 240};
    case SpanKind::kUnknown:
      return {.red = 200, .green = 40, .blue = 40};
    case SpanKind::kSpoken:
      break;
  }
  if (span.in(FreemapState::kReserved) != 0) {
    return {.red = 200, .green = 40, .blue = 40};
  }
  if (span.in(FreemapState::kMaybeFree) != 0) {
    return {.red = 240, .green = 180, .blue = 40};
  }
  // From pale to deep blue; the least that is taken is seen.
  const unsigned taken = FreemapSpan::kUnits - span.in(FreemapState::kFree);
  if (taken == 0) return {.red = 225, .green = 240, .blue = 225};
  const auto fade = [&](unsigned from, unsigned to) {
    return static_cast<std::uint8_t>(from -
                                     (from - to) * taken / FreemapSpan::kUnits);
  };
  return {.red = fade(170, 10), .green = fade(200, 60), .blue = fade(245, 140)};
}

void print_map(const std::vector<FreemapSpan>& spans) {
  std::cout << "one letter for 4 MiB: . free  0-9 tenths in use  # full  "
               "~ some possibly free\n"
               "  = never given out  ! reserved state  ? unknown\n";
  for (std::size_t row = 0; row < spans.size(); row += kSpansInRow) {
    std::string line;
    for (std::size_t i = row; i < std::min(spans.size(), row + kSpansInRow);
         ++i) {
      line += letter(spans[i]);
    }
    std::cout << absl::StrFormat("0x%011x %s\n", spans[row].offset, line);
  }
}

std::string bar(std::uint64_t count, std::uint64_t most) {
  constexpr std::uint64_t kWidth = 40;
  return std::string(most == 0 ? 0 : (count * kWidth + most - 1) / most, '#');
}

template <class Counts, class Name>
void print_histogram(std::string_view title, const Counts& counts,
                     const Name& name) {
  const std::uint64_t most = *std::ranges::max_element(counts);
  if (most == 0) return;
  std::cout << "\n" << title << "\n";
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    std::cout << absl::StrFormat("  %-12s %8u %s\n", name(i), counts[i],
                                 bar(counts[i], most));
  }
}

void print_totals(const FreemapTotals& totals) {
  const auto line = [](std::string_view what, std::uint64_t bytes) {
    std::cout << absl::StrFormat("%-16s %s\n", what,
                                 amount(static_cast<double>(bytes)));
  };
  std::cout << "\n";
  for (std::size_t state = 0; state < totals.bytes.size(); ++state) {
    line(inspect::to_string(static_cast<FreemapState>(state)),
         totals.bytes[state]);
  }
  line("never given out", totals.fixed_bytes);
  line("unknown", totals.unknown_bytes);
  line("longest free run", totals.longest_run_bytes);
  print_histogram(
      "4 MiB pieces by how much is in use", totals.fill, [](std::size_t tenth) {
        return tenth == 10
                   ? std::string("100%")
                   : absl::StrFormat("%u-%u%%", tenth * 10, tenth * 10 + 9);
      });
  print_histogram(
      "runs of free space by their length", totals.runs, [](std::size_t radix) {
        return amount(static_cast<double>(std::uint64_t{1} << radix));
      });
  print_histogram("4 MiB pieces by what they are given to", totals.classes,
                  [](std::size_t type) {
                    return std::string(hammer2::to_string(
                        static_cast<hammer2::format::BlockType>(type)));
                  });
}

Json totals_json(const FreemapTotals& totals) {
  Json json;
  json["free_bytes"] = totals.bytes[0];
  json["reserved_bytes"] = totals.bytes[1];
  json["possibly_free_bytes"] = totals.bytes[2];
  json["used_bytes"] = totals.bytes[3];
  json["fixed_bytes"] = totals.fixed_bytes;
  json["unmade_bytes"] = totals.unmade_bytes;
  json["unknown_bytes"] = totals.unknown_bytes;
  json["longest_run_bytes"] = totals.longest_run_bytes;
  json["fill_tenths"] = totals.fill;
  json["runs_by_radix"] = totals.runs;
  json["spans_by_type"] = totals.classes;
  json["leaves"] = totals.leaves;
  json["bad_blocks"] = totals.bad_blocks;
  return json;
}

Json span_json(const FreemapSpan& span) {
  Json json;
  json["offset"] = span.offset;
  json["kind"] = to_string(span.kind);
  json["free"] = span.units[0];
  json["reserved"] = span.units[1];
  json["possibly_free"] = span.units[2];
  json["used"] = span.units[3];
  if (span.kind == SpanKind::kSpoken) {
    json["type"] = span.entry.alloc_class >> 8U;
    json["linear"] = span.entry.linear;
    json["avail"] = span.entry.avail;
  }
  return json;
}

int run(const Request& request) {
  const std::int32_t wanted = absl::GetFlag(FLAGS_header);
  const std::string svg = absl::GetFlag(FLAGS_svg);
  const std::string png = absl::GetFlag(FLAGS_png);
  Inspected inspected(request.images);
  const std::vector<std::byte> header = inspected.header(
      wanted < 0 ? inspected.info().header : static_cast<unsigned>(wanted));
  inspect::FreemapWalk walk(inspected.medium().volumes(),
                            inspected.medium().reader());
  if (!walk.init(inspected.arena())) throw Failure("not enough memory");
  std::vector<FreemapSpan> spans;
  const FreemapTotals totals =
      walk.run(header, [&](const FreemapSpan& span) { spans.push_back(span); });
  Cells cells = {.in_row = kSpansInRow, .pixels = 8, .colours = {}};
  for (const FreemapSpan& span : spans) cells.colours.push_back(colour(span));
  if (!svg.empty()) {
    write_picture(svg, svg_of(cells, request.images.front() + ": freemap"));
  }
  if (!png.empty()) write_picture(png, png_of(cells));
  if (absl::GetFlag(FLAGS_json)) {
    Json json = totals_json(totals);
    json["spans"] = Json::array();
    for (const FreemapSpan& span : spans) {
      json["spans"].push_back(span_json(span));
    }
    print_json(json);
  } else if (svg != "-" && png != "-") {
    print_map(spans);
    print_totals(totals);
  }
  std::cout.flush();
  if (totals.first_bad) throw inspected.failure(*totals.first_bad);
  return kStatusGood;
}

constexpr std::string_view kFlags[] = {"header", "svg", "png", "json"};

}  // namespace
}  // namespace freemap_command

constinit const Command kFreemap = {
    .name = "freemap",
    .arguments = "IMAGE...",
    .summary = "What is free, as a map, a histogram or a picture",
    .help =
        "A letter for each 4 MiB, sums of each state, runs of free space by\n"
        "their length, and what the pieces are given to. Pictures have 8\n"
        "pixels squared for 4 MiB: grey is never given out, blue is in use,\n"
        "yellow possibly free, red unknown.",
    .examples =
        "h2 freemap disk.img\n"
        "h2 freemap --png=free.png disk.img\n"
        "h2 freemap --svg=- disk.img >free.svg",
    .path = PathArgument::kNone,
    .flags = freemap_command::kFlags,
    .run = freemap_command::run,
};

}  // namespace odo::h2
