#!/usr/bin/env python3
"""What people read on a tablet when something else than its hub answers, or nothing: one sentence with what to do, from
`sync --once` and from `status`; and the daemon goes on trying."""

import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

LOGIN_PAGE = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Stranger:
    """Answers each connection in its own way until it is closed."""

    def __init__(self, answer):
        self.answer, self.kept = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.kept.append(connection)
            self.answer(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.kept:
            connection.close()


def login_page(connection):
    connection.sendall(LOGIN_PAGE)


def hang_up(connection):
    connection.close()


def say_nothing(_):
    pass


class NotTheHub(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub = self.hub()
        self.the_tablet = self.tablet(self.the_hub, "T01")
        self.record = self.the_tablet.record()

    def dials(self, **where):
        identity = self.the_tablet.path / "identity.json"
        identity.write_text(json.dumps({**json.loads(identity.read_text()), **where}))

    def stranger(self, answer):
        made = Stranger(answer)
        self.addCleanup(made.close)
        return made

    def assert_said(self, *words, final):
        ran = self.the_tablet.cli("sync", "--once", "--timeout", 3)
        self.assertEqual(ran.code != 0, True, ran)
        self.assertEqual(ran.err.count("\n"), 1, ran)
        for word in words:
            self.assertIn(word, ran.err)
        self.assertEqual("not in sync after 3 s, 1 waiting" in ran.err, not final, ran)
        self.the_tablet.start()
        world.wait_until(lambda: self.the_tablet.ask_cli("status")["last_error"])
        said = self.the_tablet.cli("status").out
        self.assertTrue(said.startswith("Offline. 1 waiting."), said)
        for word in words:
            self.assertIn(word, said)
        status = self.the_tablet.ask_cli("status")
        self.assertFalse(status["online"])
        first = status["last_attempt"]
        world.wait_until(lambda: self.the_tablet.ask_cli("status")["last_attempt"] != first)  # it goes on trying
        # And finds the hub, once it is there again.
        self.the_tablet.stop()
        self.dials(port=self.the_hub.port, host="localhost", server_name="localhost")
        self.the_tablet.sync()
        self.assertIn(self.record, self.the_hub.records())

    def test_a_login_page_in_clear(self):
        self.dials(port=self.stranger(login_page).port)
        self.assert_said("does not answer with TLS", "Open a browser and log in", final=True)

    def test_a_login_page_with_its_own_certificate(self):
        other = self.hub("other")
        self.dials(port=other.port)
        self.assert_said("captive portal", "Nothing was sent", "open a browser and log in", final=True)

    def test_a_certificate_for_another_name(self):
        self.dials(server_name="hub.example")
        self.assert_said("not for hub.example", "ask the hub's operator", final=True)

    def test_a_port_that_hangs_up(self):
        self.dials(port=self.stranger(hang_up).port)
        self.assert_said("closed the connection during the TLS handshake", "It is tried again", final=False)

    def test_a_port_where_nobody_listens(self):
        self.dials(port=world.free_port())
        self.assert_said("refuses connections", "ask the hub's operator", final=False)

    def test_a_name_that_is_not_known(self):
        self.dials(host="no-such-hub.invalid")
        self.assert_said("no-such-hub.invalid is not known here", "another network", final=False)

    def test_a_port_that_says_nothing(self):
        self.dials(port=self.stranger(say_nothing).port)
        ran = self.the_tablet.cli("sync", "--once", "--timeout", 2)
        self.assertIn("not in sync after 2 s, 1 waiting", ran.err)
        self.assertIn("has not answered yet", ran.err)
        self.assertEqual(ran.err.count("\n"), 1, ran)


if __name__ == "__main__":
    scenario.main()
