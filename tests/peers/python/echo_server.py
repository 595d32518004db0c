"""Echo server on Python's websockets. Prints `listening PORT` once it is ready."""

import argparse
import asyncio
import ssl

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(websocket):
    try:
        async for message in websocket:
            await websocket.send(message)
    except ConnectionClosed:
        pass  # gone without a close frame, as the MicroPython client does


def tls_context(args):
    if not args.ssl_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=args.ssl_ca)
    context.load_cert_chain(args.ssl_cert, args.ssl_key)
    if args.ssl_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--subprotocol", action="append", help="supported subprotocol; repeat for several")
    parser.add_argument("--no-compression", action="store_true")
    parser.add_argument("--ping-interval", type=float, default=20, help="seconds; 0 turns keepalive off")
    parser.add_argument("--max-size", type=int, default=2**26)
    parser.add_argument("--ssl-cert")
    parser.add_argument("--ssl-key")
    parser.add_argument("--ssl-ca", help="require a client certificate signed by this authority")
    args = parser.parse_args()
    async with serve(
        echo,
        args.host,
        args.port,
        subprotocols=args.subprotocol,
        compression=None if args.no_compression else "deflate",
        ping_interval=args.ping_interval or None,
        max_size=args.max_size,
        ssl=tls_context(args),
    ) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
