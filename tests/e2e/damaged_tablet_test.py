#!/usr/bin/env python3
"""Tablets whose disk flips bits: nothing is hidden, the rest goes on, what the hub has comes back."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


def hex_of(record):
    return record.replace("-", "")


class DamagedTablet(scenario.Scenario):
    def two(self):
        hub = self.hub()
        return hub, self.tablet(hub, "T01"), self.tablet(hub, "T02")

    def listed(self, tablet, *more):
        lines = world.must(tablet.cli("--json", "list", "--limit", "0", *more)).out.splitlines()
        return {record["id"]: record for record in map(json.loads, lines)}

    def test_a_damaged_record_is_shown_as_such_and_fetched_again(self):
        hub, one, two = self.two()
        theirs, sound = one.record(witness="Chenda"), one.record()
        one.sync()
        two.sync()
        two.rot("base", hex_of(theirs))

        self.assertEqual(self.listed(two)[theirs]["place"], "damaged")
        self.assertIn(theirs, self.listed(two, "--type", "stop"))
        self.assertEqual(self.listed(two)[sound]["place"], "at_hub")
        shown = two.cli("show", theirs)
        self.assertEqual(shown.code, 0, shown)
        self.assertIn("damaged on this tablet; fetching it again", shown.out)
        status = two.ask_cli("status")
        self.assertEqual((status["records"], status["damaged"], status["unsendable"]), (2, 1, 0))
        self.assertIn(theirs, status["warnings"][0])
        verified = two.cli("verify")
        self.assertEqual(verified.code, 1, verified)
        self.assertIn(theirs, verified.err)
        refused = two.cli("edit", theirs, "witness=Meas", "--reason", "asked")
        self.assertEqual(refused.code, 2, refused)
        self.assertIn("damaged", refused.err)
        mine = two.record()  # recording goes on

        two.sync()
        self.assertEqual(two.show(theirs)["document"]["witness"], "Chenda")
        self.assertEqual(two.ask_cli("status")["warnings"], [])
        one.sync()
        self.assert_converged(hub, one, two)
        self.assertEqual(set(self.listed(two)), {theirs, sound, mine})
        kept = two.ask_cli("damaged")["damaged"]
        self.assertEqual([(d["kind"], d["record"], d["settled"]) for d in kept], [("record", theirs, True)])
        self.assertGreater(len(kept[0]["stored_bytes"]), 100)
        self.assertIn("delivered it again", two.cli("damaged").out)

    def test_an_acknowledged_change_comes_back_from_the_hub(self):
        hub, one, two = self.two()
        record = one.record(witness="Chenda")
        one.record()
        one.sync()
        one.rot("chain", one.keys("chain")[0])
        self.assertEqual(self.listed(one)[record]["place"], "damaged")
        one.sync()
        self.assertEqual(one.show(record)["document"]["witness"], "Chenda")
        self.assertEqual(one.show(record)["place"], "at_hub")
        self.assertEqual(one.ask_cli("status")["warnings"], [])
        one.record()
        one.sync()
        self.assertEqual(len(hub.records()), 3)
        self.assertEqual(hub.cli("verify").code, 0)

    def test_a_change_that_was_never_sent_is_named_loudly_and_the_rest_goes_on(self):
        hub, one, two = self.two()
        sent, lost, behind = one.record(), one.record(), one.record()
        one.rot("chain", one.keys("chain")[1])
        theirs = two.record()
        two.sync()

        synced = one.cli("sync", "--once", "--timeout", "50")
        self.assertEqual(synced.code, 1, synced)
        self.assertIn("change 2 of this tablet", synced.err)
        self.assertIn("2 waiting", synced.err)
        # What stood before it is at the hub, what others wrote has come.
        self.assertEqual(set(hub.records()), {sent, theirs})
        self.assertEqual(self.listed(one)[theirs]["place"], "at_hub")
        self.assertEqual(self.listed(one)[lost]["place"], "damaged")
        self.assertEqual(self.listed(one)[behind]["place"], "on_tablet")
        status = one.cli("status").out
        self.assertIn(f"of record {lost}, made after ", status)
        self.assertIn("cannot be sent", status)
        # The hub's operator reads it, too.
        world.wait_until(lambda: "cannot be sent" in hub.cli("device", "show", "T01").out)

    def test_the_daemon_finds_what_nobody_asked_for_and_mends_it(self):
        hub, one, two = self.two()
        theirs = one.record(witness="Chenda")
        one.sync()
        two.sync()
        two.rot("base", hex_of(theirs))
        two.start()
        two.daemon.wait_line(rf"record {theirs} was damaged on this tablet's disk")
        two.daemon.wait_line(r"everything stored here was read through")
        world.wait_until(lambda: two.api("GET", f"/v1/records/{theirs}").json()["place"] == "at_hub")
        self.assertEqual(two.api("GET", f"/v1/records/{theirs}").json()["document"]["witness"], "Chenda")

    def test_a_damaged_draft_is_said_and_can_be_dismissed(self):
        hub, one, two = self.two()
        kept = one.ask_cli("record", "stop", "--draft", "--from", "-", stdin="{}")["id"]
        gone = one.ask_cli("record", "stop", "--draft", "--from", "-", stdin="{}")["id"]
        one.rot("drafts", hex_of(gone))
        self.assertEqual(set(self.listed(one)), {kept})
        self.assertIn(f"Draft {gone} was damaged", one.cli("status").out)
        world.must(one.cli("discard", gone))
        self.assertEqual(one.ask_cli("status")["warnings"], [])

    def test_a_damaged_small_state_is_refused_with_what_to_do(self):
        hub, one, two = self.two()
        one.record()
        one.rot("meta", b"state".hex())
        for command in (["status"], ["record", "stop", "--from", "-"], ["run"]):
            refused = one.cli(*command, stdin=json.dumps(world.a_stop()))
            self.assertNotEqual(refused.code, 0, refused)
            for word in ("store.key", str(one.path / "store"), "keep"):
                self.assertIn(word, refused.err)
            self.assertEqual(refused.err.count("\n"), 1, refused)


if __name__ == "__main__":
    scenario.main()
