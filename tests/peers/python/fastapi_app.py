"""What a FastAPI user runs: an echo at /echo, beside the relay of the stand-in server at /<client_id>."""

import pathlib
import sys

from fastapi import WebSocket, WebSocketDisconnect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "standins"))

from server import app  # noqa: E402


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[0] if offered else None)
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass  # it left while we were sending
