#!/usr/bin/python3
"""Makes the test vectors of protocol/smp/camera-group.md without using the project's own codecs.

CBOR comes from python3-cbor2, the CRC from binascii, signatures from python3-cryptography (all Debian
packages), so that a mistake in our encoder cannot hide in the vectors. cbor2 writes definite lengths only;
the indefinite form, which Zephyr sends, is put together here by hand and read back with cbor2.

    camera-group-vectors.py --check    exit 1 if the page differs from what is generated
    camera-group-vectors.py --write    put the generated blocks into the page
"""

import base64
import binascii
import datetime
import hashlib
import json
import pathlib
import struct

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vector_page import check_or_write

PAGE = pathlib.Path(__file__).resolve().parent.parent / "protocol" / "smp" / "camera-group.md"
GROUP = 64
READ, READ_ANSWER, WRITE, WRITE_ANSWER = 0, 1, 2, 3
OP_NAMES = {READ: "read request", READ_ANSWER: "read response", WRITE: "write request", WRITE_ANSWER: "write response"}
LARGEST_JSON_INTEGER = 2**53 - 1

# RFC 8032, section 7.1, test 1: a key that everyone knows, for vectors only.
TEST_KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
TEST_PUBLIC_KEY = TEST_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
assert TEST_PUBLIC_KEY.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


# --- CBOR -----------------------------------------------------------------------------------------------


def encode_indefinite(value):
    """Maps and arrays as BF..FF and 9F..FF, everything else as cbor2 writes it."""
    if isinstance(value, dict):
        pairs = (cbor2.dumps(key) + encode_indefinite(item) for key, item in value.items())
        return b"\xbf" + b"".join(pairs) + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(encode_indefinite, value)) + b"\xff"
    return cbor2.dumps(value)


def encode(value, indefinite):
    encoded = encode_indefinite(value) if indefinite else cbor2.dumps(value)
    assert cbor2.loads(encoded) == value
    return encoded


def hex_bytes(data):
    return data.hex(" ")


def head_length(first):
    return {24: 2, 25: 3, 26: 5, 27: 9}.get(first & 31, 1)


def show(value):
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return json.dumps(value, ensure_ascii=False)


def annotate_cbor(data):
    """Lines (depth, bytes, comment); a key stands on the line of its value."""
    lines = []

    def container(at, depth, prefix):
        first = data[at]
        is_map = first >> 5 == 5
        size = head_length(first)
        count = None if first & 31 == 31 else int.from_bytes(data[at + 1 : at + size], "big") if size > 1 else first & 31
        name = "map" if is_map else "array"
        label = f"{name} of indefinite length" if count is None else f"{name} of {count}"
        lines.append((depth, prefix[0] + data[at : at + size], prefix[1] + label))
        at += size
        done = 0
        while count is None or done < count:
            if count is None and data[at] == 0xFF:
                lines.append((depth, b"\xff", f"end of {name}"))
                return at + 1
            entry = (b"", "")
            if is_map:
                end = at + head_length(data[at]) + (len(cbor2.loads(data[at:]).encode()))
                entry = (data[at:end], json.dumps(cbor2.loads(data[at:end])) + ": ")
                at = end
            at = item(at, depth + 1, entry)
            done += 1
        return at

    def item(at, depth, prefix):
        if data[at] >> 5 in (4, 5):
            return container(at, depth, prefix)
        value = cbor2.loads(data[at:])
        end = at + len(cbor2.dumps(value))
        assert cbor2.dumps(value) == data[at:end]
        lines.append((depth, prefix[0] + data[at:end], prefix[1] + show(value)))
        return end

    assert item(0, 0, (b"", "")) == len(data)
    return lines


# --- messages and frames --------------------------------------------------------------------------------


def smp_message(op, command, sequence, payload, version=1):
    return struct.pack(">BBHHBB", version << 3 | op, 0, len(payload), GROUP, sequence, command) + payload


def annotate_message(message):
    first, _, length, group, sequence, command = struct.unpack(">BBHHBB", message[:8])
    rows = [
        (
            0,
            message[:8],
            f"{OP_NAMES[first & 7]}, SMP version {(first >> 3 & 3) + 1}, {length} {'byte' if length == 1 else 'bytes'} of CBOR, "
            f"group {group}, sequence {sequence}, command {command}",
        )
    ]
    rows += annotate_cbor(message[8:])
    text = []
    for depth, data, comment in rows:
        for start in range(0, len(data), 16):
            part = "  " * depth + hex_bytes(data[start : start + 16])
            text.append(f"{part} ; {comment}" if start == 0 else part)
    assert bytes.fromhex("".join(line.split(";")[0] for line in text)) == message
    return "\n".join(text)


def packet(message):
    """Length, message, CRC. The CRC over all but the length is 0."""
    crc = binascii.crc_hqx(message, 0)
    assert binascii.crc_hqx(message + crc.to_bytes(2, "big"), 0) == 0
    return struct.pack(">H", len(message) + 2) + message + struct.pack(">H", crc)


def console_lines(message, further_bytes=93):
    """93 bytes on the first line; Zephyr puts 90 on the further ones, other senders 93."""
    raw = packet(message)
    parts = [raw[:93]] + [raw[at : at + further_bytes] for at in range(93, len(raw), further_bytes)]
    assert further_bytes == 93 or len(parts[-1]) > 2, "Zephyr never splits the CRC: choose another vector"
    lines = [
        (b"\x06\x09" if index == 0 else b"\x04\x14") + base64.b64encode(part) + b"\n"
        for index, part in enumerate(parts)
    ]
    assert all(len(line) <= 127 for line in lines)
    return lines


def annotate_frame(lines):
    text = []
    for number, line in enumerate(lines):
        marker = "first line" if number == 0 else "further line"
        text.append(f"{hex_bytes(line[:2])} ; {marker} of the packet, {len(line)} bytes")
        base = line[2:-1]
        for start in range(0, len(base), 24):
            part = base[start : start + 24]
            text.append(f"  {hex_bytes(part)} ; {part.decode()}")
        text.append("0a")
    return "\n".join(text)


# --- the vectors ----------------------------------------------------------------------------------------


def to_json(value):
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, int) and value > LARGEST_JSON_INTEGER:
        return {"$uint": str(value)}
    return value


MESSAGES = {}  # name: bytes
BLOCKS = {}  # name: (annotated hex, expected JSON value)

COMMANDS = {
    "camera identity": (0, READ),
    "camera health": (1, READ),
    "camera clock get": (2, READ),
    "camera clock set": (2, WRITE),
    "camera recordings": (3, READ),
    "camera digest start": (4, WRITE),
    "camera digest poll": (4, READ),
    "camera remove": (5, WRITE),
    "camera transfer mode get": (6, READ),
    "camera transfer mode set": (6, WRITE),
    "camera assignment get": (7, READ),
    "camera assignment set": (7, WRITE),
    "camera challenge": (8, READ),
}


def put(name, message, expected):
    assert name not in BLOCKS, name
    MESSAGES[name] = message
    BLOCKS[name] = (annotate_message(message), expected)


def request(name, command, sequence, body):
    number, op = COMMANDS[command]
    put(
        name,
        smp_message(op, number, sequence, encode(body, indefinite=False)),
        {"kind": "request", "command": command, "sequence": sequence, "body": to_json(body)},
    )


def response(name, command, sequence, body, indefinite=True):
    number, op = COMMANDS[command]
    put(
        name,
        smp_message(op + 1, number, sequence, encode(body, indefinite)),
        {"kind": "response", "command": command, "sequence": sequence, "body": to_json(body)},
    )


def failure(name, command, sequence, code, scope=GROUP, reason=None, version=1, indefinite=True):
    number, op = COMMANDS[command]
    body = {"rc": code} if scope == "common" else {"err": {"group": scope, "rc": code}}
    expected = {"kind": "failure", "command": command, "sequence": sequence, "scope": scope, "code": code}
    if reason is not None:
        body["rsn"] = expected["reason"] = reason
    put(name, smp_message(op + 1, number, sequence, encode(body, indefinite), version), expected)


def frame(name, of, further_bytes=93):
    lines = console_lines(MESSAGES[of], further_bytes)
    assert f"{name}" not in BLOCKS
    sizes = [len(line) for line in lines]
    BLOCKS[name] = (annotate_frame(lines), {"kind": "frame", "message": of, "lines": sizes})


def utc_ms(text):
    return round(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


SERIAL = "KZ-BC-004711"
NONCE = bytes(range(0xA0, 0xC0))
CHALLENGE_MESSAGE = b"dock-camera-challenge-v1\0" + SERIAL.encode() + b"\0" + NONCE
DIGEST_17 = hashlib.sha256(b"recording 17").digest()
DIGEST_18 = hashlib.sha256(b"recording 18").digest()


def make_vectors():
    request("identity-request", "camera identity", 1, {})
    identity = {"serial": SERIAL, "model": "BC-20", "fw": "2.4.1", "hw": "C"}
    response(
        "identity-response",
        "camera identity",
        1,
        {**identity, "can": [1, 2, 4, 5, 8], "key": TEST_PUBLIC_KEY},
    )
    response("identity-response-least", "camera identity", 1, identity, indefinite=False)

    request("health-request", "camera health", 2, {})
    response(
        "health-response",
        "camera health",
        2,
        {
            "bat": 87,
            "mv": 4115,
            "cyc": 212,
            "chg": True,
            "temp": -53,
            "total": 127865454592,
            "free": 64424509440,
            "up": 31807,
            "cnt": {"sdwr": 2, "brownout": 0},
        },
    )
    response("health-response-empty", "camera health", 2, {})

    request("clock-get-request", "camera clock get", 3, {})
    response("clock-get-response", "camera clock get", 3, {"ms": utc_ms("2025-11-22T18:30:05.250"), "res": 10})
    failure("clock-get-not-set", "camera clock get", 3, 2)
    request("clock-set-request", "camera clock set", 4, {"ms": utc_ms("2025-11-22T18:30:06")})
    response("clock-set-response", "camera clock set", 4, {})

    first = {
        "id": "17",
        "path": "/sd/REC0017.MP4",
        "size": 5368709120,
        "start": utc_ms("2025-11-22T08:01:12"),
        "end": utc_ms("2025-11-22T09:13:40"),
        "kind": 0,
        "prot": True,
        "sha": DIGEST_17,
    }
    second = {
        "id": "18",
        "path": "/sd/REC0018.WAV",
        "size": 1440044,
        "start": utc_ms("2025-11-22T09:20:00"),
        "kind": 1,
    }
    request("recordings-first-request", "camera recordings", 5, {"from": 0})
    response("recordings-first-response", "camera recordings", 5, {"total": 3, "gen": 41, "list": [first, second]})
    request("recordings-next-request", "camera recordings", 6, {"from": 2, "gen": 41})
    third = {"id": "19", "path": "/sd/IMG0019.JPG", "size": 0, "kind": 2}
    response(
        "recordings-next-response",
        "camera recordings",
        6,
        {"total": 3, "gen": 41, "list": [third]},
        indefinite=False,
    )
    response("recordings-none", "camera recordings", 5, {"total": 0, "gen": 0, "list": []})
    huge = {"id": "x", "path": "/sd/X", "size": 2**53 + 1, "kind": 9}
    response("recordings-huge-size", "camera recordings", 5, {"total": 1, "gen": 7, "list": [huge]})
    failure("recordings-list-changed", "camera recordings", 6, 10)

    request("digest-start-request", "camera digest start", 7, {"id": "18"})
    response("digest-start-response", "camera digest start", 7, {})
    failure("digest-start-no-such-recording", "camera digest start", 7, 3)
    request("digest-poll-request", "camera digest poll", 8, {"id": "18"})
    response("digest-poll-running", "camera digest poll", 8, {"done": 524288})
    response("digest-poll-complete", "camera digest poll", 9, {"done": 1440044, "sha": DIGEST_18})
    failure("digest-poll-not-started", "camera digest poll", 8, 8)
    failure("digest-poll-storage-failed", "camera digest poll", 8, 9)

    request("remove-request", "camera remove", 10, {"id": "17", "sha": DIGEST_17})
    response("remove-response", "camera remove", 10, {})
    failure("remove-digest-mismatch", "camera remove", 10, 4)
    failure("remove-refused", "camera remove", 10, 5)
    failure("remove-no-such-recording", "camera remove", 11, 3, indefinite=False)

    request("mode-get-request", "camera transfer mode get", 12, {})
    response("mode-get-response", "camera transfer mode get", 12, {"mode": 0, "modes": [0, 1, 2]})
    request("mode-set-request", "camera transfer mode set", 13, {"mode": 2})
    response("mode-set-response", "camera transfer mode set", 13, {})
    failure("mode-set-not-supported", "camera transfer mode set", 13, 6)

    request("assignment-get-request", "camera assignment get", 14, {})
    response("assignment-get-response", "camera assignment get", 14, {"post": "Қордай", "badge": "A-1207"})
    response("assignment-get-none", "camera assignment get", 14, {})
    request("assignment-set-request", "camera assignment set", 15, {"post": "Қордай", "badge": "A-1207"})
    response("assignment-set-response", "camera assignment set", 15, {})

    request("challenge-request", "camera challenge", 16, {"nonce": NONCE})
    response("challenge-response", "camera challenge", 16, {"sig": TEST_KEY.sign(CHALLENGE_MESSAGE)})
    failure("challenge-no-key", "camera challenge", 16, 7)

    failure("not-supported", "camera transfer mode get", 17, 8, scope="common")
    failure("busy", "camera recordings", 18, 10, scope="common", reason="formatting")
    failure("legacy-form", "camera health", 19, 1, scope="common", version=0)

    frame("frame-identity-request", "identity-request")
    frame("frame-identity-response", "identity-response", further_bytes=90)
    frame("frame-remove-request", "remove-request")
    frame("frame-remove-response", "remove-response")
    frame("frame-recordings-response", "recordings-first-response", further_bytes=90)


if __name__ == "__main__":
    make_vectors()
    check_or_write(PAGE, BLOCKS, __doc__.splitlines()[0])
