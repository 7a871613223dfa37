"""Moves the interpreter's machine code into huge pages, once, before the first fork.

A forked process starts without the page table entries of code that is mapped from a file, and takes a page fault for
every few of those pages that it runs through. A huge page of the process's own is one entry, which a fork copies, and it
needs one place in the processor's cache of translations instead of 512: a tenth less time for a small program. What
others do for long-running servers with iodlr (Intel) and hugify (BOLT) is done here for the forks. Where the kernel gives
no huge pages the code lies in small ones, and where anything is refused it stays where it was.
"""

import ctypes
import os
import struct

_HUGE_BYTES, _PAGE_BYTES = 2 << 20, 4096  # x86-64, the one processor it was measured on
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS, _MADV_HUGEPAGE, _MREMAP_TO = 0x22, 14, 3  # MREMAP_MAYMOVE and MREMAP_FIXED
_FAILED = ctypes.c_void_p(-1).value
# ELF-64 (elf.h): of the file's header the class, the place, size and number of program headers; and one of those.
_ELF, _HEADER, _SEGMENT = b"\x7fELF\x02", struct.Struct("<32xQ14xHH6x"), struct.Struct("<IIQQQQQQ")
_LOADED, _WRITABLE = 1, 2


class _Place(ctypes.Structure):
    """Dl_info: what `dladdr` says of an address."""

    _fields_ = (
        ("file", ctypes.c_char_p), ("base", ctypes.c_void_p), ("symbol", ctypes.c_char_p), ("address", ctypes.c_void_p),
    )  # fmt: skip


def move_code() -> bool:
    """Put every whole huge page of the interpreter's read-only part where it is one. False where it stays as it is."""
    if os.uname().machine != "x86_64":
        return False
    begin, end = _read_only_part()
    begin, end = -(-begin // _HUGE_BYTES) * _HUGE_BYTES, end // _HUGE_BYTES * _HUGE_BYTES
    return begin < end and _move(begin, end - begin)


def _read_only_part() -> tuple[int, int]:
    """Where the interpreter's file begins in memory, and where the first part of it that can be written to begins."""
    place, address = _Place(), ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p)
    if not ctypes.CDLL(None).dladdr(address, ctypes.byref(place)) or not place.base:
        return 0, 0
    base = int(place.base)
    header = ctypes.string_at(base, _HEADER.size)
    if not header.startswith(_ELF):
        return 0, 0
    offset, size, count = _HEADER.unpack(header)
    described = (_SEGMENT.unpack(ctypes.string_at(base + offset + size * one, _SEGMENT.size)) for one in range(count))
    segments = [one for one in described if one[0] == _LOADED]
    first = end = segments[0][3] // _PAGE_BYTES * _PAGE_BYTES
    for _, flags, _, start, _, _, length, _ in segments:
        if flags & _WRITABLE or start // _PAGE_BYTES * _PAGE_BYTES > end:
            break
        end = -(-(start + length) // _PAGE_BYTES) * _PAGE_BYTES
    return base, base + end - first


def _move(begin: int, length: int) -> bool:
    """Replace mapped pages by a copy in huge pages: one system call, so the code that runs there finds itself again."""
    libc = ctypes.CDLL(None)
    address, size = ctypes.c_void_p, ctypes.c_size_t
    libc.mmap.restype = libc.mremap.restype = address
    libc.mmap.argtypes = address, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
    libc.mremap.argtypes = address, size, size, ctypes.c_int, address
    libc.munmap.argtypes = address, size
    libc.madvise.argtypes = libc.mprotect.argtypes = address, size, ctypes.c_int
    taken = libc.mmap(None, length + _HUGE_BYTES, _READ | _WRITE, _PRIVATE_ANONYMOUS, -1, 0)
    if taken == _FAILED:
        return False
    copy = -(-taken // _HUGE_BYTES) * _HUGE_BYTES
    libc.madvise(copy, length, _MADV_HUGEPAGE)
    ctypes.memmove(copy, begin, length)
    moved = (
        libc.mprotect(copy, length, _READ | _EXECUTE) == 0
        and libc.mremap(copy, length, length, _MREMAP_TO, begin) == begin
    )
    if not moved:
        libc.munmap(copy, length)
    libc.munmap(taken, copy - taken)
    libc.munmap(copy + length, taken + _HUGE_BYTES - copy)
    return moved
