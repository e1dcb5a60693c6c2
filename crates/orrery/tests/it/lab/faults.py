"""Programs that stand where a peer should be, and answer as no peer should.

    faults.py echo PORT                     gives back what it gets
    faults.py hole PORT                     accepts, reads, never answers
    faults.py garbage PORT                  answers with bytes that mean nothing, and keeps the connection
    faults.py http PORT                     answers as a plain web server
    faults.py tls-garbage PORT CERT KEY     the same garbage behind a handshake that is right
    faults.py endless PORT CERT KEY         gRPC: each call gets messages without content that never end
    faults.py drip PORT HOST:PORT           passes on what it gets; after a line on standard input that says `drip`
                                            its answers come a byte a second
    faults.py ask HOST:PORT BYTES SECONDS   the other side of `echo`: prints `same`, `different` or the error

Each that serves prints `ready` when it listens, and ends with its standard input.
"""

import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time

# Of a generator that is the same in every run.
GARBAGE = random.Random("garbage").randbytes(4096)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
MAX_FRAME = 16384
# Between two pieces of an endless answer, so that it is endless and not a flood.
PAUSE = 0.01


def listen(port):
    server = socket.create_server(("0.0.0.0", port), backlog=64)
    print("ready", flush=True)
    return server


def serve(port, answer):
    """Runs `answer` on a thread for each connection until standard input ends."""
    server = listen(port)

    def accept():
        while True:
            connection, _ = server.accept()
            threading.Thread(target=guarded, args=(answer, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def guarded(answer, connection):
    try:
        with connection:
            answer(connection)
    except (OSError, EOFError):
        pass


def echo(connection):
    while piece := connection.recv(65536):
        connection.sendall(piece)


def hole(connection):
    while connection.recv(65536):
        pass


def garbage(connection):
    if connection.recv(65536):
        connection.sendall(GARBAGE)
        hole(connection)


def http(connection):
    if connection.recv(65536):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\nbad request\n")
        hole(connection)


def behind_tls(cert, key, answer):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])

    def wrapped(connection):
        with context.wrap_socket(connection, server_side=True) as inner:
            answer(inner)

    return wrapped


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Endless:
    """An HTTP/2 server (RFC 9113) that knows as much as it takes to never end."""

    def __init__(self, connection):
        self.connection, self.read = connection, b""
        self.initial, self.windows = 65535, {0: 65535}

    def run(self):
        self.connection.sendall(frame(SETTINGS, 0, 0, b""))
        while True:
            if self.connection.pending() or select.select([self.connection], [], [], PAUSE)[0]:
                piece = self.connection.recv(65536)
                if not piece:
                    return
                self.read += piece
                self.take()
            for stream in [s for s in self.windows if s]:
                self.send(stream)

    def take(self):
        if self.read.startswith(PREFACE):
            self.read = self.read[len(PREFACE):]
        while len(self.read) >= 9:
            size = int.from_bytes(self.read[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", self.read[3:9])
            if len(self.read) < 9 + size:
                return
            payload, self.read = self.read[9:9 + size], self.read[9 + size:]
            self.frame(kind, flags, stream & 0x7FFFFFFF, payload)

    def frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == 4:
                    self.initial = value
            self.connection.sendall(frame(SETTINGS, 1, 0, b""))
        elif kind == WINDOW and stream in self.windows:
            self.windows[stream] += int.from_bytes(payload, "big") & 0x7FFFFFFF
        elif kind == HEADERS and stream not in self.windows:
            self.windows[stream] = self.initial
            # `:status: 200` of the static table, then `content-type` of it with a value.
            block = b"\x88\x0f\x10\x10application/grpc"
            self.connection.sendall(frame(HEADERS, 4, stream, block))
        elif kind == PING and not flags & 1:
            self.connection.sendall(frame(PING, 1, 0, payload))
        elif kind == RESET:
            self.windows.pop(stream, None)
        elif kind == GOAWAY:
            raise EOFError

    def send(self, stream):
        # A message is five bytes and what it holds: here nothing, which every message type can be read from.
        room = min(self.windows[stream], self.windows[0], MAX_FRAME) // 5 * 5
        if room > 0:
            self.connection.sendall(frame(DATA, 0, stream, bytes(room)))
            self.windows[stream] -= room
            self.windows[0] -= room


def endless(connection):
    Endless(connection).run()


DRIPS = threading.Event()


def drip(upstream):
    host, _, port = upstream.rpartition(":")

    def answer(connection):
        with socket.create_connection((host, int(port))) as inner:
            threading.Thread(target=guarded, args=(lambda c: pass_on(c, inner), connection), daemon=True).start()
            trickle(inner, connection)

    return answer


def pass_on(source, target):
    while piece := source.recv(65536):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)


def trickle(source, target):
    while piece := source.recv(65536):
        while piece and DRIPS.is_set():
            target.sendall(piece[:1])
            piece = piece[1:]
            time.sleep(1)
        target.sendall(piece)


def ask(address, size, seconds):
    host, _, port = address.rpartition(":")
    sent = random.Random("ask").randbytes(size)
    until = time.monotonic() + seconds
    try:
        with socket.create_connection((host, int(port)), timeout=seconds) as connection:
            writer = threading.Thread(target=guarded_send, args=(connection, sent), daemon=True)
            writer.start()
            got = b""
            while len(got) < size and time.monotonic() < until:
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
    except OSError as e:
        return f"{type(e).__name__}: {e}"
    return "same" if got == sent else "different"


def guarded_send(connection, sent):
    try:
        connection.sendall(sent)
    except OSError:
        pass


def main():
    match sys.argv[1:]:
        case ["ask", address, size, seconds]:
            print(ask(address, int(size), float(seconds)), flush=True)
            return
        case ["echo" | "hole" | "garbage" | "http" as kind, port]:
            serve(int(port), {"echo": echo, "hole": hole, "garbage": garbage, "http": http}[kind])
        case ["tls-garbage" | "endless" as kind, port, cert, key]:
            serve(int(port), behind_tls(cert, key, garbage if kind == "tls-garbage" else endless))
        case ["drip", port, upstream]:
            serve(int(port), drip(upstream))
        case _:
            sys.exit(__doc__)
    for line in sys.stdin:
        if line.strip() == "drip":
            DRIPS.set()
            print("drips", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
