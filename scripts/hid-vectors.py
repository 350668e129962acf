#!/usr/bin/python3
"""Makes the test vectors of protocol/hid/smp-over-hid.md without using the project's own codecs.

The messages are those of protocol/smp/camera-group.md, the CRC comes from binascii. Needs Python alone.

    hid-vectors.py --check    exit 1 if the page differs from what is generated
    hid-vectors.py --write    put the generated blocks into the page
"""

import binascii
import json
import pathlib
import struct

from vector_page import BLOCK, check_or_write

PROTOCOL = pathlib.Path(__file__).resolve().parent.parent / "protocol"
PAGE = PROTOCOL / "hid" / "smp-over-hid.md"
GROUP_PAGE = PROTOCOL / "smp" / "camera-group.md"
FIRST, FURTHER, MAKER = 1, 2, 0x80


def read_messages():
    page = GROUP_PAGE.read_text(encoding="utf-8")
    return {
        match["name"]: bytes.fromhex("".join(line.split(";")[0] for line in match["hex"].splitlines()))
        for match in BLOCK.finditer(page)
    }


MESSAGES = read_messages()
BLOCKS = {}  # name: (annotated hex, expected JSON value)


def packet(message):
    """Length, message, CRC. The CRC over all but the length is 0."""
    crc = binascii.crc_hqx(message, 0)
    assert binascii.crc_hqx(message + crc.to_bytes(2, "big"), 0) == 0
    return struct.pack(">H", len(message) + 2) + message + struct.pack(">H", crc)


def cut(message, size, counter):
    """The reports of a message and the counter after them."""
    raw, reports = packet(message), []
    while raw:
        kind = FURTHER if reports else FIRST
        head = bytes([kind, (counter + len(reports)) % 256])
        reports.append((head + raw[: size - 2]).ljust(size, b"\0"))
        raw = raw[size - 2 :]
    return reports, (counter + len(reports)) % 256


def annotate_report(report, note=""):
    names = {FIRST: "first report", FURTHER: "further report", MAKER: "report of the maker"}
    name = names.get(report[0], f"kind {report[0]:02x}")
    suffix = f"; {note}" if note else ""
    if report[0] == FIRST:
        length = int.from_bytes(report[2:4], "big")
        text = [f"{report[:4].hex(' ')} ; {name}, counter {report[1]}, {length} bytes with CRC{suffix}"]
        rest = report[4:]
    else:
        text = [f"{report[:2].hex(' ')} ; {name}, counter {report[1]}{suffix}"]
        rest = report[2:]
    text += [f"  {rest[at : at + 16].hex(' ')}" for at in range(0, len(rest), 16)]
    return "\n".join(text)


def put(name, reports, expected, notes=()):
    assert name not in BLOCKS, name
    notes = dict(notes)
    text = "\n".join(annotate_report(report, notes.get(index, "")) for index, report in enumerate(reports))
    assert bytes.fromhex("".join(line.split(";")[0] for line in text.splitlines())) == b"".join(reports)
    BLOCKS[name] = (text, expected)


def message(name, of, size, counter):
    reports, _ = cut(MESSAGES[of], size, counter)
    expected = {"kind": "message", "message": of, "reportBytes": size, "counter": counter, "reports": len(reports)}
    put(name, reports, expected)


def stream(name, size, reports, messages, notes=()):
    put(name, reports, {"kind": "stream", "reportBytes": size, "messages": messages}, notes)


def descriptor(name, size):
    """Spelt out item by item, as the HID specification writes them."""
    count = bytes([0x95, size]) if size < 256 else bytes([0x96]) + struct.pack("<H", size)
    items = [
        (bytes.fromhex("0640ff"), "usage page FF40 (vendor-defined)"),
        (bytes.fromhex("0901"), "usage 1"),
        (bytes.fromhex("a101"), "collection (application)"),
        (bytes.fromhex("1500"), "  logical minimum 0"),
        (bytes.fromhex("26ff00"), "  logical maximum 255"),
        (bytes.fromhex("7508"), "  report size 8 bits"),
        (count, f"  report count {size}"),
        (bytes.fromhex("0902"), "  usage 2"),
        (bytes.fromhex("8102"), "  input (data, variable, absolute)"),
        (bytes.fromhex("0903"), "  usage 3"),
        (bytes.fromhex("9102"), "  output (data, variable, absolute)"),
        (bytes.fromhex("c0"), "end of collection"),
    ]
    text = "\n".join(f"{data.hex(' ')} ; {comment}" for data, comment in items)
    BLOCKS[name] = (text, {"kind": "descriptor", "reportBytes": size})


def make_vectors():
    descriptor("descriptor-64", 64)
    descriptor("descriptor-1024", 1024)

    message("one-report", "identity-request", 64, 0)
    message("several-reports", "identity-response", 64, 7)
    message("counter-wraps", "identity-request", 8, 254)
    message("exactly-full", "mode-set-response", 16, 41)

    size = 16
    first, counter = cut(MESSAGES["mode-set-request"], size, 10)
    second, counter = cut(MESSAGES["health-request"], size, counter)
    stream("two-messages", size, first + second, ["mode-set-request", "health-request"])
    stream(
        "report-lost",
        size,
        first[:1] + second,
        ["health-request"],
        {1: "starts afresh, the message before is incomplete"},
    )
    stream("first-report-lost", size, first[1:] + second, ["health-request"], {0: "belongs to nothing"})
    long, after = cut(MESSAGES["remove-request"], size, 30)
    following, _ = cut(MESSAGES["health-request"], size, after)
    stream(
        "middle-report-lost",
        size,
        long[:1] + long[2:] + following,
        ["health-request"],
        {1: "32 is not the next after 30: the message is dropped", 2: "belongs to nothing"},
    )
    stream("report-twice", size, long[:2] + long[1:] + following, ["health-request"], {2: "31 is not the next after 31"})
    maker = bytes([MAKER, 0]) + b"rec: closed".ljust(size - 2, b"\0")
    silence = bytes(size)
    stream(
        "others-between",
        size,
        [silence, long[0], maker, silence, *long[1:]],
        ["remove-request"],
        {0: "zeros: ignored", 2: "ignored, with its counter", 3: "ignored"},
    )
    damaged = long[1][:5] + bytes([long[1][5] ^ 0x10]) + long[1][6:]
    stream("crc-wrong", size, [long[0], damaged, *long[2:], *following], ["health-request"], {1: "one bit is wrong"})


if __name__ == "__main__":
    make_vectors()
    check_or_write(PAGE, BLOCKS, __doc__.splitlines()[0])
