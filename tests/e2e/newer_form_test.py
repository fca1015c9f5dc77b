#!/usr/bin/env python3
"""A record of a newer form: what this program does not know, it keeps."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


NEWER = {"schema_version": 9, "witness_language": "Khmer", "direction": "transit"}
"""A field and a choice that no form here knows."""


class NewerForm(scenario.Scenario):
    def newer_stop(self, tablet):
        line = world.raw_stop("01-PPT-T01-2026-90001", direction="transit", witness_language="Khmer")
        return tablet.raw({**line, "schema_version": NEWER["schema_version"]})[0]["record"]

    def assert_kept(self, document):
        for name in ("witness_language", "direction"):
            self.assertEqual(document.get(name), NEWER[name], document)

    def test_an_unknown_field_survives_sync_edit_merge_and_export(self):
        hub = self.hub()
        newer, older = self.tablet(hub, "T01", author="NP-1001"), self.tablet(hub, "T02", author="NP-1002")
        record = self.newer_stop(newer)
        for tablet in (newer, older):
            tablet.sync()
        self.assertEqual(hub.ask_cli("quarantine")["quarantine"], [])
        self.assert_kept(hub.get(f"/v1/records/{record}")["document"])
        self.assert_kept(older.show(record)["document"])

        # Both amend it without knowing of each other, with programs of the older form.
        world.must(older.cli("edit", record, "witness=Chan", "--reason", "asked him"))
        world.must(newer.cli("edit", record, "outcome=warning", "--reason", "he had no papers"))
        for tablet in (newer, older, newer):
            tablet.sync()
        for document in (hub.get(f"/v1/records/{record}")["document"], newer.show(record)["document"], older.show(record)["document"]):
            self.assert_kept(document)
            self.assertEqual((document["witness"], document["outcome"]), ("Chan", "warning"))
        exported = [json.loads(line) for line in older.cli("export").out.splitlines()]
        self.assert_kept(exported[0])
        self.assert_converged(hub, newer, older)

    def test_a_conflict_on_an_unknown_field_is_kept_and_can_be_settled_at_the_hub(self):
        hub = self.hub()
        one, two = self.tablet(hub, "T01", author="NP-1001"), self.tablet(hub, "T02", author="NP-1002")
        record = self.newer_stop(one)
        for tablet in (one, two):
            tablet.sync()
        for tablet, language in ((one, "Lao"), (two, "Thai")):
            tablet.raw({"record": record, "author": tablet.author, "schema_version": 9, "reason": "heard it",
                        "edits": {"witness_language": language}})
        for tablet in (one, two, one):
            tablet.sync()
        siblings = hub.ask_cli("conflicts")["records"][0]["conflicts"][0]["siblings"]
        self.assertEqual({s["value"] for s in siblings}, {"Lao", "Thai"})
        lao = next(s for s in siblings if s["value"] == "Lao")
        world.must(hub.cli("resolve", record, "witness_language", "--choose", f"{lao['actor']}:{lao['counter']}", "--note", "she said so"))
        for tablet in (one, two):
            tablet.sync()
            self.assertEqual(tablet.show(record)["document"]["witness_language"], "Lao")
        self.assert_converged(hub, one, two)


if __name__ == "__main__":
    scenario.main()
