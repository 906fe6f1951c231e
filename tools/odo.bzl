"""The project's build words: odo_library, odo_test, odo_fuzz, odo_bench,
odo_tool. BUILD files use these and nothing else for C++ on the host.
"""

load("//tools:flags.bzl", "FREESTANDING_COPTS", "GCC_WARNINGS", "HOST_COPTS", "STANDARD")
load("//tools:precompiled.bzl", "odo_precompiled")

_MODES = {
    "clang": ["clang++-19"] + HOST_COPTS,
    "gcc": ["g++-12"] + STANDARD + GCC_WARNINGS,
    "freestanding": ["clang++-19"] + FREESTANDING_COPTS,
}

def _header_check_impl(ctx):
    context = ctx.attr.library[CcInfo].compilation_context
    stamps = []
    for mode in ctx.attr.modes:
        stamp = ctx.actions.declare_file("{}.{}.ok".format(ctx.label.name, mode))
        how = "alone" if ctx.attr.alone else "ordered"

        # One action for all of them: setting one up costs as much as compiling
        # a small header.
        ctx.actions.run_shell(
            outputs = [stamp],
            inputs = context.headers,
            command = """
                stamp=$1; how=$2; count=$3; shift 3
                headers=("${@:1:count}"); compile=("${@:count+1}")
                check() {
                  printf '#include "%s"\\n' "$@" |
                    "${compile[@]}" -I. -x c++ -fsyntax-only -
                }
                reach() { "${compile[@]}" -I. -x c++ -M "$1" | wc -w; }
                if [[ $how == ordered ]]; then
                  sorted=($(for header in "${headers[@]}"; do
                    printf '%s %s\\n' "$(reach "$header")" "$header"
                  done | sort -n -s -k1,1 | cut -d' ' -f2))
                  ((${#sorted[@]} == count)) && check "${sorted[@]}" || exit 1
                  headers=("${sorted[@]:0:(count + 1) / 2}")
                fi
                for header in "${headers[@]}"; do
                  check "$header" ||
                    { echo "$header: doesn't compile alone" >&2; exit 1; }
                done
                : > "$stamp"
            """,
            arguments = [
                stamp.path,
                how,
                str(len(ctx.files.hdrs)),
            ] + [header.short_path for header in ctx.files.hdrs] + _MODES[mode],
            mnemonic = "OdoHeader",
            progress_message = "Compiling headers of %s (%s)" % (ctx.label.package, mode),
            use_default_shell_env = True,
        )
        stamps.append(stamp)
    return [DefaultInfo(files = depset(stamps))]

# Compiles the headers of a library as one source in the mode that asks for most: the
# one that includes least comes first, and the half that includes less is also compiled
# alone, header by header. With //tools:long, all are, in every mode.
# The sandbox holds only the headers of declared dependencies, so an include
# across an undeclared edge, and with it across a floor, fails here.
_header_check = rule(
    implementation = _header_check_impl,
    attrs = {
        "alone": attr.bool(),
        "hdrs": attr.label_list(allow_files = [".h"], mandatory = True),
        "library": attr.label(providers = [CcInfo], mandatory = True),
        "modes": attr.string_list(mandatory = True),
    },
)

def odo_library(name, hdrs, deps = [], visibility = None, hosted = False, testonly = False, linkopts = []):
    """A header-only library, and the proof that each header stands alone.

    Args:
      name: the library; by custom the folder's name.
      hdrs: its public headers.
      deps: libraries on floors below.
      visibility: exactly the floors above that may use it.
      hosted: True for headers that need an operating system below them
        (grounds for tests and host tools); they skip the freestanding compile.
      testonly: as in every rule.
      linkopts: for hosted libraries only.
    """
    native.cc_library(
        name = name,
        hdrs = hdrs,
        copts = HOST_COPTS,
        linkopts = linkopts,
        testonly = testonly,
        visibility = visibility,
        deps = deps,
    )
    _header_check(
        name = name + "_headers",
        hdrs = hdrs,
        library = ":" + name,
        # The mode that asks for most: what compiles in it has included all that it
        # needs. The others only have to accept it, which lint sees of all libraries
        # at once.
        modes = ["clang" if hosted else "freestanding"] + select({
            "//tools:long": ["gcc"] if hosted else ["gcc", "clang"],
            "//conditions:default": [],
        }),
        alone = select({
            "//tools:long": True,
            "//conditions:default": False,
        }),
        testonly = testonly,
        visibility = ["//visibility:private"],
    )

# A sanitizer's run proves what a plain one would, and more: where there is one,
# ./odo test leaves the plain one out, as compiling takes most of its time.
def _with_builds(tags):
    return tags + ([] if "nosan" in tags or "plain" in tags else ["sanitized"])

# Under a sanitizer, compiling with optimisation takes more than twice as long.
_BUSY = select({
    "//tools:sanitizer": ["-O1"],
    "//conditions:default": [],
})

# What tests include most from outside the project. They name what they use all the
# same: this only saves the time to parse it in each of them.
_TEST_INCLUDES = [
    "gtest/gtest.h",
    "algorithm",
    "array",
    "atomic",
    "concepts",
    "expected",
    "functional",
    "map",
    "memory",
    "optional",
    "random",
    "set",
    "span",
    "string",
    "string_view",
    "thread",
    "utility",
    "vector",
]

def odo_test_headers():
    """For //tools alone: what tests include, as they are compiled, busy or not."""
    for name, copts in [("test_headers", []), ("busy_test_headers", _BUSY)]:
        odo_precompiled(
            name = name + ".pch",
            copts = HOST_COPTS + copts,
            includes = _TEST_INCLUDES,
            tags = ["manual"],
            testonly = True,
        )
        native.cc_library(
            name = name,
            testonly = True,
            tags = ["manual"],
            textual_hdrs = [name + ".pch"],
            visibility = ["//visibility:public"],
        )

def odo_test(
        name,
        srcs,
        deps = [],
        data = [],
        size = "small",
        copts = [],
        tags = [],
        threads = False,
        busy = False,
        fibers = False,
        **kwargs):
    """A GoogleTest program beside the header that it proves.

    Args:
      name: as in every rule.
      srcs: as in every rule.
      deps: as in every rule, beside GoogleTest.
      data: as in every rule.
      size: as in every test rule.
      copts: beside the project's own.
      tags: `nosan` for what no sanitizer is to run, `plain` for what does less
        under a sanitizer. The rest is run by sanitizers alone in `./odo test`.
      threads: True where there are any: TSan, which has nothing to see in other
        tests, runs it. Lint looks after this.
      busy: True where it runs for longer than it compiles under a sanitizer (some
        ten seconds), or on stacks too small for code that isn't optimised:
        optimised there, too.
      fibers: True where it makes fibers by the thousand. For each ASan would map
        a second stack, to keep what functions that have returned had: ten times
        what the test takes else. Then it does so in the long form only.
      **kwargs: as in cc_test.
    """
    # With flags of its own a test parses everything itself.
    headers = ("busy_" if busy else "") + "test_headers"
    precompiled = [] if copts else ["-include-pch", "$(BINDIR)/tools/%s.pch" % headers]
    native.cc_test(
        name = name,
        srcs = srcs,
        copts = HOST_COPTS + copts + (_BUSY if busy else []) + precompiled,
        data = data,
        size = size,
        tags = _with_builds(tags) + ([] if threads else ["notsan"]),
        deps = deps + ["@gtest//:gtest_main"] + ([] if copts else ["//tools:" + headers]) +
               (["//tools:fibers"] if fibers else []),
        **kwargs
    )

def odo_fuzz(name, srcs, deps = [], corpus = None, data = []):
    """A libFuzzer target, and the replay of its corpus as an ordinary test.

    `name` itself is a fuzzer only under --config=fuzz, so it is manual; the
    test `name`_corpus runs the same entry point over every file of `corpus`
    in any configuration but TSan's: it has one thread.

    Args:
      name: ends in _fuzz; `./odo fuzz` takes it without that ending.
      srcs: the file that defines LLVMFuzzerTestOneInput.
      deps: what it reaches.
      corpus: label list of seed files; by custom glob(["corpus/NAME/**"]).
      data: further files that it reads.
    """
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = HOST_COPTS,
        data = data,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        testonly = True,
        deps = deps,
    )
    native.cc_test(
        name = name + "_corpus",
        srcs = srcs + ["//tools:fuzz_replay_main.cc"],
        args = ["$(rootpaths %s)" % c for c in [":" + name + "_seeds"]],
        copts = HOST_COPTS,
        data = data + [":" + name + "_seeds"],
        size = "medium",
        tags = _with_builds(["notsan"]),
        deps = deps,
    )
    native.filegroup(
        name = name + "_seeds",
        srcs = corpus,
    )

def odo_bench(name, srcs, deps = [], copts = []):
    """A Google Benchmark program; cases are named component/case/contender."""
    native.cc_binary(
        name = name,
        srcs = srcs,
        # Only those that are optimised are run.
        copts = HOST_COPTS + copts + select({
            "//tools:optimised": [],
            "//conditions:default": ["-O0"],
        }),
        tags = ["bench"],
        testonly = True,
        deps = deps + ["@benchmark//:benchmark"],
    )

def odo_tool(name, srcs, deps = [], visibility = None, **kwargs):
    """A host program."""
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = HOST_COPTS,
        visibility = visibility,
        deps = deps,
        **kwargs
    )

def odo_joined(name, srcs):
    """Sources that are compiled as one, so that their headers are parsed once.

    Each keeps what is its own in a namespace of its own. The program takes
    `name` as a source and `name`_sources as a dependency.

    Args:
      name: as in every rule.
      srcs: the sources.
    """
    native.genrule(
        name = name,
        srcs = srcs,
        outs = [name + "_joined.cc"],
        cmd = "for source in $(SRCS); do printf '#include \"%s\"\\n' $$source; done > $@",
    )
    native.cc_library(
        name = name + "_sources",
        textual_hdrs = srcs,
    )

def odo_py_test(name, srcs, data = [], size = "small", tags = [], **kwargs):
    """A Python unittest file; every case is counted by name.

    Args:
      name: as in every rule.
      srcs: the test files, imported by their path from the repository's root.
      data: modules and files that they need.
      size: as in every test rule.
      tags: as in every rule. Python has no sanitizer build: `nosan` is added.
      **kwargs: as in sh_test.
    """
    native.sh_test(
        name = name,
        srcs = ["//tools:py_test.sh"],
        args = ["$(rootpath %s)" % src for src in srcs],
        data = srcs + data + ["//tools:unittest_xml.py", "//tools:__init__.py"],
        size = size,
        tags = tags + ["nosan"],
        **kwargs
    )
