"""The demo's hub and tablets: real processes on this machine, started, asked and ended by process id.

A check that fails is a `Failed` with the sentence to print. Nothing here outlives the demo: every
program is ended with it, and the kernel ends what a killed demo leaves behind.
"""
import ctypes
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request

START_S = 60  # sanitized builds on a busy machine are slow to begin
COMMAND_S = 150


class Failed(Exception):
    """A check did not hold, or a program did not do what it was told."""


def require(condition, sentence):
    if not condition:
        raise Failed(sentence)


def wait_until(question, timeout_s, sentence):
    """Asks again until the answer is true, and gives it back."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer:
            return answer
        require(time.monotonic() < deadline, f"{sentence} (waited {timeout_s} s)")
        time.sleep(0.05)


def end_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Program:
    """One of the programs over one data folder: its commands, and its daemon."""

    def __init__(self, binary, folder, log):
        self.binary, self.folder, self.log = str(binary), pathlib.Path(folder), pathlib.Path(log)
        self.process = None

    def ask(self, *arguments, given=None, status=0):
        """One command; answers what it printed. Any other exit status than expected is a failure."""
        command = [self.binary, "--data", str(self.folder), *map(str, arguments)]
        done = subprocess.run(command, input=given, stdin=None if given else subprocess.DEVNULL, text=True, encoding="utf-8",
                              capture_output=True, timeout=COMMAND_S)
        name = f"{pathlib.Path(self.binary).name} {' '.join(map(str, arguments))[:100]}"
        require(done.returncode == status,
                f"'{name}' ended with {done.returncode}, expected {status}. It said: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.ask("--json", *arguments, **options))

    def json_lines(self, *arguments):
        return [json.loads(line) for line in self.ask("--json", *arguments).splitlines() if line.strip()]

    def start(self, *arguments):
        (self.folder / "run.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which then ends its programs in order.
            self.process = subprocess.Popen([self.binary, "--data", str(self.folder), "run", *arguments], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent)
        wait_until(self.answers, START_S, f"{self.name()} did not begin to answer; its log is {self.log}")

    def answers(self):
        require(self.process.poll() is None, f"{self.name()} ended by itself with {self.process.returncode}; it said: {self.last_words()}")
        try:
            self.run_file = json.loads((self.folder / "run.json").read_text())
            self.get("/healthz" if self.is_hub else "/v1/status")
        except (OSError, ValueError, urllib.error.URLError):
            return False
        return True

    def last_words(self):
        return self.log.read_text(encoding="utf-8", errors="replace").strip()[-400:]

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


class Hub(Program):
    is_hub = True

    def name(self):
        return "the hub"

    def start(self, *arguments):
        super().start(*arguments)
        self.port = self.run_file["port"]

    def get(self, target):
        """A question to its HTTPS API, its certificate checked against its own authority."""
        keys = self.folder / "keys"
        request = urllib.request.Request(f"https://127.0.0.1:{self.run_file['port']}{target}",
                                         headers={"Authorization": "Bearer " + (keys / "admin.token").read_text().strip()})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(keys / "ca.pem"))))
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def digest(self, unit):
        return json.loads(self.get(f"/v1/digests/{unit}"))["digest"]

    def records(self, *filters):
        found, after = [], []
        while True:
            page = self.json("records", "--limit", 1000, *filters, *after)
            found += page["records"]
            if "next_after" not in page:
                return found
            after = ["--after", page["next_after"]]


class Tablet(Program):
    is_hub = False

    def __init__(self, binary, folder, log, unit, author):
        super().__init__(binary, folder, log)
        self.unit, self.author = unit, author

    def name(self):
        return self.folder.name

    def start(self, *arguments):
        super().start("--log-level", "warn", *arguments)

    def get(self, target):
        token = (self.folder / "api.token").read_text().strip()
        request = urllib.request.Request(f"http://127.0.0.1:{self.run_file['port']}{target}", headers={"Authorization": f"Bearer {token}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def enrol(self, hub):
        """Joins the hub with a code; the short codes that people compare must be equal."""
        code = hub.json("device", "invite", self.name(), "--unit", self.unit)["code"]
        compare = self.json("enroll", code)["compare"]
        require(compare == hub.json("device", "show", self.name())["compare"], f"{self.name()} and the hub show different codes to compare")
        return compare

    def sync(self):
        return self.json("sync", "--once", "--timeout", 60)

    def status(self):
        return self.json("status")

    def digest(self):
        return self.json("verify")["digests"][self.unit]

    def records(self, *filters):
        return self.json_lines("list", *filters)

    def edit(self, record, reason, *changes):
        return self.json("edit", record, *changes, "--reason", reason, "--author", self.author)
