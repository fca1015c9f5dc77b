"""Hubs and tablets as real processes, for tests in Python.

Every wait is for an event: a line of a log, the end of a process, an answer. Each has a deadline after which the
test fails with what the program said.
"""

import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid

DEADLINE_S = 60
"""A loaded machine is slow; a program that does not answer for so long hangs."""


class Programs:
    """Where a build keeps what it made."""

    def __init__(self, build):
        build = pathlib.Path(build).resolve()
        cache = build / "CMakeCache.txt"
        self.sanitized = cache.exists() and bool(re.search(r"^FIELDPOST_SANITIZE:[A-Z]+=\S", cache.read_text(), re.MULTILINE))
        """Memory figures say nothing: what is let go is kept aside for a while."""
        self.hub = str(build / "hub/fieldpost-hub")
        self.agent = str(build / "agent/fieldpost-agent")
        self.health = str(build / "agent/fieldpost-health")
        self.raw_change = str(build / "tests/support/raw_change")
        self.store_tool = str(build / "tests/support/store_tool")
        self.clock_shift = str(build / "tests/support/clock_shift.so")


class Ran:
    """How a command ended: code is negative when a signal ended it."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out[-2000:]}\nstderr: {self.err[-2000:]}"


def run(*command, stdin="", timeout=DEADLINE_S, environment=None):
    done = subprocess.run(
        [str(part) for part in command], input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True, timeout=timeout, env={**clean_environment(), **(environment or {})})
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("FIELDPOST_")}


def must(ran):
    if ran.code != 0:
        raise AssertionError(f"a command that must succeed did not: {ran!r}")
    return ran


def wait_until(question, deadline_s=DEADLINE_S):
    """Asks again until the answer is true."""
    deadline = time.monotonic() + deadline_s
    while not question():
        if time.monotonic() > deadline:
            raise AssertionError(f"this did not come true within {deadline_s} s")
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Clock:
    """The wall clock of one machine, which a test sets; its programs look at it each time they ask for the time."""

    def __init__(self, programs, path):
        self.path, self.shift_s = pathlib.Path(path), 0
        self.environment = {"LD_PRELOAD": programs.clock_shift, "FIELDPOST_TEST_CLOCK_SHIFT_FILE": str(self.path),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}
        self.shift(0)

    def shift(self, seconds):
        """So many seconds from the real time. In one step: nobody reads half a number."""
        self.shift_s = int(seconds)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.shift_s}\n")
        fresh.rename(self.path)

    def set(self, unix_s):
        self.shift(unix_s - time.time())

    def now(self):
        return time.time() + self.shift_s


class Daemon:
    """A process whose log lines are events."""

    def __init__(self, command, **environment):
        self.lines = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", env={**clean_environment(), **environment})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.lines.append(None)  # the end
            self._news.notify_all()

    def wait_line(self, pattern, start=0):
        """The first match of `pattern` in a line from number `start` on."""
        deadline = time.monotonic() + DEADLINE_S
        with self._news:
            while True:
                for line in self.lines[start:]:
                    if line is None:
                        raise AssertionError(f"the program ended before it said {pattern!r}: {self.log()}")
                    found = re.search(pattern, line)
                    if found:
                        return found
                if not self._news.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError(f"the program did not say {pattern!r}: {self.log()}")

    def log(self):
        return "\n".join(line for line in self.lines[-40:] if line is not None)

    def alive(self):
        return self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def end(self, sig):
        """Sends the signal and waits for the end. Answers the exit code."""
        if self.alive():
            self._process.send_signal(sig)
        try:
            return self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the program did not end on signal {sig}: {self.log()}") from None
        finally:
            self._reader.join(DEADLINE_S)
            self._process.stdout.close()


def environment_of(clock):
    return clock.environment if clock else {}


def with_clock(clock, more):
    return {**more, "environment": {**environment_of(clock), **more.get("environment", {})}}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status}: {self.body[:1000]!r}"


def ask(connection, method, path, body=None, headers=None):
    data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    connection.request(method, path, body=data.encode() if isinstance(data, str) else data, headers=headers or {})
    response = connection.getresponse()
    return Answer(response.status, dict(response.getheaders()), response.read())


class Hub:
    def __init__(self, programs, path, host="localhost", clock=None):
        self.programs, self.path, self.port = programs, pathlib.Path(path), free_port()
        self.daemon, self.clock = None, clock
        must(self.cli("init", "--name", host, "--listen", "127.0.0.1", "--port", self.port))
        self.token = (self.path / "keys/admin.token").read_text().strip()
        self.trust = ssl.create_default_context(cafile=str(self.path / "keys/ca.pem"))

    def cli(self, *arguments, **more):
        return run(self.programs.hub, "--data", self.path, *arguments, **with_clock(self.clock, more))

    def ask_cli(self, *arguments):
        return must(self.cli("--json", *arguments)).json()

    def rot(self, table, key, compartment="enforcement"):
        """One bit of one stored value; the hub must not run."""
        must(run(self.programs.store_tool, self.path / compartment, "flip", table, key))

    def start(self, clock_shift_s=0):
        shifted = {"LD_PRELOAD": self.programs.clock_shift, "FIELDPOST_TEST_CLOCK_SHIFT_S": str(clock_shift_s),
                   "ASAN_OPTIONS": "verify_asan_link_order=0"} if clock_shift_s else environment_of(self.clock)
        self.daemon = Daemon([self.programs.hub, "--data", self.path, "run"], **shifted)
        self.daemon.wait_line(r"listens on")
        return self

    def kill(self):
        return self.daemon.end(signal.SIGKILL)

    def stop(self):
        code = self.daemon.end(signal.SIGTERM) if self.daemon else 0
        self.daemon = None
        if code != 0:
            raise AssertionError(f"the hub ended with {code} when it was asked to stop")

    def connection(self, timeout=DEADLINE_S):
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=self.trust)

    def api(self, method, path, body=None, token=True, headers=None):
        connection = self.connection()
        try:
            bearer = {"Authorization": f"Bearer {self.token}"} if token else {}
            return ask(connection, method, path, body, {**bearer, **(headers or {})})
        finally:
            connection.close()

    def get(self, path):
        answer = self.api("GET", path)
        if answer.status != 200:
            raise AssertionError(f"GET {path}: {answer!r}")
        return answer.json()

    def invite(self, name, unit="01-PPT", **more):
        extra = [f"--{key.replace('_', '-')}={value}" for key, value in more.items()]
        return self.ask_cli("device", "invite", name, "--unit", unit, *extra)["code"]

    def records(self):
        """All of them, by id."""
        found, after = {}, ""
        while True:
            page = self.get("/v1/records?limit=500" + (f"&after={after}" if after else ""))
            found.update((record["id"], record) for record in page["records"])
            after = page.get("next_after")
            if not after:
                return found

    def digest(self, unit="01-PPT"):
        return self.get(f"/v1/digests/{unit}")["digest"]


class Tablet:
    def __init__(self, programs, path, author="NP-2231", clock=None):
        self.programs, self.path, self.author = programs, pathlib.Path(path), author
        self.daemon, self.port, self.clock = None, None, clock

    def cli(self, *arguments, **more):
        return run(self.programs.agent, "--data", self.path, "--author", self.author, *arguments,
                   **with_clock(self.clock, more))

    def ask_cli(self, *arguments, **more):
        return must(self.cli("--json", *arguments, **more)).json()

    def enrol(self, hub, name, unit="01-PPT"):
        must(self.cli("enroll", hub.invite(name, unit)))
        return self

    def start(self):
        self.daemon = Daemon([self.programs.agent, "--data", self.path, "--log-level", "info", "run"],
                             **environment_of(self.clock))
        self.port = int(self.daemon.wait_line(r"answers at http://127\.0\.0\.1:(\d+)").group(1))
        self.token = (self.path / "api.token").read_text().strip()
        return self

    def kill(self):
        return self.daemon.end(signal.SIGKILL)

    def stop(self):
        code = self.daemon.end(signal.SIGTERM) if self.daemon else 0
        self.daemon = None
        if code != 0:
            raise AssertionError(f"the agent ended with {code} when it was asked to stop")

    def connection(self, timeout=DEADLINE_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def api(self, method, path, body=None, connection=None, headers=None):
        own = connection or self.connection()
        try:
            return ask(own, method, path, body, {"Authorization": f"Bearer {self.token}", **(headers or {})})
        finally:
            if connection is None:
                own.close()

    def sync(self, timeout_s=50):
        """Everything there and back; the daemon must not run."""
        return must(self.cli("sync", "--once", "--timeout", timeout_s, timeout=timeout_s + 30))

    def record(self, **fields):
        return self.ask_cli("record", "stop", "--from", "-", stdin=json.dumps({**a_stop(), **fields}))["id"]

    def show(self, record):
        return self.ask_cli("show", record)

    def digest(self, unit="01-PPT"):
        return self.ask_cli("verify")["digests"][unit]

    def keys(self, table):
        return store_keys(self.programs, self.path / "store", table)

    def rot(self, table, key):
        """One bit of one stored value; the daemon must not run."""
        must(run(self.programs.store_tool, self.path / "store", "flip", table, key))

    def raw(self, *lines):
        """Appends changes past every check of the form; the daemon must not run. Answers [{record, dot}]."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return [json.loads(line) for line in must(run(self.programs.raw_change, self.path, stdin=text)).out.splitlines()]


def store_keys(programs, store, table):
    """The keys of a table in hex; nothing may have the store open."""
    return must(run(programs.store_tool, store, "list", table)).out.split()


def a_stop(**more):
    """A complete stop without what the device fills in."""
    return {
        "checkpoint_code": "01-PPT", "direction": "entry", "stop_type": "traffic",
        "stopped_at": "2026-03-14T07:10:00+07:00", "search_type": "none", "outcome": "no_action",
        "officer_id": "NP-2231", "position": {"source": "none", "reason": "under a roof"}, **more}


def raw_stop(ref, **edits):
    """The changes of a complete stop, as raw_change takes them: fields by path."""
    return {"author": "NP-2231", "edits": {
        "author": "NP-2231", "checkpoint_code": "01-PPT", "direction": "entry", "officer_id": "NP-2231",
        "outcome": "no_action", "position/reason": "under a roof", "position/source": "none",
        "ref_no": ref, "search_type": "none", "state": "final", "stop_type": "traffic",
        "stopped_at": "2026-03-14T07:10:00+07:00", **edits}}


def new_record_id(rng: random.Random):
    """A UUIDv7 of now."""
    value = (int(time.time() * 1000) << 80) | (7 << 76) | (rng.getrandbits(12) << 64) | (2 << 62) | rng.getrandbits(62)
    return str(uuid.UUID(int=value))
