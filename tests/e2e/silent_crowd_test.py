#!/usr/bin/env python3
"""A crowd that connects and never says what it wants, while honest tablets sync: 1,000 connections at four stages, some
in the most expensive state a stranger can bring the hub to, and more than the hub has places for.

Prints what a connection of each kind costs the hub in memory that no file stands behind.
"""

import pathlib
import resource
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import hostile  # noqa: E402
import scenario  # noqa: E402
import world  # noqa: E402
from hostile import BINARY, FRAME_MAX, PING, PONG, frame, zstd_frame  # noqa: E402

CROWD = 1_000
CAP_KIB = 8 * 1024
HOUR_MS = 3_600_000
BODY_MAX = 1024 * 1024


class Crowd(scenario.Scenario):
    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 4 * CROWD
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
        self.crowd = []
        self.addCleanup(self.disperse)

    def disperse(self):
        for peer in self.crowd:
            peer.close()

    def patient_hub(self, **more):
        """It waits an hour for everything: the crowd stands for as long as the test needs it."""
        hub = self.hub(start=False)
        hostile.set_connections(hub, **{f"{name}_ms": HOUR_MS for name in ("handshake", "header", "body", "greeting", "silence", "message")}, **more)
        return hub.start()

    def join(self, hub, stage, source=None):
        peer = hostile.Peer(hub.port, None if stage == "TCP" else hub.trust, source=source)
        self.crowd.append(peer)
        if stage in ("upgrade", "challenge"):
            peer.upgrade()
        if stage == "challenge":
            peer.await_frame(BINARY)
        return peer

    def strangers(self, hub):
        return int(hostile.metric(hub, "fieldpost_hub_strangers_open"))

    def gather(self, hub, name, count, connect):
        """So many of a kind, all with the hub, and what each costs."""
        before, there = hostile.anonymous_kib(hub.daemon), self.strangers(hub)
        for n in range(count):
            connect(n)
        world.wait_until(lambda: self.strangers(hub) == there + count)
        cost = (hostile.anonymous_kib(hub.daemon) - before) / count
        print(f"  {count} connections, {name}: {cost:.0f} KiB each")
        self.assertLessEqual(cost, CAP_KIB, name)
        return cost

    def assert_honest_tablets_sync(self, hub, *tablets):
        ids = [tablet.record(witness=f"witness of {tablet.path.name}") for tablet in tablets]
        for _ in range(2):  # twice: each then has what the others wrote
            for tablet in tablets:
                tablet.sync()
        self.assertLessEqual(set(ids), set(hub.records()))
        self.assert_converged(hub, *tablets)
        self.assertEqual(hub.api("GET", "/healthz", token=False).status, 200)
        self.assertEqual(hub.api("GET", "/v1/status").status, 200)

    def test_a_thousand_that_never_speak(self):
        hub = self.patient_hub()
        tablets = [self.tablet(hub, name) for name in ("T01", "T02", "T03")]
        self.assert_honest_tablets_sync(hub, *tablets)
        for stage in ("TCP", "TLS", "upgrade", "challenge"):
            self.gather(hub, f"silent after the {stage}", CROWD // 4, lambda _, stage=stage: self.join(hub, stage))
        self.assertEqual(self.strangers(hub), CROWD)
        self.assert_honest_tablets_sync(hub, *tablets)
        self.assertEqual(self.strangers(hub), CROWD, "some of the crowd was dropped below the cap")
        self.disperse()
        world.wait_until(lambda: self.strangers(hub) == 0)

    def test_the_most_expensive_strangers(self):
        hub = self.patient_hub()
        tablet = self.tablet(hub, "T01")
        count = 50

        def begun(payload):
            peer = self.join(hub, "challenge").send(frame(BINARY, payload, fin=False) + frame(PING, b"read"))
            self.assertEqual(peer.await_frame(PONG), b"read")  # so was what came before it

        def body(_):
            self.join(hub, "TLS").send(b"POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % BODY_MAX + b" " * (BODY_MAX - 1))

        def chunk_extension(_):
            self.join(hub, "TLS").send(b"POST /v1/enrol HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 8000)

        compressed = b"\x01" + zstd_frame(b"", declared=1 << 20, blocks=(b"\x02\x00\x10\x00" * (FRAME_MAX // 4))[:FRAME_MAX - 20])
        self.gather(hub, "a message of the largest size, all but its end", count, lambda _: begun(bytes(FRAME_MAX - 1)))
        self.gather(hub, "a compressed message, all but its end", count, lambda _: begun(compressed))
        self.gather(hub, "a chunk that does not begin", count, chunk_extension)
        before = hostile.anonymous_kib(hub.daemon)
        self.gather(hub, "a body of the largest size, all but its end, as it arrives", count, body)
        world.wait_until(lambda: hostile.anonymous_kib(hub.daemon) - before >= 0.9 * count * BODY_MAX / 1024)
        whole = (hostile.anonymous_kib(hub.daemon) - before) / count
        print(f"  {count} connections, a body of the largest size, all but its end: {whole:.0f} KiB each")
        self.assertLessEqual(whole, CAP_KIB)
        self.assert_honest_tablets_sync(hub, tablet)

    def test_more_strangers_than_places(self):
        places, more = 64, 100
        hub = self.patient_hub(strangers_max=places)
        known = self.tablet(hub, "T01")
        other = self.tablet(hub, "T02")
        known.start()
        known.daemon.wait_line("connected to the hub")
        neighbour = self.join(hub, "challenge", source="127.0.0.3")
        for _ in range(places + more):
            self.join(hub, "TLS", source="127.0.0.2")
        # Whoever brought most of them lost the oldest of them; the one from elsewhere stands, and so does who is known.
        world.wait_until(lambda: self.strangers(hub) <= places)
        self.assertGreaterEqual(hostile.metric(hub, "fieldpost_hub_strangers_dropped_total"), more)
        self.assertEqual(self.crowd[1].await_end(), b"")
        neighbour.send(frame(PING, b"still here"))
        self.assertEqual(neighbour.await_frame(PONG), b"still here")
        record = known.api("POST", "/v1/records", {"document": {**world.a_stop(), "type": "stop"}, "author": "NP-1"}).json()["id"]
        world.wait_until(lambda: record in hub.records())
        self.assertFalse([line for line in known.daemon.lines if "no connection to the hub" in line])
        other.record()
        other.sync()
        known.stop()
        known.sync()
        self.assert_converged(hub, known, other)

    def test_a_tablets_own_interface_keeps_places_for_its_own_programs(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01").start()
        for _ in range(100):
            peer = hostile.Peer(tablet.port)
            self.crowd.append(peer)
        self.assertEqual(self.crowd[0].await_end(), b"", "the oldest made room")
        self.assertEqual(tablet.api("GET", "/v1/status").status, 200)
        world.must(tablet.cli("status"))


if __name__ == "__main__":
    scenario.main()
