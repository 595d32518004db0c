"""Sensors over UDP (docs/protocol/telemetry.md): telemetry_udp.py [HOST [PORT [DEVICE [KEY [COUNT [SECONDS]]]]]]"""
import hmac, random, secrets, socket, struct, sys, time
host, port, device, key, count, pause = sys.argv[1:] + ["127.0.0.1", "65433", "1", "", "0", "1"][len(sys.argv) - 1:]
device, key, session = int(device), bytes.fromhex(key), secrets.randbits(64) or 1  # a session of its own for each run
HEADER = struct.Struct(">2sBBHHIIQQ")  # magic, version, kind, flags, length, device, sequence, session, link
HELLO = struct.pack(">I7pBB4B11s3s", 0, b"python", 0, 1, 0, 10, 11, 3, b"temperature", b"Cel").ljust(64, b"\0")
sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)

def tag(message):
    return hmac.digest(key, message, "sha256")[:16] if key else b""

def ask(kind, sequence, body, link):  # sends a message; returns kind, link and body of the answer
    length = HEADER.size + len(body) + len(tag(b""))
    message = HEADER.pack(b"TL", 1, kind, not key, length, device, sequence, session, link) + body
    sock.sendto(message + tag(message), (host, int(port)))
    answer = sock.recv(1200)
    message, given = (answer[:-16], answer[-16:]) if key else (answer, b"")
    _, _, kind, flags, _, to, _, own, link = HEADER.unpack_from(message)
    ours = (to, own, flags & 1) == (device, session, not key) and hmac.compare_digest(tag(message), given)
    return (kind, link, message[HEADER.size:]) if ours else (0, 0, b"")

link = hellos = number = stored = 0
while number < int(count) or int(count) == 0:
    number, taken, record = number + 1, time.monotonic(), struct.pack(">IBBf", 0, 0, 10, random.gauss(21, 0.5))
    while stored < number:  # again and again, until the hub has stored it
        age, hellos = int((time.monotonic() - taken) * 1000), hellos + (link == 0)
        try:
            message = (2, number, struct.pack(">QHH", age, 1, 0) + record, link) if link else (1, hellos, HELLO, 0)
            kind, new, body = ask(*message)
            if kind in (0x81, 0x82):  # welcome, acknowledgement: both begin with the highest number that is stored
                link, stored = new, struct.unpack_from(">I", body)[0]
            elif kind in (0x85, 0x86):  # busy; or an error: perhaps the hub has restarted and wants a hello
                link = time.sleep(1) or 0
        except (OSError, struct.error):  # nothing came, or something that is no message
            time.sleep(0.2)
    print("stored", number, flush=True)
    time.sleep(float(pause))
