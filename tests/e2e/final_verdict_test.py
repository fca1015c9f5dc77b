#!/usr/bin/env python3
"""What no further attempt can change ends `sync --once` at once, with the sentence; what may pass is tried until the time is up."""

import json
import pathlib
import shutil
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

PATIENCE_S = 50  # given to the command; far more than one attempt takes
AT_ONCE_S = 25  # on a loaded machine


class FinalVerdict(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub = self.hub(start=False)
        shutil.copytree(self.the_hub.path / "enforcement", self.folder / "before")
        self.the_hub.start()
        self.the_tablet = self.tablet(self.the_hub, "T01")
        self.record = self.the_tablet.record()

    def assert_ends_at_once(self, *words):
        began = time.monotonic()
        ran = self.the_tablet.cli("sync", "--once", "--timeout", PATIENCE_S, timeout=PATIENCE_S + 30)
        self.assertLess(time.monotonic() - began, AT_ONCE_S, ran)
        self.assert_refused(ran, "fieldpost-agent", *words)
        self.assertNotIn("not in sync after", ran.err)
        status = self.the_tablet.ask_cli("status")
        self.assertEqual((status["waiting"], status["records"]), (1, 1))  # nothing is lost by it

    def hub_that_forgot_its_devices(self):
        """An older copy of its store was put back."""
        self.the_hub.stop()
        shutil.rmtree(self.the_hub.path / "enforcement")
        shutil.move(self.folder / "before", self.the_hub.path / "enforcement")
        self.the_hub.start()

    def test_a_device_the_hub_does_not_know(self):
        self.hub_that_forgot_its_devices()
        self.assert_ends_at_once("the hub says", "not enrolled at this hub")

    def test_the_same_asked_of_the_daemon_which_goes_on_trying_by_itself(self):
        self.hub_that_forgot_its_devices()
        self.the_tablet.start()
        self.assert_ends_at_once("the hub says", "not enrolled at this hub")
        status = self.the_tablet.api("GET", "/v1/status").json()
        self.assertTrue(status["last_error_is_final"])
        self.assertIsNotNone(status["next_attempt"])

    def test_a_hub_of_another_authority(self):
        other = self.hub("other")
        identity = self.the_tablet.path / "identity.json"
        known = json.loads(identity.read_text())
        identity.write_text(json.dumps({**known, "port": other.port}))
        self.assert_ends_at_once("certificate")

    def test_a_hub_that_is_not_there_is_waited_for(self):
        self.the_hub.stop()
        ran = self.the_tablet.cli("sync", "--once", "--timeout", 3)
        self.assertEqual(ran.code, 1, ran)
        self.assertIn("not in sync after 3 s, 1 waiting", ran.err)


if __name__ == "__main__":
    scenario.main()
