"""Whole commands, killed in the place of each call that changes a file: `init` of a hub, `record` and `edit` of a tablet.

Every call in turn is met, over a fresh copy of the folder each time, by the disk of faulty_disk.c, preloaded. Then the
same command is given again, as a person would do.
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import world  # noqa: E402


class Commands:
    def __init__(self, build, folder):
        self.programs = world.Programs(build)
        self.disk = str(pathlib.Path(build).resolve() / "tests/crash/libfaulty_disk.so")
        self.folder = pathlib.Path(folder)
        self.broken = []

    def killed(self, data, call, *command, stdin=""):
        """Runs the command over `data` and kills it at this call; None when it makes fewer calls."""
        ran = world.run(*command, stdin=stdin, environment={
            "LD_PRELOAD": self.disk, "FIELDPOST_TEST_DISK": str(data), "FIELDPOST_TEST_DISK_KILL": str(call),
            "ASAN_OPTIONS": "verify_asan_link_order=0"})
        if ran.code == -signal.SIGKILL:
            return ran
        world.must(ran)
        return None

    def expect(self, what, true, ran=None):
        if not true:
            self.broken.append(f"{what}: {ran!r}")

    def init(self):
        call = 0
        while True:
            call += 1
            data = self.folder / "hub"
            shutil.rmtree(data, ignore_errors=True)
            command = (self.programs.hub, "--data", data, "init", "--name", "127.0.0.1", "--listen", "127.0.0.1")
            if self.killed(data, call, *command) is None:
                return call - 1
            again = world.run(*command)
            there = again.code != 0 and "already holds a hub" in again.err
            self.expect(f"init, killed at call {call}, given again", again.code == 0 or there, again)
            proof = world.run(self.programs.hub, "--data", data, "verify")
            self.expect(f"verify after init was killed at call {call}", proof.code == 0, proof)

    def agent(self, data, *arguments, stdin=""):
        return world.run(self.programs.agent, "--data", data, "--author", "NP-2231", "--json", *arguments, stdin=stdin)

    def records(self, data):
        return {record["id"] for record in world.must(self.agent(data, "list")).json()["records"]}

    def tablet(self, enrolled, kind, *arguments, stdin=""):
        """A command that adds one change to the store of `enrolled`."""
        before = world.must(self.agent(enrolled, "status")).json()["waiting"]
        call = 0
        while True:
            call += 1
            data = self.folder / "tablet"
            shutil.rmtree(data, ignore_errors=True)
            shutil.copytree(enrolled, data)
            ran = self.killed(data, call, self.programs.agent, "--data", data, "--author", "NP-2231", "--json",
                              *arguments, stdin=stdin)
            if ran is None:
                return call - 1
            status = self.agent(data, "status")
            proof = self.agent(data, "verify")
            self.expect(f"verify after {kind} was killed at call {call}", proof.code == 0, proof)
            added = status.json()["waiting"] - before if status.code == 0 else -1
            said = ran.out.endswith("}\n")
            self.expect(f"{kind}, killed at call {call}: {added} changes, {'said' if said else 'not said'}",
                        added == 1 or (added == 0 and not said), status)
            again = self.agent(data, *arguments, stdin=stdin)
            done_before = kind == "record" and added == 1 and "there already" in again.err
            self.expect(f"{kind} given again after call {call}", again.code == 0 or done_before, again)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fieldpost-commands-") as folder:
        commands = Commands(options.build, folder)
        calls = {"init": commands.init()}
        hub = world.Hub(commands.programs, commands.folder / "office")
        world.must(hub.cli("unit", "add", "01-PPT", "--name", "Poipet"))
        hub.start()
        tablet = world.Tablet(commands.programs, commands.folder / "enrolled").enrol(hub, "T07")
        hub.stop()
        first = {**world.a_stop(), "id": world.new_record_id(random.Random(1))}
        second = {**world.a_stop(), "id": world.new_record_id(random.Random(2))}
        enrolled = tablet.path
        world.must(commands.agent(enrolled, "record", "stop", "--from", "-", stdin=json.dumps(first)))
        calls["record"] = commands.tablet(enrolled, "record", "record", "stop", "--from", "-", stdin=json.dumps(second))
        calls["edit"] = commands.tablet(enrolled, "edit", "edit", first["id"], "witness=Chan Dara", "--reason", "found later")
    for promise in commands.broken[:20]:
        print(f"BROKEN: {promise}")
    print(f"{'FAILED' if commands.broken else 'passed'}: {calls} calls, each killed once")
    if min(calls.values()) < 10:
        print("BROKEN: so few calls: the disk was not seen")
        return 1
    return 1 if commands.broken else 0


if __name__ == "__main__":
    sys.exit(main())
