"""The telemetry protocol once more, with nothing but the standard library: docs/protocol/telemetry.md as Python.

`python3 telemetry.py` holds telemetry.json beside this file to it: every message is read and written, every one under
`rejected` is refused. `python3 telemetry.py --write` writes the messages anew from their fields.
"""

import hmac
import json
import math
import pathlib
import struct
import sys

FILE = pathlib.Path(__file__).with_name("telemetry.json")
HEADER = struct.Struct(">2sBBHHIIQQ")
KINDS = {"hello": 1, "readings": 2, "result": 3, "time request": 4, "welcome": 0x81, "acknowledgement": 0x82,
         "command": 0x83, "time": 0x84, "busy": 0x85, "error": 0x86}
NAMES = {number: name for name, number in KINDS.items()}
FORMATS = {"bool": "B", "i8": "b", "i16": "h", "i32": "i", "i64": "q", "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
           "f32": "f", "f64": "d"}
TYPES = ["none", *FORMATS, "text", "bytes"]
KEYLESS, CALENDAR = 1, 2
MAX_TIME = 2**48 - 1


def write(message):
    """The bytes of a message."""
    kind, body = message["kind"], message["body"]
    key = message["key"] and bytes.fromhex(message["key"])
    tag = 16 if key else 0
    payload = WRITERS[kind](body)
    if kind == "hello":
        payload = payload.ljust(96 - HEADER.size - tag, b"\0")
    flags = (0 if key else KEYLESS) | (CALENDAR if body.get("calendar") else 0)
    message = HEADER.pack(b"TL", 1, KINDS[kind], flags, HEADER.size + len(payload) + tag, message["device"],
                          message["sequence"], int(message["session"], 16), int(message["link"], 16)) + payload
    return message + (hmac.digest(key, message, "sha256")[:16] if key else b"")


def read(message, key):
    """The fields of a message; ValueError if it is not one."""
    need(len(message) >= HEADER.size)
    magic, version, kind, flags, length, device, sequence, session, link = HEADER.unpack_from(message)
    need(magic == b"TL" and version == 1 and kind in NAMES and length == len(message) <= 1200)
    kind = NAMES[kind]
    need(flags & ~(KEYLESS | (CALENDAR if kind == "readings" else 0)) == 0)
    need(bool(flags & KEYLESS) == (key is None))
    need(device and session and bool(sequence) == (kind != "acknowledgement"))
    need(kind in ("busy", "error") or bool(link) == (kind != "hello"))
    need(kind != "hello" or length >= 96)
    if key:
        need(length >= HEADER.size + 16)
        message, tag = message[:-16], message[-16:]
        need(hmac.compare_digest(hmac.digest(key, message, "sha256")[:16], tag))
    reader = Reader(message[HEADER.size:])
    body = READERS[kind](reader)
    if kind == "readings":
        body = {"calendar": bool(flags & CALENDAR), **body}
    need(not reader.rest)
    return {"kind": kind, "device": device, "sequence": sequence, "session": f"{session:016x}", "link": f"{link:016x}",
            "body": body}


def need(condition):
    if not condition:
        raise ValueError("not a message")


class Reader:
    def __init__(self, data):
        self.rest = data

    def take(self, count):
        need(len(self.rest) >= count)
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def unpack(self, fmt):
        values = struct.unpack(">" + fmt, self.take(struct.calcsize(">" + fmt)))
        return values if len(values) > 1 else values[0]

    def text(self, least, most, size=None):
        size = self.unpack("B") if size is None else size
        need(least <= size <= most)
        return self.take(size).decode()  # a UnicodeDecodeError is a ValueError

    def value(self, none=False):
        number = self.unpack("B")
        need((0 if none else 1) <= number < len(TYPES))
        name = TYPES[number]
        if name == "none":
            return {"type": name}
        if name == "text":
            value = self.take(self.unpack("H")).decode()
        elif name == "bytes":
            value = self.take(self.unpack("H")).hex()
        else:
            value = self.unpack(FORMATS[name])
            need(name != "bool" or value in (0, 1))
            need(not isinstance(value, float) or math.isfinite(value))
            value = bool(value) if name == "bool" else value
        return {"type": name, "value": value}


def write_value(field):
    name, value = field["type"], field.get("value")
    head = struct.pack(">B", TYPES.index(name))
    if name == "none":
        return head
    if name in FORMATS:
        return head + struct.pack(">" + FORMATS[name], value)
    value = value.encode() if name == "text" else bytes.fromhex(value)
    return head + struct.pack(">H", len(value)) + value


def write_text(text):
    return struct.pack(">B", len(text.encode())) + text.encode()


def write_hello(body):
    out = struct.pack(">I", body["last_command"]) + write_text(body["name"]) + write_text(body["firmware"])
    out += struct.pack(">B", len(body["sensors"]))
    for sensor in body["sensors"]:
        name, unit = sensor["name"].encode(), sensor["unit"].encode()
        out += struct.pack(">BBBB", sensor["index"], TYPES.index(sensor["type"]), len(name), len(unit)) + name + unit
    return out


def read_hello(reader):
    body = {"last_command": reader.unpack("I"), "name": reader.text(1, 64), "firmware": reader.text(0, 64), "sensors": []}
    for _ in range(reader.unpack("B")):
        index, number, name, unit = reader.unpack("BBBB")
        need(1 <= number < len(TYPES) and all(index != other["index"] for other in body["sensors"]))
        body["sensors"].append({"index": index, "type": TYPES[number], "name": reader.text(1, 64, name),
                                "unit": reader.text(0, 32, unit)})
    need(not any(reader.take(len(reader.rest))))
    return body


def write_readings(body):
    out = struct.pack(">QHH", body["time"], len(body["records"]), 0)
    for record in body["records"]:
        out += struct.pack(">IB", record["offset"], record["sensor"]) + write_value(record)
    return out


def read_readings(reader):
    time, count, zero = reader.unpack("QHH")
    need(time <= MAX_TIME and zero == 0)
    return {"time": time, "records": [dict(zip(("offset", "sensor"), reader.unpack("IB")), **reader.value())
                                      for _ in range(count)]}


def read_result(reader):
    need(len(reader.rest) <= 96)
    status = reader.unpack("B")
    need(status <= 2)
    return {"status": status, **reader.value(none=True)}


def read_stored(reader):
    highest, bitmap = reader.unpack("IQ")
    need(not bitmap & 1 and highest + bitmap.bit_length() < 2**32)
    return {"highest": highest, "bitmap": f"{bitmap:016x}"}


def write_stored(body):
    return struct.pack(">IQ", body["highest"], int(body["bitmap"], 16))


def read_welcome(reader):
    body = read_stored(reader)
    time, quiet = reader.unpack("QH")
    need(time <= MAX_TIME)
    return {**body, "time": time, "quiet": quiet}


def write_command(body):
    if "interval" in body:
        return struct.pack(">BBI", 1, body["sensor"], body["interval"])
    if "switch" in body:
        return struct.pack(">BBB", 2, body["switch"], body["on"])
    return struct.pack(">BB", 3, 0) + write_text(body["set"]) + write_value(body)


def read_command(reader):
    operation, index = reader.unpack("BB")
    if operation == 1:
        interval = reader.unpack("I")
        need(interval)
        return {"sensor": index, "interval": interval}
    if operation == 2:
        on = reader.unpack("B")
        need(on in (0, 1))
        return {"switch": index, "on": bool(on)}
    need(operation == 3 and index == 0)
    return {"set": reader.text(1, 64), **reader.value(none=True)}


def read_time(reader):
    time = reader.unpack("Q")
    need(time <= MAX_TIME)
    return {"time": time}


def read_busy(reader):
    about, retry = reader.unpack("BI")
    need(about in (1, 2))
    return {"about": NAMES[about], "retry": retry}


def read_error(reader):
    about, code = reader.unpack("BB")
    need(about in (1, 2, 3, 4))
    return {"about": NAMES[about], "code": code, "text": reader.text(0, 128, len(reader.rest))}


def read_request(reader):
    need(reader.unpack("Q") == 0)
    return {}


WRITERS = {
    "hello": write_hello,
    "readings": write_readings,
    "result": lambda body: struct.pack(">B", body["status"]) + write_value(body),
    "time request": lambda body: bytes(8),
    "welcome": lambda body: write_stored(body) + struct.pack(">QH", body["time"], body["quiet"]),
    "acknowledgement": write_stored,
    "command": write_command,
    "time": lambda body: struct.pack(">Q", body["time"]),
    "busy": lambda body: struct.pack(">BI", KINDS[body["about"]], body["retry"]),
    "error": lambda body: struct.pack(">BB", KINDS[body["about"]], body["code"]) + body["text"].encode(),
}
READERS = {"hello": read_hello, "readings": read_readings, "result": read_result, "time request": read_request,
           "welcome": read_welcome, "acknowledgement": read_stored, "command": read_command, "time": read_time,
           "busy": read_busy, "error": read_error}


def main():
    vectors = json.loads(FILE.read_text())
    if "--write" in sys.argv:
        for message in vectors["messages"]:
            message["hex"] = write(message).hex()
        FILE.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
    for message in vectors["messages"]:
        key = message["key"] and bytes.fromhex(message["key"])
        fields = {name: value for name, value in message.items() if name not in ("name", "key", "hex")}
        assert write(message).hex() == message["hex"], f"{message['name']}: written as {write(message).hex()}"
        assert read(bytes.fromhex(message["hex"]), key or None) == fields, f"{message['name']}: read differently"
    for message in vectors["rejected"]:
        key = message["key"] and bytes.fromhex(message["key"])
        try:
            read(bytes.fromhex(message["hex"]), key or None)
        except ValueError:
            continue
        raise AssertionError(f"{message['name']}: was not refused")
    print(f"{len(vectors['messages'])} messages, {len(vectors['rejected'])} rejected")


if __name__ == "__main__":
    main()
