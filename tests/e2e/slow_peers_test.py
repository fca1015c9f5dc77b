#!/usr/bin/env python3
"""Peers that take their time: nothing, half of something, a byte now and then, or never reading. The hub ends each by
its own timer. The timers are short here (hub.json), and only ever awaited: how long one took is never asserted.

Each test leaves one timer short and all others at an hour, so that no other can have ended it.
"""

import pathlib
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hostile  # noqa: E402
import scenario  # noqa: E402
import world  # noqa: E402
from hostile import BINARY, CONTINUATION, FRAME_MAX, PING, frame, message_of  # noqa: E402

SHORT_MS, HOUR_MS = 700, 3_600_000
TIMERS = ("handshake_ms", "header_ms", "body_ms", "idle_ms", "greeting_ms", "silence_ms", "message_ms")
POST = b"POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\n"


def client_hello(trust):
    """The first flight of a handshake, as bytes."""
    incoming, outgoing = hostile.ssl.MemoryBIO(), hostile.ssl.MemoryBIO()
    session = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        session.do_handshake()
    except hostile.ssl.SSLWantReadError:
        pass
    return outgoing.read()


class SlowPeers(scenario.Scenario):
    def hub_with_short(self, *timers):
        hub = self.hub(start=False)
        hostile.set_connections(hub, **{timer: SHORT_MS if timer in timers else HOUR_MS for timer in TIMERS}, close_ms=SHORT_MS)
        self.program = hub.start()

    def peer(self, tls=True, **more):
        peer = hostile.Peer(self.program.port, self.program.trust if tls else None, **more)
        self.addCleanup(peer.close)
        return peer

    def trickle(self, peer, pieces):
        """One piece after the other, never in a hurry, until the hub ends it: what came until then."""
        deadline = time.monotonic() + world.DEADLINE_S
        for piece in pieces:
            if time.monotonic() > deadline:
                self.fail(f"the hub still listens after {world.DEADLINE_S} s of trickle")
            peer.send(piece)
            if select.select([peer.socket], [], [], 0.02)[0]:
                break
        return peer.await_end()

    def assert_nobody_left(self):
        world.wait_until(lambda: hostile.metric(self.program, "fieldpost_hub_strangers_open") == 0)
        self.assertTrue(self.program.daemon.alive(), self.program.daemon.log())

    @staticmethod
    def forever(piece):
        while True:
            yield piece

    def test_the_tls_handshake(self):
        self.hub_with_short("handshake_ms")
        hello = client_hello(self.program.trust)
        self.assertEqual(self.peer(tls=False).await_end(), b"", "no ClientHello")
        self.peer(tls=False).send(hello[:len(hello) // 2]).await_end()
        self.peer(tls=False).send(hello).await_end()  # and never the second flight
        self.trickle(self.peer(tls=False), [hello[n:n + 1] for n in range(len(hello) - 1)] + [b""] * 10_000)
        self.peer(tls=False).send(b"\x16\x03\x01\x40\x00" + b"\x01" * 100).await_end()  # a record that announces 16 KiB
        self.assert_nobody_left()

    def test_a_request_header(self):
        self.hub_with_short("header_ms")
        self.assertEqual(self.peer().await_end(), b"", "nothing after the handshake")
        self.peer().send(b"GET /healthz HTTP/1.1\r\nHost: localh").await_end()
        answer = self.trickle(self.peer(), (b"x" for _ in self.forever(None)))
        self.assertNotIn(b" 200 ", answer)
        self.trickle(self.peer().send(b"GET /healthz HTTP/1.1\r\n"), self.forever(b"X: y\r\n"))
        self.trickle(self.peer().send(hostile.upgrade_request()[:-2]), self.forever(b"X"))
        self.assert_nobody_left()

    def test_a_request_body(self):
        self.hub_with_short("body_ms")
        self.peer().send(POST + b"Content-Length: 1000\r\n\r\n").await_end()
        self.trickle(self.peer().send(POST + b"Content-Length: 1000000\r\n\r\n"), self.forever(b" "))
        self.trickle(self.peer().send(POST + b"Transfer-Encoding: chunked\r\n\r\n"), self.forever(b"1\r\n \r\n"))
        self.trickle(self.peer().send(POST + b"Transfer-Encoding: chunked\r\n\r\n5"), self.forever(b";x"))
        self.trickle(self.peer().send(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"), self.forever(b"X"))
        expecting = self.peer().send(POST + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
        self.assertTrue(expecting.await_end().startswith(b"HTTP/1.1 100 "))
        self.assert_nobody_left()

    def test_an_answer_that_is_never_read(self):
        self.hub_with_short("body_ms")
        peer = self.peer(receive_buffer=4096)
        peer.send((b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n") * 200)
        self.assert_nobody_left()  # without a byte read here

    def test_between_two_requests(self):
        self.hub_with_short("idle_ms")
        peer = self.peer().send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(peer.response().status, 200)
        self.assertEqual(peer.await_end(), b"")
        self.assert_nobody_left()

    def test_a_hello_that_never_comes(self):
        self.hub_with_short("greeting_ms")
        self.assertEqual(self.peer().upgrade().await_close(), (1008, "no hello came"))
        begun = self.peer().upgrade().send(frame(BINARY, bytes(10), announced=FRAME_MAX))
        self.assertEqual(begun.await_close(), (1008, "no hello came"))
        # What the peer never reads, or never answers, does not hold its place.
        self.trickle(self.peer().upgrade(), self.forever(frame(PING, b"are you there")))
        self.trickle(self.peer().upgrade().send(frame(BINARY, b"", fin=False)), self.forever(frame(CONTINUATION, b"", fin=False)))
        self.peer().upgrade().send(b"\x82").await_end()
        self.assert_nobody_left()

    def test_a_message_that_never_ends(self):
        self.hub_with_short("message_ms")
        too_slow = (1008, "a message did not arrive whole in time")
        part = self.peer().upgrade().send(frame(BINARY, b"\x01", announced=FRAME_MAX))
        self.assertEqual(part.await_close(), too_slow, "inside a frame")
        between = self.peer().upgrade().send(frame(BINARY, message_of(126), fin=False))
        self.assertEqual(between.await_close(), too_slow, "between fragments")
        self.trickle(self.peer().upgrade().send(frame(BINARY, b"\x01", announced=FRAME_MAX)), self.forever(b"x"))
        self.trickle(self.peer().upgrade().send(frame(BINARY, b"\x01", fin=False)), self.forever(frame(CONTINUATION, b"x", fin=False)))
        self.trickle(self.peer().upgrade().send(frame(BINARY, b"\x01", fin=False)), self.forever(frame(PING)))
        self.assert_nobody_left()

    def test_silence_and_pings_whose_pongs_are_never_read(self):
        self.hub_with_short("silence_ms")
        self.peer().upgrade().await_end()
        flood = self.peer(receive_buffer=4096).upgrade()
        flood.socket.setblocking(False)
        sent, deadline = 0, time.monotonic() + world.DEADLINE_S
        try:
            while time.monotonic() < deadline:
                try:
                    sent += flood.socket.send(frame(PING, b"x" * 125) * 100)
                except (hostile.ssl.SSLWantWriteError, BlockingIOError):
                    break  # the hub reads no further while its pongs are not taken
        except OSError:
            pass
        self.assertGreater(sent, 0)
        self.assert_nobody_left()

    def test_an_end_that_the_peer_does_not_answer(self):
        """The times are an hour each: what ends these is the hub's patience at the end of a connection."""
        self.hub_with_short()
        silent = []
        for sent in (frame(3), frame(BINARY, b"", announced=1 << 40), hostile.close_frame(1000), frame(BINARY, message_of(15))):
            peer = self.peer().upgrade().send(sent)
            peer.await_frame(hostile.CLOSE)
            silent.append(peer)  # neither a close frame nor TLS's good-bye nor the end of TCP
        refused = self.peer().send(b"nonsense\r\n\r\n")
        self.assertEqual(refused.response().status, 400)
        self.assert_nobody_left()
        for peer in silent:
            self.assertNotEqual(peer.socket.fileno(), -1)

    def test_an_honest_tablet_is_not_ended_by_any_of_these(self):
        self.hub_with_short(*TIMERS)
        tablet = self.tablet(self.program, "T01")
        tablet.record()
        tablet.sync()
        self.assert_converged(self.program, tablet)


if __name__ == "__main__":
    scenario.main()
