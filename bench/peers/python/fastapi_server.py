"""FastAPI on uvicorn, with what uvicorn recommends: uvloop and httptools. fastapi_server.py PORT"""

import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

# More than the largest message of any test.
MAX_SIZE = 64 << 20

app = FastAPI()
subscribers = set()


@app.websocket("/")
async def echo(ws: WebSocket):
    await ws.accept()
    while (message := await ws.receive())["type"] != "websocket.disconnect":
        if (data := message.get("bytes")) is not None:
            await ws.send_bytes(data)
        else:
            await ws.send_text(message["text"])


@app.websocket("/sub")
async def subscribe(ws: WebSocket):
    await ws.accept()
    subscribers.add(ws)
    try:
        while True:
            await ws.receive_bytes()
    except WebSocketDisconnect:
        subscribers.discard(ws)


@app.websocket("/pub")
async def publish(ws: WebSocket):
    await ws.accept()
    try:
        while True:
            data = await ws.receive_bytes()
            for subscriber in list(subscribers):
                await subscriber.send_bytes(data)
    except WebSocketDisconnect:
        pass


uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    loop="uvloop",
    http="httptools",
    ws_max_size=MAX_SIZE,
    ws_ping_interval=None,
    ws_per_message_deflate=False,
    backlog=4096,
    log_level="error",
)
