"""What schemathesis cannot know: which strings are pictures.

`openapi.yaml` gives the image fields `format: picture`. The strategy below makes small ones, so that a request
which is valid by the contract is valid altogether, and the sandbox has to accept it.
"""

import base64
import struct
import zlib

import schemathesis
from hypothesis import strategies as st


def png(width, height, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg(width, height):
    """Grey, one component, every coefficient 0: each 8 x 8 block is the bits 0 (DC) and 0 (end of block)."""

    def segment(marker, data):
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    one_code = bytes([1] + [0] * 15 + [0])
    bits = "00" * (-(-width // 8) * -(-height // 8))
    bits += "1" * (-len(bits) % 8)
    return (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + bytes([1] * 64))
        + segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
        + segment(0xC4, b"\x00" + one_code)
        + segment(0xC4, b"\x10" + one_code)
        + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
        + int(bits, 2).to_bytes(len(bits) // 8, "big")
        + b"\xff\xd9"
    )


def data_uri(kind, picture):
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


side = st.integers(1, 24)
colour = st.tuples(*[st.integers(0, 255)] * 3)
pngs = st.builds(png, side, side, colour).map(lambda picture: data_uri("png", picture))
jpegs = st.builds(jpeg, side, side).map(lambda picture: data_uri("jpeg", picture))
schemathesis.openapi.format("picture", st.one_of(pngs, jpegs))


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """The contract's example names pictures on example.com. A test fetches nothing from elsewhere."""
    if isinstance(case.body, dict):
        for name in ("image", "last_image"):
            if str(case.body.get(name)).startswith("https://example.com/"):
                case.body[name] = data_uri("png", png(16, 9, (200, 80, 40)))
