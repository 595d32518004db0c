# MicroPython's ssl over what run.mjs offers. As on a controller, key and certificate are names of DER files.
import js
from binascii import hexlify


def _file(name):
    if name is None:
        return None
    with open(name, "rb") as f:
        return hexlify(f.read()).decode()


def wrap_socket(sock, server_side=False, key=None, cert=None, cert_reqs=0, cadata=None, server_hostname=None, **_):
    ca = None if cadata is None else hexlify(cadata).decode()
    sock._s.startTls(_file(key), _file(cert), ca, cert_reqs == 2)
    return sock
