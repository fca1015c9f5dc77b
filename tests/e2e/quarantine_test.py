#!/usr/bin/env python3
"""One bad record among a thousand: kept aside with its reason, the rest arrive, and a person decides."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


GOOD = 999


class Quarantine(scenario.Scenario):
    def bad_stop(self, tablet, **edits):
        """A stop that no agent would store: its form refuses it."""
        return tablet.raw(world.raw_stop("01-PPT-T01-2026-90001", direction="sideways", **edits))[0]

    def held_back(self, hub):
        return [(e["actor"] + ":" + str(e["counter"]), e["rule"], e["path"]) for e in hub.ask_cli("quarantine")["quarantine"]]

    def one_bad_with_a_later_edit(self, hub, tablet):
        """A quarantined creation and an honest edit that waits behind it."""
        bad = self.bad_stop(tablet)
        world.must(tablet.cli("edit", bad["record"], "direction=exit", "--reason", "typed the wrong way"))
        tablet.sync()
        return bad

    def assert_nothing_waits(self, hub, *tablets):
        self.assertEqual(hub.ask_cli("quarantine")["quarantine"], [])
        self.assertEqual(hub.ask_cli("held")["held"], [])
        for tablet in tablets:
            status = tablet.ask_cli("status")
            self.assertEqual((status["exceptions"], status["waiting"]), (0, 0), status)

    def test_one_of_a_thousand_breaks_its_form_and_the_others_arrive(self):
        hub = self.hub()
        tablet, other = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        rows = [json.dumps(world.a_stop(external_id=str(n))) for n in range(GOOD)]
        (self.folder / "a.ndjson").write_text("\n".join(rows[:500]))
        (self.folder / "b.ndjson").write_text("\n".join(rows[500:]))
        tablet.ask_cli("import", self.folder / "a.ndjson", "--type", "stop")
        bad = self.bad_stop(tablet)
        tablet.ask_cli("import", self.folder / "b.ndjson", "--type", "stop")
        tablet.sync()

        self.assertEqual(hub.get("/v1/status")["stores"]["enforcement"]["records"], GOOD)
        self.assertEqual(self.held_back(hub), [(bad["dot"], "enum", "direction")])
        reason = hub.ask_cli("quarantine")["quarantine"][0]["reason"]
        self.assertIn("not one of the choices", reason)
        self.assertNotIn("sideways", reason)  # the value itself is nobody's business in a log
        other.sync()
        self.assertEqual(other.ask_cli("status")["records"], GOOD)

        world.must(tablet.cli("edit", bad["record"], "direction=exit", "--reason", "typed the wrong way"))
        tablet.sync()
        held = hub.ask_cli("held")["held"]
        self.assertEqual([entry["record"] for entry in held], [bad["record"]])
        words = tablet.cli("show", bad["record"]).out
        self.assertIn("needs attention", words)
        self.assertIn("keeps this change aside (direction)", words)
        self.assertIn("waits for an earlier change of this record", words)
        self.assertIn("need attention", tablet.cli("status").out)
        self.assertIn(bad["record"], tablet.cli("list", "--state", "attention").out)

        world.must(hub.cli("quarantine", "accept", bad["dot"], "--note", "corrected by the next edit", "--author", "OP-1"))
        for each in (tablet, other):
            each.sync()
        self.assert_nothing_waits(hub, tablet, other)
        self.assertEqual(other.show(bad["record"])["document"]["direction"], "exit")
        self.assertEqual(other.ask_cli("status")["records"], GOOD + 1)
        self.assert_converged(hub, tablet, other)

    def test_a_rejected_creation_is_void_everywhere_and_its_later_edit_is_settled(self):
        hub = self.hub()
        tablet, other = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        bad = self.one_bad_with_a_later_edit(hub, tablet)
        self.assertEqual(hub.cli("quarantine", "reject", bad["dot"]).code, 2)  # not without a note
        world.must(hub.cli("quarantine", "reject", bad["dot"], "--note", "no such direction"))
        for each in (tablet, other, tablet):
            each.sync()
        self.assert_nothing_waits(hub, tablet, other)
        for each in (tablet, other):
            self.assertIn("no such direction", json.dumps(each.show(bad["record"])["document"]))
            self.assertNotIn("sideways", json.dumps(each.show(bad["record"])["document"]))
        self.assert_converged(hub, tablet, other)

    def test_a_retry_with_the_same_forms_says_why_the_change_stays(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        bad = self.one_bad_with_a_later_edit(hub, tablet)
        ran = world.must(hub.cli("quarantine", "retry", bad["dot"]))
        self.assertIn("Stays in quarantine", ran.out)
        self.assertIn("not one of the choices", ran.out)
        self.assertEqual(self.held_back(hub), [(bad["dot"], "enum", "direction")])

    def test_a_tablet_that_is_connected_hears_at_once_of_a_ruling_that_merges_nothing(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        bad = self.bad_stop(tablet)
        worse = tablet.raw({"record": bad["record"], "author": "NP-2231", "reason": "typed the wrong way", "edits": {"direction": "upwards"}})[0]
        tablet.start()
        kinds = lambda: {e["dot"]: e["kind"] for e in tablet.api("GET", f"/v1/records/{bad['record']}").json()["exceptions"]}
        world.wait_until(lambda: kinds() == {bad["dot"]: "quarantined", worse["dot"]: "quarantined"})
        # Accepted, but the change it rests on is not settled: nothing is merged, and no delivery can say so.
        world.must(hub.cli("quarantine", "accept", worse["dot"], "--note", "right in the end"))
        world.wait_until(lambda: kinds() == {bad["dot"]: "quarantined", worse["dot"]: "held"})
        world.must(hub.cli("quarantine", "accept", bad["dot"], "--note", "corrected by the next"))
        world.wait_until(lambda: kinds() == {})
        tablet.stop()
        self.assert_nothing_waits(hub, tablet)
        self.assert_converged(hub, tablet)

    def test_a_retry_on_a_hub_with_newer_forms_settles_what_the_older_hub_kept_aside(self):
        real = self.programs.hub
        self.programs.hub = older_hub(real, self.folder / "older-hub")
        self.addCleanup(setattr, self.programs, "hub", real)
        hub = self.hub()
        tablet, other = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        record = tablet.record(direction="internal")
        world.must(tablet.cli("edit", record, "witness=Chan", "--reason", "asked him"))
        tablet.sync()
        kept = self.held_back(hub)
        self.assertEqual([(rule, path) for _, rule, path in kept], [("enum", "direction")])
        self.assertEqual(len(hub.ask_cli("held")["held"]), 1)
        hub.stop()
        self.programs.hub = real
        hub.start()
        self.assertIn("Settled", world.must(hub.cli("quarantine", "retry", kept[0][0])).out)
        for each in (tablet, other):
            each.sync()
        self.assert_nothing_waits(hub, tablet, other)
        document = other.show(record)["document"]
        self.assertEqual((document["direction"], document["witness"]), ("internal", "Chan"))
        self.assert_converged(hub, tablet, other)


def older_hub(program, path):
    """The hub as it was before its form knew the direction "internal": the embedded form says another word."""
    code = pathlib.Path(program).read_bytes()
    old = code.replace(b'"internal"', b'"outbound"').replace(b"direction.internal", b"direction.outbound")
    assert old != code, "the form is not embedded as text any more: patch it another way"
    path.write_bytes(old)
    path.chmod(0o755)
    return str(path)


if __name__ == "__main__":
    scenario.main()
