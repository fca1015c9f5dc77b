#!/usr/bin/env python3
"""Payloads that are small on the wire and large in memory, or have no end: each is refused for what it is, and the
hub's memory stays where it was."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hostile  # noqa: E402
import scenario  # noqa: E402
import world  # noqa: E402
from hostile import BINARY, FRAME_MAX, PING_MESSAGE, frame, raw_block, zstd_frame  # noqa: E402

MESSAGE_MAX = BODY_MAX = 1024 * 1024
BLOCK_MAX = 128 * 1024
GROWTH_KIB_MAX = 8 * 1024
"""For one hostile connection after the other: what one of them took is there for the next."""


def repeated_block(size, last):
    """An RLE block: four bytes that become up to 128 KiB."""
    return ((last | 1 << 1 | size << 3).to_bytes(3, "little")) + b"\x00"


def expanding(size):
    full, rest = divmod(size, BLOCK_MAX)
    return repeated_block(BLOCK_MAX, 0) * full + repeated_block(rest, 1)


class Bombs(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.program = self.hub()
        self.settle()

    def settle(self):
        """Every code path once, so that what grows later is what hostile peers made grow."""
        self.program.api("GET", "/v1/status")
        self.refused_message(zstd_frame(b"", declared=MESSAGE_MAX, blocks=expanding(MESSAGE_MAX)))
        for path, token in ((b"/v1/enrol", False), (b"/v1/invitations", True)):
            self.request(b"POST", path, b"[" * 60 + b"1" * (BODY_MAX - 60), token=token)
        self.before_kib = hostile.anonymous_kib(self.program.daemon)

    def assert_no_growth(self):
        self.assertTrue(self.program.daemon.alive(), self.program.daemon.log())
        growth = hostile.anonymous_kib(self.program.daemon) - self.before_kib
        if self.programs.sanitized:
            return
        self.assertLessEqual(growth, GROWTH_KIB_MAX, f"{growth} KiB of anonymous memory more than before")

    def refused_message(self, compressed):
        with hostile.Peer(self.program.port, self.program.trust) as peer:
            return peer.upgrade().send(frame(BINARY, b"\x01" + compressed)).await_close()

    def request(self, method, path, body, *headers, token=False):
        """A request whose length is stated, and its answer."""
        lines = [method + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), *headers]
        if token:
            lines.append(b"Authorization: Bearer " + self.program.token.encode())
        with hostile.Peer(self.program.port, self.program.trust) as peer:
            return peer.send(b"\r\n".join(lines) + b"\r\n\r\n" + body).response()

    def test_compressed_messages(self):
        for name, compressed, words in (
                ("declared 2^63", zstd_frame(PING_MESSAGE, declared=1 << 63), "too large: decompresses to"),
                ("declared one byte too many", zstd_frame(b"", declared=MESSAGE_MAX + 1, blocks=expanding(MESSAGE_MAX + 1)), "too large: decompresses to"),
                ("a gigabyte, declared", zstd_frame(b"", declared=1 << 30, blocks=expanding(1 << 30)), "too large: decompresses to"),
                ("a gigabyte, not declared", zstd_frame(b"", descriptor=0x00, blocks=expanding(1 << 30)), "malformed: a zstd frame without its content size"),
                ("a gigabyte, declared as five bytes", zstd_frame(b"", declared=5, blocks=expanding(1 << 30)), "malformed: "),
                ("a gigabyte, declared as a megabyte", zstd_frame(b"", declared=MESSAGE_MAX, blocks=expanding(1 << 30)), "malformed: the zstd frame is damaged"),
                ("less than declared", zstd_frame(PING_MESSAGE, declared=MESSAGE_MAX), "malformed: the zstd frame is damaged"),
                ("a megabyte of nothing, as declared", zstd_frame(b"", declared=MESSAGE_MAX, blocks=expanding(MESSAGE_MAX)), "malformed: "),
                ("two frames", zstd_frame(PING_MESSAGE) * 2, "malformed: not exactly one zstd frame"),
                ("cut short", zstd_frame(PING_MESSAGE)[:-1], "malformed: "),
                ("a skippable frame", b"\x50\x2a\x4d\x18\xff\xff\xff\x7f", "malformed: not a zstd frame"),
                ("a window of 2 TiB", zstd_frame(PING_MESSAGE, descriptor=0xC0).replace(b"\xc0\x50", b"\xc0\xf8", 1), ""),
                ("a block that goes on", zstd_frame(b"", declared=5, blocks=raw_block(b"x" * 5, 0)), "malformed: "),
                ("as many empty blocks as fit", zstd_frame(b"", declared=5, blocks=raw_block(b"", 0) * ((FRAME_MAX - 40) // 3)), "malformed: ")):
            with self.subTest(name):
                code, reason = self.refused_message(compressed)
                self.assertEqual(code, 1008, name)
                self.assertTrue(reason.startswith(words), f"{name}: {reason}")
        for _ in range(100):
            self.refused_message(zstd_frame(b"", declared=MESSAGE_MAX, blocks=expanding(MESSAGE_MAX)))
        self.assert_no_growth()

    def test_messages_that_decode_to_more_than_they_are(self):
        """Counts that are announced and not there: msgpack arrays, maps and texts of 2^32."""
        for name, message in (("array", b"\xdd\xff\xff\xff\xff"), ("map", b"\xdf\xff\xff\xff\xff"), ("text", b"\xdb\xff\xff\xff\xff"),
                              ("bytes", b"\xc6\xff\xff\xff\xff"), ("a body of 2^32", b"\x92\x0c\xdf\xff\xff\xff\xff"),
                              ("nested arrays", b"\x91" * (FRAME_MAX - 10)), ("nested maps", b"\x81\x01" * (FRAME_MAX // 2 - 10))):
            with hostile.Peer(self.program.port, self.program.trust) as peer, self.subTest(name):
                code, reason = peer.upgrade().send(frame(BINARY, b"\x00" + message)).await_close()
                self.assertEqual(code, 1008, name)
                self.assertRegex(reason, "^(malformed|too large|not supported)", name)
        self.assert_no_growth()

    def test_bodies_over_the_limit_are_refused_before_they_are_kept(self):
        post = b"POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\n"
        chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
        for name, sent in (("announced", post + b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1)),
                           ("announced, 2^63 - 1", post + b"Content-Length: 9223372036854775807\r\n\r\n"),
                           ("announced, to be continued", post + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"),
                           ("one chunk of 2^62", chunked + b"4000000000000000\r\n" + b" " * 1000),
                           ("chunks without end", chunked + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 33),
                           ("chunks of one byte without end", chunked + b"1\r\n \r\n" * (BODY_MAX + 10))):
            with hostile.Peer(self.program.port, self.program.trust) as peer, self.subTest(name):
                answer = peer.send(sent).response()
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (413, "too_large"), name)
        self.assert_no_growth()

    def test_compressed_bodies_are_not_taken(self):
        for coding in (b"gzip", b"deflate", b"br", b"zstd", b"identity, gzip", b"x-gzip"):
            answer = self.request(b"POST", b"/v1/enrol", b"\x1f\x8b\x08\x00", b"Content-Encoding: " + coding)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (415, "unsupported"), coding)
        self.assertEqual(self.request(b"POST", b"/v1/enrol", b"{}", b"Content-Encoding: identity").status, 400)
        answer = self.request(b"POST", b"/v1/enrol", b"{}", b"Transfer-Encoding: gzip, chunked")
        self.assertEqual(answer.status, 400)

    def test_json_that_is_deep_or_long(self):
        for name, body in (("100,000 arrays", b"[" * 100_000), ("closed, too", b"[" * 100_000 + b"]" * 100_000),
                           ("100,000 objects", b'{"a":' * 100_000), ("both", b'[{"a":' * 50_000), ("a megabyte of arrays", b"[" * BODY_MAX),
                           ("one level too many", b"[" * 65 + b"]" * 65)):
            for method, path, token in ((b"POST", b"/v1/enrol", False), (b"PUT", b"/v1/units/02-ODD", True), (b"POST", b"/v1/backup", True)):
                answer = self.request(method, path, body, token=token)
                self.assertEqual(answer.status, 400, f"{name} {path}: {answer!r}")
                self.assertEqual(answer.json()["error"]["code"] in ("malformed", "invalid"), True, f"{name} {path}: {answer!r}")
        wide = b'{"name": "%s", "compartment": "enforcement"}' % (b"[{" * 1000)
        self.assertNotIn(b"nests", self.request(b"PUT", b"/v1/units/02-ODD", wide, token=True).body, "brackets in a text are no levels")
        for number in (b"1e400", b"-1e400", b"1e-400", b"9" * 100_000, b"0." + b"0" * 100_000 + b"1", b"1e" + b"9" * 1000, b"-0", b"18446744073709551616"):
            answer = self.request(b"POST", b"/v1/invitations", b'{"name": "T99", "unit": "01-PPT", "valid_minutes": %s}' % number, token=True)
            self.assertIn(answer.status, (400, 413), f"{number[:20]}: {answer!r}")
        self.assert_no_growth()

    def test_a_tablet_refuses_the_same(self):
        tablet = self.tablet(self.program, "T01").start()
        for name, body, headers, status in (("deep", b"[" * 100_000, {}, 400), ("deep objects", b'{"document":' * 50_000, {}, 400),
                                            ("gzip", b"\x1f\x8b\x08\x00", {"Content-Encoding": "gzip"}, 415),
                                            ("large", b" " * (BODY_MAX + 1), {}, 413), ("1e400", b'{"document": {"officer_id": 1e400}}', {}, 400)):
            with self.subTest(name):
                answer = tablet.api("POST", "/v1/records", body, headers=headers)
                self.assertEqual(answer.status, status, f"{name}: {answer!r}")
        self.assertTrue(tablet.daemon.alive(), tablet.daemon.log())


if __name__ == "__main__":
    scenario.main()
