"""A peer that says exactly what it is told to: raw TCP, TLS, HTTP and WebSocket frames made by hand.

It never waits for time to pass: whatever it awaits is an answer, a frame or the end of the connection, and the
deadline is one after which the test fails.
"""

import base64
import json
import os
import re
import socket
import ssl
import struct

import world

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FRAME_MAX = 256 * 1024
PING_MESSAGE = bytes.fromhex("920c810109")
"""`message-ping` of schemas/wire-v1.md: well formed, and refused before a hello for its place, not for its bytes."""


def frame(opcode, payload=b"", fin=True, masked=True, reserved=0, announced=None, mask=b"\x37\xfa\x21\x3d"):
    """One frame of RFC 6455 section 5.2. `announced`: a payload length other than the true one."""
    size = len(payload) if announced is None else announced
    head = bytes([(fin << 7) | (reserved << 4) | opcode])
    flag = masked << 7
    if size < 126:
        head += bytes([flag | size])
    elif size < 1 << 16:
        head += struct.pack(">BH", flag | 126, size)
    else:
        head += struct.pack(">BQ", flag | 127, size)
    return head + mask + masked_bytes(payload, mask) if masked else head + payload


def masked_bytes(payload, mask):
    repeated = mask * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:len(payload)], "big")
    return number.to_bytes(len(payload), "big")


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def raw_block(content, last):
    return struct.pack("<I", last | len(content) << 3)[:3] + content


def zstd_frame(content, declared=None, blocks=None, descriptor=0xE0):
    """RFC 8878 section 3.1.1, of raw blocks, without a dictionary. Descriptor: 0x20, 0xA0 and 0xE0 are a single segment
    with 1, 4 and 8 bytes of content size, 0x80 and 0xC0 have a window, 0x00 has no content size."""
    sizes = {0x20: 1, 0xA0: 4, 0xE0: 8, 0x80: 4, 0xC0: 8, 0x00: 0}[descriptor]
    declared = len(content) if declared is None else declared
    window = b"" if descriptor & 0x20 else b"\x50"  # 1 MiB
    body = raw_block(content, 1) if blocks is None else blocks
    return b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + window + declared.to_bytes(sizes, "little") + body


def message_of(size):
    """A ping message of the protocol in a frame of exactly so many bytes: compressed, with empty blocks before it."""
    descriptor = {0: 0x20, 1: 0x80, 2: 0xC0}[size % 3]
    empty = b"\x01" + zstd_frame(PING_MESSAGE, descriptor=descriptor)
    count = (size - len(empty)) // 3
    if count < 0 or (size - len(empty)) % 3:
        raise ValueError(f"no message of {size} bytes can be made")
    return b"\x01" + zstd_frame(PING_MESSAGE, descriptor=descriptor,
                                blocks=raw_block(b"", 0) * count + raw_block(PING_MESSAGE, 1))


class Ended(Exception):
    """The hub ended the connection."""


class Peer:
    def __init__(self, port, trust=None, name="localhost", receive_buffer=None, source=None):
        """Over TLS when there is somebody to trust, else plain TCP; from that address of this machine."""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(world.DEADLINE_S)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = trust is not None
        if self.tls:
            try:
                self.socket = trust.wrap_socket(self.socket, server_hostname=name)
            except OSError:
                self.socket.close()
                raise
        self._read = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data, piece=None):
        """All of it, in pieces of so many bytes, each a TLS record and a TCP segment of its own. A hub that has heard
        enough may close meanwhile."""
        try:
            for start in range(0, len(data), piece or max(1, len(data))):
                self.socket.sendall(data[start:start + (piece or len(data))])
        except TimeoutError:
            raise AssertionError("the hub neither took what was sent nor closed") from None
        except OSError:
            pass
        return self

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"neither an answer nor an end within {world.DEADLINE_S} s") from None
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            raise Ended()
        self._read += data

    def take(self, size):
        while len(self._read) < size:
            self._more()
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def take_until(self, mark):
        while mark not in self._read:
            self._more()
        return self.take(self._read.index(mark) + len(mark))

    def await_end(self):
        """Everything that comes until the hub ends the connection."""
        try:
            while True:
                self._more()
        except Ended:
            return self._read

    # ---- HTTP ----

    def response(self):
        """The next answer, as world.Answer; headers in lower case."""
        head = self.take_until(b"\r\n\r\n").decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
        body = self.take(int(headers.get("content-length", 0)))
        return world.Answer(int(status.split(" ")[1]), headers, body)

    # ---- WebSocket ----

    def upgrade(self):
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(upgrade_request(key=key))
        answer = self.response()
        if answer.status != 101:
            raise AssertionError(f"the upgrade was refused: {answer!r}")
        return self

    def read_frame(self):
        """(fin, opcode, payload). Frames of a server are never masked."""
        first, second = self.take(2)
        if second & 0x80:
            raise AssertionError("the hub masks its frames")
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return bool(first & 0x80), first & 0x0F, self.take(size)

    def await_frame(self, opcode):
        while True:
            _, found, payload = self.read_frame()
            if found == opcode:
                return payload

    def await_close(self):
        """(code, reason) of the hub's close frame, then the end of the connection; (None, why) when it came without."""
        try:
            payload = self.await_frame(CLOSE)
        except Ended:
            return None, "the connection ended without a close frame"
        code = struct.unpack(">H", payload[:2])[0] if payload else 1005
        self.send(frame(CLOSE, payload[:2]))
        self._say_goodbye()
        self.await_end()
        return code, payload[2:].decode()

    def _say_goodbye(self):
        if not self.tls:
            return
        try:
            self.socket.settimeout(world.DEADLINE_S)
            self.socket.unwrap()
        except (OSError, ValueError):
            pass


def upgrade_request(key="dGhlIHNhbXBsZSBub25jZQ==", method="GET", path="/v1/sync", version="HTTP/1.1", drop=(), extra=(), **changed):
    """Request text; `changed` replaces the value of a header (sec_websocket_version="12"), `drop` leaves headers out."""
    headers = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
               "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "fieldpost.v1"}
    for name, value in changed.items():
        headers[{known.lower(): known for known in headers}[name.replace("_", "-")]] = value
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers.items() if name not in drop), *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def set_connections(hub, **settings):
    """The member "connections" of hub.json, while the hub does not run."""
    path = hub.path / "hub.json"
    known = json.loads(path.read_text())
    known["connections"] = {**known.get("connections", {}), **settings}
    path.write_text(json.dumps(known))


def anonymous_kib(daemon):
    """Memory of a process that no file stands behind."""
    with open(f"/proc/{daemon.pid}/smaps_rollup") as rollup:
        return int(re.search(r"^Anonymous:\s+(\d+) kB", rollup.read(), re.MULTILINE).group(1))


def metric(hub, name):
    found = re.search(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", hub.api("GET", "/metrics").body.decode(), re.MULTILINE)
    if not found:
        raise AssertionError(f"the hub has no metric {name}")
    return float(found.group(1))
