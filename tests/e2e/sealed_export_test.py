#!/usr/bin/env python3
"""The operator hands the sealed visits to the health authority: the hub exports what it cannot read, the authority reads it."""

import json
import pathlib
import stat
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "tests/support"), str(SOURCE / "scripts/lib/demo")]
sys.dont_write_bytecode = True
import scenario  # noqa: E402
import world  # noqa: E402
from records import Writer  # noqa: E402

UNIT, OTHER = "01-RH1", "02-RH1"
PAGE = 200  # of hub/cli/export.cpp: one more, so that a second page is needed
SECRET = ("client_pseudonym", "primary_drug", "visit_at", "hiv_tested", "episode_id")


def without_sealed(value):
    """The document without what is sealed in it."""
    if isinstance(value, list):
        return [without_sealed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_sealed(part) for name, part in value.items() if not (isinstance(part, dict) and "sealed" in part)}


class SealedExport(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub, self.authority = self.hub(), scenario.Authority(self.programs, self.folder / "keys")

    def rehab_unit(self, unit, name):
        return self.rehab(self.the_hub, self.authority, name, unit)

    def visits(self, tablet, unit, count):
        written = Writer(f"sealed-{unit}", unit).visits(count)
        path = self.folder / f"{unit}.ndjson"
        path.write_text("".join(json.dumps(visit) + "\n" for visit in written))
        self.assertEqual(tablet.ask_cli("import", path)["added"], count)
        tablet.sync()
        return written

    def test_the_hub_exports_what_only_the_authority_opens(self):
        tablet = self.rehab_unit(UNIT, "RH1")
        written = self.visits(tablet, UNIT, PAGE + 1)
        other = self.visits(self.rehab_unit(OTHER, "RH2"), OTHER, 3)
        police = self.tablet(self.the_hub, "T01")
        police.record()
        police.sync()

        out = self.folder / "sealed.ndjson"
        ran = world.must(self.the_hub.cli("export", "sealed", out))
        self.assertIn(f"{PAGE + 4} sealed visits", ran.out)
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o600)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual({line["type"] for line in lines}, {"visit"})  # no police record among them
        self.assertTrue(all(line["seals"] for line in lines))
        everything = out.read_text()
        for visit in written + other:
            self.assertNotIn(visit["client_pseudonym"], everything)

        found = self.authority.open(out)
        self.assertEqual(len(found), PAGE + 4)
        for visit in written + other:
            self.assertEqual([found[visit["client_pseudonym"]].get(name) for name in SECRET], [visit.get(name) for name in SECRET])
        # In clear it holds what the listing of records shows, no more; and that shows as little as before.
        exported = {line["id"]: line for line in lines}
        for record in self.the_hub.get(f"/v1/records?type=visit&unit={OTHER}")["records"]:
            line = dict(exported[record["id"]])
            del line["seals"]
            self.assertEqual(without_sealed(line), record["document"])
            self.assertNotIn("client_pseudonym", record["document"])

    def test_one_unit_alone_and_with_the_hub_standing_still(self):
        self.visits(self.rehab_unit(UNIT, "RH1"), UNIT, 2)
        self.visits(self.rehab_unit(OTHER, "RH2"), OTHER, 3)
        self.the_hub.stop()
        out = self.folder / "one.ndjson"
        world.must(self.the_hub.cli("export", "sealed", out, "--unit", OTHER))
        self.assertEqual(len(self.authority.open(out)), 3)
        shown = world.must(self.the_hub.cli("export", "sealed", "-"))
        self.assertEqual(len(shown.out.splitlines()), 5)
        self.assertIn("5 sealed visits", shown.err)

    def test_a_file_that_is_there_is_left_as_it_is_and_a_failure_leaves_none(self):
        out = self.folder / "there.ndjson"
        out.write_text("an earlier export")
        self.assert_refused(self.the_hub.cli("export", "sealed", out), "fieldpost-hub", "there already")
        self.assertEqual(out.read_text(), "an earlier export")
        ran = self.the_hub.cli("export", "sealed", self.folder / "nowhere/x.ndjson")
        self.assertNotEqual(ran.code, 0)
        self.assertEqual(ran.err.count("\n"), 1, ran)
        world.must(self.the_hub.cli("export", "sealed", self.folder / "none.ndjson"))  # no visit yet: an empty file
        self.assertEqual((self.folder / "none.ndjson").read_text(), "")
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith(".")], [])

    def test_who_has_no_token_gets_nothing(self):
        self.assertEqual(self.the_hub.api("GET", "/v1/export/sealed", token=False).status, 401)


if __name__ == "__main__":
    scenario.main()
