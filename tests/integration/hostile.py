"""Clients of admin that do not behave, on raw sockets: they open what they do not finish and ask for what they do not
read."""
import contextlib
import resource
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
END_HEADERS, END_STREAM = 4, 1


def raise_fd_limit():
    """As far as it goes; how many descriptors this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    """HPACK: a literal that is not indexed, with a new name. Source: RFC 7541, 6.2.2"""
    def text(s):
        s = s.encode()
        assert len(s) < 127
        return bytes([len(s)]) + s
    return b"\x00" + text(name) + text(value)


def call_headers(stream, path):
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers",
              "content-type": "application/grpc"}
    return frame(HEADERS, END_HEADERS, stream, b"".join(header(k, v) for k, v in fields.items()))


def message(stream, body):
    return frame(DATA, END_STREAM, stream, struct.pack(">BI", 0, len(body)) + body)


class Crowd:
    """Connections that are kept until the end of the `with`."""

    def __init__(self, port):
        self.port = port
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()

    def connect(self, first, receive_bytes=None):
        s = socket.socket()
        if receive_bytes:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        s.settimeout(20)
        s.connect(("127.0.0.1", self.port))
        s.sendall(first)
        self.sockets.append(s)

    def idle(self, n):
        """gRPC connections that are made and say nothing."""
        for _ in range(n):
            self.connect(PREFACE + frame(SETTINGS, 0, 0))

    def half_open(self, n):
        """Connections that stop in the middle: of the preface, of a frame, before a call's message."""
        begun = PREFACE + frame(SETTINGS, 0, 0)
        call = call_headers(1, "/flyteidl.service.AdminService/GetTask")
        for i in range(n):
            self.connect((PREFACE[:10], begun + call[:20], begun + call)[i % 3])

    def never_reads(self, n, path, body):
        """Calls whose answers nobody reads."""
        for _ in range(n):
            self.connect(PREFACE + frame(SETTINGS, 0, 0) + call_headers(1, path) + message(1, body), 4096)

    def http(self, n, text, receive_bytes=None):
        for _ in range(n):
            self.connect(text.encode(), receive_bytes)

    def alive(self):
        """How many the server has not closed."""
        n = 0
        for s in self.sockets:
            s.setblocking(False)
            with contextlib.suppress(ConnectionError):
                try:
                    while s.recv(65536):
                        pass
                except BlockingIOError:
                    n += 1
        return n
