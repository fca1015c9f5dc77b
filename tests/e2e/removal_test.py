#!/usr/bin/env python3
"""What the hub and all its backups have leaves the tablet's chains; the records stay, and everything goes on."""

import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


class Removal(scenario.Scenario):
    def removed(self, tablet):
        return tablet.ask_cli("status")["removed_changes"]

    def sync(self, tablet, keep_days=0):
        return world.must(tablet.cli("sync", "--once", "--timeout", 50, "--keep-days", keep_days))

    def test_old_changes_leave_the_tablet_only_when_they_are_in_every_backup(self):
        hub = self.hub()
        one, mate = self.tablet(hub, "T01"), self.tablet(hub, "T02")
        before = [one.record() for _ in range(3)]
        self.sync(one)
        self.sync(one)
        self.assertEqual(self.removed(one), 0)  # nobody has a backup of them
        hub.stop()
        self.set_up_backups(hub)
        hub.start().daemon.wait_line("backup 1 made")
        after = [one.record() for _ in range(2)]
        self.sync(one, keep_days=90)
        self.assertEqual(self.removed(one), 0)  # too young
        self.sync(one)
        self.assertEqual(self.removed(one), 3)  # what came after the backup stays
        self.assertEqual(len(one.keys("chain")), 2)
        self.assertIn("oldest 3 are no longer kept", world.must(one.cli("status")).out)
        self.assertIn("3 older changes are no longer kept here", world.must(one.cli("verify")).out)
        for record in before + after:
            self.assertEqual(one.show(record)["place"], "at_hub")
        # The records are there as ever, and are edited as ever.
        world.must(one.cli("edit", before[0], "direction=exit", "--reason", "typed the wrong way"))
        self.sync(one)
        self.sync(mate)
        self.assert_converged(hub, one, mate)
        self.assertEqual(set(hub.records()), {*before, *after})
        hub.stop()
        self.assertEqual(hub.cli("verify").code, 0)

    def test_a_hub_put_back_to_before_all_its_backups_is_told_what_is_gone(self):
        hub = self.hub()
        one = self.tablet(hub, "T01")
        first = one.record()
        self.sync(one)
        hub.stop()
        shutil.copytree(hub.path / "enforcement", self.folder / "kept")
        hub.start()
        gone = [one.record() for _ in range(2)]
        self.sync(one)
        hub.stop()
        self.set_up_backups(hub)
        hub.start().daemon.wait_line("backup 1 made")
        last = one.record()
        self.sync(one)
        self.assertEqual(self.removed(one), 3)
        hub.stop()
        shutil.rmtree(hub.path / "enforcement")
        shutil.copytree(self.folder / "kept", hub.path / "enforcement")
        hub.daemon = world.Daemon([hub.programs.hub, "--data", hub.path, "run", "--new-epoch"])
        hub.daemon.wait_line(r"listens on")
        self.sync(one)
        self.assertEqual(set(hub.records()), {first, last})
        self.assertEqual([one.show(record)["place"] for record in (first, *gone, last)],
                         ["at_hub", "lost_at_hub", "lost_at_hub", "at_hub"])
        self.assertIn("2 more changes are missing, as their tablets have signed: 1 gaps", world.must(hub.cli("verify")).out)
        # The records themselves are on the tablet.
        world.must(hub.cli("recovery", "join", "--all", "--note", "the safe's disk was too old"))
        self.sync(one)
        self.assertEqual(set(hub.records()), {first, *gone, last})
        self.assertEqual({one.show(record)["place"] for record in gone}, {"at_hub"})
        world.must(one.cli("edit", gone[0], "direction=exit", "--reason", "typed the wrong way"))
        self.sync(one)
        self.assert_converged(hub, one)
        hub.stop()
        self.assertEqual(hub.cli("verify").code, 0)


if __name__ == "__main__":
    scenario.main()
