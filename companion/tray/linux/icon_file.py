"""Icon files: the pixels of our own icons, each an .ico of PNG images. Pure.

Pillow reads any image, and takes 3 MB of memory. Ours have one form: eight bits for each of red,
green, blue and alpha, and no interlacing.
"""

import struct
import zlib
from collections.abc import Callable

Pixmap = tuple[int, int, bytes]
"""Width, height, and the pixels as ARGB32 in network byte order."""
_ENTRIES, _ENTRY, _CHUNK = struct.Struct("<4xH"), struct.Struct("<12xI"), struct.Struct(">I4s")
_SIGNATURE, _HEADER = b"\x89PNG\r\n\x1a\n", struct.Struct(">II5s")
_FORM = b"\x08\x06\x00\x00\x00"
"""Bits, colors, compression, filters and interlacing of our images."""
_BYTES = 4


def pixmaps(content: bytes) -> list[Pixmap]:
    """Return all sizes of an icon, the smallest first.

    Raises:
        ValueError: it has another form than ours.
    """
    (count,) = _ENTRIES.unpack_from(content)
    starts = (_ENTRY.unpack_from(content, 6 + 16 * number)[0] for number in range(count))
    return sorted(_pixmap(content[start:]) for start in starts)


def _pixmap(image: bytes) -> Pixmap:
    """Return the pixels of the PNG image that a text begins with."""
    place, packed, header = len(_SIGNATURE), b"", b""
    if not image.startswith(_SIGNATURE):
        raise ValueError("not a PNG image")
    while True:
        size, kind = _CHUNK.unpack_from(image, place)
        data, place = image[place + 8 : place + 8 + size], place + 12 + size
        if kind == b"IHDR":
            header = data
        elif kind == b"IDAT":
            packed += data
        elif kind == b"IEND":
            break
    width, height, form = _HEADER.unpack(header)
    if form != _FORM:
        raise ValueError("not an image with eight bits for red, green, blue and alpha")
    pixels = _unfiltered(zlib.decompress(packed), width * _BYTES)
    argb = bytearray(len(pixels))
    for channel in range(_BYTES):
        argb[(channel + 1) % _BYTES :: _BYTES] = pixels[channel::_BYTES]
    return width, height, bytes(argb)


def _unfiltered(lines: bytes, wide: int) -> bytes:
    """Return the bytes of all lines; each is preceded by how it was filtered."""
    whole, above = bytearray(), bytes(wide)
    for begin in range(0, len(lines), wide + 1):
        guess, line = (
            _GUESSES[lines[begin]],
            bytearray(_BYTES) + lines[begin + 1 : begin + 1 + wide],
        )
        for at, (up, corner) in enumerate(zip(above, bytes(_BYTES) + above, strict=False)):
            line[at + _BYTES] = (line[at + _BYTES] + guess(line[at], up, corner)) & 0xFF
        above = bytes(line[_BYTES:])
        whole += above
    return bytes(whole)


def _closest(left: int, up: int, corner: int) -> int:
    """Return the neighbor that is closest to left + up - corner, which PNG calls Paeth."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


_GUESSES: tuple[Callable[[int, int, int], int], ...] = (
    lambda _left, _up, _corner: 0,
    lambda left, _up, _corner: left,
    lambda _left, up, _corner: up,
    lambda left, up, _corner: (left + up) // 2,
    _closest,
)
"""By what each kind of filter lowered a byte, from the bytes to its left, above it, and left of
that one."""
