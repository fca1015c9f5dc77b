#!/usr/bin/env python3
"""A hub's disk dies: what was backed up comes back; a crash, a full disk or a second process leave no half backup."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def day(count, seed=1):
    """So many stops, as `import` takes them."""
    made = subprocess.run([sys.executable, ROOT / "scripts/lib/demo/records.py", "stops", "--count", str(count), "--seed", str(seed)],
                          capture_output=True, check=True)
    return made.stdout.decode()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Backup(scenario.Scenario):
    def repository(self):
        return self.folder / "backups"

    def filled(self, count):
        """A hub that has `count` stops of a tablet, with backups set up, not running."""
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        (self.folder / "day.ndjson").write_text(day(count))
        world.must(tablet.cli("import", self.folder / "day.ndjson", "--type", "stop"))
        tablet.sync()
        hub.stop()
        return hub, tablet, self.set_up_backups(hub)

    def restored(self, hub, key, *options):
        """The hub again, from its backups, in a new folder."""
        again = self.folder / "restored"
        ran = world.must(world.run(self.programs.hub, "--data", again, "restore", "--from", self.repository(), "--key", key, *options))
        self.assertIn("verify", ran.out)  # it says what to do next
        hub.path = again
        return ran

    def verify_all(self, hub):
        verified = world.must(hub.cli("backup", "verify", "--all"))
        self.assertNotIn("FAULT", verified.out)
        return verified

    def test_a_hub_whose_disk_died_is_there_again_with_what_its_newest_backup_holds(self):
        hub, tablet, key = self.filled(200)
        hub.start().daemon.wait_line("backup 1 made")
        (self.folder / "more.ndjson").write_text(day(400, seed=2))
        world.must(tablet.cli("import", self.folder / "more.ndjson", "--type", "stop"))
        tablet.start()  # pushes from now on
        world.must(hub.cli("backup", "run"))  # beside it
        world.wait_until(lambda: hub.get("/v1/status")["stores"]["enforcement"]["records"] == 600)
        tablet.stop()
        world.must(hub.cli("backup", "run"))
        held, digest = hub.records(), hub.digest()
        lost = tablet.record()
        tablet.sync()
        self.assertIn(lost, hub.records())
        hub.kill()
        shutil.rmtree(hub.path)  # the disk

        self.restored(hub, key)
        self.assertEqual(hub.cli("verify").code, 0)
        hub.start()
        self.assertEqual(hub.records().keys(), held.keys())
        self.assertEqual(hub.digest(), digest)
        self.assertNotIn(lost, hub.records())
        # It is the same hub to new tablets, and goes on with the same repository.
        other = self.tablet(hub, "T02")
        other.record()
        other.sync()
        world.must(hub.cli("backup", "run"))
        listed = hub.get("/v1/backups")["backups"]
        self.assertEqual([one["number"] for one in listed], [1, 2, 3, 4])
        self.assertTrue(all(one["restorable"] for one in listed))
        hub.stop()
        self.verify_all(hub)

    def test_an_older_backup_by_its_number_and_an_existing_folder_is_refused(self):
        hub, tablet, key = self.filled(20)
        world.must(hub.cli("backup", "run"))
        hub.start()
        tablet.record()
        tablet.sync()
        hub.stop()
        world.must(hub.cli("backup", "run"))
        occupied = world.run(self.programs.hub, "--data", hub.path, "restore", "--from", self.repository(), "--key", key)
        self.assert_refused(occupied, "fieldpost-hub", "there already", "new folder")
        other = world.Hub(self.programs, self.folder / "other")
        wrong = self.folder / "wrong.txt"
        world.must(other.cli("backup", "key", "--out", wrong))
        refused = world.run(self.programs.hub, "--data", self.folder / "x", "restore", "--from", self.repository(), "--key", wrong)
        self.assertNotEqual(refused.code, 0)
        self.assertIn("recovery key", refused.err)
        self.assertFalse((self.folder / "x").exists())
        self.restored(hub, key, "--backup", "1")
        self.assertEqual(hub.ask_cli("status")["stores"]["enforcement"]["records"], 20)

    def test_a_hub_killed_in_the_middle_of_a_backup_leaves_a_good_repository(self):
        hub, _, key = self.filled(3000)
        for wanted in (1, 8, 16):  # files written when the signal comes
            before = set(files(self.repository() / "chunks"))
            hub.start()  # a backup is due at once
            while len(set(files(self.repository() / "chunks")) - before) < wanted and not list((self.repository() / "backups").iterdir()):
                pass
            hub.kill()
            if list((self.repository() / "backups").iterdir()):
                break  # it was faster than the signal
            self.assertEqual(hub.ask_cli("backup", "list")["backups"], [])
        world.must(hub.cli("backup", "run"))
        self.verify_all(hub)
        self.assertEqual([path.name for path in files(self.repository()) if path.name.startswith(".")], [])
        self.restored(hub, key)
        self.assertEqual(hub.cli("verify").code, 0)

    def test_a_backup_is_made_when_it_is_due_and_old_ones_go(self):
        hub = self.hub(start=False)
        self.set_up_backups(hub, every_hours=6, keep=2)
        for number, hours in ((1, 0), (2, 7), (3, 14)):
            hub.start(clock_shift_s=hours * 3600).daemon.wait_line(f"backup {number} made")
            hub.stop()
        self.assertEqual([one["number"] for one in hub.ask_cli("backup", "list")["backups"]], [2, 3])
        hub.start(clock_shift_s=15 * 3600)
        # It has looked at the repository, and none was due.
        world.wait_until(lambda: "newest" in hub.get("/v1/status")["backup"])
        self.assertEqual(hub.get("/v1/status")["backup"]["newest"], 3)

    def test_a_failure_is_told_and_goes_with_the_next_success(self):
        hub = self.hub(start=False)
        self.assertIn("MEND     no backups", hub.cli("doctor").out)
        self.assertIn("NONE", hub.cli("status").out)
        self.set_up_backups(hub)
        self.assertIn("MEND     there is no backup yet", hub.cli("doctor").out)
        hub.start().daemon.wait_line("backup 1 made")
        self.assertIn("good     the newest backup (1)", hub.cli("doctor").out)

        def fails(*words):
            ran = hub.cli("backup", "run")
            self.assertNotEqual(ran.code, 0, ran)
            self.assertEqual(ran.err.count("\n"), 1, ran)
            for said in (ran.err, hub.cli("status").out, hub.cli("doctor").out):
                for word in words:
                    self.assertIn(word, said)
            self.assertIn("MEND", hub.cli("doctor").out)
            hub.daemon.wait_line("no backup was made")

        with open(self.repository() / "lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fails("in use by")
        world.must(hub.cli("backup", "run"))
        self.assertIsNone(hub.get("/v1/status")["backup"]["fault"])
        self.repository().rename(self.folder / "unplugged")
        fails("mounted")
        self.repository().mkdir()
        fails("mounted")
        self.assertEqual(list(self.repository().iterdir()), [])
        (self.repository() / "beach.jpg").write_text("sand")
        fails("not a backup repository")
        shutil.rmtree(self.repository())
        (self.folder / "unplugged").rename(self.repository())
        world.must(hub.cli("backup", "run"))
        self.assertNotIn("FAILED", hub.cli("status").out)
        # One that lost a file is told, and mended by the next.
        victim = files(self.repository() / "chunks")[0]
        victim.unlink()
        self.assertIn(victim.name, hub.cli("doctor").out)
        self.assertEqual(hub.cli("backup", "verify").code, 1)
        world.must(hub.cli("backup", "run"))
        self.assertNotIn("CANNOT", hub.cli("backup", "list").out)

    def test_a_place_that_is_no_good_is_refused_before_anything_is_written(self):
        hub = self.hub(start=False)
        self.assert_refused(hub.cli("backup", "setup", "--directory", self.folder / "b"), "fieldpost-hub", "no recovery key yet",
                            "backup key --out")
        self.assert_refused(hub.cli("backup", "key", "--out", hub.path / "recovery.txt"), "fieldpost-hub", "inside the hub's own folder")
        key = self.folder / "recovery.txt"
        world.must(hub.cli("backup", "key", "--out", key))
        self.assert_refused(hub.cli("backup", "key", "--out", self.folder / "second.txt"), "fieldpost-hub", "has the recovery key")
        other = world.Hub(self.programs, self.folder / "other")
        world.must(other.cli("backup", "key", "--out", self.folder / "other.txt"))
        theirs = self.folder / "theirs"
        world.must(other.cli("backup", "setup", "--directory", theirs))
        photos, written, file = self.folder / "photos", self.folder / "open", self.folder / "file"
        photos.mkdir(mode=0o700)
        (photos / "beach.jpg").write_text("sand")
        written.mkdir()
        written.chmod(0o777)
        file.write_text("x")
        (self.folder / "link").symlink_to(hub.path)
        settings = (hub.path / "hub.json").read_bytes()

        def everything():
            return sorted(str(path) for path in self.folder.rglob("*"))
        before = everything()
        for folder, code, *words in (
                (hub.path / "backups", 2, "inside the hub's own folder", "another disk"),
                (hub.path, 2, "inside the hub's own folder"),
                (self.folder / "link" / "backups", 2, "inside the hub's own folder"),
                (self.folder, 2, "lies inside", "another disk"),
                (photos, 2, "holds other files", "empty or a new folder"),
                (file, 2, "is a file"),
                (theirs, 1, "another hub", "another folder"),
                (written, 1, "may be written by others", "chmod 700"),
                (self.folder / "no" / "such", 1, "there is no folder", "mounted"),
                ("/proc/backups", 1, "/proc")):
            self.assert_refused(hub.cli("backup", "setup", "--directory", folder), "fieldpost-hub", *words, code=code)
        self.assert_refused(hub.cli("backup", "setup", "--directory", self.folder / "b", "--every-hours", "0"), "fieldpost-hub", "8760")
        self.assert_refused(hub.cli("backup", "setup", "--directory", self.folder / "b", "--keep", "0"), "fieldpost-hub", "10000")
        self.assertEqual(everything(), before)
        self.assertEqual((hub.path / "hub.json").read_bytes(), settings)
        done = world.must(hub.cli("backup", "setup", "--directory", self.folder / "b")).out
        self.assertIn("one dead disk takes both", done)
        secret = hub.path / "keys/backup.key"
        secret.chmod(0o644)
        ran = hub.cli("backup", "run")
        self.assertNotEqual(ran.code, 0)
        self.assertIn("backup.key", ran.err)
        secret.chmod(0o600)
        world.must(hub.cli("backup", "run"))
        self.assertRegex(hub.cli("backup", "list").out, r"(?m)^1  \S+  \d+ entries  .*  can be restored$")
        # Settings that were edited by hand are looked at by doctor.
        (hub.path / "hub.json").write_text((hub.path / "hub.json").read_text().replace(str(self.folder / "b"), str(hub.path / "b")))
        self.assertIn("inside the hub's own folder", hub.cli("doctor").out)

    def test_a_disk_that_is_full_leaves_nothing_half(self):
        hub, _, _ = self.filled(2000)
        small = self.folder / "small"
        small.mkdir()
        script = ('mount -t tmpfs -o size=300k,mode=700 tmpfs "$1" && "$2" --data "$3" backup setup --directory "$1" >&2 && '
                  '{ "$2" --data "$3" backup run; echo "ended $?"; ls -A "$1/backups"; find "$1/chunks" -name ".*"; df "$1" >&2; }')
        ran = world.run("unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", script, "sh", small, self.programs.hub, hub.path)
        if "ended" not in ran.out:
            self.skipTest(f"no file system of its own can be mounted here: {ran.err.strip()[:200]}")
        self.assertRegex(ran.err, "fieldpost-hub: cannot .*No space left")
        # No manifest, and no file without its name.
        self.assertEqual(ran.out.split(), ["ended", "1"])
        self.assertEqual(hub.cli("verify").code, 0)


if __name__ == "__main__":
    scenario.main()
