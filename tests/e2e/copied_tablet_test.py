#!/usr/bin/env python3
"""Tablets whose data was copied, put back, or lost its newest part: nothing is lost, and the operator sees it."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


class CopiedTablet(scenario.Scenario):
    def settle(self, *tablets):
        for _ in range(2):
            for tablet in tablets:
                tablet.sync()

    def forks(self, hub):
        return next(d for d in hub.ask_cli("device", "list")["devices"] if d["name"] == "T01")["forks"]

    def ids(self, hub):
        return set(hub.records())

    def test_a_copied_tablet_goes_on_apart_and_both_copies_reach_the_hub(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        shared = one.record()
        one.sync()
        two = self.copy(one, "copy")
        made = {one.record(), one.record(), two.record(), two.record(), shared}
        world.must(two.cli("edit", shared, "witness=Chenda", "--reason", "asked her"))
        one.sync()
        two.sync()
        self.settle(one, two)
        self.assertEqual(self.ids(hub), made)
        self.assert_converged(hub, one, two)
        self.assertEqual(two.show(shared)["document"]["witness"], "Chenda")
        self.assertEqual(two.show(shared)["place"], "at_hub")
        forks = self.forks(hub)
        self.assertEqual((forks["times"], forks["written_anew"]), (1, 3))
        self.assertIn("COPIED OR RESTORED", hub.cli("device", "show", "T01").out)
        # From then on each is a writer of its own, and their numbers differ.
        numbers = {t.show(t.record())["document"]["ref_no"] for t in (one, two)}
        self.assertEqual(len(numbers), 2, numbers)
        self.settle(one, two)
        self.assert_converged(hub, one, two)
        self.assertEqual(self.forks(hub)["times"], 1)

    def test_a_tablet_that_lost_its_newest_part_gets_it_back(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        one.record()
        one.sync()
        backup = self.copy(one, "backup")
        lost = one.record()
        one.sync()
        backup.sync()
        self.settle(backup)
        self.assertEqual(backup.show(lost)["place"], "at_hub")
        self.assert_converged(hub, backup)
        backup.record()
        self.settle(backup)
        self.assert_converged(hub, backup)

    def test_a_store_put_back_is_noticed_at_start_before_the_hub_is_met(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        first = one.record()
        one.sync()
        shutil.copytree(one.path / "store", self.folder / "old-store")
        later = one.record()
        one.sync()
        hub.stop()
        shutil.rmtree(one.path / "store")
        shutil.copytree(self.folder / "old-store", one.path / "store")
        new = one.record()
        self.assertIn("put back or copied", one.cli("status").out)
        hub.start()
        one.sync()
        self.settle(one)
        self.assertEqual(self.ids(hub), {first, later, new})
        self.assertNotIn("put back or copied", one.cli("status").out)
        self.assert_converged(hub, one)

    def test_copies_that_push_in_turn_while_both_run_lose_nothing(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        made = {one.record()}
        one.sync()
        two = self.copy(one, "copy")
        for tablet in (one, two):
            tablet.start()
        for _ in range(4):
            for tablet in (one, two):
                made.add(tablet.record())
        for tablet in (one, two):
            tablet.sync()
        self.assertEqual(self.ids(hub), made)
        self.assert_converged(hub, one, two)

    def test_a_form_open_since_before_the_fork_still_knows_what_its_author_saw(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        record = one.record()
        one.sync()
        two = self.copy(one, "copy")
        one.record()
        one.sync()
        world.must(two.cli("edit", record, "witness=Chan", "--reason", "asked him"))
        two.start()
        opened = two.api("GET", f"/v1/records/{record}").json()["context"]
        two.sync()
        self.settle(two)
        answer = two.api("POST", f"/v1/records/{record}/edits",
                         {"set": {"witness": "Chenda"}, "reason": "it was her", "author": "NP-1", "context": opened})
        self.assertEqual(answer.status, 200, answer)
        two.sync()
        shown = two.show(record)
        self.assertEqual((shown["document"]["witness"], shown["conflicts"]), ("Chenda", {}))


if __name__ == "__main__":
    scenario.main()
