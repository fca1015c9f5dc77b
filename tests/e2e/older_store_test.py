#!/usr/bin/env python3
"""Stores of an older format: copied, migrated, whole; and back to the old ones when the copy cannot be made.

tests/data/stores/format-2.tar.xz was written by the programs of format 2: a hub with three records, one of them in
conflict, and a tablet with those, one that was never sent and a draft. format-2.json names them.
"""

import json
import pathlib
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

STORES = pathlib.Path(__file__).resolve().parents[1] / "data/stores"


class OlderStore(scenario.Scenario):
    def setUp(self):
        super().setUp()
        with tarfile.open(STORES / "format-2.tar.xz") as tar:
            tar.extractall(self.folder)  # our own archive
        self.facts = json.loads((STORES / "format-2.json").read_text())
        self.tablet_folder, self.hub_folder = self.folder / "tablet", self.folder / "hub"

    def agent(self, *arguments, **more):
        return world.run(self.programs.agent, "--data", self.tablet_folder, "--author", "NP-2231", *arguments, **more)

    def hub_cli(self, *arguments):
        return world.run(self.programs.hub, "--data", self.hub_folder, *arguments)

    def test_a_tablet_of_format_2_is_copied_and_migrated_and_has_all_it_had(self):
        first = world.must(self.agent("status"))
        self.assertIn("was migrated from format 2 to 4", first.err)
        self.assertIn("1 waiting", first.out)
        self.assertIn("A copy of the records from before an update", first.out)
        copy = self.tablet_folder / "store.before-format-2"
        self.assertTrue((copy / "data.mdb").is_file())
        listed = world.must(self.agent("--json", "list", "--limit", "0")).out.splitlines()
        ids = {record["id"] for record in map(json.loads, listed)}
        self.assertLessEqual({*self.facts["waiting"], self.facts["draft"]}, ids)
        for record in self.facts["waiting"]:
            self.assertIn("never sent", self.agent("show", record).out)
        world.must(self.agent("verify"))
        again = world.must(self.agent("status"))
        self.assertEqual(again.err, "")
        world.must(self.agent("record", "stop", "--from", "-", stdin=json.dumps(world.a_stop())))
        # The old one is as it was: put back, it is migrated again, beside the first copy.
        world.must(world.run("rm", "-r", self.tablet_folder / "store"))
        copy.rename(self.tablet_folder / "store")
        self.assertIn("was migrated from format 2 to 4", world.must(self.agent("status")).err)

    def test_a_hub_of_format_2_is_copied_and_migrated_and_proves_what_it_had(self):
        first = self.hub_cli("verify")
        self.assertEqual(first.code, 0, first)
        self.assertIn("5 changes in 2 chains", first.out)
        self.assertIn("was migrated from format 2 to 4", first.err)
        for compartment in ("enforcement", "health"):
            self.assertTrue((self.hub_folder / f"{compartment}.before-format-2/data.mdb").is_file())
        records = world.must(self.hub_cli("records")).out
        for record in self.facts["at_hub"]:
            self.assertIn(record, records)
        self.assertIn(self.facts["conflict"], self.hub_cli("conflicts").out)
        self.assertIn("is a copy of a store from before an update", self.hub_cli("doctor").out)
        self.assertEqual(self.hub_cli("verify").err, "")

    def test_a_store_of_a_newer_format_is_refused_and_left_alone(self):
        world.must(self.agent("status"))
        world.must(world.run(self.programs.store_tool, self.tablet_folder / "store", "set", "format", "version", "5"))
        before = (self.tablet_folder / "store/data.mdb").read_bytes()
        refused = self.agent("status")
        self.assertNotEqual(refused.code, 0)
        self.assertIn("newer version of this program (format 5; this one knows 4)", refused.err)
        self.assertEqual((self.tablet_folder / "store/data.mdb").read_bytes(), before)


if __name__ == "__main__":
    scenario.main()
