"""A client on Python's websockets that does what it is told, one JSON object per line (see ../README.md).

client.py                                 commands from stdin
client.py URI                             the same, connected to URI first
client.py URI --send TEXT --expect TEXT   these steps in this order; exits with 1 if one fails
"""

import argparse
import asyncio
import json
import ssl
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


PATIENCE = 25
"""Seconds that anything may take on a busy machine. Whoever tells this client what to do waits a little longer."""


class Client:
    """One method per command. The first argument is the command's value, the others are its further keys."""

    ws = None

    async def connect(self, options):
        if isinstance(options, str):
            options = {"uri": options}
        uri = options["uri"]
        self.ws = await connect(
            uri,
            subprotocols=options.get("subprotocols") or None,  # an empty list would become an empty header
            origin=options.get("origin"),
            additional_headers=options.get("headers"),
            compression="deflate" if options.get("compression", True) else None,
            max_size=options.get("max_size", 2**26),
            ping_interval=options.get("ping_interval"),
            open_timeout=options.get("timeout", PATIENCE),
            close_timeout=PATIENCE,
            ssl=tls_context(options) if uri.startswith("wss:") else None,
            proxy=None,
        )
        tls = self.ws.transport.get_extra_info("ssl_object")
        return {
            "status": self.ws.response.status_code,
            "certificate": tls and ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)),
            "subprotocol": self.ws.subprotocol,
            "extensions": self.ws.response.headers.get("Sec-WebSocket-Extensions", ""),
            "headers": list(self.ws.response.headers.raw_items()),
        }

    async def send_text(self, text):
        await self.ws.send(text)

    async def send_binary(self, data):
        await self.ws.send(bytes.fromhex(data))

    async def send_fragments(self, parts, binary=False):
        await self.ws.send(bytes.fromhex(p) if binary else p for p in parts)

    async def recv(self, timeout):
        try:
            message = await asyncio.wait_for(self.ws.recv(), timeout)
        except asyncio.TimeoutError:
            return {"timeout": True}
        return {"text": message} if isinstance(message, str) else {"binary": message.hex()}

    async def expect(self, text, timeout=PATIENCE):
        reply = await self.recv(timeout)
        return None if reply == {"text": text} else {"error": f"expected {text!r}", "got": reply}

    async def ping(self, payload):
        data = bytes.fromhex(payload) if isinstance(payload, str) else None
        started = time.perf_counter()
        await asyncio.wait_for(await self.ws.ping(data), PATIENCE)
        return {"pong": time.perf_counter() - started}

    async def close(self, arguments):
        await self.ws.close(*arguments)
        return self.closed()

    async def wait_closed(self, timeout):
        try:
            await asyncio.wait_for(self.ws.wait_closed(), timeout)
        except asyncio.TimeoutError:
            return {"timeout": True}
        return self.closed()

    async def abort(self, _):
        self.ws.transport.abort()
        await self.ws.wait_closed()

    def closed(self):
        return {"closed": [self.ws.close_code, self.ws.close_reason]}

    async def run(self, command):
        name, value = next(iter(command.items()))
        options = {k: v for k, v in command.items() if k != name}
        try:
            return await getattr(self, name)(value, **options) or {"ok": name}
        except ConnectionClosed:
            return self.closed()
        except InvalidStatus as e:
            response = e.response
            return {
                "error": str(e),
                "kind": "InvalidStatus",
                "status": response.status_code,
                "headers": list(response.headers.raw_items()),
                "body": (response.body or b"").decode(errors="replace"),
            }
        except Exception as e:
            return {"error": str(e), "kind": type(e).__name__}


def tls_context(options):
    context = ssl.create_default_context(cafile=options.get("ca"))
    if options.get("insecure"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("cert"):
        context.load_cert_chain(options["cert"], options.get("key"))
    return context


async def stdin_commands():
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            yield json.loads(line)


async def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("uri", nargs="?")
    for option, command in ("--send", "send_text"), ("--expect", "expect"):
        parser.add_argument(option, dest="steps", action="append", type=lambda t, c=command: {c: t})
    args = parser.parse_args()

    client = Client()

    async def step(command):
        reply = await client.run(command)
        print(json.dumps(reply), flush=True)
        return "error" not in reply

    if args.uri and not await step({"connect": args.uri}):
        sys.exit(1)
    if args.steps:
        for command in args.steps:
            if not await step(command):
                sys.exit(1)
    else:
        async for command in stdin_commands():
            await step(command)
    if client.ws:
        await client.ws.close()


if __name__ == "__main__":
    asyncio.run(main())
