#!/usr/bin/env python3
"""Joining a hub: a code works once, in time, for the hub that gave it, over TLS 1.3 and nothing else."""

import errno
import http.client
import select
import shutil
import socket
import subprocess
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def changed(code, place):
    """The code with one letter of its secret part changed: place 0 stands in the fingerprint, -3 in the secret."""
    address, letters = code.split("/")
    index = place % len(letters)
    other = LETTERS[(LETTERS.index(letters[index]) + 1) % 32]
    return f"{address}/{letters[:index]}{other}{letters[index + 1:]}"


class LosesTheAnswer:
    """A link to the hub that carries the request and loses what the hub says after the handshake."""

    def __init__(self, hub_port, until):
        self.hub_port, self.until = hub_port, until
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.carry, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(world.DEADLINE_S)
        self.listener.close()

    def carry(self):
        tablet, _ = self.listener.accept()
        hub = socket.create_connection(("127.0.0.1", self.hub_port))
        bursts = 0  # of the tablet: its hello, then the end of the handshake with the request
        with tablet, hub:
            while bursts < 2:
                ready, _, _ = select.select([tablet, hub], [], [], world.DEADLINE_S)
                for source in ready:
                    data = source.recv(65536)
                    (hub if source is tablet else tablet).sendall(data)
                    bursts += source is tablet
                if not ready:
                    return
            deadline = time.monotonic() + world.DEADLINE_S
            while not self.until() and time.monotonic() < deadline:
                if select.select([tablet], [], [], 0.05)[0]:
                    hub.sendall(tablet.recv(65536))


class Enrolment(scenario.Scenario):
    def newcomer(self, name):
        tablet = world.Tablet(self.programs, self.folder / name)
        self.addCleanup(scenario.end, tablet)
        return tablet

    def assert_not_enrolled(self, tablet):
        ran = tablet.cli("status")
        self.assert_refused(ran, "fieldpost-agent", "enroll")

    def test_a_code_joins_one_tablet_and_both_screens_show_the_same_letters(self):
        hub = self.hub()
        code = hub.invite("T01")
        ran = world.must(self.newcomer("a").cli("enroll", code))
        self.assertIn(hub.ask_cli("device", "show", "T01")["compare"], ran.out)
        late = self.newcomer("b")
        self.assert_refused(late.cli("enroll", code), "fieldpost-agent", "the hub refused", "used", "ask for a new one")
        self.assert_not_enrolled(late)
        world.must(late.cli("enroll", hub.invite("T02")))  # the refused attempt left nothing in the way

    def test_typed_with_dashes_and_capitals_a_code_still_works(self):
        hub = self.hub()
        address, letters = hub.invite("T01").split("/")
        typed = "-".join(letters[i:i + 4] for i in range(0, len(letters), 4)).upper()
        world.must(self.newcomer("a").cli("enroll", f"{address}/{typed}"))

    def test_an_expired_code_is_refused_in_words(self):
        hub = self.hub()
        code = hub.invite("T01", valid_minutes=1)
        hub.stop()
        hub.start(clock_shift_s=120)  # the hub's own clock decides
        tablet = self.newcomer("a")
        self.assert_refused(tablet.cli("enroll", code), "fieldpost-agent", "the hub refused", "expired")
        self.assert_not_enrolled(tablet)

    def test_a_wrong_secret_is_refused_and_the_right_one_still_works(self):
        hub = self.hub()
        code = hub.invite("T01")
        tablet = self.newcomer("a")
        self.assert_refused(tablet.cli("enroll", changed(code, -3)), "fieldpost-agent", "unknown or was used")
        self.assert_not_enrolled(tablet)
        world.must(tablet.cli("enroll", code))

    def test_a_code_of_another_authority_is_refused_before_the_secret_is_sent(self):
        hub = self.hub()
        code = hub.invite("T01")
        tablet = self.newcomer("a")
        ran = tablet.cli("enroll", changed(code, 0))
        self.assertIn(ran.code, (1, 2), ran)
        self.assertTrue(ran.err.startswith("fieldpost-agent: ") and ran.err.count("\n") == 1, ran)
        self.assert_not_enrolled(tablet)
        world.must(tablet.cli("enroll", code))  # the secret was not spent

    def test_codes_that_are_no_codes_are_refused_in_words(self):
        tablet = self.newcomer("a")
        for code in ("", "x", "hub.example", "hub.example:1/", "hub.example/abcd", "hub.example:99999/abcd",
                     ":8443/abcd", "hub.example:x/abcd", "hub.example:8443/" + "u" * 77, "hub.example:8443/" + "0" * 5000):
            self.assert_refused(tablet.cli("enroll", code), "fieldpost-agent", "no enrolment code", "HOST:PORT/LETTERS")

    def test_a_code_outlives_a_restart_of_the_hub_and_so_does_the_tablet(self):
        hub = self.hub()
        first, second = hub.invite("T01"), hub.invite("T02")
        enrolled = self.newcomer("a")
        world.must(enrolled.cli("enroll", first))
        hub.kill()
        late = self.newcomer("b")
        ran = late.cli("enroll", second)  # nobody is there
        self.assertEqual(ran.code, 1, ran)
        self.assertIn("connect", ran.err.lower())
        hub.start()
        world.must(late.cli("enroll", second))
        record = late.record()
        late.sync()
        enrolled.sync()
        self.assertEqual(enrolled.show(record)["id"], record)
        self.assert_converged(hub, enrolled, late)

    def test_an_answer_lost_on_the_way_costs_neither_code_nor_name(self):
        hub = self.hub()
        code = hub.invite("T01")
        host, letters = code.split(f":{hub.port}/")
        tablet, thief = self.newcomer("a"), self.newcomer("b")
        with LosesTheAnswer(hub.port, until=lambda: hub.ask_cli("device", "list")["devices"]) as link:
            lost = tablet.cli("enroll", f"{host}:{link.port}/{letters}")
        self.assertNotEqual(lost.code, 0, lost)
        self.assert_not_enrolled(tablet)
        first = hub.ask_cli("device", "show", "T01")  # the hub took it
        self.assertEqual((tablet.path / "enrolment.json").stat().st_mode & 0o777, 0o600)
        self.assert_refused(thief.cli("enroll", code), "fieldpost-agent", "used")  # it stays that tablet's
        hub.kill()
        hub.start()

        ran = world.must(tablet.cli("enroll", code))
        self.assertIn(first["compare"], ran.out)
        self.assertEqual([d["device"] for d in hub.ask_cli("device", "list")["devices"]], [first["device"]])
        self.assertFalse((tablet.path / "enrolment.json").exists())
        tablet.record()
        tablet.sync()
        self.assert_converged(hub, tablet)

    def test_a_mistyped_code_costs_no_keys(self):
        hub = self.hub()
        tablet = self.newcomer("a")
        self.assertNotEqual(tablet.cli("enroll", changed(hub.invite("T01"), -3)).code, 0)
        before = (tablet.path / "enrolment.json").read_text()
        self.assertNotEqual(tablet.cli("enroll", changed(hub.invite("T02"), -3)).code, 0)
        self.assertEqual((tablet.path / "enrolment.json").read_text(), before)
        world.must(tablet.cli("enroll", hub.invite("T03")))

    def test_an_enrolled_tablet_is_not_enrolled_again_over_its_records(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        self.assert_refused(tablet.cli("enroll", hub.invite("T02")), "fieldpost-agent", "enrolled already", "--data")

    def test_an_enrolment_without_proof_of_the_key_is_refused(self):
        hub = self.hub()
        letters = hub.invite("T01").split("/")[1]
        number = 0
        for letter in letters:
            number = number * 32 + LETTERS.index(letter)
        secret = (number >> (len(letters) * 5 - 48 * 8)).to_bytes(48, "big")[32:]
        answer = hub.api("POST", "/v1/enrol", {"secret": secret.hex(), "device": "11" * 32, "signature": "22" * 64}, token=False)
        self.assertIn(answer.status, (400, 403), answer)
        self.assertEqual(hub.ask_cli("device", "list")["devices"], [])


class Transport(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub = self.hub()

    def openssl(self, *options):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.the_hub.port}", "-CAfile",
                               str(self.the_hub.path / "keys/ca.pem"), *options], input=b"", capture_output=True, timeout=60)

    def test_tls_1_3_is_spoken_and_nothing_older(self):
        if not shutil.which("openssl"):
            self.skipTest("openssl is not installed")
        good = self.openssl("-tls1_3", "-verify_return_error")
        self.assertEqual(good.returncode, 0, good.stderr[-1000:])
        self.assertIn(b"TLSv1.3", good.stdout)
        for older in ("-tls1_2", "-tls1_1", "-tls1"):
            refused = self.openssl(older)
            self.assertNotEqual(refused.returncode, 0, (older, refused.stdout[-1000:]))
            self.assertNotIn(b"Verify return code: 0", refused.stdout.split(b"Cipher is (NONE)")[0])

    def test_plain_http_to_the_hub_gets_no_answer_and_harms_nobody(self):
        for sent in (b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x00" * 4096, b"\x16\x03\x01\xff\xff" + b"A" * 70000):
            with socket.create_connection(("127.0.0.1", self.the_hub.port), timeout=world.DEADLINE_S) as plain:
                answer = b""
                try:
                    plain.sendall(sent)
                    try:
                        plain.shutdown(socket.SHUT_WR)
                    except OSError as error:  # the hub has hung up already; what it said is still read
                        if error.errno != errno.ENOTCONN:
                            raise
                    while data := plain.recv(4096):
                        answer += data
                except ConnectionError:
                    pass
                self.assertNotIn(b"HTTP/1.1 2", answer)
                self.assertNotIn(b"records", answer)
        self.assertEqual(self.the_hub.api("GET", "/healthz", token=False).status, 200)
        self.assertTrue(self.the_hub.daemon.alive())

    def test_a_client_that_trusts_others_does_not_trust_the_hub(self):
        import ssl
        connection = http.client.HTTPSConnection("localhost", self.the_hub.port, timeout=60, context=ssl.create_default_context())
        with self.assertRaises(ssl.SSLError):
            connection.request("GET", "/healthz")


if __name__ == "__main__":
    scenario.main()
