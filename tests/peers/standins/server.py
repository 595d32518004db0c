"""The device project's test server, written from its README: a relay between clients.

    python server.py [--ssl --ssl-keyfile=F --ssl-certfile=F [--ssl-ca-cert=F --ssl-certs-reqs=2]] [--port=8000]
    uvicorn server:app --host 0.0.0.0 --port 8000 --ws-ping-interval 10 --ws-ping-timeout 10

The one address is ws(s)://<server>/<client_id>. What a client sends goes, unchanged, to all other clients; a client_id that
is already connected is refused.
"""

import argparse
import ssl
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

app = FastAPI()
clients: dict[int, WebSocket] = {}


@app.websocket("/{client_id:int}")
async def relay(websocket: WebSocket, client_id: int):
    if client_id in clients:
        await websocket.close()  # before accept(): the peer sees HTTP 403
        return
    clients[client_id] = websocket  # before the first await, so that two handshakes cannot both pass the check
    try:
        await websocket.accept()
        name = getattr(websocket.state, "peer_name", None)
        if name:
            print("New client:", name, flush=True)
        while (message := await websocket.receive())["type"] == "websocket.receive":
            payload = {k: message[k] for k in ("text", "bytes") if message.get(k) is not None}
            for other_id, other in list(clients.items()):
                if other_id != client_id:
                    await deliver(other, payload)
    finally:
        del clients[client_id]


async def deliver(websocket: WebSocket, payload: dict):
    try:
        await websocket.send({"type": "websocket.send", **payload})
    except Exception:  # it is leaving, or not accepted yet: no reason to fail the sender
        pass


class NamingProtocol(AutoWebSocketsProtocol):
    """uvicorn keeps the TLS session from the app: put the name in the client's certificate into the scope's state."""

    def connection_made(self, transport):
        super().connection_made(transport)
        session = transport.get_extra_info("ssl_object")
        certificate = session and session.getpeercert()  # empty unless the certificate was asked for and verified
        for ((key, value), *_) in (certificate or {}).get("subject", ()):
            if key == "commonName":
                self.app_state = {**self.app_state, "peer_name": value}


class AnnouncingServer(uvicorn.Server):
    """Says which port it got, so that a test can ask for port 0."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("listening", self.servers[0].sockets[0].getsockname()[1], flush=True)


def run(application, **config):
    AnnouncingServer(uvicorn.Config(application, ws_ping_interval=10, ws_ping_timeout=10, **config)).run()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--ssl", action="store_true")
    parser.add_argument("--ssl-keyfile")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-ca-cert")
    parser.add_argument("--ssl-certs-reqs", type=int, default=int(ssl.CERT_NONE), choices=[0, 1, 2])
    args = parser.parse_args()
    tls = {}
    if args.ssl:
        if not (args.ssl_keyfile and args.ssl_certfile):
            sys.exit("--ssl needs --ssl-keyfile and --ssl-certfile")
        tls = {
            "ssl_keyfile": args.ssl_keyfile,
            "ssl_certfile": args.ssl_certfile,
            "ssl_ca_certs": args.ssl_ca_cert,
            "ssl_cert_reqs": args.ssl_certs_reqs,
        }
    run(app, host=args.host, port=args.port, ws=NamingProtocol, **tls)


if __name__ == "__main__":
    main()
