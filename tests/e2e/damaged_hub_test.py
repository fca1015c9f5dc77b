#!/usr/bin/env python3
"""Hubs whose disk flips bits: records are rebuilt from their changes, the rest goes on, the operator reads it."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


def hex_of(record):
    return record.replace("-", "")


class DamagedHub(scenario.Scenario):
    def filled(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        records = [one.record(witness=f"Chenda {n}") for n in range(3)]
        one.sync()
        hub.stop()
        return hub, one, two, records

    def log_keys(self, hub):
        return world.store_keys(self.programs, hub.path / "enforcement", "log")

    def test_a_damaged_record_is_delivered_whole_and_rebuilt_by_itself(self):
        hub, one, two, records = self.filled()
        hub.rot("records", hex_of(records[1]))
        offline = hub.cli("verify")
        self.assertEqual(offline.code, 1, offline)
        self.assertIn(records[1], offline.out)
        self.assertIn("fieldpost-hub repair", offline.out)
        hub.start()
        hub.daemon.wait_line(r"1 records rebuilt from their changes; 0 records and 0 changes")
        hub.daemon.wait_line(r"everything stored was read through: 6 values")
        two.sync()
        self.assertEqual(two.show(records[1])["document"]["witness"], "Chenda 1")
        self.assert_converged(hub, one, two)
        status = hub.get("/v1/status")
        self.assertEqual((status["stores"]["enforcement"]["damaged"], status["stores"]["enforcement"]["mended"]), (0, 1))
        self.assertEqual(status["read_through"]["passes"], 1)
        self.assertIn(f"record {records[1]} was damaged", hub.cli("damaged").out)
        kept = hub.ask_cli("damaged")["damaged"]
        self.assertEqual([(d["name"], d["mended"]) for d in kept], [(records[1], True)])
        self.assertGreater(len(kept[0]["stored_bytes"]), 40)

    def test_repair_mends_a_hub_that_does_not_run(self):
        hub, one, two, records = self.filled()
        for record in records:
            hub.rot("records", hex_of(record))
        mended = hub.cli("repair")
        self.assertEqual(mended.code, 0, mended)
        self.assertIn("3 damaged records rebuilt", mended.out)
        self.assertEqual(hub.cli("verify").code, 0)
        hub.start()
        two.sync()
        self.assert_converged(hub, one, two)

    def test_a_damaged_change_is_named_and_everything_else_goes_on(self):
        hub, one, two, records = self.filled()
        hub.rot("log", self.log_keys(hub)[0])
        hub.start()
        hub.daemon.wait_line(r"0 records rebuilt from their changes; 0 records and 1 changes cannot")
        # A tablet goes on writing, on that record too; another one has it delivered.
        world.must(one.cli("edit", records[0], "witness=Meas", "--reason", "asked him"))
        new = one.record()
        one.sync()
        two.sync()
        self.assertEqual(two.show(records[0])["document"]["witness"], "Meas")
        self.assertEqual(two.show(new)["place"], "at_hub")
        verified = hub.cli("verify")
        self.assertEqual(verified.code, 1, verified)
        self.assertIn(":1 in the log was damaged", verified.out)
        history = hub.cli("records", records[0], "--history")
        self.assertEqual(history.code, 0, history)
        self.assertIn("damaged on the hub's disk", history.out)
        status = hub.cli("status").out
        self.assertIn("! enforcement: 1 stored values were damaged", status)
        doctor = hub.cli("doctor")
        self.assertEqual(doctor.code, 1)
        self.assertIn("MEND     enforcement: 1 stored values were damaged", doctor.out)
        metrics = hub.api("GET", "/metrics").body.decode()
        self.assertIn('fieldpost_hub_damaged_values{compartment="enforcement"} 1', metrics)

    def test_what_cannot_be_rebuilt_is_said_and_blocks_nobody(self):
        hub, one, two, records = self.filled()
        hub.rot("records", hex_of(records[0]))
        hub.rot("log", self.log_keys(hub)[0])
        hub.start()
        hub.daemon.wait_line(r"1 records and 0 changes cannot be mended|1 records and 1 changes cannot be mended")
        world.must(one.cli("edit", records[0], "witness=Meas", "--reason", "asked him"))
        new = one.record()
        one.sync()
        two.sync()
        listed = two.cli("list").out
        self.assertNotIn(records[0], listed)
        for record in (records[1], records[2], new):
            self.assertIn(record, listed)
        # Its author's tablet has it, and reads why it is not at the hub.
        shown = one.cli("show", records[0])
        self.assertIn("the hub's copy of this record was damaged", shown.out)
        self.assertIn(records[0], hub.cli("damaged").out)
        self.assertIn("damaged", hub.cli("quarantine").out)
        refused = hub.cli("records", records[0])
        self.assertNotEqual(refused.code, 0)
        self.assertIn("backup", refused.err)
        self.assertEqual(hub.cli("repair").code, 1)


if __name__ == "__main__":
    scenario.main()
