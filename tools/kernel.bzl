"""odo_kernel: links a freestanding ELF with its own symbol table inside.

The libraries in `deps` are built by the kernel's toolchain through a
transition, so `bazel build //...` makes host programs and the kernel together
and nobody has a flag to remember.
"""

def _kernel_transition_impl(_settings, _attr):
    # Flags that a --config gives to host code (sanitizers, -O) stop here: the
    # kernel's toolchain says all that the kernel needs.
    return {
        "//command_line_option:platforms": "//kernel/toolchain:x86_64_odonata",
        "//command_line_option:copt": [],
        "//command_line_option:cxxopt": [],
        "//command_line_option:linkopt": [],
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:platform_suffix": "-odonata",
        "//command_line_option:strip": "never",
    }

_kernel_transition = transition(
    implementation = _kernel_transition_impl,
    inputs = [],
    outputs = [
        "//command_line_option:platforms",
        "//command_line_option:copt",
        "//command_line_option:cxxopt",
        "//command_line_option:linkopt",
        "//command_line_option:compilation_mode",
        "//command_line_option:platform_suffix",
        "//command_line_option:strip",
    ],
)

# Links twice: the first time with an empty symbol table; then the names and
# addresses of that first result become the table of the second. The table's
# section stands last in the image, so nothing else moves between the two.
_LINK = """
set -eu
out=$1; debug=$2; script=$3; make_symbols=$4; shift 4
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
link() {
  ld.lld-19 -static --no-pie -z noexecstack -z max-page-size=4096 --gc-sections \\
    --no-undefined --fatal-warnings --build-id=none --no-dynamic-linker \\
    -T "$script" -o "$1" --whole-archive $libraries --no-whole-archive \
    "$2" ${3:-}
}
libraries="$*"
python3 "$make_symbols" < /dev/null > "$tmp/none.S"
clang-19 -c "$tmp/none.S" -o "$tmp/none.o"
link "$tmp/first" "$tmp/none.o" --strip-debug
llvm-nm-19 --numeric-sort --defined-only --demangle "$tmp/first" | python3 "$make_symbols" > "$tmp/symbols.S"
clang-19 -c "$tmp/symbols.S" -o "$tmp/symbols.o"
link "$out" "$tmp/symbols.o" --strip-debug
link "$debug" "$tmp/symbols.o"
"""

def _odo_kernel_impl(ctx):
    libraries = []
    for dep in ctx.attr.deps:
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in linker_input.libraries:
                archive = library.static_library or library.pic_static_library
                if archive and archive not in libraries:
                    libraries.append(archive)
    elf = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        outputs = [elf, ctx.outputs.debug],
        inputs = libraries + [ctx.file.linker_script, ctx.file._make_symbols],
        command = _LINK,
        arguments = [
                        elf.path,
                        ctx.outputs.debug.path,
                        ctx.file.linker_script.path,
                        ctx.file._make_symbols.path,
                    ] +
                    [library.path for library in libraries],
        mnemonic = "OdoKernel",
        progress_message = "Linking kernel %s" % ctx.label.name,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([elf]), runfiles = ctx.runfiles([elf]))]

odo_kernel = rule(
    implementation = _odo_kernel_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo], cfg = _kernel_transition, mandatory = True),
        # The same, with types, variables and lines: for gdb.
        "debug": attr.output(mandatory = True),
        "linker_script": attr.label(allow_single_file = [".ld"], mandatory = True),
        "_make_symbols": attr.label(
            default = "//kernel/symbols:make_symbols.py",
            allow_single_file = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def odo_kernel_library(name, srcs = [], hdrs = [], deps = [], **kwargs):
    """Code that only the kernel's toolchain compiles."""
    native.cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        linkstatic = True,
        alwayslink = True,
        target_compatible_with = ["//kernel/toolchain:os_odonata"],
        deps = deps,
        **kwargs
    )
