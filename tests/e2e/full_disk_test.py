#!/usr/bin/env python3
"""Tablets and hubs on a disk that fills up: what is refused is said, what was recorded is there and is sent, and all
goes on once there is room.

Each test's folder is a tmpfs of a mount namespace of its own: as root, or as a user who may make one.
"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

DISK_MIB = 96
RESERVE_MIB = 16
"""A store leaves so much free on its volume."""


def enter_a_namespace():
    """Runs this very test again inside one; says why not where there is none."""
    if os.environ.get("FIELDPOST_TEST_IN_NAMESPACE"):
        return
    tried = subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True)
    if tried.returncode != 0:
        print(f"skipped: no mount namespace can be made here ({tried.stderr.strip()})")
        sys.exit(0)
    os.environ["FIELDPOST_TEST_IN_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])


class FullDisk(scenario.Scenario):
    def small_disk(self, name):
        folder = self.folder / name
        folder.mkdir()
        world.must(world.run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", folder))
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        return folder

    def fill(self, folder, leave_kib):
        """Somebody else's file takes all but that much."""
        free = os.statvfs(folder)
        bytes_free = free.f_bavail * free.f_frsize - leave_kib * 1024
        with open(folder / "somebody-elses.bin", "wb") as other:
            other.write(b"x" * bytes_free)

    def make_room(self, folder):
        (folder / "somebody-elses.bin").unlink()

    def refused(self, ran):
        self.assertEqual(ran.code, 1, ran)
        for words in ("nothing was recorded", "MiB left", "was recorded before is here", "Make room"):
            self.assertIn(words, ran.err)
        self.assertEqual(ran.out, "")

    def test_a_tablet_on_a_full_disk_says_so_and_keeps_what_it_has(self):
        hub = self.hub()
        disk = self.small_disk("disk")
        tablet = world.Tablet(self.programs, disk / "T01")
        self.addCleanup(scenario.end, tablet)
        tablet.enrol(hub, "T01")
        before, unsent = tablet.record(), tablet.record()
        draft = tablet.ask_cli("record", "stop", "--draft", "--from", "-", stdin="{}")["id"]
        self.assertEqual(tablet.ask_cli("status")["warnings"], [])

        self.fill(disk, (RESERVE_MIB + 20) * 1024)  # still room, and a warning
        warned = tablet.ask_cli("status")
        self.assertIn("Room is short", warned["warnings"][0])
        recorded_late = tablet.record()
        self.make_room(disk)

        for left_kib in (RESERVE_MIB * 1024 - 512, 0):  # the reserve alone, and not even that
            self.fill(disk, left_kib)
            document = json.dumps(world.a_stop())
            self.refused(tablet.cli("record", "stop", "--from", "-", stdin=document))
            self.refused(tablet.cli("record", "stop", "--draft", "--from", "-", stdin=document))
            self.refused(tablet.cli("edit", before, "witness=Chenda", "--reason", "asked"))
            status = tablet.cli("status")
            self.assertEqual(status.code, 0, status)
            self.assertIn("No room: nothing more can be recorded", status.out)
            listed = world.must(tablet.cli("list")).out
            for record in (before, unsent, recorded_late):
                self.assertIn(record, listed)
                self.assertEqual(tablet.cli("show", record).code, 0)
            self.make_room(disk)

        self.fill(disk, 0)
        tablet.sync()  # sends, and takes the acknowledgements
        self.assertEqual(tablet.ask_cli("status")["waiting"], 0)
        self.assertEqual(set(hub.records()), {before, unsent, recorded_late})
        self.assertIn("No room", hub.cli("device", "show", "T01").out)
        world.must(tablet.cli("discard", draft))
        self.make_room(disk)
        again = tablet.record()
        tablet.sync()
        self.assertIn(again, hub.records())
        self.assertEqual(tablet.ask_cli("status")["warnings"], [])
        self.assert_converged(hub, tablet)

    def test_what_was_typed_at_the_terminal_survives_a_full_disk(self):
        hub = self.hub()
        disk = self.small_disk("disk")
        tablet = world.Tablet(self.programs, disk / "T01")
        tablet.enrol(hub, "T01")
        self.fill(disk, 0)
        # The questions end with the input: what was answered would be a draft.
        asked = tablet.cli("record", "stop", stdin="01-PPT\n")
        self.assertNotEqual(asked.code, 0)
        self.assertIn("What you typed is still here", asked.err)
        self.assertEqual(json.loads(asked.out)["checkpoint_code"], "01-PPT")

    def test_a_hub_on_a_full_disk_keeps_answering_and_loses_nothing_it_acknowledged(self):
        disk = self.small_disk("disk")
        hub = world.Hub(self.programs, disk / "hub")
        self.addCleanup(scenario.end, hub)
        world.must(hub.cli("unit", "add", "01-PPT", "--name", "Poipet"))
        hub.start()
        one, two = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        first = one.record(witness="Chenda")
        one.sync()

        self.fill(disk, 512)
        waits = one.record()
        one.start()
        hub.daemon.wait_line(r"a commit failed: .*MiB left")
        one.daemon.wait_line(r"the hub says: the hub could not store this now; nothing is lost")
        two.sync()  # what is there is delivered
        self.assertEqual(two.show(first)["document"]["witness"], "Chenda")
        status = hub.cli("status").out
        self.assertIn("! enforcement: takes no records now", status)
        self.assertIn("! enforcement: no room left", status)
        self.assertIn("MEND     enforcement: no room left", hub.cli("doctor").out)
        self.assertEqual(hub.api("GET", "/readyz").status, 503)
        self.assertEqual(set(hub.records()), {first})
        hub.stop()
        hub.start()  # a full disk stops no start
        self.assertEqual(set(hub.records()), {first})
        failures = [line for line in hub.daemon.lines if line and "a commit failed" in line]
        self.assertLessEqual(len(failures), 1)

        self.make_room(disk)
        self.assertEqual(one.api("POST", "/v1/sync").status, 202)
        world.wait_until(lambda: waits in hub.records())
        world.wait_until(lambda: one.api("GET", "/v1/status").json()["in_sync"])
        one.stop()
        two.sync()
        self.assert_converged(hub, one, two)
        self.assertEqual(hub.api("GET", "/readyz").status, 200)


if __name__ == "__main__":
    enter_a_namespace()
    scenario.main()
