"""websockets on uvloop, with its own broadcast. websockets_server.py PORT"""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import broadcast, serve

# More than the largest message of any test.
MAX_SIZE = 64 << 20

subscribers = set()


async def connection(ws):
    match ws.request.path:
        case "/sub":
            subscribers.add(ws)
            try:
                await ws.wait_closed()
            finally:
                subscribers.discard(ws)
        case "/pub":
            async for message in ws:
                broadcast(subscribers, message)
        case _:
            async for message in ws:
                await ws.send(message)


async def main(port):
    options = {"compression": None, "max_size": MAX_SIZE, "backlog": 4096, "ping_interval": None}
    async with serve(connection, "127.0.0.1", port, **options):
        await asyncio.get_running_loop().create_future()


uvloop.run(main(int(sys.argv[1])))
