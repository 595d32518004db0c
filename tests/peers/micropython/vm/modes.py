# What run.mjs runs in the VM. Each check prints one JSON line; the first that fails raises.
import asyncio
import json
import time

from async_websocket_client import AsyncWebsocketClient


def report(name, ok, **more):
    more.update({"check": name, "ok": ok})
    print(json.dumps(more))
    if not ok:
        raise AssertionError(name)


def tls(config):
    ssl = config.get("ssl", {})
    reqs = ssl.get("cert_reqs", 0)
    ca = ssl.get("ca", "ca.der") if reqs else None
    return {"keyfile": ssl.get("key"), "certfile": ssl.get("cert"), "cafile": ca, "cert_reqs": reqs}


async def connect(uri, config):
    ws = AsyncWebsocketClient()
    await ws.handshake(uri, headers=[("X-Device", "d1")], **tls(config))
    return ws


async def recv(ws):
    return await asyncio.wait_for(ws.recv(), 10)


async def echo(uri, config):
    ws = await connect(uri, config)
    report("handshake", True)
    messages = ("text", '{"n":0}'), ("text", "ping pong"), ("text", "ñ € 😀"), ("binary", b"\x00\x01\xfe\xff"), ("big", "x" * 70000)
    for name, message in messages:
        start = time.ticks_ms()
        await ws.send(message)
        answer = await recv(ws)
        report(name, answer == message, length=len(message), ms=time.ticks_diff(time.ticks_ms(), start))
    await ws.close()
    report("close", not await ws.open())


async def relay(base, config):
    a = await connect(base + "1001", config)
    b = await connect(base + "1002", config)
    report("handshake", True)
    for sender, receiver, message in (a, b, "SOS"), (b, a, "copied"), (a, b, b"\x00\xff"):
        await sender.send(message)
        got = await recv(receiver)
        report("relayed", got == message, message=str(message), got=str(got))
    # Pings are answered only inside recv(), and a server may ask whether the old one is alive before it refuses the new one.
    listening = asyncio.create_task(a.recv())
    try:
        await connect(base + "1001", config)
        report("duplicate refused", False)
    except Exception as e:
        answer = e.args[0] if e.args else b""
        report("duplicate refused", b"HTTP/1.1 4" in answer, answer=str(answer, "utf-8"))
    listening.cancel()
    await a.close()
    await b.close()


# main.py beside another client of the same relay, which counts what comes and answers each SOS.
async def main(base, config, cycles, cycle_ms):
    import board
    import main as device

    watcher = await connect(base + "4000000000", config)
    heard = []

    async def watch():
        while (message := await watcher.recv()) is not None:
            heard.append(message)
            await watcher.send("answer %d" % len(heard))

    watching = asyncio.create_task(watch())
    handshakes = []
    shake = device.ws.handshake

    async def counted(uri, **options):
        answer = await shake(uri, **options)
        handshakes.append(uri)
        return answer

    device.ws.handshake = counted
    await device.main(cycles, cycle_ms)
    await asyncio.sleep_ms(300)
    watching.cancel()
    await watcher.close()
    report("cycles", board.cycles == cycles, cycles=board.cycles)
    report("handshakes", len(handshakes) > (cycles - 1) // 10, handshakes=len(handshakes))
    report("ids differ", len(set(handshakes)) == len(handshakes))
    report("SOS only", set(heard) == {"SOS"}, heard=len(heard))
    # Between a tenth cycle and the new handshake there is no channel; everything else has to arrive.
    report("SOS each cycle", len(heard) >= cycles // 2, heard=len(heard))
