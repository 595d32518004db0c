"""Sensors over TCP (docs/protocol/telemetry.md): telemetry_tcp.py [HOST [PORT [DEVICE [KEY [COUNT [SECONDS [CA]]]]]]]"""
import hmac, random, secrets, socket, ssl, struct, sys, time
host, port, device, key, count, pause, ca = sys.argv[1:] + ["127.0.0.1", "65433", "1", "", "0", "1", ""][len(sys.argv) - 1:]
device, key, session = int(device), bytes.fromhex(key), secrets.randbits(64) or 1  # a session of its own for each run
wrap = ssl.create_default_context(cafile=ca).wrap_socket if ca else lambda sock, server_hostname: sock  # CA: TLS, trusting it
HEADER = struct.Struct(">2sBBHHIIQQ")  # magic, version, kind, flags, length, device, sequence, session, link
HELLO = struct.pack(">I7pBB4B11s3s", 0, b"python", 0, 1, 0, 10, 11, 3, b"temperature", b"Cel").ljust(64, b"\0")

def tag(message):
    return hmac.digest(key, message, "sha256")[:16] if key else b""

def ask(stream, kind, sequence, body, link):  # sends a message; returns kind, link and body of the answer
    length = HEADER.size + len(body) + len(tag(b""))
    message = HEADER.pack(b"TL", 1, kind, not key, length, device, sequence, session, link) + body
    stream.write(message + tag(message)); stream.flush()
    answer = stream.read(8)  # they tell how long the message is
    answer += stream.read(struct.unpack_from(">H", answer, 6)[0] - 8)
    message, given = (answer[:-16], answer[-16:]) if key else (answer, b"")
    _, _, kind, flags, _, to, _, own, link = HEADER.unpack_from(message)
    ours = (to, own, flags & 1) == (device, session, not key) and hmac.compare_digest(tag(message), given)
    return (kind, link, message[HEADER.size:]) if ours else (0, 0, b"")

link = hellos = number = stored = stream = 0
while number < int(count) or int(count) == 0:
    number, taken, record = number + 1, time.monotonic(), struct.pack(">IBBf", 0, 0, 10, random.gauss(21, 0.5))
    while stored < number:  # again and again, until the hub has stored it
        age, hellos = int((time.monotonic() - taken) * 1000), hellos + (link == 0)
        try:
            stream = stream or wrap(socket.create_connection((host, int(port)), timeout=10), server_hostname=host).makefile("rwb")
            message = (2, number, struct.pack(">QHH", age, 1, 0) + record, link) if link else (1, hellos, HELLO, 0)
            kind, new, body = ask(stream, *message)
            if kind in (0x81, 0x82):  # welcome, acknowledgement: both begin with the highest number that is stored
                link, stored = new, struct.unpack_from(">I", body)[0]
            elif kind in (0x85, 0x86):  # busy; or an error: perhaps the hub has restarted and wants a hello
                link = time.sleep(1) or 0
        except (OSError, struct.error):  # no connection, or not any longer
            stream, link = time.sleep(1), 0
    print("stored", number, flush=True)
    time.sleep(float(pause))
