#!/usr/bin/env python3
"""Hub and tablets killed with SIGKILL at random points, a hundred times each, on stores that live through all of it.

usage: kill_test.py BUILD [--kills N] [--seed N]

While two tablets record, amend the same records and sync through their daemons, and a third is used by commands
only, the hub and one tablet are killed in every round, at delays drawn from the seed. What was answered as
recorded must be there exactly once at the end; what a tablet called "at the hub" must have been on the hub's disk
at that moment; `verify` passes everywhere and all digests are equal.
"""

import argparse
import collections
import http.client
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import world  # noqa: E402

OPERATIONS_A_ROUND = 8
KILL_DELAY_MIN_S, KILL_DELAY_MAX_S = 0.1, 1.0
"""Between these, kills come while a round's writing, pushing and merging last: measured before the first."""
IMPORT_ROWS = 320
"""More than one commit of an import (250 rows)."""
BROKEN_LINK = (OSError, http.client.HTTPException)


class Ledger:
    """What was promised, by whom and when."""

    def __init__(self):
        self.lock = threading.Lock()
        self.recorded = {}      # id → what acknowledged it
        self.asked = set()      # ids that may be there
        self.amended = {}       # reason → record
        self.amend_asked = {}   # the same, whether answered or not
        self.at_hub = {}        # id → when a tablet first said so
        self.surprises = []


class Writer(threading.Thread):
    """A person in a hurry at one tablet: records and amends until done or cut off, then asks what is at the hub."""

    def __init__(self, tablet, ledger, name, seed):
        super().__init__(daemon=True)
        self.tablet, self.ledger, self.name, self.rng = tablet, ledger, name, random.Random(seed)
        self.cut_off = False
        self.answered = 0

    def run(self):
        connection = self.tablet.connection()
        try:
            mine = [self.work(connection, number) for number in range(OPERATIONS_A_ROUND)]
            for record in filter(None, mine):
                self.watch(connection, record)
        except BROKEN_LINK:
            self.cut_off = True
        finally:
            connection.close()

    def work(self, connection, number):
        with self.ledger.lock:
            known = list(self.ledger.recorded)
        if known and self.rng.random() < 0.4:
            return self.amend(connection, self.rng.choice(known), f"{self.name}/{number}")
        return self.record(connection)

    def record(self, connection):
        record = world.new_record_id(self.rng)
        with self.ledger.lock:
            self.ledger.asked.add(record)
        answer = self.tablet.api("POST", "/v1/records", connection=connection, body={
            "document": {**world.a_stop(), "type": "stop", "id": record}, "author": "NP-2231"})
        self.judge(answer, {201})
        with self.ledger.lock:
            self.ledger.recorded[record] = self.name
        return record

    def amend(self, connection, record, reason):
        with self.ledger.lock:
            self.ledger.amend_asked[reason] = record
        answer = self.tablet.api("POST", f"/v1/records/{record}/edits", connection=connection, body={
            "set": {"witness": reason}, "reason": reason, "author": "NP-2231"})
        self.judge(answer, {200, 404})  # 404: another tablet's record that has not come yet
        if answer.status == 200:
            with self.ledger.lock:
                self.ledger.amended[reason] = record

    def watch(self, connection, record):
        """Asks again and again until it is at the hub: the kill ends it otherwise."""
        while not self.tablet.hub_gone.is_set():
            answer = self.tablet.api("GET", f"/v1/records/{record}", connection=connection)
            self.judge(answer, {200})
            if answer.json()["place"] == "at_hub":
                with self.ledger.lock:
                    self.ledger.at_hub.setdefault(record, time.time())
                return

    def judge(self, answer, expected):
        self.answered += 1
        if answer.status not in expected:
            with self.ledger.lock:
                self.ledger.surprises.append(f"{self.name}: {answer!r}")


class Trial:
    def __init__(self, programs, folder, kills, seed):
        self.programs, self.folder, self.kills = programs, pathlib.Path(folder), kills
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.counts = collections.Counter()
        self.imports = {}  # file → whether an import of it came to its end
        self.hub = world.Hub(programs, self.folder / "hub")
        must = world.must
        must(self.hub.cli("unit", "add", "01-PPT", "--name", "Poipet"))
        self.hub.start()
        self.tablets = [world.Tablet(programs, self.folder / name).enrol(self.hub, name) for name in ("T01", "T02", "T03")]
        for tablet in self.tablets:
            tablet.hub_gone = threading.Event()

    def writers(self, number):
        running = []
        for tablet in self.tablets[:2]:
            tablet.hub_gone.clear()
            running.append(Writer(tablet, self.ledger, f"{tablet.path.name}/{number}", self.rng.getrandbits(64)))
        for tablet in self.tablets[:2]:
            tablet.api("POST", "/v1/sync")  # who slept through the hub's absence dials now
        for writer in running:
            writer.start()
        return running

    def kill_hub(self):
        code = self.hub.kill()
        assert code == -signal.SIGKILL, f"the hub had ended by itself with {code}: {self.hub.daemon.log()}"
        self.counts["hub"] += 1
        for tablet in self.tablets:
            tablet.hub_gone.set()

    def at_random_delays(self, *acts):
        """Runs the acts, each at its own delay from now."""
        begun = time.monotonic()
        for delay, _, act in sorted((self.rng.uniform(0, self.kill_delay_s), i, act) for i, act in enumerate(acts)):
            time.sleep(max(0, begun + delay - time.monotonic()))
            act()

    def finish(self, writers, *also_start):
        for writer in writers:
            writer.join(world.DEADLINE_S)
            assert not writer.is_alive(), f"{writer.name} waits for an answer that does not come"
            self.counts["kills that cut a writer off"] += writer.cut_off
        starts = [threading.Thread(target=program.start) for program in (self.hub, *also_start)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        for program in (self.hub, *also_start):
            program.daemon.wait_line("listens on|answers at")

    def daemon_round(self, number):
        victim = self.tablets[number % 2]
        writers = self.writers(number)

        def kill_tablet():
            code = victim.kill()
            assert code == -signal.SIGKILL, f"the agent had ended by itself with {code}: {victim.daemon.log()}"
            self.counts["agent"] += 1
            self.counts["agent: daemon"] += 1

        self.at_random_delays(self.kill_hub, kill_tablet)
        self.finish(writers, victim)

    def command_round(self, number):
        """The third tablet's command is killed; the other two write meanwhile."""
        kind = ("record", "import", "sync")[number % 3]
        arguments, text = getattr(self, f"{kind}_arguments")(number)
        writers = self.writers(number)
        tablet = self.tablets[2]
        process = subprocess.Popen(
            [self.programs.agent, "--data", str(tablet.path), "--author", "NP-3", "--json", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=world.clean_environment())
        process.stdin.write(text.encode())
        process.stdin.close()
        self.at_random_delays(self.kill_hub, lambda: process.send_signal(signal.SIGKILL))
        out, err = process.stdout.read(), process.stderr.read()
        code = process.wait(world.DEADLINE_S)
        process.stdout.close()
        process.stderr.close()
        if code == -signal.SIGKILL:
            self.counts["agent"] += 1
            self.counts[f"agent: {kind}"] += 1
        elif code != 0 and kind != "sync":  # a sync whose hub was killed may say so
            raise AssertionError(f"{kind} ended with {code}: {err.decode(errors='replace')}")
        self.acknowledged(kind, arguments, code, out.decode(errors="replace"))
        self.finish(writers)

    def record_arguments(self, number):
        record = world.new_record_id(self.rng)
        self.ledger.asked.add(record)
        return ["record", "stop", "--from", "-"], json.dumps({**world.a_stop(), "id": record})

    def import_arguments(self, number):
        unfinished = [file for file, done in self.imports.items() if not done]
        if unfinished:
            return ["import", unfinished[0], "--type", "stop"], ""
        file = self.folder / f"rows-{number}.ndjson"
        with open(file, "w") as rows:
            for row in range(IMPORT_ROWS):
                rows.write(json.dumps({**world.a_stop(), "external_id": f"{number}-{row}", "witness": f"{number}-{row}"}) + "\n")
        self.imports[str(file)] = False
        return ["import", str(file), "--type", "stop"], ""

    def sync_arguments(self, number):
        return ["sync", "--once", "--timeout", "20"], ""

    def acknowledged(self, kind, arguments, code, out):
        if kind == "record" and out.endswith("}\n"):  # said before the kill: it counts
            self.ledger.recorded[json.loads(out)["id"]] = "record"
        if kind == "import" and code == 0:
            answer = json.loads(out)
            assert answer["added"] + answer["present"] == IMPORT_ROWS and answer["refused"] == 0, out[:500]
            self.imports[arguments[1]] = True

    def run(self):
        for tablet in self.tablets[:2]:
            tablet.start()
        self.kill_delay_s = self.measure_round()
        number = 1
        while self.counts["agent: daemon"] < self.kills * 6 // 10:
            self.daemon_round(number)
            number += 1
        while self.counts["agent"] < self.kills or self.counts["hub"] < self.kills:
            self.command_round(number)
            number += 1
            assert number < 6 * self.kills, f"the kills come too late: {dict(self.counts)}"
        return self.settle()

    def measure_round(self):
        """One round in peace."""
        begun = time.monotonic()
        for writer in self.writers(0):
            writer.join()
        return min(KILL_DELAY_MAX_S, max(KILL_DELAY_MIN_S, time.monotonic() - begun))

    def settle(self):
        for tablet in self.tablets[:2]:
            tablet.stop()
        for file in self.imports:
            answer = self.tablets[2].ask_cli("import", file, "--type", "stop")
            assert answer["added"] + answer["present"] == IMPORT_ROWS, answer
        for tablet in [*self.tablets, *self.tablets]:  # the second time brings what the others gave in the first
            tablet.sync()


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()


def check(trial):
    """Answers the list of broken promises."""
    ledger, hub = trial.ledger, trial.hub
    broken = list(ledger.surprises)
    records = hub.records()
    for record, by in ledger.recorded.items():
        if record not in records:
            broken.append(f"record {record}, acknowledged by {by}, is not at the hub")
    imported = collections.Counter(
        record["document"]["witness"] for record in records.values() if record["id"] not in ledger.asked)
    wanted = collections.Counter(json.loads(row)["witness"] for file in trial.imports for row in open(file))
    if imported != wanted:
        broken.append(f"imported rows missing {list(wanted - imported)[:5]}, doubled {list(imported - wanted)[:5]}")
    for ref, count in collections.Counter(record["document"]["ref_no"] for record in records.values()).items():
        if count != 1:
            broken.append(f"reference number {ref} was given out {count} times")
    broken += check_amendments(ledger, records)
    broken += check_histories(trial, records)
    broken += check_proofs(trial, len(records))
    return broken, len(records)


def check_amendments(ledger, records):
    broken = []
    seen = collections.Counter()
    for record in records.values():
        for amendment in record["document"].get("amendments", []):
            seen[(record["id"], amendment["reason"])] += 1
    for (record, reason), count in seen.items():
        if count != 1 or ledger.amend_asked.get(reason) != record:
            broken.append(f"amendment {reason} stands {count} times in {record}")
    for reason, record in ledger.amended.items():
        if seen[(record, reason)] != 1:
            broken.append(f"amendment {reason} of {record}, acknowledged, stands there {seen[(record, reason)]} times")
    return broken


def check_histories(trial, records):
    broken = []
    connection = trial.hub.connection()
    bearer = {"Authorization": f"Bearer {trial.hub.token}"}
    for record in records:
        changes = world.ask(connection, "GET", f"/v1/records/{record}/history", headers=bearer).json()["changes"]
        dots = collections.Counter((change["actor"], change["counter"]) for change in changes)
        creations = [change for change in changes if "checkpoint_code" in change["edits"]]
        if max(dots.values()) != 1 or len(creations) != 1:
            broken.append(f"record {record} has {len(creations)} creations, changes {dict(dots)}")
        seen_at_hub = trial.ledger.at_hub.get(record)
        if seen_at_hub is not None and time_of(creations[0]["received_at"]) > seen_at_hub:
            broken.append(f"record {record} was called at the hub before the hub that lived on had it")
    connection.close()
    return broken


def check_proofs(trial, count):
    broken = []
    verified = trial.hub.cli("verify")
    if verified.code != 0:
        broken.append(f"the hub's verify: {verified!r}")
    digest = trial.hub.digest()
    for tablet in trial.tablets:
        verified = tablet.cli("--json", "verify")
        if verified.code != 0:
            broken.append(f"verify of {tablet.path.name}: {verified!r}")
        elif verified.json()["digests"]["01-PPT"] != digest:
            broken.append(f"{tablet.path.name} and the hub have different digests")
        status = tablet.ask_cli("status")
        if (status["waiting"], status["records"], status["exceptions"]) != (0, count, 0):
            broken.append(f"{tablet.path.name} says {status['words']} with {status['records']} records, the hub has {count}")
    stores = trial.hub.get("/v1/status")["stores"]["enforcement"]
    if stores["held"] or stores["quarantined"]:
        broken.append(f"the hub holds changes back: {stores}")
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed} (again with: --seed {seed})", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fieldpost-crash-") as folder:
        trial = Trial(world.Programs(options.build), folder, options.kills, seed)
        try:
            trial.run()
            broken, count = check(trial)
            trial.hub.stop()
        finally:
            for process in [trial.hub.daemon, *[tablet.daemon for tablet in trial.tablets]]:
                if process is not None and process.alive():
                    process.end(signal.SIGKILL)
    for promise in broken[:20]:
        print(f"BROKEN: {promise}")
    for what, number in sorted(trial.counts.items()):
        print(f"  {what}: {number}")
    cut = trial.counts["kills that cut a writer off"]
    if cut * 10 < options.kills:
        broken.append("hardly a kill met a writer at work: the test does not test")
        print(f"BROKEN: {broken[-1]}")
    print(f"  kills within {trial.kill_delay_s:.2f} s of a round's begin")
    words = "FAILED" if broken else "passed"
    print(f"{words}: {trial.counts['hub']} kills of the hub and {trial.counts['agent']} of tablets, {count} records, "
          f"{len(trial.ledger.recorded)} acknowledged and {len(trial.ledger.amended)} amendments, "
          f"{len(trial.ledger.at_hub)} watched to the hub, {time.monotonic() - begun:.0f} s, seed {seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
