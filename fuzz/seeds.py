#!/usr/bin/env python3
"""Writes the small seed corpora of the fuzz targets, from the corpora of the tests. usage: python3 fuzz/seeds.py"""
import json
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
CASES = FUZZ.parent / "sse-core" / "tests" / "corpus"


def write(target, name, content):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


def cases(name):
    return json.loads((CASES / name).read_text())


def few(items, count):
    """So many of them, from everywhere."""
    step = max(1, len(items) // count)
    return items[::step][:count]


# The fuzzer's own form: an optional number, optional pieces, and the rest is the stream.
streams = [case for case in cases("decoder_cases.json") if isinstance(case.get("input"), str)]
for case in few([case for case in streams if len(case["input"]) < 200], 40):
    write("decode", case["name"], b"\0\0" + case["input"].encode("utf-8", "surrogatepass"))

for case in few(cases("encoder_cases.json"), 40):
    event = case["event"]
    texts = [str(event.get(field, "")) for field in ("id", "event", "data", "comment")]
    write("encode_roundtrip", case["name"], b"\1" + b"\1".join(text.encode() for text in texts) + b"\1" * 8)

ids = ["", "e-0", "e-1", "e-2", "e-255", "e-00", "e-+1", "e-18446744073709551616", "f-1", "own", "e", "e-", " e-1",
       "e-1 ", "a\nb", "a\0", "\u00fc", "x" * 1024, "x" * 1025, "1", "-", "E-1"]
for number, value in enumerate(ids):
    write("last_event_id", f"id-{number}", value.encode() + bytes([2, 5, number % 2, number % 3]))
write("last_event_id", "not-utf-8", b"\xff\xfe\x02\x05\x01\x00")

# The first bytes configure the client, the rest are the steps of sse-core/tests/client/contract.rs.
POLL, HEAD, OPEN, BYTES, ENDED, FAILED, LATER, DEADLINE, TAKE, OTHER = (bytes([step]) for step in range(10))


def text(value):
    """A length and so many bytes."""
    return bytes([len(value)]) + value


def head(status, content_type, retry_after=b""):
    return HEAD + bytes([status]) + text(content_type) + text(retry_after)


SECOND = bytes([(30 << 2) | 1])  # of nanoseconds, about
STREAM = b"text/event-stream; charset=utf-8"
EVENTS = [b"id: 7\nevent: e\ndata: x\n\n", b"retry: 10\n:\n\ndata: half", b"id: \1\ndata: y\r\rid\n\n",
          b"data: " + b"z" * 80 + b"\n\n", "id: \u00fc\ndata\n\n".encode()]
steps = {"close": POLL + OPEN + OTHER + b"\0" + POLL * 2, "backwards": POLL + LATER + SECOND + OTHER + b"\1" + POLL,
         "idle": POLL + DEADLINE + POLL + DEADLINE + POLL + OPEN + DEADLINE + POLL * 2,
         "failed": (POLL + FAILED + DEADLINE) * 6, "redirected": POLL + head(3, STREAM) + POLL * 3,
         "early": OPEN + BYTES + text(EVENTS[0]) + ENDED + POLL + TAKE}
for number, status in enumerate([200, 200, 204, 301, 404, 429, 500, 503]):
    steps[f"status-{status}-{number}"] = POLL + head(number, STREAM, b"120") + POLL + DEADLINE + POLL * 2
for number, event in enumerate(EVENTS):
    steps[f"events-{number}"] = (POLL + OPEN + BYTES + text(event) + TAKE + ENDED + DEADLINE) * 2
    steps[f"untaken-{number}"] = POLL + OPEN + BYTES + text(event) + ENDED + DEADLINE + POLL + TAKE
steps["html"] = POLL + head(0, b"text/html") + POLL * 3
for number, (name, calls) in enumerate(steps.items()):
    config = bytes([number % 4]) + SECOND * 2 + bytes([0xFD, 50]) + SECOND + text([b"", b"7", b" a", b"\n"][number % 4])
    write("client", name, config + calls)
