# MicroPython's socket over what run.mjs offers. Bytes cross to JavaScript as hex.
import js
from binascii import hexlify, unhexlify


def _bytes(text):
    return None if text is None else unhexlify(text)


class socket:
    def __init__(self, *_):
        self._s = js.newSocket()

    def connect(self, address):
        self._s.connect(address[0], address[1])

    def setblocking(self, flag):
        pass  # never blocks, as after setblocking(False) on the chip

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        if not self._s.write(hexlify(data).decode()):
            raise OSError(104)  # ECONNRESET
        return len(data)

    def read(self, n=-1):
        return _bytes(self._s.read(-1 if n is None else n))

    def readline(self):
        return _bytes(self._s.readline())

    def close(self):
        self._s.close()


def getaddrinfo(host, port, *_):
    return [(2, 1, 0, "", (host, port))]
