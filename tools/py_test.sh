#!/bin/bash
# Entry point of odo_py_test: the files to run are its arguments.
exec python3 -B tools/unittest_xml.py "$@"
