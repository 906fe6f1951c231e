# SPDX-License-Identifier: BSD-3-Clause
"""GUID partition tables: both copies and the table that protects them.

Facts: UEFI specification 2.10, chapter 5. Blocks of 512 bytes.
"""

import dataclasses
import hashlib
import struct
import uuid
import zlib
from collections.abc import Sequence
from typing import BinaryIO

BLOCK = 512
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
HAMMER2 = "5cbb9ad1-862d-11dc-a94d-01301bb8a9f5"

_ENTRIES = 128
_ENTRY_BYTES = 128
_LIST_BLOCKS = _ENTRIES * _ENTRY_BYTES // BLOCK
_FIRST_USABLE = 2 + _LIST_BLOCKS
# What stands behind the last partition: list and header.
TAIL_BYTES = (_LIST_BLOCKS + 1) * BLOCK


@dataclasses.dataclass(frozen=True)
class Partition:
    type: str
    name: str
    begin: int  # bytes, as is the size; multiples of a block
    size: int


def guid_of(*words: object) -> uuid.UUID:
    """One that follows from `words` alone."""
    digest = hashlib.sha256(repr(words).encode()).digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def _header(own: int, other: int, list_block: int, last_usable: int,
            disk: uuid.UUID, entries: bytes) -> bytes:
    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, own,
            other, _FIRST_USABLE, last_usable, disk.bytes_le, list_block,
            _ENTRIES, _ENTRY_BYTES, zlib.crc32(entries))
    return packed(zlib.crc32(packed(0))).ljust(BLOCK, b"\0")


def _protecting_mbr(blocks: int, boot_code: bytes) -> bytes:
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff",
                        1, min(blocks - 1, 0xFFFFFFFF))
    return boot_code[:440].ljust(446, b"\0") + entry.ljust(64, b"\0") \
        + b"\x55\xaa"


def write(file: BinaryIO, size: int, partitions: Sequence[Partition],
          seed: object, boot_code: bytes = b"") -> None:
    """Writes the tables of a disk of `size` bytes; what identifies it and its
    partitions follows from `seed`."""
    blocks = size // BLOCK
    entries = b""
    for number, part in enumerate(partitions, 1):
        entries += struct.pack(
            "<16s16sQQQ72s", uuid.UUID(part.type).bytes_le,
            guid_of(seed, number).bytes_le, part.begin // BLOCK,
            (part.begin + part.size) // BLOCK - 1, 0,
            part.name.encode("utf-16-le"))
    entries = entries.ljust(_ENTRIES * _ENTRY_BYTES, b"\0")
    last_usable = blocks - 2 - _LIST_BLOCKS
    disk = guid_of(seed)
    file.seek(0)
    file.write(_protecting_mbr(blocks, boot_code))
    file.write(_header(1, blocks - 1, 2, last_usable, disk, entries))
    file.write(entries)
    file.seek((last_usable + 1) * BLOCK)
    file.write(entries)
    file.write(_header(blocks - 1, 1, last_usable + 1, last_usable, disk,
                       entries))
