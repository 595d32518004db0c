# The device project's main.py, written from its README. Runs on MicroPython beside async_websocket_client.
#
# Two tasks that do not disturb each other: the main cycle blinks and sends SOS, the reading loop keeps the channel up and
# receives. Every tenth cycle drops the channel, to show the new handshake. `board` hides the Wi-Fi and the LED.

import asyncio
import json
import random

import board
from async_websocket_client import AsyncWebsocketClient

with open("config.json") as f:
    config = json.load(f)

ws = AsyncWebsocketClient(config["socket_delay_ms"])


async def connect():
    await board.connect_wifi(config["wifi"])
    uri = config["server"] + str(random.getrandbits(30))
    tls = config.get("ssl", {})
    reqs = tls.get("cert_reqs", 0)
    # The configuration that only verifies the server does not name the authority: it is the ca.der that was copied along.
    ca = tls.get("ca", "ca.der") if reqs else None
    await ws.handshake(uri, keyfile=tls.get("key"), certfile=tls.get("cert"), cafile=ca, cert_reqs=reqs)
    print("connected", uri)


# Only this task shakes hands, and only after its own recv() has come back: a second task that opened a new socket under a
# waiting recv() would have the server's answer read away by it.
async def read_loop():
    while True:
        try:
            await connect()
            while await ws.open():
                data = await ws.recv()
                if data is not None:
                    print("received", data)
        except Exception as e:
            print("channel failed:", repr(e))
        await ws.close()  # handshake() itself forgets to await the close of an old socket
        await asyncio.sleep_ms(200)


async def main_loop(cycles, cycle_ms):
    n = 0
    while cycles is None or n < cycles:
        n += 1
        board.led(n % 2)
        if await ws.open():
            try:
                await ws.send("SOS")
            except Exception as e:
                print("send failed:", repr(e))
            if n % 10 == 0:
                await ws.close()
        await asyncio.sleep_ms(cycle_ms)


async def main(cycles=None, cycle_ms=400):
    reader = asyncio.create_task(read_loop())
    await main_loop(cycles, cycle_ms)
    reader.cancel()
    await ws.close()


if __name__ == "__main__":
    asyncio.run(main())
