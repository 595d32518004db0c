"""Runs fastapi_app under uvicorn. Prints `listening PORT` once it is ready."""

import argparse

from fastapi_app import app
from server import run  # fastapi_app put the stand-ins on the path

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--no-compression", action="store_true")
    parser.add_argument("--ssl-cert")
    parser.add_argument("--ssl-key")
    args = parser.parse_args()
    run(
        app,
        host=args.host,
        port=args.port,
        ws_per_message_deflate=not args.no_compression,
        ssl_certfile=args.ssl_cert,
        ssl_keyfile=args.ssl_key,
        log_level="warning",
    )
