"""What scenarios of whole programs share: a folder, a hub, tablets; all ended at the end, whatever happened."""

import json
import pathlib
import shutil
import signal
import sys
import tempfile
import unittest

import world


class Scenario(unittest.TestCase):
    programs = None
    maxDiff = 4000

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fieldpost-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def hub(self, name="hub", start=True):
        hub = world.Hub(self.programs, self.folder / name)
        self.addCleanup(end, hub)
        world.must(hub.cli("unit", "add", "01-PPT", "--name", "Poipet"))
        return hub.start() if start else hub

    def set_up_backups(self, hub, folder="backups", **settings):
        """A recovery key and a repository. Answers the file of the key."""
        key = self.folder / f"{hub.path.name}-recovery.txt"
        world.must(hub.cli("backup", "key", "--out", key))
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        world.must(hub.cli("backup", "setup", "--directory", self.folder / folder, *options))
        return key

    def tablet(self, hub, name, unit="01-PPT", author="NP-2231"):
        tablet = world.Tablet(self.programs, self.folder / name, author)
        self.addCleanup(end, tablet)
        return tablet.enrol(hub, name, unit)

    def copy(self, tablet, name):
        """A second tablet with the first one's keys and data."""
        copy = world.Tablet(self.programs, self.folder / name, tablet.author)
        self.addCleanup(end, copy)
        shutil.copytree(tablet.path, copy.path, ignore=shutil.ignore_patterns("run.json"))
        return copy

    def rehab(self, hub, authority, name, unit="01-RH1", author="RH-07"):
        """A tablet of a rehab unit that may seal visits and read its unit's."""
        world.must(hub.cli("unit", "add", unit, "--compartment", "health"))
        tablet = self.tablet(hub, name, unit, author=author)
        authority.admit(tablet, unit, self.folder / f"{name}.grant.json")
        return tablet

    def assert_converged(self, hub, *tablets, unit="01-PPT"):
        digest = hub.digest(unit)
        for tablet in tablets:
            self.assertEqual(tablet.digest(unit), digest, f"{tablet.path.name} and the hub differ")
        self.assertEqual(hub.cli("verify").code, 0)

    def assert_refused(self, ran, program, *words, code=2):
        """One sentence that names the program, the fault and a remedy; exit code 2, or 1 where the command is not at fault."""
        self.assertEqual(ran.code, code, ran)
        self.assertTrue(ran.err.startswith(program + ": "), ran)
        self.assertEqual(ran.err.count("\n"), 1, ran)
        for word in words:
            self.assertIn(word.lower(), ran.err.lower())


class Authority:
    """The health authority, with its keys in a folder of its own."""

    def __init__(self, programs, folder):
        self.program, self.folder = programs.health, folder
        self.cli("key", "init")
        self.fingerprint = self.cli("key", "show").out.split("Fingerprint: ")[1].split()[0]

    def cli(self, *arguments):
        return world.must(world.run(self.program, *arguments, "--dir", self.folder))

    def admit(self, tablet, unit, grant):
        """The key ceremony, and the grant's file."""
        recipients = self.folder.parent / f"{unit}.recipients.json"
        if not recipients.exists():  # the unit's key is made once, for all its tablets
            self.cli("unit", "add", unit, "--out", recipients)
        self.cli("device", "admit", "--unit", unit, "--device-key", tablet.ask_cli("health", "key")["device_key"], "--out", grant)
        world.must(tablet.cli("health", "accept", grant, "--authority", self.fingerprint))

    def open(self, path):
        """What a file of sealed visits says, by client."""
        return {visit["client_pseudonym"]: visit for visit in map(json.loads, self.cli("open", path).out.splitlines())}


class House:
    """A folder and the daemons in it, for tests of one class that share a hub."""

    def __init__(self, programs):
        self.programs, self.daemons = programs, []
        self._folder = tempfile.TemporaryDirectory(prefix="fieldpost-e2e-")
        self.folder = pathlib.Path(self._folder.name)

    def keep(self, what):
        self.daemons.append(what)
        return what

    def end(self):
        for what in self.daemons:
            end(what)
        self._folder.cleanup()


def end(what):
    if what.daemon is not None and what.daemon.alive():
        what.daemon.end(signal.SIGKILL)


def main():
    """usage: …_test.py BUILD [unittest's arguments]"""
    if len(sys.argv) < 2:
        sys.exit(main.__doc__)
    Scenario.programs = world.Programs(sys.argv.pop(1))
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f"{'FAILED' if bad or not result.testsRun else 'passed'}: {result.testsRun - bad} of {result.testsRun} scenarios "
          f"of {pathlib.Path(sys.argv[0]).name}, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
