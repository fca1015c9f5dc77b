#!/usr/bin/env python3
"""A hub whose data was put back to an older state: tablets send again what it lost, and the operator decides on the
rest. Real processes and real disks; `restore` from a sealed backup has a test of its own."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


class RestoredHub(scenario.Scenario):
    def keep(self, hub, name="kept"):
        """The hub's stores as they are now; it is stopped for that and started again."""
        hub.stop()
        for store in ("enforcement", "health"):
            shutil.copytree(hub.path / store, self.folder / name / store)
        hub.start()

    def put_back(self, hub, name="kept"):
        hub.stop()
        for store in ("enforcement", "health"):
            shutil.rmtree(hub.path / store)
            shutil.copytree(self.folder / name / store, hub.path / store)
        # As after a disk image: nothing in it says that it is not the newest.
        hub.daemon = world.Daemon([hub.programs.hub, "--data", hub.path, "run", "--new-epoch"])
        hub.daemon.wait_line(r"listens on")

    def place(self, tablet, record):
        return tablet.show(record)["place"]

    def test_everything_acknowledged_and_the_hub_put_back_the_tablet_sends_it_again(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        kept = one.record()
        one.sync()
        self.keep(hub)
        lost = [one.record() for _ in range(3)]
        world.must(one.cli("edit", kept, "witness=Chenda", "--reason", "asked her"))
        one.sync()
        two.sync()
        before = hub.digest()
        self.put_back(hub)
        self.assertEqual(set(hub.records()), {kept})
        one.sync()
        self.assertEqual(set(hub.records()), {kept, *lost})
        two.sync()
        self.assertEqual(hub.digest(), before)
        self.assert_converged(hub, one, two)
        # Sent again as they were: no second name, no conflict, no suffix.
        self.assertEqual(hub.ask_cli("conflicts")["records"], [])
        self.assertEqual(len(one.show(one.record())["document"]["ref_no"].split("-")), 5)
        one.sync()
        self.assert_converged(hub, one)

    def test_what_a_destroyed_tablet_had_sent_comes_back_from_anothers_copy(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        kept = one.record()
        one.sync()
        self.keep(hub)
        lost = one.record()
        one.sync()
        two.sync()
        shutil.rmtree(one.path)
        self.put_back(hub)
        two.sync()
        self.assertEqual(set(hub.records()), {kept})
        self.assertEqual(self.place(two, lost), "lost_at_hub")
        self.assertEqual(self.place(two, kept), "at_hub")
        waiting = hub.ask_cli("recovery")["recovery"]
        self.assertEqual([(e["record"], e["missing"], e["here"]) for e in waiting], [(lost, True, None)])
        self.assertEqual(waiting[0]["copies"][0]["device_name"], "T02")
        listed = world.must(hub.cli("recovery")).out
        self.assertIn("THE HUB DOES NOT HAVE IT", listed)
        self.assertRegex(listed, r"copy of T02, here since 20\d\d-.*Z, \d+ bytes:")
        self.assertRegex(listed, r"(?m)^    direction = entry$")
        self.assertRegex(listed, r"1 copies of 1 records, 1 KiB, from T02 \(1\)\.")
        self.assertIn("1 TO BE RECOVERED", hub.cli("status").out)
        self.assertIn("wait for a decision", hub.cli("doctor").out)
        world.must(hub.cli("recovery", "join", lost, "--note", "T01 fell into the river", "--author", "OP-01"))
        self.assertEqual(set(hub.records()), {kept, lost})
        self.assertIn("RECOVERED: joined, by OP-01", hub.cli("records", lost).out)
        two.sync()
        self.assertEqual(self.place(two, lost), "at_hub")
        self.assert_converged(hub, two)
        self.assertIn("Nothing waits", hub.cli("recovery").out)
        self.assert_refused(hub.cli("recovery", "join", lost, "--note", "again"), "fieldpost-hub",
                            "was joined by OP-01", "nothing of it waits now", code=1)
        self.assert_refused(hub.cli("recovery", "refuse", kept, "--note", "why"), "fieldpost-hub",
                            "has no copy that waits", "fieldpost-hub recovery", code=1)
        self.assert_refused(hub.cli("recovery", "release", kept, "--note", "why"), "fieldpost-hub", "no held change", code=1)
        self.assertIn("Nothing is missing.", world.must(hub.cli("recovery", "join", "--all", "--note", "why")).out)
        self.assertIn("Nothing is held.", world.must(hub.cli("recovery", "release", "--all", "--note", "why")).out)

    def test_a_lost_predecessor_is_not_given_up_while_a_copy_has_it(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        record = one.record()
        one.sync()
        two.sync()
        self.keep(hub)
        world.must(one.cli("edit", record, "witness=Chenda", "--reason", "asked her"))
        one.sync()
        two.sync()
        world.must(two.cli("edit", record, "outcome=warning", "--reason", "no papers"))
        shutil.rmtree(one.path)
        self.put_back(hub)
        two.sync()
        listed = world.must(hub.cli("recovery")).out
        self.assertIn("THE HUB LACKS A PART OF IT", listed)
        self.assertRegex(listed, "held for what is missing: change [0-9a-f]{16}:")
        self.assertEqual(len(hub.ask_cli("held")["held"]), 1)
        self.assert_refused(hub.cli("recovery", "release", record, "--note", "T01 burnt"), "fieldpost-hub",
                            "a copy of device", "join or refuse it first", code=1)
        all_of_them = hub.cli("recovery", "release", "--all", "--note", "T01 burnt")
        self.assertEqual(all_of_them.code, 1, all_of_them)
        self.assertIn(f"{record}  NOT DONE: a copy of device", all_of_them.out)
        self.assertEqual(len(hub.ask_cli("held")["held"]), 1)
        done = hub.ask_cli("recovery", "join", "--all", "--note", "T01 burnt")
        self.assertEqual((done["decision"], done["decided"], done["refused"]), ("join", [record], []))
        document = hub.ask_cli("records", record)["document"]
        self.assertEqual((document["witness"], document["outcome"]), ("Chenda", "warning"))
        self.assertEqual(hub.ask_cli("held")["held"], [])
        two.sync()
        self.assert_converged(hub, two)

    def test_a_hub_that_was_killed_doubles_nothing_and_the_numbers_go_on(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        made = {one.record()}
        one.sync()
        for _ in range(3):
            hub.kill()
            made.add(one.record())
            hub.start()
            made.add(one.record())
            one.sync()
        self.assertEqual(set(hub.records()), made)
        numbers = [record["document"]["ref_no"] for record in hub.records().values()]
        self.assertEqual(sorted(numbers), [f"01-PPT-T01-{numbers[0].split('-')[3]}-{n:05}" for n in range(1, 8)])
        self.assertNotIn("COPIED OR RESTORED", hub.cli("device", "show", "T01").out)
        self.assert_converged(hub, one)

    def test_a_tablet_that_runs_meanwhile_needs_nobody(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        one.record()
        one.sync()
        self.keep(hub)
        made = {one.record() for _ in range(2)}
        one.start()
        two.start()
        world.wait_until(lambda: made <= set(hub.records()))
        self.put_back(hub)
        made.add(one.record())
        world.wait_until(lambda: made <= set(hub.records()))
        one.stop()
        two.stop()
        one.sync()
        two.sync()
        self.assert_converged(hub, one, two)


if __name__ == "__main__":
    scenario.main()
