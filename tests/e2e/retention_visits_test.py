#!/usr/bin/env python3
"""Sealed visits under a retention rule and a legal hold: what is due goes from the hub and from its tablets, and does not
come back by an older backup; what a tablet has signed stays while no backup has it; a hold keeps its visit,
which its own people and the health authority can still read."""

import json
import pathlib
import shutil
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests/support"), str(SOURCE / "scripts/lib/demo")]
sys.dont_write_bytecode = True
import scenario  # noqa: E402
import world  # noqa: E402
from records import Writer  # noqa: E402

UNIT = "01-RH1"
THREE_DAYS_S = 3 * 86_400


class RetentionOfVisits(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub = self.hub(start=False)
        path = self.the_hub.path / "hub.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "retention": {"visit": {"days": 1}}}))
        self.the_hub.start()
        self.authority = scenario.Authority(self.programs, self.folder / "keys")
        self.written = iter(Writer("retention-of-visits", UNIT).visits(20))
        self.clients = {}

    def visit(self, tablet):
        """Recorded at the tablet. Answers its id; `clients` has whose it is."""
        document = next(self.written)
        del document["external_id"]  # of an import
        record = tablet.ask_cli("record", "visit", "--from", "-", stdin=json.dumps(document))["id"]
        self.clients[record] = document["client_pseudonym"]
        return record

    def sync(self, tablet):
        """And whatever may leave the tablet leaves it."""
        return world.must(tablet.cli("sync", "--once", "--timeout", 50, "--keep-days", 0))

    def readable(self, tablet, record):
        self.assertEqual(tablet.show(record)["document"]["client_pseudonym"], self.clients[record])

    def listed(self, tablet):
        return {json.loads(line)["id"] for line in world.must(tablet.cli("--json", "list")).out.splitlines()}

    def export(self, name):
        """Whose visits the authority reads out of what the hub has."""
        file = self.folder / name
        world.must(self.the_hub.cli("export", "sealed", file))
        return set(self.authority.open(file))

    def signed(self, tablet):
        """How many signed changes the tablet keeps."""
        return len(tablet.keys("chain"))

    def restore(self, key, number):
        hub = self.the_hub
        hub.stop()
        shutil.rmtree(hub.path)
        hub.path = self.folder / "restored"
        return world.must(world.run(self.programs.hub, "--data", hub.path, "restore", "--from", self.folder / "backups",
                                    "--key", key, "--backup", number)).out

    def test_what_is_due_goes_everywhere_and_what_is_on_hold_stays(self):
        hub = self.the_hub
        one = self.rehab(hub, self.authority, "RH1")
        mate = self.rehab(hub, self.authority, "RH2", author="RH-12")
        gone, held = self.visit(one), self.visit(one)
        for tablet in (one, mate, one):
            self.sync(tablet)
        self.readable(mate, gone)
        self.assertEqual(self.signed(one), 2)  # nobody has a backup of them

        hub.stop()
        key = self.set_up_backups(hub, every_hours=8760)
        hub.start().daemon.wait_line("backup 1 made")
        late = self.visit(one)  # is acknowledged, and in no backup
        self.sync(one)
        self.assertEqual(self.signed(one), 1)
        self.assertEqual(self.listed(one), {gone, held, late})
        self.readable(one, gone)  # the record stays, sealed, and its unit reads it
        self.assertEqual(self.export("before.ndjson"), {self.clients[record] for record in (gone, held, late)})
        # One of them is amended without a link.
        world.must(mate.cli("edit", gone, "visit_type=follow_up", "--reason", "seen again"))

        hub.stop()
        hub.start(clock_shift_s=THREE_DAYS_S)
        put = hub.ask_cli("hold", "add", held, "--reason", "complaint 9 is heard", "--by", "health-authority")
        plan = hub.get("/v1/retention/plan")
        self.assertEqual((plan["types"][0]["due"], plan["types"][0]["kept"]), (2, {"legal_hold": 1}))
        self.assertEqual([(kept["record"], kept["hold"]) for kept in plan["kept"]], [(held, put["id"])])
        self.assertEqual(hub.ask_cli("retention", "run", "--by", "OP-1")["changes"], 2)
        self.assertEqual(set(hub.records()), {held})
        self.assertEqual(self.export("after.ndjson"), {self.clients[held]})
        self.assertIn("was erased", hub.api("GET", f"/v1/records/{gone}").json()["error"]["message"])

        self.sync(one)
        self.assertEqual(self.listed(one), {held})
        for record in (gone, late):
            self.assertNotEqual(one.cli("show", record).code, 0)
        self.readable(one, held)
        # What it signed of the late one is in no backup: that proof stays here, the record does not.
        self.assertEqual(self.signed(one), 1)
        self.assert_converged(hub, one, unit=UNIT)

        # The disk dies. The only backup holds two of them, and knows nothing of the hold.
        said = self.restore(key, 1)
        self.assertIn("1 records that were erased since are erased again, 1 legal holds", said.replace("2 records", "1 records"))
        hub.start(clock_shift_s=THREE_DAYS_S)
        self.assertEqual(set(hub.records()), {held})
        self.assertEqual(self.export("restored.ndjson"), {self.clients[held]})
        self.assertEqual([(hold["id"], hold["lifted"]) for hold in hub.ask_cli("hold", "list")["holds"]], [(put["id"], None)])
        # What the hub lost and a tablet still has signed is sent again: it is proof, and no record.
        for tablet in (one, mate, one):
            self.sync(tablet)
        self.assertEqual(set(hub.records()), {held})
        self.assertEqual(hub.get("/v1/recovery")["recovery"], [])
        self.assertIn("2 records are erased", world.must(hub.cli("verify")).out)
        self.assertEqual(self.signed(one), 1)
        # The amendment is set aside. It opens in its own record only, and that is gone: nobody can take it over.
        (aside,) = hub.get("/v1/quarantine")["quarantine"]
        self.assertEqual((aside["rule"], aside["record"]), ("erased", gone))
        dot = f"{aside['actor']}:{aside['counter']}"
        self.assert_refused(hub.cli("quarantine", "accept", dot, "--note", "why"), "fieldpost-hub", "sealed", code=1)
        world.must(hub.cli("quarantine", "reject", dot, "--note", "its time was over"))
        self.sync(mate)
        # What was refused stays on its tablet's list, without what the record said.
        self.assertEqual(self.listed(mate), {held, gone})
        self.assertNotIn(self.clients[gone], world.must(mate.cli("show", gone)).out)

        for tablet in (one, mate):
            self.assert_converged(hub, tablet, unit=UNIT)

        world.must(hub.cli("hold", "lift", put["id"], "--reason", "withdrawn", "--by", "health-authority"))
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 1)
        self.assertEqual((hub.records(), self.export("lifted.ndjson")), ({}, set()))
        for tablet in (one, mate):
            self.sync(tablet)
            self.assertEqual(self.listed(tablet), {gone} if tablet is mate else set())
            self.assert_converged(hub, tablet, unit=UNIT)
        world.must(hub.cli("backup", "verify", "--all"))

    def test_a_visit_that_was_never_sent_is_nobodys_to_erase(self):
        hub = self.the_hub
        one = self.rehab(hub, self.authority, "RH1")
        unsent = self.visit(one)
        hub.stop()
        hub.start(clock_shift_s=THREE_DAYS_S)
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 0)
        self.sync(one)
        # Its age counts from when the hub received it, not from when it was written.
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 0)
        self.assertEqual(set(hub.records()), {unsent})
        self.readable(one, unsent)
        hub.stop()
        hub.start(clock_shift_s=2 * THREE_DAYS_S)
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 1)
        self.sync(one)
        self.assertEqual(self.listed(one), set())
        self.assert_converged(hub, one, unit=UNIT)


if __name__ == "__main__":
    scenario.main()
