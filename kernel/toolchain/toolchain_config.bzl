"""clang-19 and lld-19 as a freestanding toolchain. Linking is odo_kernel's."""

load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
)
load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("//tools:flags.bzl", "FREESTANDING_COPTS", "KERNEL_CODEGEN")

def _impl(ctx):
    compile = feature(
        name = "freestanding",
        enabled = True,
        flag_sets = [
            flag_set(
                actions = [ACTION_NAMES.cpp_compile, ACTION_NAMES.cpp_header_parsing],
                flag_groups = [flag_group(flags = FREESTANDING_COPTS + KERNEL_CODEGEN)],
            ),
            flag_set(
                actions = [ACTION_NAMES.assemble, ACTION_NAMES.preprocess_assemble],
                flag_groups = [flag_group(flags = ["-fno-pic", "-Werror"])],
            ),
        ],
    )
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "x86_64-odonata",
        host_system_name = "x86_64-linux",
        target_system_name = "x86_64-odonata",
        target_cpu = "x86_64",
        target_libc = "none",
        compiler = "clang",
        abi_version = "none",
        abi_libc_version = "none",
        features = [compile],
        cxx_builtin_include_directories = [
            "/usr/lib/llvm-19/lib/clang/19",
            "/usr/lib/clang/19",
            "/usr/include",
        ],
        tool_paths = [
            tool_path(name = "gcc", path = "/usr/bin/clang-19"),
            tool_path(name = "cpp", path = "/usr/bin/clang-cpp-19"),
            tool_path(name = "ar", path = "/usr/bin/llvm-ar-19"),
            tool_path(name = "ld", path = "/usr/bin/ld.lld-19"),
            tool_path(name = "nm", path = "/usr/bin/llvm-nm-19"),
            tool_path(name = "objcopy", path = "/usr/bin/llvm-objcopy-19"),
            tool_path(name = "objdump", path = "/usr/bin/llvm-objdump-19"),
            tool_path(name = "strip", path = "/usr/bin/llvm-strip-19"),
            tool_path(name = "gcov", path = "/bin/false"),
        ],
    )

kernel_toolchain_config = rule(
    implementation = _impl,
    attrs = {},
    provides = [CcToolchainConfigInfo],
)
