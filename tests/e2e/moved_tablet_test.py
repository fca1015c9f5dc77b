#!/usr/bin/env python3
"""A tablet that is given to another unit while it is offline."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


class MovedTablet(scenario.Scenario):
    def test_its_unsent_work_arrives_and_then_it_works_for_its_new_unit(self):
        hub = self.hub()
        world.must(hub.cli("unit", "add", "02-BVL", "--name", "Bavet"))
        one, mate = self.tablet(hub, "T01"), self.tablet(hub, "B01", unit="02-BVL")
        theirs = mate.ask_cli("record", "stop", "--from", "-",
                              stdin=world.json.dumps(world.a_stop(checkpoint_code="02-BVL")))["id"]
        mate.sync()
        one.sync()
        work = [one.record() for _ in range(3)]
        self.assertIn("unit 02-BVL", world.must(hub.cli("device", "move", "T01", "--unit", "02-BVL")).out)
        self.assertIn("  Moved from 01-PPT to 02-BVL", hub.cli("device", "list").out)
        one.sync()
        one.sync()
        self.assertEqual(set(hub.records()), {theirs, *work})
        self.assertEqual(hub.ask_cli("quarantine")["quarantine"], [])
        self.assertEqual([world.json.loads(line)["id"] for line in world.must(one.cli("--json", "list")).out.splitlines()], [theirs])
        status = one.ask_cli("status")
        self.assertEqual((status["unit"], status["waiting"], status["exceptions"]), ("02-BVL", 0, 0))
        new = one.show(one.record())
        self.assertEqual(new["unit"], "02-BVL")
        self.assertTrue(new["document"]["ref_no"].startswith("02-BVL-T01-"), new["document"]["ref_no"])
        one.sync()
        mate.sync()
        self.assert_converged(hub, one, mate, unit="02-BVL")

    def test_what_cannot_be_moved_is_said(self):
        hub = self.hub()
        self.tablet(hub, "T01")
        world.must(hub.cli("unit", "add", "02-BVL"))
        world.must(hub.cli("unit", "add", "01-RH1", "--compartment", "health"))
        self.tablet(hub, "RH1", unit="01-RH1")
        self.tablet(hub, "T02", unit="02-BVL")
        self.assert_refused(hub.cli("device", "move", "T09", "--unit", "02-BVL"), "fieldpost-hub", "no device T09")
        self.assert_refused(hub.cli("device", "move", "T01", "--unit", "03-XXX"), "fieldpost-hub", "no unit 03-XXX", "unit add")
        self.assert_refused(hub.cli("device", "move", "T01", "--unit", "01-RH1"), "fieldpost-hub", "of this compartment")
        self.assert_refused(hub.cli("device", "move", "RH1", "--unit", "02-BVL"), "fieldpost-hub", "enrol it anew")
        second = world.Tablet(self.programs, self.folder / "T02 of 01-PPT")
        second.enrol(hub, "T02")
        for command in (("device", "move", "T02", "--unit", "01-PPT"), ("device", "show", "T02")):
            self.assert_refused(hub.cli(*command), "fieldpost-hub", "two devices are named T02", "01-PPT", "02-BVL", "by its id")


if __name__ == "__main__":
    scenario.main()
