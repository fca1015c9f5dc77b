#!/usr/bin/env python3
"""Bad requests to every route of both programs: a sentence, the right status, and the program goes on working.

The hub's routes are those of its API document, the agent's those of docs/agent-api.md; tests/hub/routes_test.cpp
and tests/agent/routes_test.cpp hold both equal to what the routers serve.
"""

import json
import re
import socket
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


SOURCE = pathlib.Path(__file__).resolve().parents[2]
NO_RECORD = "01950f3a-1001-7a4c-9b1e-5c2d8e7f0001"
ODD_VALUES = [5, -1, [], {}, True, None, "x", 1.5, 10**30, ["x"], {"a": 1}, [[1]], "\x00\x1b[2J", "x" * 100_000, "\ud800"]
GARBAGE = [b"", b"{", b"nonsense", b"[]", b"null", b"5", b'"text"', b"\xff\xfe\x00", b"[" * 50_000, b'{"a":' * 50_000, b'{"a":1,"a":2}',
           b"{}" + b" " * 1000 + b"x"]
BAD_PATH_PARTS = ["x", "%00", "%ff%fe", "..%2f..%2fetc", "a" * 2000, NO_RECORD, "%F0%9F%98%80", "-1", "18446744073709551616"]


DOCUMENT = json.loads((SOURCE / "hub/api/openapi.json").read_text())


def hub_routes():
    return [(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods]


def agent_routes():
    rows = [line for line in (SOURCE / "docs/agent-api.md").read_text().splitlines() if line.startswith("| `")]
    return [tuple(route.split(" ")) for row in rows for route in re.findall(r"`((?:GET|POST|PUT|DELETE) /v1/[^`]*)`", row)]


def filled(path, value=NO_RECORD):
    return re.sub(r"\{[^}]*\}", value, path)


class BadRequests(scenario.Scenario):
    """Both programs serve the same tests: `self.ask(method, path, body, headers)`."""

    open_routes = ()

    def assert_sentence(self, answer, *statuses, what=""):
        self.assertIn(answer.status, statuses or range(400, 500), f"{what}: {answer!r}")
        error = answer.json()["error"]
        self.assertRegex(error["code"], r"^[a-z_]+$", what)
        words = error["message"]
        self.assertGreaterEqual(len(words.split()), 3, f"{what}: {words!r} is no sentence")
        self.assertNotRegex(words, r"exception|terminate|std::|\.cpp|assert", what)

    def assert_alive(self):
        self.assertTrue(self.program.daemon.alive(), self.program.daemon.log())

    def is_fine(self, answer, what):
        """A harmless request may well be answered; what is refused is refused in words; never a 5xx."""
        if answer.status >= 400:
            self.assert_sentence(answer, what=what)
        else:
            self.assertLess(answer.status, 300, what)

    def test_every_route_refuses_who_has_no_token_or_a_wrong_one(self):
        for method, path in self.routes:
            if path in self.open_routes:
                continue
            for token in (None, "", "Bearer", "Bearer wrong", "Basic eDp4", f"Bearer {self.program.token}x", self.program.token):
                headers = {} if token is None else {"Authorization": token}
                self.assert_sentence(self.ask(method, filled(path), {}, headers, token=False), 401, what=f"{method} {path} {token}")

    def test_every_route_refuses_garbage_bodies_in_words(self):
        for method, path in self.routes:
            if method == "GET":
                continue
            for body in GARBAGE:
                self.is_fine(self.ask(method, filled(path), body), f"{method} {path} {body[:20]!r}")
        self.assert_alive()

    def test_every_route_refuses_bad_ids_in_words(self):
        for method, path in self.routes:
            if "{" not in path:
                continue
            for part in BAD_PATH_PARTS:
                answer = self.ask(method, filled(path, part), {})
                self.assert_sentence(answer, 400, 404, what=f"{method} {path} {part[:30]}")
        self.assert_alive()

    def test_every_route_refuses_other_methods_and_names_its_own(self):
        for path in {path for _, path in self.routes}:
            own = {method for method, other in self.routes if other == path}
            for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - own:
                answer = self.ask(method, filled(path), {})
                self.assert_sentence(answer, 405, what=f"{method} {path}")
                self.assertEqual(set(answer.headers["Allow"].split(", ")), own, path)
        self.assert_sentence(self.ask("GET", "/v1/nowhere"), 404)
        self.assert_sentence(self.ask("GET", "/v1/records/a/b/c/d/e"), 404)

    def test_every_member_of_every_body_may_be_of_a_wrong_type(self):
        for method, path, good in self.bodies:
            for member in [*good, "unheard_of"]:
                for value in ODD_VALUES:
                    self.is_fine(self.ask(method, path, {**good, member: value}), f"{method} {path} {member}={str(value)[:40]}")
        self.assert_alive()

    def test_every_query_parameter_may_be_nonsense(self):
        for method, path in self.routes:
            if method != "GET":
                continue
            for query in ("limit=0", "limit=-1", "limit=x", "limit=99999999999999999999", "limit=1&limit=2", "after=x", "after=%00",
                          "unit=%ff", "type=dream", "compartment=dream", "state=dream", "lang=xx", "=", "&&&", "%zz", "x" * 5000):
                self.is_fine(self.ask(method, filled(path) + "?" + query), f"{method} {path}?{query[:40]}")
        for query in ("limit=0", "limit=x", "limit=99999999999999999999", "after=x", "limit=1&limit=2", "after=%00"):
            self.assert_sentence(self.ask("GET", "/v1/records?" + query), 400, what=query)

    def test_a_body_too_large_is_refused_before_it_is_sent(self):
        for method, path in self.routes:
            if method == "GET":
                continue
            connection = self.program.connection()
            connection.putrequest(method, filled(path))
            connection.putheader("Authorization", f"Bearer {self.program.token}")
            connection.putheader("Content-Length", str(1 << 40))
            connection.endheaders()
            response = connection.getresponse()
            answer = world.Answer(response.status, dict(response.getheaders()), response.read())
            self.assert_sentence(answer, 413, what=f"{method} {path}")
            connection.close()

    def test_what_is_no_http_is_refused_and_a_silent_peer_harms_nobody(self):
        silent = self.raw_socket()
        for sent in (b"NONSENSE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
                     b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
                     b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            peer = self.raw_socket()
            peer.sendall(sent)
            answer = b""
            try:
                while data := peer.recv(65536):
                    answer += data
            except ConnectionError:
                pass
            peer.close()
            self.assertRegex(answer, rb"^HTTP/1\.1 4\d\d ", sent[:60])
            self.assertRegex(answer, rb'"message":"[^"]+ [^"]+ ', sent[:60])
        silent.close()
        self.assert_alive()


class Hub(BadRequests):
    routes = hub_routes()
    open_routes = ("/healthz", "/readyz", "/v1/enrol", "/v1/openapi.json")
    bodies = [("PUT", "/v1/units/02-ODD", {"name": "Odd", "compartment": "enforcement"}),
              ("POST", "/v1/invitations", {"name": "T99", "unit": "01-PPT", "valid_minutes": 5}),
              ("POST", "/v1/enrol", {"secret": "00" * 16, "device": "11" * 32, "signature": "22" * 64}),
              ("POST", "/v1/quarantine/0000000000000001/1", {"ruling": "retry", "note": "why", "author": "OP"}),
              ("POST", "/v1/records/RECORD/resolve",
               {"path": "outcome", "choose": "0000000000000001:1", "value": "fine", "note": "because", "author": "OP", "version": "x"})]

    def setUp(self):
        super().setUp()
        self.program = self.hub()

    def ask(self, method, path, body=None, headers=None, token=True):
        if "RECORD" in path:
            if not hasattr(self, "record"):
                tablet = self.tablet(self.program, "T01")
                self.record = tablet.record()
                tablet.sync()
            path = path.replace("RECORD", self.record)
        answer = self.program.api(method, path, body, token=token, headers=headers)
        self.assert_documented(method, path, answer.status)
        return answer

    def assert_documented(self, method, path, status):
        """Whatever a request was answered, its operation in the API document names that status."""
        for pattern, methods in DOCUMENT["paths"].items():
            shape = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(pattern))
            if re.fullmatch(shape, path.split("?")[0]) and method.lower() in methods:
                self.assertIn(str(status), methods[method.lower()]["responses"], f"{method} {pattern} does not document {status}")

    def raw_socket(self):
        return self.program.trust.wrap_socket(
            socket.create_connection(("127.0.0.1", self.program.port), timeout=world.DEADLINE_S), server_hostname="localhost")


class Agent(BadRequests):
    routes = agent_routes()
    bodies = [("POST", "/v1/records", {"document": {**world.a_stop(), "type": "stop"}, "author": "NP-1", "lang": "en", "draft": False}),
              ("POST", "/v1/records/RECORD/edits", {"set": {"witness": "Chan"}, "patch": {}, "reason": "asked him", "author": "NP-1",
                                                    "context": {"under": "0000000000000001", "seen": []}, "finalise": False, "lang": "km"}),
              ("POST", "/v1/records/DRAFT/finalise", {"author": "NP-1", "lang": "km"}),
              ("POST", "/v1/records/DRAFT/void", {"author": "NP-1", "reason": "none"}),
              ("POST", "/v1/import", {"rows": [], "type": "stop", "author": "NP-1"}),
              ("POST", "/v1/places", {"name": "odd", "csv": "code,name_km\n"})]

    def setUp(self):
        super().setUp()
        self.the_hub = self.hub()
        self.program = self.tablet(self.the_hub, "T01")
        self.record = self.program.record()
        self.draft = self.program.ask_cli("record", "stop", "--draft", "--from", "-", stdin='{"direction": "entry"}')["id"]
        self.program.start()

    def ask(self, method, path, body=None, headers=None, token=True):
        path = path.replace("RECORD", self.record).replace("DRAFT", self.draft)
        connection = self.program.connection()
        try:
            bearer = {"Authorization": f"Bearer {self.program.token}"} if token else {}
            return world.ask(connection, method, path, body, {**bearer, **(headers or {})})
        finally:
            connection.close()

    def raw_socket(self):
        return socket.create_connection(("127.0.0.1", self.program.port), timeout=world.DEADLINE_S)

    def test_every_route_refuses_a_foreign_host_or_origin(self):
        for method, path in self.routes:
            for headers in ({"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Host": f"127.0.0.1.evil.example:{self.program.port}"},
                            {"Host": "localhost"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
                            {"Origin": f"https://localhost:{self.program.port}"}, {"Origin": f"http://localhost:{self.program.port}.evil.example"}):
                self.assert_sentence(self.ask(method, filled(path), {}, headers), 403, what=f"{method} {path} {headers}")
        for headers in ({"Host": f"localhost:{self.program.port}"}, {"Origin": f"http://127.0.0.1:{self.program.port}"}):
            self.assertEqual(self.ask("GET", "/v1/status", headers=headers).status, 200)

    def test_every_field_of_a_document_may_be_of_a_wrong_type_and_nothing_bad_reaches_the_hub(self):
        fields = json.loads((SOURCE / "schemas/records/stop.json").read_text())["properties"]
        good = {**world.a_stop(), "type": "stop"}
        for field in [*fields, "external_id", "unheard_of"]:
            # New ones for each field: a record that was amended a hundred times is slow to amend.
            record, draft = [self.ask("POST", "/v1/records", {"document": good, "author": "NP-1", "draft": is_draft}).json()["id"]
                             for is_draft in (False, True)]
            for value in ODD_VALUES:
                what = f"{field}={str(value)[:40]}"
                self.is_fine(self.ask("POST", "/v1/records", {"document": {**good, field: value}, "author": "NP-1"}), what)
                self.is_fine(self.ask("POST", "/v1/import", {"rows": [{"line": 1, "document": {**good, field: value}}], "author": "NP-1"}), what)
                for edited in (record, draft):
                    self.is_fine(self.ask("POST", f"/v1/records/{edited}/edits",
                                          {"patch": {field: value}, "reason": "because", "author": "NP-1"}), what)
            self.ask("DELETE", f"/v1/records/{draft}")
        for path in ("", "/", "a/b/c/d", "vehicles", "vehicles/+", "vehicles/0/plate", "vehicles/+/plate", "amendments/zz/reason", "id"):
            for value in ODD_VALUES:
                self.is_fine(self.ask("POST", f"/v1/records/{self.record}/edits",
                                      {"set": {path: value}, "reason": "because", "author": "NP-1"}), path)
        self.assert_alive()
        self.program.stop()
        self.program.sync()
        self.assertEqual(self.the_hub.ask_cli("quarantine")["quarantine"], [])
        self.assert_converged(self.the_hub, self.program)


del BadRequests  # its two kinds are the tests

if __name__ == "__main__":
    scenario.main()
