#!/usr/bin/env bash
# mutagen 1.48.1 and tinytag 2.3.2 (Python, PyPI): how long is a voice note that was cut out of a longer recording?
#
# An Ogg Opus stream need not begin at zero: RFC 7845, section 4.5, lets its first page carry a granule position that
# is larger than what the page holds, as when a stream is joined or cut. The duration is the last position less the
# first.
#
# Seen: a note of one second whose positions begin at one minute lasts 60.9935 s for both.
#
# For a bot: a limit on length, or a price by the second, that goes by these numbers turns short notes away or charges
# for what nobody said. The first page has to be looked at too.
#
# Output:
#   begins at 0 s: 0.9935 0.9935
#   begins at 60 s: 60.9935 60.9935
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check mutagen==1.48.1 tinytag==2.3.2
cd "$dir"
"$dir/venv/bin/python" - <<'CODE'
import struct

import mutagen.oggopus
import tinytag


def crc(data):
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = ((value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def page(flags, position, number, packets):
    lengths = b"".join(bytes([255] * (len(p) // 255) + [len(p) % 255]) for p in packets)
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, position, 1, number, 0, len(lengths)) + lengths
    body = b"".join(packets)
    return head[:22] + struct.pack("<I", crc(head + body)) + head[26:] + body


def note(begins):
    """50 frames of 20 ms whose positions begin so many samples late."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 16000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    pages = [page(2, 0, 0, [head]), page(0, 0, 1, [tags])]
    for number in range(5):
        last = 4 if number == 4 else 0
        pages.append(page(last, begins + (number + 1) * 9600, number + 2, [b"\x08" + bytes(20)] * 10))
    return b"".join(pages)


seen = []
for begins in (0, 60 * 48000):
    with open("note.ogg", "wb") as file:
        file.write(note(begins))
    lengths = mutagen.oggopus.OggOpus("note.ogg").info.length, tinytag.TinyTag.get("note.ogg").duration
    row = tuple(round(length, 4) for length in lengths)
    print("begins at", begins // 48000, "s:", *row)
    seen.append(row)
assert seen == [(0.9935, 0.9935), (60.9935, 60.9935)], "this has changed"
CODE
