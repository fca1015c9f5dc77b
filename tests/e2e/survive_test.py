#!/usr/bin/env python3
"""Copies of one tablet, a hub put back to an older state, a third tablet: the histories in which replicas usually lose
something, on real processes and disks. tests/sync has the same, message by message."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

STORES = ("enforcement", "health")


class Survive(scenario.Scenario):
    def image(self, hub):
        """The hub's disk as a power cut would leave it: nothing in it says that it is not the newest."""
        hub.kill()
        for store in STORES:
            shutil.copytree(hub.path / store, self.folder / "image" / store)
        hub.start()

    def put_image_back(self, hub):
        hub.kill()
        for store in STORES:
            shutil.rmtree(hub.path / store)
            shutil.copytree(self.folder / "image" / store, hub.path / store)
        hub.start()

    def amend(self, tablet, record, **fields):
        world.must(tablet.cli("edit", record, *(f"{k}={v}" for k, v in fields.items()), "--reason", "asked"))

    def witnesses(self, hub, record):
        conflicts = hub.ask_cli("records", record)["conflicts"]
        values = {s["value"] for c in conflicts if c["path"] == "witness" for s in c["siblings"]}
        return values or {hub.ask_cli("records", record)["document"].get("witness")}

    def test_a_hub_put_back_between_two_clones_pushes_with_a_third_tablet_having_seen_one_of_them(self):
        for first in (0, 1):
            with self.subTest(first=first):
                self.folder = self.folder / f"run{first}"
                hub = self.hub()
                one, third = self.tablet(hub, "T01"), self.tablet(hub, "T02")
                record = one.record()
                one.sync()
                third.sync()
                two = self.copy(one, "copy")
                self.image(hub)
                self.amend(one, record, witness="Chenda")
                self.amend(two, record, witness="Dara")
                one.sync()
                third.sync()
                self.put_image_back(hub)
                for tablet in ((one, two), (two, one))[first]:
                    tablet.sync()
                for tablet in (one, two, third, one, two, third):
                    tablet.sync()
                self.assertEqual(self.witnesses(hub, record), {"Chenda", "Dara"})
                self.assert_converged(hub, one, two, third)
                scenario.end(hub)

    def test_a_disk_image_rolls_the_hub_back_and_one_of_two_clones_is_lost_with_it(self):
        hub = self.hub()
        one, third = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        record = one.record()
        one.sync()
        third.sync()
        two = self.copy(one, "copy")
        self.image(hub)
        self.amend(one, record, witness="Chenda")
        self.amend(two, record, witness="Dara")
        one.sync()
        third.sync()
        shutil.rmtree(one.path)
        self.put_image_back(hub)
        two.sync()
        third.sync()
        self.assertEqual(third.show(record)["place"], "lost_at_hub")
        world.must(hub.cli("recovery", "join", "--all", "--note", "one of the two is gone"))
        for tablet in (two, third, two, third):
            tablet.sync()
        self.assertEqual(self.witnesses(hub, record), {"Chenda", "Dara"})
        self.assert_converged(hub, two, third)

    def test_recovery_interrupted_by_the_hubs_end_is_asked_for_again(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        one.record()
        one.sync()
        self.image(hub)
        lost = {one.record() for _ in range(5)}
        one.sync()
        two.sync()
        shutil.rmtree(one.path)
        self.put_image_back(hub)
        two.start()
        world.wait_until(lambda: hub.get("/v1/status")["stores"]["enforcement"]["staged"] > 0)
        hub.kill()
        hub.start()
        two.stop()
        two.sync()
        self.assertEqual({e["record"] for e in hub.ask_cli("recovery")["recovery"]}, lost)
        world.must(hub.cli("recovery", "join", "--all", "--note", "T01 burnt"))
        two.sync()
        self.assertTrue(lost <= set(hub.records()))
        self.assert_converged(hub, two)

    def test_an_edit_after_a_refused_change_of_the_same_record_arrives(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        record = one.record()
        one.sync()
        # A change that lies about its record's unit, and two edits that rest on it, made before anybody could know.
        one.raw({"record": record, "unit": "02-BVL", "edits": {"witness": "Nobody"}})
        self.amend(one, record, witness="Chenda")
        self.amend(one, record, witness="Dara")
        one.sync()
        one.sync()
        self.assertEqual(hub.ask_cli("records", record)["document"]["witness"], "Dara")
        self.assertEqual(hub.ask_cli("held")["held"], [])
        kinds = [e["kind"] for e in hub.ask_cli("quarantine")["quarantine"]]
        self.assertIn("unauthorised", kinds)
        self.assertEqual(one.show(record)["place"], "attention")
        self.assertEqual(hub.cli("verify").code, 0)


if __name__ == "__main__":
    scenario.main()
