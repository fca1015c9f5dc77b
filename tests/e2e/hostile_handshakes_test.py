#!/usr/bin/env python3
"""HTTP as nobody should speak it: upgrades that are none, requests that two readers would read differently, headers
without end. At the hub's port over TLS and at the tablet's own interface; the hub answers in words and ends it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hostile  # noqa: E402
import scenario  # noqa: E402
import world  # noqa: E402
from hostile import upgrade_request  # noqa: E402

HEADER_MAX = 8 * 1024
GET = b"GET /healthz HTTP/1.1\r\nHost: %s\r\n"


class Requests(scenario.Scenario):
    """What both programs are asked; `program` is set once for the class."""

    open_path = b"/healthz"

    def peer(self):
        peer = hostile.Peer(self.program.port, self.trust)
        self.addCleanup(peer.close)
        return peer

    def tearDown(self):
        super().tearDown()
        self.assertTrue(self.program.daemon.alive(), self.program.daemon.log())

    def get(self, *lines, path=None, version=b"HTTP/1.1", host=True):
        own = [b"Host: " + self.host] if host else []
        return b"\r\n".join([b"GET " + (path or self.open_path) + b" " + version, *own, *lines]) + b"\r\n\r\n"

    def assert_refused(self, name, sent, *statuses, piece=None):
        """An answer in the API's one shape, then the end of the connection."""
        with self.subTest(name):
            peer = self.peer()
            peer.send(sent, piece)
            try:
                answer = peer.response()
            except hostile.Ended:
                self.fail(f"{name}: the connection ended without an answer")
            self.assertIn(answer.status, statuses, f"{name}: {answer!r}")
            self.assertGreaterEqual(len(answer.json()["error"]["message"].split()), 3, name)
            self.assertEqual(answer.headers["connection"], "close", name)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff", name)
            self.assertEqual(peer.await_end(), b"", f"{name}: something came after the refusal")
            return answer

    def assert_answered(self, name, sent, *statuses, piece=None):
        with self.subTest(name):
            peer = self.peer()
            peer.send(sent, piece)
            for status in statuses:
                self.assertEqual(peer.response().status, status, name)
            return peer

    # ---- headers ----

    def test_headers_without_measure_are_refused_at_the_limit(self):
        self.assert_refused("one header of 64 KiB", self.get(b"X: " + b"y" * 65536), 431)
        self.assert_refused("ten thousand headers", self.get(*[b"X: y"] * 10_000), 431)
        self.assert_refused("a path of 64 KiB", self.get(path=b"/" + b"x" * 65536), 431)
        self.assert_refused("a method of 64 KiB", b"G" * 65536 + b" / HTTP/1.1\r\n\r\n", 400, 431)
        self.assert_refused("a header that never ends", self.get()[:-4] + b"\r\nX: " + b"y" * (1 << 20), 431)
        self.assert_refused("headers that never end", self.get()[:-2] + b"X: y\r\n" * 200_000, 431)
        self.assert_answered("just below the limit, an octet at a time", self.get(b"X: " + b"y" * 1000), self.open_status, piece=1)

    def test_a_request_names_its_host_once(self):
        self.assert_refused("no Host", self.get(host=False), 400)
        self.assert_refused("two Hosts", self.get(b"Host: " + self.host), 400)
        self.assert_refused("two Hosts that differ", self.get(b"host: evil.example"), 400)

    def test_other_versions_of_http(self):
        self.assert_answered("HTTP/1.0 without a Host is answered or refused in words, and ended",
                             self.get(version=b"HTTP/1.0", host=self.host_needed), self.open_status).await_end()
        for version in (b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3", b"HTTP/11", b"http/1.1", b"HTTP/1.", b"HTTP/1.1x", b"ICY/1.1", b""):
            self.assert_refused(f"version {version}", self.get(version=version), 400)
        self.assert_refused("HTTP/2 by preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400)

    def test_targets_that_are_no_path(self):
        for target in (b"http://evil.example/healthz", b"//evil.example/healthz\\", b"*", b"evil.example:443", b"/a b", b"/\x00", b"/\xff", b"/%", b"/%zz",
                       b"/..", b"/v1/../v1/records", b"/v1/%2e%2e/records"):
            self.assert_refused(f"target {target}", self.get(path=target), 400, 404)
        self.assert_refused("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: " + self.host + b"\r\n\r\n", 400, 404, 405)

    def test_header_lines_that_two_readers_would_read_differently(self):
        for line in (b"X : y", b" X: y", b"X", b": y", b"X\x00: y", b"X: a\x00b", b"X: a\rb", b"X: y\r\n folded", b"X: y\r\n\tfolded", b"\xff: y", b"X(: y"):
            peer = self.peer()
            with self.subTest(f"line {line}"):
                peer.send(self.get(line))
                answer = peer.response()
                self.assertIn(answer.status, (400, 403, self.open_status), f"{line}: {answer!r}")
        self.assert_refused("lines ended by LF alone", self.get().replace(b"\r\n", b"\n") + b"\r\n\r\n", 400)

    # ---- smuggling: two lengths, two meanings ----

    def post(self, *lines, body=b""):
        return b"\r\n".join([b"POST /v1/records HTTP/1.1", b"Host: " + self.host, *lines]) + b"\r\n\r\n" + body

    def test_a_body_of_two_lengths_is_refused_and_what_follows_is_never_a_request(self):
        inside = self.get()
        chunked = b"Transfer-Encoding: chunked"
        for name, lines, body in (
                ("CL then TE", (b"Content-Length: 6", chunked), b"0\r\n\r\n" + inside),
                ("TE then CL", (chunked, b"Content-Length: 6"), b"0\r\n\r\n" + inside),
                ("two lengths", (b"Content-Length: 0", b"Content-Length: %d" % len(inside)), inside),
                ("two lengths in one line", (b"Content-Length: 0, 5",), inside),
                ("a length with a sign", (b"Content-Length: +5",), inside),
                ("a length below zero", (b"Content-Length: -1",), inside),
                ("a length in hex", (b"Content-Length: 0x5",), inside),
                ("a length with a tail", (b"Content-Length: 5 5",), inside),
                ("a length that is none", (b"Content-Length: ",), inside),
                ("a length above 64 bits", (b"Content-Length: 99999999999999999999999",), inside),
                ("two TEs", (chunked, chunked), b"0\r\n\r\n" + inside),
                ("TE that hides", (b"Transfer-Encoding: xchunked",), b"0\r\n\r\n" + inside),
                ("TE with a tail", (b"Transfer-Encoding: chunked, identity",), b"0\r\n\r\n" + inside),
                ("TE with a space before the colon", (b"Transfer-Encoding : chunked", b"Content-Length: 5"), b"0\r\n\r\n" + inside),
                ("TE behind a vertical tab", (b"Transfer-Encoding:\x0bchunked", b"Content-Length: 5"), b"0\r\n\r\n" + inside)):
            self.assert_refused(f"smuggling: {name}", self.post(*lines, body=body), 400, 413)

    def test_chunks_that_are_none(self):
        chunked = b"Transfer-Encoding: chunked"
        for name, body in (("no number", b"zz\r\n"), ("a sign", b"-1\r\n"), ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"), ("above 64 bits", b"fffffffffffffffff\r\n"),
                           ("a chunk without its end", b"5\r\nhelloXX0\r\n\r\n"), ("LF alone", b"5\nhello\n0\n\n" + b"\r\n\r\n")):
            self.assert_refused(f"chunk: {name}", self.post(chunked, body=body), 400, 413)

    def test_chunk_extensions_and_trailers_have_an_end(self):
        chunked = b"Transfer-Encoding: chunked"
        self.assert_refused("an extension of 4 MiB", self.post(chunked, body=b"5;" + b"x" * (4 << 20)), 400, 431)
        self.assert_refused("an extension's value of 4 MiB", self.post(chunked, body=b'5;x="' + b"x" * (4 << 20)), 400, 431)
        self.assert_refused("trailers of 4 MiB", self.post(chunked, body=b"0\r\n" + b"X: y\r\n" * 700_000), 400, 431)
        self.assert_refused("a trailer of 4 MiB", self.post(chunked, body=b"0\r\nX: " + b"y" * (4 << 20)), 400, 431)

    # ---- more than one request ----

    def test_requests_in_one_write_are_answered_in_order_and_garbage_ends_it(self):
        self.assert_answered("ten requests in one write", self.get() * 10, *[self.open_status] * 10)
        peer = self.assert_answered("a request, then garbage", self.get() + b"\x16\x03\x01nonsense\r\n\r\n", self.open_status, 400)
        self.assertEqual(peer.await_end(), b"")
        for name, sent in (("TLS inside", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512)), ("nothing but zeros", bytes(4096)),
                           ("empty lines", b"\r\n" * 10_000), ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n")):
            self.assert_refused(f"garbage: {name}", sent, 400, 431)


class Hub(Requests):
    host, open_status, host_needed = b"localhost", 200, False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.house = scenario.House(cls.programs)
        cls.addClassCleanup(cls.house.end)
        cls.program = cls.house.keep(world.Hub(cls.programs, cls.house.folder / "hub")).start()
        cls.trust = cls.program.trust

    def test_the_upgrade_itself(self):
        peer = self.peer()
        peer.send(upgrade_request(), 1)
        answer = peer.response()
        self.assertEqual(answer.status, 101)
        # The example of RFC 6455 section 1.3.
        self.assertEqual(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(answer.headers["sec-websocket-protocol"], "fieldpost.v1")

    def test_upgrades_that_are_none(self):
        for name, request, status in (
                ("no version", upgrade_request(drop=["Sec-WebSocket-Version"]), 426),
                ("version 12", upgrade_request(sec_websocket_version="12"), 426),
                ("version 13 and more", upgrade_request(sec_websocket_version="13, 8"), 426),
                ("no key", upgrade_request(drop=["Sec-WebSocket-Key"]), 400),
                ("an empty key", upgrade_request(key=""), 400),
                ("a short key", upgrade_request(key="c2hvcnQ="), 400),
                ("a long key", upgrade_request(key="x" * 1000), 400),
                ("two keys", upgrade_request(extra=["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]), 400),
                ("no protocol", upgrade_request(drop=["Sec-WebSocket-Protocol"]), 400),
                ("another protocol", upgrade_request(sec_websocket_protocol="chat"), 400),
                ("no Upgrade", upgrade_request(drop=["Upgrade"]), 426),
                ("another Upgrade", upgrade_request(upgrade="h2c"), 426),
                ("no Connection", upgrade_request(drop=["Connection"]), 426),
                ("a Connection that closes", upgrade_request(connection="close"), 426),
                ("HTTP/1.0", upgrade_request(version="HTTP/1.0"), 426),
                ("POST", upgrade_request(method="POST"), 426),
                ("no Host", upgrade_request(drop=["Host"]), 400),
                ("two Hosts", upgrade_request(extra=["Host: localhost"]), 400),
                ("a body", upgrade_request(extra=["Content-Length: 5"]) + b"hello", 400),
                ("data before the answer", upgrade_request() + hostile.frame(hostile.BINARY, b"early"), 400)):
            with self.subTest(name):
                answer = self.assert_refused(f"upgrade: {name}", request, status)
                if answer and "version" in name and status == 426:
                    self.assertEqual(answer.headers["sec-websocket-version"], "13")
        for path in ("/v1/sync/other", "/v1/sync/", "/V1/SYNC", "/"):
            self.assert_answered(f"upgrade: another path, {path}", upgrade_request(path=path), 401)


class Agent(Requests):
    open_path, open_status, host_needed = b"/v1/status", 401, True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.house = scenario.House(cls.programs)
        cls.addClassCleanup(cls.house.end)
        hub = cls.house.keep(world.Hub(cls.programs, cls.house.folder / "hub"))
        world.must(hub.cli("unit", "add", "01-PPT", "--name", "Poipet"))
        hub.start()
        cls.program = cls.house.keep(world.Tablet(cls.programs, cls.house.folder / "T01")).enrol(hub, "T01").start()
        cls.trust, cls.host = None, b"127.0.0.1:%d" % cls.program.port

    def test_an_upgrade_is_an_ordinary_request_here(self):
        self.assert_answered("upgrade at a tablet", upgrade_request(path="/v1/sync").replace(b"Host: localhost", b"Host: " + self.host), 401)


del Requests  # its two kinds are the tests

if __name__ == "__main__":
    scenario.main()
