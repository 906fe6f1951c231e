# gdb on a kernel that `./odo boot --gdb` has waiting, from the repository's root.
set confirm off
source tools/gdb/odo_lwkt.py
target remote :1234
