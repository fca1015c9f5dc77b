#!/usr/bin/env python3
"""Records that are due are erased and do not come back: not by a backup, a tablet's copy or an unsent edit. A legal
hold keeps a record, and what it leads to, also in a hub that was restored from before it."""

import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

THREE_DAYS_S = 3 * 86_400


class Retention(scenario.Scenario):
    def configure(self, hub, retention):
        path = hub.path / "hub.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "retention": retention}))

    def hub_with_rule(self):
        """Not running, with backups, that keeps stops for a day."""
        hub = self.hub(start=False)
        key = self.set_up_backups(hub)
        self.configure(hub, {"stop": {"days": 1}})
        return hub, key

    def later(self, hub):
        hub.stop()
        return hub.start(clock_shift_s=THREE_DAYS_S)

    def plan(self, hub):
        (stops,) = hub.get("/v1/retention/plan")["types"]
        return stops

    def exhibits(self, hub):
        return hub.ask_cli("hold", "list")["holds"]

    def test_a_record_erased_by_retention_does_not_come_back(self):
        hub, key = self.hub_with_rule()
        hub.start()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        gone, kept = one.record(), one.record()
        for tablet in (one, two):
            tablet.sync()
        before = hub.ask_cli("backup", "run")["number"]
        world.must(two.cli("edit", gone, "outcome=warning", "--reason", "seen again"))  # is never sent in time
        self.assertEqual(self.plan(hub)["due"], 0)
        self.later(hub)
        self.assertEqual(self.plan(hub)["due"], 2)
        put = hub.ask_cli("hold", "add", kept, "--reason", "court case 71", "--by", "prosecutor-3")
        said = world.must(hub.cli("retention", "plan")).out
        self.assertIn("stop: 1 day: 1 due", said)
        self.assertIn(f"kept: {kept}  legal_hold {put['id']}", said)
        self.assertIn(gone, hub.records())  # a plan erases nothing

        ran = hub.ask_cli("retention", "run", "--by", "OP-1")
        self.assertEqual((ran["types"][0]["erased"], ran["types"][0]["kept"], ran["changes"]), (1, {"legal_hold": 1}, 1))
        self.assertEqual(set(hub.records()), {kept})
        self.assertIn("was erased", hub.api("GET", f"/v1/records/{gone}").json()["error"]["message"])
        self.assertIn("LEGAL HOLD", world.must(hub.cli("records", kept)).out)
        verified = world.must(hub.cli("verify")).out
        self.assertIn("1 records are erased, 1 changes of theirs proved by their hashes", verified)
        one.sync()
        self.assertNotEqual(one.cli("show", gone).code, 0)
        self.assert_converged(hub, one)
        world.must(hub.cli("backup", "verify", "--all"))

        # The disk dies; the only backup is from before all that.
        hub.stop()
        shutil.rmtree(hub.path)
        hub.path = self.folder / "restored"
        restored = world.must(world.run(self.programs.hub, "--data", hub.path, "restore", "--from", self.folder / "backups", "--key", key, "--backup", before))
        self.assertIn("1 records that were erased since are erased again, 1 legal holds", restored.out)
        self.assertEqual(hub.ask_cli("recovery", "list")["recovery"], [])
        hub.start(clock_shift_s=THREE_DAYS_S)
        self.assertEqual(set(hub.records()), {kept})
        self.assertEqual([hold["id"] for hold in self.exhibits(hub)], [put["id"]])
        for tablet in (one, two, one):
            tablet.sync()
        self.assertEqual(set(hub.records()), {kept})
        self.assertEqual(hub.get("/v1/recovery")["recovery"], [])
        # What was never sent arrived, is set aside, and is a problem at its tablet.
        (aside,) = hub.get("/v1/quarantine")["quarantine"]
        self.assertEqual((aside["rule"], aside["record"]), ("erased", gone))
        self.assertEqual(two.ask_cli("status")["exceptions"], 1)
        self.assertRegex(world.must(two.cli("show", gone)).out, r"this record was erased at .*, for an operator\. An operator decides")
        self.assertIn("1 in quarantine", world.must(hub.cli("status")).out)
        self.assertIn("Decide: ", world.must(hub.cli("quarantine")).out)
        dot = f"{aside['actor']}:{aside['counter']}"
        self.assert_refused(hub.cli("quarantine", "retry", dot), "fieldpost-hub", "erased", "reject", code=1)
        world.must(hub.cli("quarantine", "reject", dot, "--note", "its time was over"))
        self.assertIn("0 in quarantine; 1 refused", world.must(hub.cli("status")).out)
        told = world.must(hub.cli("quarantine")).out
        self.assertIn("None of these waits for a decision", told)
        self.assertNotIn("Decide", told)
        two.sync()
        self.assertEqual(set(hub.records()), {kept})
        self.assert_converged(hub, one, two)
        # Lifted, the other one goes, too.
        world.must(hub.cli("hold", "lift", put["id"], "--reason", "acquitted", "--by", "judge-1"))
        self.assert_refused(hub.cli("hold", "lift", put["id"], "--reason", "again", "--by", "judge-1"), "fieldpost-hub", "was lifted", code=1)
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 1)
        self.assertEqual(hub.records(), {})
        for tablet in (one, two):
            tablet.sync()
        self.assert_converged(hub, one, two)
        self.assertEqual(self.exhibits(hub)[0]["lifted"]["author"], "judge-1")

    def test_a_case_on_hold_keeps_its_stops(self):
        hub, _ = self.hub_with_rule()
        hub.start()
        tablet = self.tablet(hub, "T01")
        stop, other = tablet.record(), tablet.record()
        case = {"case_no": "71/2026", "opened_at": "2026-03-14T09:00:00+07:00", "lead_unit": "01-PPT",
                "offence_types": ["trafficking"], "links": [{"kind": "stop", "record_id": stop}]}
        made = world.must(tablet.cli("--json", "record", "case", "--from", "-", stdin=json.dumps(case)))
        case_id = json.loads(made.out)["id"]
        tablet.sync()
        self.later(hub)
        world.must(hub.cli("hold", "add", case_id, "--reason", "before the court", "--by", "prosecutor-3"))
        self.assertIn(f"of record {case_id}", world.must(hub.cli("records", stop)).out)
        self.assertEqual(hub.ask_cli("retention", "run")["types"][0]["erased"], 1)
        self.assertEqual(set(hub.records()), {stop, case_id})
        self.assertNotIn(other, hub.records())

    def test_a_damaged_ledger_is_told_and_does_not_keep_a_hub_from_being_restored(self):
        hub, key = self.hub_with_rule()
        hub.start()
        tablet = self.tablet(hub, "T01")
        record = tablet.record()
        tablet.sync()
        world.must(hub.cli("backup", "run"))
        world.must(hub.cli("hold", "add", record, "--reason", "why", "--by", "who"))
        hub.stop()
        (page,) = (self.folder / "backups/ledger").iterdir()
        whole = page.read_bytes()
        page.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        verified = hub.cli("backup", "verify")
        self.assertEqual(verified.code, 1)
        self.assertIn(str(page), verified.out)
        self.assertIn(str(page), hub.cli("doctor").out)
        again = self.folder / "restored"
        restored = world.must(world.run(self.programs.hub, "--data", again, "restore", "--from", self.folder / "backups", "--key", key))
        self.assertIn("legal holds gone", restored.out)

    def test_what_is_wrong_in_hub_json_is_said(self):
        hub = self.hub(start=False)
        for retention, words in (({"stop": {"years": 0}}, ("stop", "1 to 100")), ({"stop": {"weeks": 3}}, ("weeks", "years")),
                                 ({"stop": {"years": 1, "days": 2}}, ("exactly one",)), ({"every_hours": 0}, ("every_hours", "8760"))):
            self.configure(hub, retention)
            refused = hub.cli("retention", "show")
            self.assert_refused(refused, "fieldpost-hub", "hub.json", *words)
        self.configure(hub, {"arrest": {"years": 5}})
        self.assert_refused(hub.cli("retention", "plan"), "fieldpost-hub", "arrest", "seizure")
        self.configure(hub, {})
        self.assertIn("kept for ever", world.must(hub.cli("retention", "plan")).out)
        self.assertNotIn("Nothing was erased", world.must(hub.cli("retention", "plan")).out)
        self.assert_refused(hub.cli("hold", "add", "nonsense", "--reason", "r", "--by", "b"), "fieldpost-hub")
        hub.start()
        tablet = self.tablet(hub, "T01")
        record = tablet.record()
        tablet.sync()
        for reason, by, word in (("", "b", "reason"), (" ", "b", "reason"), ("r", "", "author"), ("r", "\t", "author"), ("x" * 1025, "b", "reason"),
                                 ("r", "x" * 65, "author")):
            self.assert_refused(hub.cli("hold", "add", record, "--reason", reason, "--by", by), "fieldpost-hub", word)
        self.assertEqual(self.exhibits(hub), [])
        self.assert_refused(hub.cli("hold", "lift", "00" * 16, "--reason", "r", "--by", "b"), "fieldpost-hub", "no legal hold")


if __name__ == "__main__":
    scenario.main()
