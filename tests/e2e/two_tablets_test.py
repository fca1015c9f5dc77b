#!/usr/bin/env python3
"""Two tablets, offline, change the same record: nothing is lost, a person settles it once, all agree."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402



class TwoTablets(scenario.Scenario):
    def test_the_same_field_set_on_two_tablets_is_kept_twice_marked_and_settled_once(self):
        hub = self.hub()
        sok, dara = self.tablet(hub, "T01", author="NP-1001"), self.tablet(hub, "T02", author="NP-1002")
        record = sok.record()
        sok.sync()
        dara.sync()
        hub.stop()  # both are out of reach now
        world.must(sok.cli("edit", record, "outcome=warning", "--reason", "he had no papers"))
        world.must(dara.cli("edit", record, "outcome=fine", "direction=exit", "--reason", "fined on the way back"))
        self.assertEqual(sok.cli("sync", "--once", "--timeout", "1").code, 1)
        hub.start()
        for tablet in (sok, dara, sok):
            tablet.sync()

        self.assert_converged(hub, sok, dara)
        listed = hub.ask_cli("conflicts")["records"]
        self.assertEqual([(r["id"], [c["path"] for c in r["conflicts"]]) for r in listed], [(record, ["outcome"])])
        siblings = next(c for c in listed[0]["conflicts"] if c["path"] == "outcome")["siblings"]
        self.assertEqual({(s["value"], s["author"]) for s in siblings}, {("warning", "NP-1001"), ("fine", "NP-1002")})
        self.assertEqual(sum(s["shown"] for s in siblings), 1)
        for tablet in (sok, dara):
            shown = tablet.show(record)
            self.assertEqual({s["value"] for s in shown["conflicts"]["outcome"]}, {"warning", "fine"})
            self.assertEqual(shown["document"]["direction"], "exit")  # the other field of the amendment merged
            self.assertIn("conflict", tablet.cli("list").out)
            self.assertIn("settle it", tablet.cli("show", record).out)
        self.assertIn("outcome", hub.cli("conflicts").out)

        fine = next(s for s in siblings if s["value"] == "fine")
        world.must(hub.cli("resolve", record, "outcome", "--choose", f"{fine['actor']}:{fine['counter']}",
                           "--note", "the receipt says so", "--author", "OP-1"))
        for tablet in (sok, dara):
            tablet.sync()
            shown = tablet.show(record)
            self.assertNotIn("outcome", shown["conflicts"])
            self.assertEqual(shown["document"]["outcome"], "fine")
            self.assertIn("the receipt says so", [a["reason"] for a in shown["document"]["amendments"]])
        self.assertIn("No conflicts", hub.cli("conflicts").out)
        self.assert_converged(hub, sok, dara)

    def test_a_conflict_settled_on_two_tablets_at_once_for_the_same_value_is_no_conflict(self):
        hub = self.hub()
        sok, dara = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        record = sok.record()
        for tablet in (sok, dara):
            tablet.sync()
        world.must(sok.cli("edit", record, "witness=Chan", "--reason", "asked him"))
        world.must(dara.cli("edit", record, "witness=Chenda", "--reason", "asked her"))
        for tablet in (sok, dara, sok):
            tablet.sync()
        for tablet in (sok, dara):
            world.must(tablet.cli("edit", record, "witness=Chan Chenda", "--reason", "one person"))
        for tablet in (sok, dara, sok):
            tablet.sync()
        for tablet in (sok, dara):
            shown = tablet.show(record)
            self.assertNotIn("witness", shown["conflicts"])
            self.assertEqual(shown["document"]["witness"], "Chan Chenda")
        self.assert_converged(hub, sok, dara)

    def test_a_decision_about_a_record_that_changed_meanwhile_is_refused(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        record = tablet.record()
        tablet.sync()
        seen = hub.get(f"/v1/records/{record}")["version"]
        world.must(tablet.cli("edit", record, "witness=Chan", "--reason", "asked him"))
        tablet.sync()
        answer = hub.api("POST", f"/v1/records/{record}/resolve",
                         {"path": "witness", "value": "Dara", "note": "why", "version": seen})
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("changed since", answer.json()["error"]["message"])


if __name__ == "__main__":
    scenario.main()
