#!/usr/bin/env python3
"""WebSocket frames at the hub's port that no tablet would send: the case families of the Autobahn test suite
(https://github.com/crossbario/autobahn-testsuite), our own cases, against the program.

What a stranger can see of a message is how it is refused: the message itself is sound, so "the first message must be
a hello" (1008) says that each of its bytes arrived where it belongs. A byte lost or doubled would be "malformed".
"""

import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hostile  # noqa: E402
import scenario  # noqa: E402
import world  # noqa: E402
from hostile import BINARY, CLOSE, CONTINUATION, FRAME_MAX, PING, PONG, TEXT, close_frame, frame, message_of  # noqa: E402

UNDERSTOOD = (1008, "the first message must be a hello")
BROKEN = (1002, "")
KHMER_AND_MORE = "sécurité ប៉ោយប៉ែត 𝄞"


class Frames(scenario.Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.house = scenario.House(cls.programs)
        cls.addClassCleanup(cls.house.end)
        cls.hub = cls.house.keep(world.Hub(cls.programs, cls.house.folder / "hub")).start()

    def peer(self):
        peer = hostile.Peer(self.hub.port, self.hub.trust)
        self.addCleanup(peer.close)
        return peer.upgrade()

    def assert_closed(self, name, sent, expected, piece=None):
        """The hub's close: the code, and the reason word for word or its beginning."""
        with self.subTest(name):
            peer = self.peer()
            peer.send(b"".join(sent) if isinstance(sent, list) else sent, piece)
            code, reason = peer.await_close()
            codes = expected[0] if isinstance(expected[0], tuple) else (expected[0],)
            self.assertIn(code, codes, f"{name}: {reason}")
            self.assertTrue(reason.startswith(expected[1]), f"{name}: {reason}")

    def assert_pongs(self, name, sent, *payloads, piece=None):
        """These pongs, in this order, and the connection stands: a message is understood afterwards."""
        with self.subTest(name):
            peer = self.peer()
            peer.send(b"".join(sent) if isinstance(sent, list) else sent, piece)
            for payload in payloads:
                self.assertEqual(peer.await_frame(PONG), payload, name)
            peer.send(frame(BINARY, message_of(15)))
            self.assertEqual(peer.await_close(), UNDERSTOOD, name)

    def tearDown(self):
        super().tearDown()
        self.assertTrue(self.hub.daemon.alive(), self.hub.daemon.log())
        world.wait_until(lambda: hostile.metric(self.hub, "fieldpost_hub_streams_open") == 0)

    # ---- 1: framing ----

    def test_every_size_of_payload_in_one_write_and_in_many(self):
        for size in (15, 123, 124, 125, 126, 127, 128, 1000, 65533, 65534, 65535, 65536, 65537, 131072, FRAME_MAX - 1, FRAME_MAX):
            whole = frame(BINARY, message_of(size))
            self.assert_closed(f"1.1 {size} bytes in one write", whole, UNDERSTOOD)
            self.assert_closed(f"1.2 {size} bytes in writes of {max(1, size // 61)}", whole, UNDERSTOOD, max(1, size // 61))
        self.assert_closed("1.3 no bytes at all", frame(BINARY), (1008, "malformed: an empty frame"))
        self.assert_closed("1.4 one byte that is no codec", frame(BINARY, b"\x07"), (1008, "not supported: frame codec 7 is not known to v1"))

    def test_an_octet_at_a_time(self):
        for size in (15, 125, 126, 127, 1000):
            self.assert_closed(f"1.5 {size} bytes, one octet at a time", frame(BINARY, message_of(size)), UNDERSTOOD, 1)

    def test_every_mask_and_lengths_written_longer_than_needed(self):
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x01\x02\x03"):
            self.assert_closed(f"1.6 mask {mask.hex()}", frame(BINARY, message_of(126), mask=mask), UNDERSTOOD)
        payload = message_of(15)
        for name, length in (("16", b"\xfe" + struct.pack(">H", 15)), ("64", b"\xff" + struct.pack(">Q", 15))):
            self.assert_closed(f"1.7 a length of 15 written in {name} bits", b"\x82" + length + bytes(4) + payload, BROKEN)

    # ---- 2: pings and pongs ----

    def test_pings_are_answered_with_their_payload(self):
        for size in (0, 1, 124, 125):
            payload = bytes(range(size))
            self.assert_pongs(f"2.1 ping of {size} bytes", frame(PING, payload), payload)
            self.assert_pongs(f"2.2 ping of {size} bytes, one octet at a time", frame(PING, payload), payload, piece=1)
        self.assert_pongs("2.3 ten pings in one write", [frame(PING, bytes([n])) for n in range(10)], *[bytes([n]) for n in range(10)])
        self.assert_pongs("2.4 ping of bytes that are no text", frame(PING, b"\x00\xff\xfe\xfd"), b"\x00\xff\xfe\xfd")

    def test_control_frames_above_125_bytes_are_refused(self):
        for opcode in (PING, PONG, CLOSE):
            self.assert_closed(f"2.5 control frame {opcode} of 126 bytes", frame(opcode, b"\x03\xe8" + b"x" * 124), BROKEN)
            self.assert_closed(f"2.6 control frame {opcode} of 65536 bytes", frame(opcode, b"\x03\xe8" + b"x" * 65534), BROKEN)

    def test_pongs_that_nobody_asked_for_are_passed_over(self):
        self.assert_pongs("2.7 a pong", frame(PONG))
        self.assert_pongs("2.8 a pong with a payload, then a ping", [frame(PONG, b"unasked"), frame(PING, b"asked")], b"asked")
        self.assert_pongs("2.9 a thousand pongs", [frame(PONG, b"unasked")] * 1000 + [frame(PING, b"asked")], b"asked")

    # ---- 3: reserved bits ----

    def test_reserved_bits_are_refused_on_every_frame(self):
        for reserved in range(1, 8):
            self.assert_closed(f"3.1 reserved bits {reserved} on a message", frame(BINARY, message_of(15), reserved=reserved), BROKEN)
            self.assert_closed(f"3.2 reserved bits {reserved} on a ping", frame(PING, reserved=reserved), BROKEN)
            self.assert_closed(f"3.3 reserved bits {reserved} on a close", frame(CLOSE, b"\x03\xe8", reserved=reserved), BROKEN)
            self.assert_closed(f"3.4 reserved bits {reserved} in the second fragment, after a ping",
                               [frame(BINARY, b"\x01", fin=False), frame(PING), frame(CONTINUATION, b"x", reserved=reserved)], BROKEN)

    # ---- 4: opcodes ----

    def test_reserved_opcodes_are_refused(self):
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            self.assert_closed(f"4.1 opcode {opcode}, empty", frame(opcode), BROKEN)
            self.assert_closed(f"4.2 opcode {opcode} with a payload", frame(opcode, b"reserved"), BROKEN)
            self.assert_closed(f"4.3 opcode {opcode} inside a fragmented message",
                               [frame(BINARY, b"\x01", fin=False), frame(opcode, b"reserved")], BROKEN)
            self.assert_closed(f"4.4 opcode {opcode}, one octet at a time", frame(opcode, b"reserved"), BROKEN, 1)

    # ---- 5: fragmentation ----

    def fragments(self, payload, count, between=b""):
        """The frames of one message in `count` parts, with something between each two."""
        cuts = [len(payload) * n // count for n in range(count + 1)]
        parts = []
        for n in range(count):
            parts.append(frame(CONTINUATION if n else BINARY, payload[cuts[n]:cuts[n + 1]], fin=n == count - 1))
        return between.join(parts)

    def test_messages_in_fragments_are_put_together(self):
        for size in (15, 126, 65536, FRAME_MAX):
            for count in (2, 3, 7):
                self.assert_closed(f"5.1 {size} bytes in {count} fragments", self.fragments(message_of(size), count), UNDERSTOOD)
        self.assert_closed("5.2 a fragment for each byte", self.fragments(message_of(126), 126), UNDERSTOOD)
        self.assert_closed("5.3 a fragment for each byte, one octet at a time", self.fragments(message_of(126), 126), UNDERSTOOD, 1)
        empty = frame(CONTINUATION, b"", fin=False)
        self.assert_closed("5.4 a thousand empty fragments between", self.fragments(message_of(126), 3, empty * 1000), UNDERSTOOD)
        self.assert_closed("5.5 only empty fragments", [frame(BINARY, b"", fin=False), empty, frame(CONTINUATION)], (1008, "malformed: an empty frame"))
        self.assert_closed("5.6 pongs between the fragments", self.fragments(message_of(126), 5, frame(PONG, b"x")), UNDERSTOOD)

    def test_pings_between_fragments_are_answered_before_the_message(self):
        for piece in (None, 1):
            with self.subTest(f"5.7 pings between fragments, pieces of {piece}"):
                peer = self.peer()
                peer.send(self.fragments(message_of(126), 4, frame(PING, b"between")), piece)
                for _ in range(3):
                    self.assertEqual(peer.await_frame(PONG), b"between")
                self.assertEqual(peer.await_close(), UNDERSTOOD)

    def test_fragments_out_of_place_are_refused(self):
        payload = message_of(15)
        for fin in (True, False):
            self.assert_closed(f"5.8 a continuation of nothing, fin {fin}", frame(CONTINUATION, payload, fin=fin), BROKEN)
            self.assert_closed(f"5.9 an empty continuation of nothing, fin {fin}", frame(CONTINUATION, fin=fin), BROKEN)
            self.assert_closed(f"5.10 a new message inside a message, fin {fin}",
                               [frame(BINARY, payload, fin=False), frame(BINARY, payload, fin=fin)], BROKEN)
            self.assert_closed(f"5.11 a text inside a message, fin {fin}",
                               [frame(BINARY, payload, fin=False), frame(TEXT, b"x", fin=fin)], BROKEN)
        for opcode in (PING, PONG, CLOSE):
            self.assert_closed(f"5.12 control frame {opcode} in fragments",
                               [frame(opcode, b"\x03\xe8", fin=False), frame(CONTINUATION, b"")], BROKEN)

    # ---- 6: text ----

    def test_text_is_refused_as_text_and_bytes_that_are_none_as_such(self):
        for name, text in (("empty", b""), ("Khmer", KHMER_AND_MORE.encode()), ("JSON", b"{}"),
                           ("the longest", b"x" * FRAME_MAX)):
            self.assert_closed(f"6.1 text, {name}", frame(TEXT, text), (1003, "binary messages only"))
        self.assert_closed("6.2 text in fragments, cut inside a character",
                           [frame(TEXT, "ក".encode()[:1], fin=False), frame(CONTINUATION, "ក".encode()[1:])], (1003, "binary messages only"))
        for name, text in (("a lone continuation", b"\x80"), ("overlong", b"\xc0\xaf"), ("a surrogate", b"\xed\xa0\x80"),
                           ("above U+10FFFF", b"\xf4\x90\x80\x80"), ("cut short", b"\xe1\x9e"), ("ff", b"ok\xff")):
            self.assert_closed(f"6.3 not UTF-8: {name}", frame(TEXT, text), ((1007, 1003), ""))

    # ---- 7: closing ----

    def test_a_close_is_answered_with_a_close(self):
        codes = (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
        for name, given, sent in (("without a code", 1005, frame(CLOSE)), ("1000 with a reason", 1000, close_frame(1000, b"done")),
                                  ("a reason of 123 bytes", 1000, close_frame(1000, b"x" * 123)),
                                  *((str(code), code, close_frame(code)) for code in (1000, *codes))):
            with self.subTest(f"7.1 close: {name}"):
                peer = self.peer()
                peer.send(sent)
                code, _ = peer.await_close()
                self.assertIn(code, (1000, given), name)

    def test_close_frames_that_are_none_are_refused(self):
        self.assert_closed("7.2 a payload of one byte", frame(CLOSE, b"\x03"), BROKEN)
        for code in (0, 1, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999):
            self.assert_closed(f"7.3 code {code}", close_frame(code, b"x"), BROKEN)
        self.assert_closed("7.4 a reason of 124 bytes", close_frame(1000, b"x" * 124), BROKEN)
        self.assert_closed("7.5 a reason that is no UTF-8", close_frame(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xff"), ((1002, 1007), ""))

    def test_what_comes_after_a_close_is_not_heard(self):
        for name, after in (("a message", frame(BINARY, message_of(15))), ("a ping", frame(PING, b"late")), ("another close", close_frame(1001)),
                            ("a broken frame", b"\xff\xff\xff\xff"), ("a megabyte", frame(BINARY, bytes(FRAME_MAX)) * 4)):
            with self.subTest(f"7.6 after a close: {name}"):
                peer = self.peer()
                peer.send(close_frame(1000) + after)
                code, _ = peer.await_close()
                self.assertEqual(code, 1000, name)
        self.assert_closed("7.7 a close inside a fragmented message", [frame(BINARY, b"\x01", fin=False), close_frame(1000)], (1000, ""))
        self.assert_closed("7.8 a close between a ping and a message", [frame(PING), close_frame(1000), frame(BINARY, message_of(15))], (1000, ""))

    # ---- 9: limits ----

    def test_what_is_too_large_is_refused_before_it_has_come(self):
        self.assert_closed("9.1 a frame above the protocol's limit", frame(BINARY, message_of(FRAME_MAX + 1)),
                           (1008, f"too large: a frame over {FRAME_MAX} bytes"))
        for name, announced in (("257 KiB", FRAME_MAX + 1024), ("2 GiB", 1 << 31), ("4 GiB", 1 << 32), ("2^63 - 1", (1 << 63) - 1)):
            self.assert_closed(f"9.2 a frame that announces {name}", frame(BINARY, b"", announced=announced), (1009, ""))
        for name, announced in (("2^63", 1 << 63), ("2^64 - 1", (1 << 64) - 1)):
            self.assert_closed(f"9.3 a frame that announces {name}", frame(BINARY, b"", announced=announced), ((1009, 1002), ""))

    def test_a_message_over_the_limit_in_fragments_each_within_it(self):
        for size in (1, 4096, 65536):
            part = bytes(size)
            first = bytes(FRAME_MAX - 1000) if size == 1 else part
            # No more of them than the hub takes: what it has not read when it closes would cut its close frame off.
            count = (FRAME_MAX + 16 - len(first)) // size + 1
            self.assert_closed(f"9.4 fragments of {size} bytes without end",
                               [frame(BINARY, first, fin=False)] + [frame(CONTINUATION, part, fin=False)] * count, (1009, ""))

    def test_frames_that_are_not_masked_are_refused(self):
        for name, sent in (("a message", frame(BINARY, message_of(15), masked=False)), ("a ping", frame(PING, masked=False)),
                           ("a close", frame(CLOSE, b"\x03\xe8", masked=False)),
                           ("the second fragment", frame(BINARY, b"\x01", fin=False) + frame(CONTINUATION, b"x", masked=False))):
            self.assert_closed(f"9.5 not masked: {name}", sent, BROKEN)

    def test_the_codes_that_this_file_awaits_are_those_of_the_document(self):
        text = (pathlib.Path(__file__).resolve().parents[2] / "schemas/wire-v1.md").read_text()
        for code in (1002, 1003, 1007, 1008, 1009):
            self.assertRegex(text, rf"\| {code} \|", f"schemas/wire-v1.md does not say when the hub closes with {code}")


if __name__ == "__main__":
    scenario.main()
