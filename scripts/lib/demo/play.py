"""The demo's story, told and checked: a hub, two tablets of one checkpoint, a rehab unit.

Every "ok" below is a comparison of what the programs answered; the first that fails ends the demo with
its sentence. Called by scripts/demo, which says what is shown.
"""
import json
import pathlib
import random
import signal
import subprocess
import time

from records import Writer
from world import Hub, Tablet, require, wait_until

POST, REHAB = "01-PPT", "01-RH1"
STOPS, SEIZURES, VISITS = 120, 25, 80  # generated, on each tablet; a seizure comes with its stop
DISJOINT, CLASHING = 12, 5
IN_SYNC_S = 60


class Play:
    def __init__(self, binaries, root, folder):
        self.root, self.folder = pathlib.Path(root), pathlib.Path(folder)
        self.binaries = pathlib.Path(binaries)
        self.health_program = str(self.binaries / "agent/fieldpost-health")
        self.hub = Hub(self.binaries / "hub/fieldpost-hub", self.folder / "hub", self.folder / "hub.log")
        self.t07, self.t08 = self.tablet("T07", POST, "NP-2231"), self.tablet("T08", POST, "NP-1187")
        self.rh1 = self.tablet("RH1", REHAB, "RH-07")
        self.programs = [self.t07, self.t08, self.rh1, self.hub]
        self.checks = 0

    def tablet(self, name, unit, author):
        return Tablet(self.binaries / "agent/fieldpost-agent", self.folder / name, self.folder / f"{name}.log", unit, author)

    # --- telling ---------------------------------------------------------------------------------

    def chapter(self, title):
        print(f"\n{title}", flush=True)

    def say(self, text):
        print(f"      {text}", flush=True)

    def check(self, condition, claim, otherwise=""):
        require(condition, f"this does not hold: {claim}" + (f" ({otherwise})" if otherwise else ""))
        self.checks += 1
        print(f"  ok  {claim}", flush=True)

    # --- the story -------------------------------------------------------------------------------

    def all_of_it(self):
        self.found_the_hub()
        self.key_ceremony()
        self.work_offline()
        self.first_sync()
        self.amend_apart()
        self.meet()
        self.settle_one()
        self.secrecy()
        self.crash()
        self.verify()

    def found_the_hub(self):
        self.chapter("1. A hub, and tablets that join it")
        self.hub.ask("init", "--name", "127.0.0.1", "--listen", "127.0.0.1")
        self.hub.ask("unit", "add", POST, "--name", "Poipet")
        self.hub.ask("unit", "add", REHAB, "--name", "Mobile rehab unit 1", "--compartment", "health")
        self.hub.start("--port", "0")
        self.say(f"The hub listens on 127.0.0.1:{self.hub.port}, with TLS and a certificate authority of its own.")
        for tablet, what in ((self.t07, "checkpoint Poipet"), (self.t08, "checkpoint Poipet"), (self.rh1, "the rehab unit")):
            compare = tablet.enrol(self.hub)
            self.check(True, f"{tablet.name()} ({what}) joined with a single-use code; tablet and hub both show {compare}")

    def key_ceremony(self):
        self.chapter("2. The health authority's keys, made away from the hub")
        keys = self.folder / "authority-keys"
        self.health("key", "init", "--dir", keys)
        fingerprint = self.health("key", "show", "--dir", keys).split("Fingerprint: ")[1].split()[0]
        self.health("unit", "add", REHAB, "--dir", keys, "--out", self.folder / "recipients.json")
        device = self.rh1.json("health", "key")
        self.health("device", "admit", "--dir", keys, "--unit", REHAB, "--device-key", device["device_key"], "--out", self.folder / "grant.json")
        self.say(f"The authority's fingerprint, told in person: {fingerprint}")
        wrong = fingerprint[:-1] + ("0" if fingerprint[-1] != "0" else "1")
        words = self.rh1.refusal("health", "accept", self.folder / "grant.json", "--authority", wrong)
        self.check("another authority" in words and self.rh1.status()["visits"] == "no grant yet", "RH1 refuses the grant when the fingerprint it is told is another one", words)
        self.rh1.ask("health", "accept", self.folder / "grant.json", "--authority", fingerprint)
        self.check(self.rh1.status()["visits"] == "sealed to the authority and the unit", f"RH1 pins the authority; its visits are sealed to the authority and to {REHAB}, not to the hub")

    def work_offline(self):
        self.chapter("3. The network is gone: the hub is stopped, work goes on")
        self.hub.stop()
        self.import_the_day()
        made = {}
        for tablet, kind, count in ((self.t07, "stops", STOPS), (self.t07, "seizures", SEIZURES), (self.t08, "stops", STOPS),
                                    (self.t08, "seizures", SEIZURES), (self.rh1, "visits", VISITS)):
            records = getattr(Writer(f"demo-{tablet.name()}-{kind}", tablet.unit), kind)(count)
            text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            (self.folder / f"{tablet.name()}-{kind}.ndjson").write_text(text, encoding="utf-8")
            done = tablet.json("import", self.folder / f"{tablet.name()}-{kind}.ndjson")
            made[kind] = made.get(kind, 0) + done["added"]
            require(done["added"] == len(records), f"{tablet.name()} took {done['added']} of {len(records)} {kind}: {done['errors'][:3]}")
            if kind == "visits":
                self.visits_written = records
        self.check(True, f"imported offline: {made['stops']} stops, {made['seizures'] // 2} seizures with the {made['seizures'] // 2} stops that led to them, {made['visits']} visits")
        one = Writer("by-hand", POST).stop()
        del one["external_id"], one["author"]
        typed = self.t07.json("record", "stop", "--author", self.t07.author, "--from", "-", given=json.dumps(one))
        self.check(typed["ref_no"].startswith("01-PPT-T07-"), f"one more by hand; its number {typed['ref_no']} is T07's own, nobody was asked for it")
        for tablet in (self.t07, self.t08, self.rh1):
            status = tablet.status()
            self.check(status["waiting"] == status["records"] and not status["in_sync"], f'{tablet.name()} says: "{status["words"]}"')
        words = self.t07.refusal("sync", "--once", "--timeout", 1, status=1)
        self.check("refuses connections" in words and self.t07.status()["waiting"] == self.t07.status()["records"], "T07 tries, finds no hub, says so, and loses nothing", words)

    def import_the_day(self):
        day = self.root / "tests/data/checkpoint-day.csv"
        expected = json.loads(day.with_suffix(".expected.json").read_text(encoding="utf-8"))
        done = self.t07.json("import", day, "--type", "stop", status=2)
        for error in done["errors"][:3]:
            self.say(f"line {error['line']}: {error['message']}")
        self.say("…")
        found = sorted((e["line"], e["field"], e["rule"]) for e in done["errors"])
        wanted = sorted((e["line"], e["field"], e["rule"]) for e in expected["errors"])
        self.check(found == wanted, f"the hand-written checkpoint day: exactly its {len(wanted)} bad lines are refused, each by line and field",
                   f"found {found}")
        self.check(done["added"] == expected["good_rows"], f"its {expected['good_rows']} good lines are recorded")
        again = self.t07.json("import", day, "--type", "stop", status=2)
        self.check(again["added"] == 0 and again["present"] == expected["good_rows"], "importing the file a second time adds nothing")
        self.day = expected

    def first_sync(self):
        self.chapter("4. The link is back")
        here = {tablet: tablet.status()["records"] for tablet in (self.t07, self.t08, self.rh1)}
        self.hub.start("--port", str(self.hub.port))
        started = time.monotonic()
        for tablet in (self.t07, self.t08, self.rh1, self.t07):
            tablet.sync()
        took = time.monotonic() - started
        stores = self.hub.json("status")["stores"]
        self.check(stores["enforcement"]["records"] == here[self.t07] + here[self.t08] and stores["health"]["records"] == here[self.rh1],
                   f"all {sum(here.values())} records are at the hub ({took:.1f} s for four connections): "
                   f"{stores['enforcement']['records']} of the police, {stores['health']['records']} sealed visits", f"{stores}")
        for name, counts in stores.items():
            self.check(counts["held"] == counts["quarantined"] == counts["conflicts"] == 0, f"{name}: nothing held, in quarantine or in conflict", f"{counts}")
        self.same_digests("T07 and T08 now hold each other's records")
        stops = self.hub.records("--type", "stop", "--unit", POST)
        plate = self.day["same_plate"]
        read = sorted(v["plate"] for stop in stops for v in stop["document"].get("vehicles", []) if v.get("plate_norm") == plate["plate_norm"])
        self.check(read == sorted(plate["as_read"]) , f"one plate in several spellings is found as one: {', '.join(sorted(set(read)))}", f"found {read}")

    def amend_apart(self):
        self.chapter("5. Offline again: both tablets amend the same records")
        self.hub.stop()
        quiet = [r["id"] for r in self.t07.records("--type", "stop", "--limit", 0)]
        chosen = random.Random("demo").sample(quiet, DISJOINT + CLASHING + 2)
        self.disjoint, self.clashing = chosen[:DISJOINT], chosen[DISJOINT:DISJOINT + CLASHING]
        self.grown, self.agreed = chosen[-2:]
        for number, record in enumerate(self.disjoint):
            self.t07.edit(record, "witness found later", f"witness=Witness {number}, market stall {number + 3}")
            self.t08.edit(record, "driver came back", f"injury_or_damage=Mirror {number} broken on arrival")
        self.say(f"{DISJOINT} stops: T07 adds a witness, T08 notes damage.")
        for record in self.clashing:
            self.t07.edit(record, "fined at the desk", "direction=internal", "witness=As the fine book says")
            self.t08.edit(record, "read the log again", "witness=As the shift log says")
        self.say(f"{CLASHING} stops: both name a witness, and not the same one.")
        self.t07.edit(self.grown, "second car seen", "vehicles.+.plate=2X-7001", "vehicles.+.class=car")
        self.t08.edit(self.grown, "trailer seen", "vehicles.+.plate=2X-7002", "vehicles.+.class=truck")
        self.say("1 stop: each adds a vehicle.")
        for tablet in (self.t07, self.t08):
            tablet.edit(self.agreed, "receipt book checked", "injury_or_damage=None, seen by both")
        self.say("1 stop: both write the same words.")

    def meet(self):
        self.chapter("6. Connected: daemons on the tablets, all at once")
        self.hub.start("--port", str(self.hub.port))
        for tablet in (self.t07, self.t08, self.rh1):
            tablet.start()
        self.wait_in_sync()
        self.check(self.hub.json("status")["connected_devices"] >= 3, "three tablets are connected and in sync")
        wait_until(self.digests_agree, IN_SYNC_S, "hub, T07 and T08 did not come to the same records")
        self.same_digests("hub, T07 and T08 hold the same, byte for byte")
        at_hub = {r["id"]: r for r in self.hub.records("--unit", POST)}
        whole = [r for r in self.disjoint if at_hub[r]["document"].get("witness", "").startswith("Witness ")
                 and at_hub[r]["document"].get("injury_or_damage", "").startswith("Mirror ") and not at_hub[r]["conflicts"]
                 and len(at_hub[r]["document"]["amendments"]) == 2]
        self.check(len(whole) == DISJOINT, f"{DISJOINT} stops amended in different fields are merged: both edits, both reasons, no conflict", f"only {len(whole)}")
        plates = {v.get("plate") for v in at_hub[self.grown]["document"]["vehicles"]}
        self.check({"2X-7001", "2X-7002"} <= plates and not at_hub[self.grown]["conflicts"], "the stop that each gave a vehicle has both", f"{plates}")
        self.check(not at_hub[self.agreed]["conflicts"], "the same words from both are no conflict")
        self.conflicts_kept()

    def conflicts_kept(self):
        listed = {r["id"]: r["conflicts"] for r in self.hub.json("conflicts")["records"]}
        self.check(sorted(listed) == sorted(self.clashing), f"exactly the {CLASHING} stops with two witnesses are in conflict", f"{sorted(listed)}")
        wanted = {("As the fine book says", "NP-2231"), ("As the shift log says", "NP-1187")}
        for conflicts in listed.values():
            found = {(s["value"], s["author"]) for c in conflicts for s in c["siblings"]}
            require([c["path"] for c in conflicts] == ["witness"] and found == wanted, f"a conflict does not show both values with their authors: {conflicts}")
        for value, author in sorted(wanted):
            self.say(f'witness = "{value}"   by {author}')
        self.check(True, "the hub keeps both values of each, with who wrote them")
        for tablet in (self.t07, self.t08):
            for record in self.clashing:
                shown = tablet.json("show", record)["conflicts"]
                require({(s["value"], s["author"]) for s in shown.get("witness", [])} == wanted, f"{tablet.name()} does not show both values of {record}: {shown}")
        self.check(True, "both tablets show the same two values, and which is shown meanwhile")

    def settle_one(self):
        self.chapter("7. An operator settles one conflict")
        record = self.clashing[0]
        siblings = self.hub.json("conflicts")["records"]
        siblings = next(r for r in siblings if r["id"] == record)["conflicts"][0]["siblings"]
        chosen = next(s for s in siblings if s["author"] == "NP-1187")
        self.hub.ask("resolve", record, "witness", "--choose", f"{chosen['actor']}:{chosen['counter']}", "--note", "The log was signed by both", "--author", "OP-01")
        for tablet in (self.t07, self.t08):
            wait_until(lambda: not tablet.json("show", record)["conflicts"], IN_SYNC_S, f"{tablet.name()} did not learn that the conflict is settled")
            require(tablet.json("show", record)["document"]["witness"] == "As the shift log says", f"{tablet.name()} shows another value than was chosen")
        wait_until(self.digests_agree, IN_SYNC_S, "the digests differ after a conflict was settled")
        self.check(len(self.hub.json("conflicts")["records"]) == CLASHING - 1, f"settled for NP-1187's value, with a note; both tablets know. {CLASHING - 1} are left for you")

    def secrecy(self):
        self.chapter("8. What the hub and the police do not know")
        self.rh1.sync()
        at_hub = self.hub.records("--type", "visit")
        require(len(at_hub) == VISITS, f"the hub lists {len(at_hub)} visits instead of {VISITS}")
        sealed = {"client_pseudonym", "primary_drug", "visit_at", "consent/id", "hiv_tested", "age_band"}
        self.check(all(sealed <= set(r["sealed"]) and not sealed & set(r["document"]) for r in at_hub),
                   f"of {VISITS} visits the hub knows unit, type and month; client, time, drug, consent and tests are sealed")
        secrets = [v["client_pseudonym"] for v in self.visits_written] + [v["episode_id"] for v in self.visits_written] + [v["consent"]["id"] for v in self.visits_written]
        everything = json.dumps(at_hub).encode() + b"".join(bytes.fromhex(r["state_hex"]) for r in at_hub)
        own = self.rh1.ask("export", "--type", "visit").encode()
        require(all(secret.encode() in own for secret in secrets), "RH1 itself cannot read all its visits, so that the search at the hub would prove nothing")
        self.check(not any(secret.encode() in everything for secret in secrets), f"none of {len(secrets)} pseudonyms, episodes and consents occurs in the hub's bytes; RH1 reads them all")
        export = self.folder / "sealed-visits.ndjson"
        self.hub.ask("export", "sealed", export)
        require(not any(secret.encode() in export.read_bytes() for secret in secrets), "the export of sealed visits holds their content in clear")
        opened = [json.loads(line) for line in self.health("open", "--dir", self.folder / "authority-keys", export).splitlines()]
        found = {v["client_pseudonym"]: v for v in opened}
        same = all(found.get(w["client_pseudonym"], {}).get(name) == w[name] for w in self.visits_written for name in ("primary_drug", "visit_at", "hiv_tested", "consent"))
        self.check(len(opened) == VISITS and same, f"the operator hands them over sealed, and 'fieldpost-health open' reads all {VISITS} with the authority's key")
        for tablet in (self.t07, self.t08):
            visits = {r["id"] for r in at_hub}
            require(not any(r["type"] == "visit" or r["id"] in visits for r in tablet.records("--limit", 0)), f"{tablet.name()} holds a visit")
        self.check(True, "T07 and T08 hold no visit, sealed or not")
        visit = Writer("curious", REHAB).visit()
        del visit["external_id"]
        words = self.t07.refusal("record", "visit", "--from", "-", given=json.dumps(visit))
        self.check("belongs to health" in words, "and a police tablet refuses to record one", words)

    def crash(self):
        self.chapter("9. A tablet dies")
        one = Writer("crash", POST).stop()
        del one["external_id"], one["author"]
        started = time.monotonic()
        live = self.t08.json("record", "stop", "--author", "NP-1187", "--from", "-", given=json.dumps(one))["id"]
        wait_until(lambda: live in self.t07.ask("list", "--json", "--limit", "0"), IN_SYNC_S, "a stop recorded on T08 did not reach T07")
        self.check(True, f"a stop recorded on T08 is on T07 after {time.monotonic() - started:.1f} s, by way of the hub")
        self.hub.stop()
        kept = self.t07.json("record", "stop", "--author", "NP-2231", "--from", "-", given=json.dumps(one))["id"]
        self.t07.stop(signal.SIGKILL)
        self.t07.start()
        self.check(self.t07.json("show", kept)["place"] == "on_tablet", "a stop is recorded without a link, the agent killed with SIGKILL, started again: the stop is there")
        self.hub.start("--port", str(self.hub.port))
        for tablet in (self.t07, self.t08, self.rh1):
            wait_until(lambda: tablet.status()["in_sync"], IN_SYNC_S, f"{tablet.name()} did not find the hub again by itself")
        self.check(self.hub.json("records", kept)["document"]["officer_id"] == one["officer_id"], "the tablets found the hub again by themselves, and the stop arrived")

    def verify(self):
        self.chapter("10. Everything recomputed")
        report = self.hub.json("verify")
        totals = {key: sum(store[key] for store in report["stores"].values()) for key in ("changes", "chains", "signatures", "records")}
        self.check(report["verified"], f"hub: {totals['changes']} changes in {totals['chains']} chains, {totals['signatures']} signatures, {totals['records']} records replayed and equal")
        for tablet in (self.t07, self.t08, self.rh1):
            answer = tablet.json("verify")
            self.check(answer["verified"], f"{tablet.name()}: {answer['checked']} entries, all as they were written")
        wait_until(self.digests_agree, IN_SYNC_S, "the digests differ at the end")
        self.same_digests("hub, T07 and T08 end equal")
        self.check(self.hub.digest(REHAB) == self.rh1.digest(), "so do hub and RH1")

    # --- parts -----------------------------------------------------------------------------------

    def health(self, *arguments):
        done = subprocess.run([self.health_program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=60)
        require(done.returncode == 0, f"'fieldpost-health {' '.join(map(str, arguments[:2]))}' ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def digests_agree(self):
        return len({self.hub.digest(POST), self.t07.digest(), self.t08.digest()}) == 1

    def same_digests(self, claim):
        digests = {"hub": self.hub.digest(POST), "T07": self.t07.digest(), "T08": self.t08.digest()}
        self.check(len(set(digests.values())) == 1, f"{claim}: digest {digests['hub'][:16]}…", f"{digests}")

    def wait_in_sync(self):
        for tablet in (self.t07, self.t08, self.rh1):
            # What a person would do who does not want to wait for the next attempt.
            tablet.ask("sync", "--once", "--timeout", IN_SYNC_S)

    def end(self):
        for program in self.programs:
            program.stop()
