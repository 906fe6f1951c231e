"""Bazel's native C++ rules under the names that its embedded tools load."""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
objc_library = native.objc_library
objc_import = native.objc_import

# Flag-alias rules that this Bazel's embedded BUILD files name and never use.
def compiler_flag(name, **_kwargs):
    native.filegroup(name = name)

def cc_flags_supplier(name, **_kwargs):
    native.filegroup(name = name)
