"""Fills the holes in the warm interpreter's memory, so that what a forked process allocates lies close together.

After hundreds of imports the free blocks of both allocators are scattered, and a forked process copies a whole page for
each that it takes. With the holes filled it takes new ones side by side: a sixth fewer pages for a small program.
"""

import ctypes
from collections.abc import Callable

# CPython's own allocator (Objects/obmalloc.c): blocks of one size share a pool, which begins with a header.
_POOL_BYTES, _POOL_HEADER_BYTES, _LARGEST_BLOCK, _BLOCK_STEP = 16384, 48, 512, 16
_BYTES_OVERHEAD = 33  # of a bytes object, beside its length
_MOST_BLOCKS = 1 << 12  # of one size; a few hundred are free. Where the allocator is another one, the search ends here
_LIBRARY_SIZES = (*(1 << power for power in range(16, 12, -1)), *range(4096, _LARGEST_BLOCK, -64),
                  *range(_LARGEST_BLOCK, 16, -16))  # fmt: skip
_filling: list[object] = []  # held for good


def fill_holes() -> None:
    """Take free blocks of every size until a new one begins."""
    _fill(object)
    _fill(float, "0.5")
    for size in range(3 * _BLOCK_STEP, _LARGEST_BLOCK + 1, _BLOCK_STEP):
        _fill(bytes, size - _BYTES_OVERHEAD)
    _fill_library()


def _fill(make: Callable[..., object], *arguments: object) -> None:
    for _ in range(_MOST_BLOCKS):
        _filling.append(make(*arguments))
        if (id(_filling[-1]) - _POOL_HEADER_BYTES) % _POOL_BYTES == 0:
            return


def _fill_library() -> None:
    """The same for the C library, whose new blocks lie above all others."""
    allocate = ctypes.CDLL(None).malloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    highest = allocate(_LIBRARY_SIZES[0])
    for size in _LIBRARY_SIZES:
        for _ in range(_MOST_BLOCKS):
            block = allocate(size)
            if not block or block > highest:
                highest = block or highest
                break
