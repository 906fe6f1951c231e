# SPDX-License-Identifier: BSD-3-Clause
"""Runs Python unittest files and tells Bazel about each case.

Bazel would count a whole script as one test; with the XML that it asks for in
$XML_OUTPUT_FILE, each case has a name, and a skipped one says why.
"""

import importlib
import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


class _Recorder(unittest.TextTestResult):
    """Keeps a JUnit testcase element for every case, in order."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.suite = ElementTree.Element("testsuite", name="unittest")
        self._start = 0.0
        self._case: ElementTree.Element | None = None

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._start = time.monotonic()
        head, _, name = test.id().rpartition(".")
        self._case = ElementTree.SubElement(
            self.suite, "testcase", classname=head, name=name)

    def stopTest(self, test: unittest.TestCase) -> None:
        if self._case is not None:
            self._case.set("time", f"{time.monotonic() - self._start:.3f}")
        super().stopTest(test)

    def _note(self, tag: str, message: str) -> None:
        if self._case is None:  # outside any case: a class or module set-up
            self._case = ElementTree.SubElement(
                self.suite, "testcase", classname="setup", name=tag)
        ElementTree.SubElement(self._case, tag, message=message[-4000:])

    def addFailure(self, test, err) -> None:
        super().addFailure(test, err)
        self._note("failure", self.failures[-1][1])

    def addError(self, test, err) -> None:
        super().addError(test, err)
        self._note("error", self.errors[-1][1])

    def addSubTest(self, test, subtest, err) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note("failure", f"{subtest}: {err[1]}")

    def addSkip(self, test, reason: str) -> None:
        super().addSkip(test, reason)
        self._note("skipped", reason)

    def addUnexpectedSuccess(self, test) -> None:
        super().addUnexpectedSuccess(test)
        self._note("failure", "unexpected success")


def main(files: list[str]) -> int:
    sys.path.insert(0, os.getcwd())
    suite = unittest.TestSuite()
    for file in files:
        module = file.removesuffix(".py").replace("/", ".")
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(
            importlib.import_module(module)))
    result = unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=_Recorder).run(suite)
    if result.testsRun == 0 and not result.skipped:
        print("no test was found in", *files)
        return 1
    if path := os.environ.get("XML_OUTPUT_FILE"):
        ElementTree.ElementTree(result.suite).write(path)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
