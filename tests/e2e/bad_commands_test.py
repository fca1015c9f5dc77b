#!/usr/bin/env python3
"""Bad input to every command of the three programs: one sentence that says what, where and what to do; exit code 2
(1 where the input is not at fault); never a trace, a signal or a hang."""

import os
import re
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


NO_RECORD = "01950f3a-1001-7a4c-9b1e-5c2d8e7f0001"
TRACE = r"exception|terminate called|std::|\.cpp:|Assertion|\x1b"

HUB = [
    "", "frobnicate", "unit", "unit frob", "unit add", "unit add poipet", "unit add 01-PPT --compartment dream", "unit add 01-PPT extra",
    "unit list extra", "device", "device invite", "device invite T09", "device invite t09 --unit 01-PPT", "device invite T09 --unit 99-NO",
    "device invite T01 --unit 01-PPT", "device invite T09 --unit 01-PPT --valid-minutes 0", "device invite T09 --unit 01-PPT --valid-minutes x",
    "device invite T09 --unit 01-PPT --valid-minutes 99999999999999999999", "device show", "device show T99", "records zz", f"records {NO_RECORD}",
    f"records {NO_RECORD} --history", "records --limit 0", "records --limit many", "records --after zz", "records --frob",
    "records ../units", "records a/b?c", "records --after 0%", "device show a&b=c", "device show ../units",
    "quarantine retry a/b:1", "export", "export frob", "export sealed", "export sealed FOLDER", "export sealed /nonexistent/x",
    "export sealed STOP", "export sealed x y",
    "recovery frob", "recovery join", "recovery join --note why", f"recovery join {NO_RECORD}", f"recovery join {NO_RECORD} --note why",
    f"recovery refuse {NO_RECORD} --note why", f"recovery release {NO_RECORD} --note why", "recovery join zz --note why",
    f"recovery join {NO_RECORD} --all --note why", f"recovery release {NO_RECORD} --all --note why", "recovery join --all",
    f"recovery refuse {NO_RECORD} --note", f"recovery join {NO_RECORD} extra --note why", "recovery list extra",
    "resolve", f"resolve {NO_RECORD}", f"resolve {NO_RECORD} outcome", f"resolve {NO_RECORD} outcome --choose x --note why",
    "resolve zz outcome --value fine --note why", f"resolve {NO_RECORD} outcome --value fine --choose 1:1 --note why",
    "quarantine frob", "quarantine retry", "quarantine retry zz", "quarantine retry zz:1", "quarantine retry 0000000000000001:x",
    "quarantine accept 0000000000000001:1 --note why", "quarantine reject 0000000000000001:1 --note why",
    "quarantine accept 0000000000000001:1", "quarantine list extra", "records --history", "device move", "device move T01",
    "device move T01 --unit 99-NO", "device move T99 --unit 01-PPT", "certificate", "certificate frob", "certificate renew --days 0",
    "certificate renew --days x", "certificate renew --days 1", "certificate renew extra", "repair extra", "damaged extra",
    "unit list --frob", "device list extra", "init", "init --name", "init --name again.example", "run --port 99999", "run --threads x",
    "retention", "retention frob", "retention show extra", "retention plan extra", "retention run extra", "retention run --by",
    "hold", "hold frob", "hold list extra", "hold add", "hold add zz", f"hold add {NO_RECORD}", f"hold add {NO_RECORD} --reason why",
    f"hold add {NO_RECORD} --by who", f"hold add {NO_RECORD} --reason why --by who", "hold add zz --reason why --by who",
    "hold add ../holds --reason why --by who", f"hold add {NO_RECORD} --reason {'x' * 1025} --by who",
    f"hold add {NO_RECORD} --reason why --by {'x' * 65}", f"hold add {NO_RECORD} extra --reason why --by who", "hold lift", "hold lift zz",
    "hold lift zz --reason why --by who", f"hold lift {'0' * 32}", f"hold lift {'0' * 32} --reason why --by who",
    f"hold lift {NO_RECORD} --reason why --by who", f"hold lift {'0' * 31}/ --reason why --by who",
    "status extra", "verify extra", "doctor extra", "held extra", "conflicts extra", "--config /nonexistent status",
    "backup", "backup frob", "backup key", "backup key --out /nonexistent/x", "backup key --out STOP", "backup setup",
    "backup setup --directory FOLDER", "backup setup --directory FOLDER --every-hours x", "backup run", "backup run extra", "backup list",
    "backup verify", "backup verify zz", "backup verify 1 --all", "backup verify --from FOLDER", "restore", "restore --from FOLDER",
    "restore --from /nonexistent --key /nonexistent", "restore --from FOLDER --key STOP", "restore --from FOLDER --key FOLDER"]

AGENT = [
    "", "frobnicate", "enroll", "enroll nonsense", "run --port 99999", "run --port x", "sync", "sync --once --timeout 0", "sync --once --timeout x",
    "record", "record dream", "record stop --from /nonexistent", "record stop --from BAD_JSON", "record stop --from LIST_JSON",
    "record stop --from EMPTY", "record stop --from FOLDER", "record stop --from WRONG_TYPE", "record visit --from STOP", "record stop --from INCOMPLETE",
    "edit", "edit zz a=b", f"edit {NO_RECORD} outcome=fine --reason because", "edit RECORD", "edit RECORD outcome", "edit RECORD =x",
    "edit RECORD nowhere=x --reason because", "edit RECORD outcome=dream --reason because", "edit RECORD outcome=fine",
    "edit RECORD id=x --reason because", "edit RECORD --from BAD_JSON --reason because", "edit RECORD vehicles.9.plate=x --reason because",
    "void", "void zz --reason because", "void RECORD", f"void {NO_RECORD} --reason because", "void RECORD --reason x", "finalise", "finalise zz",
    f"finalise {NO_RECORD}", "finalise RECORD", "discard", "discard zz", f"discard {NO_RECORD}", "discard RECORD", "list --type dream",
    "list --limit many", "list --since yesterday", "list extra", "show", "show zz", f"show {NO_RECORD}", "import", "import /nonexistent",
    "import /nonexistent.csv --type stop", "import FOLDER", "import BAD_CSV", "import BAD_CSV --type dream", "import BAD_CSV --type stop",
    "import STOP --format xml", "export --out /nonexistent/x", "export --type dream", "export --format xml", "status extra", "verify extra",
    "places", "places import", "places import /nonexistent.csv", "places import BAD_JSON", "health", "health frob", "health accept",
    "health accept /nonexistent --authority 0000", "health accept BAD_JSON --authority 0000", "--lang fr status", "--utc-offset 7 status",
    "--utc-offset +99:00 status", "--log-level loud run", "--config /nonexistent status"]

HEALTH = [
    "", "frobnicate", "key", "key frob", "key init --dir KEYS", "key show --dir /nonexistent", "unit", "unit add", "unit add lower --dir KEYS",
    "unit add 02-MRU1 --dir /nonexistent", "unit add 02-MRU1 --dir KEYS --out /nonexistent/x", "device", "device admit",
    "device admit --unit 02-NONE --device-key 00 --dir KEYS", "device admit --unit 02-MRU1 --device-key zz --dir KEYS",
    f"device admit --unit 02-MRU1 --device-key {'00' * 32} --dir /nonexistent", "open", "open /nonexistent --dir KEYS",
    "open BAD_JSON --dir KEYS", "open LIST_JSON --dir KEYS", "open FOLDER --dir KEYS", "open EMPTY --dir /nonexistent"]


class BadCommands(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.files = {"FOLDER": str(self.folder), "KEYS": str(self.folder / "keys")}
        for name, text in {"BAD_JSON": "{", "LIST_JSON": "[]", "EMPTY": "", "WRONG_TYPE": '{"type": "case"}', "STOP": "{}",
                           "INCOMPLETE": '{"direction": "entry"}', "BAD_CSV": "frob,nicate\n1,2\n"}.items():
            path = self.folder / (name.lower() + (".csv" if name == "BAD_CSV" else ".json"))
            path.write_text(text)
            self.files[name] = str(path)

    def arguments(self, text):
        return [self.files.get(word, word) for word in text.split()]

    def check(self, program, line, ran):
        """Fails with every fault of the answer, so that one run names them all."""
        faults = []
        if ran.code != 2:
            faults.append(f"exit code {ran.code}")
        sentences = [text for text in ran.err.splitlines() if text.startswith(f"{program}: ")]
        if len(sentences) != 1:
            faults.append("not one sentence of the program")
        elif len(sentences[0].split()) < 4:
            faults.append("too few words")
        if re.search(TRACE, ran.out + ran.err, re.IGNORECASE):
            faults.append("a trace")
        return [f"{program} {line!r}: {', '.join(faults)}: {ran!r}"] if faults else []

    def refuse_all(self, program, lines, run):
        faults = []
        for line in lines:
            faults += self.check(program, line, run(self.arguments(line)))
        self.assertFalse(faults, "\n".join(faults))

    def test_every_hub_command_with_and_without_a_running_hub(self):
        hub = self.hub()
        self.tablet(hub, "T01")
        self.refuse_all("fieldpost-hub", HUB, lambda words: hub.cli(*words))
        self.assertTrue(hub.daemon.alive())
        hub.stop()
        self.refuse_all("fieldpost-hub", [line for line in HUB if not line.startswith("run")], lambda words: hub.cli(*words))

    def test_every_agent_command_with_and_without_a_daemon(self):
        tablet = self.tablet(self.hub(), "T01")
        self.files["RECORD"] = tablet.record()
        self.refuse_all("fieldpost-agent", AGENT, lambda words: tablet.cli(*words))
        tablet.start()
        self.refuse_all("fieldpost-agent", [line for line in AGENT if " run" not in line and not line.startswith("run")],
                        lambda words: tablet.cli(*words))
        self.assertTrue(tablet.daemon.alive())

    def test_every_command_of_the_health_authority(self):
        world.must(world.run(self.programs.health, "key", "init", "--dir", self.files["KEYS"]))
        world.must(world.run(self.programs.health, "unit", "add", "02-MRU1", "--dir", self.files["KEYS"]))
        self.refuse_all("fieldpost-health", HEALTH, lambda words: world.run(self.programs.health, *words))

    def commands(self, program, path=()):
        """Every command, with its --help: [(words, text)]."""
        shown = world.run(program, *path, "--help")
        self.assertEqual((shown.code, shown.err), (0, ""), (path, shown))
        found = [(path, shown.out)]
        listed = shown.out.split("\nSubcommands:\n")
        for line in listed[1].split("\n\n")[0].splitlines() if len(listed) > 1 else ():  # then the footer
            if match := re.match(r"  ([a-z]\S*)", line):
                found += self.commands(program, (*path, match.group(1)))
        return found

    def test_every_command_teaches_itself(self):
        faults = []
        for program, least in ((self.programs.hub, 35), (self.programs.agent, 20), (self.programs.health, 8)):
            commands = self.commands(program)
            self.assertGreaterEqual(len(commands), least)
            for path, text in commands:
                name = " ".join((pathlib.Path(program).name, *path))
                if len(text.split("Usage:")[0].split()) < 2 and len(text.split()) < 2:
                    faults.append(f"{name}: says nothing of itself")
                section, lines = "", text.splitlines()
                for at, line in enumerate(lines):
                    section = "" if not line else section
                    section = line if re.fullmatch(r"(Positionals|Options|Subcommands):", line) else section
                    if not section or not re.match(r"  \S", line):
                        continue
                    following = lines[at + 1] if at + 1 < len(lines) else ""
                    explained = re.search(r"\S {2,}\S", line) or len(line) > 45  # the column of the texts ends there
                    if not explained and not re.match(r" {10,}\S", following):
                        faults.append(f"{name}: {section} {line.strip()!r} is not explained")
        self.assertFalse(faults, "\n".join(faults))

    def test_a_wrong_word_is_told_with_the_help_of_its_own_command(self):
        hub, tablet = self.hub(start=False), world.Tablet(self.programs, self.folder / "none")
        for ran, *words in (
                (hub.cli("backup", "setup"), "--directory is required", "'fieldpost-hub backup setup --help'"),
                (hub.cli("recovery", "frob"), "there is no command 'frob'", "'fieldpost-hub recovery --help'"),
                (hub.cli("quarantine", "frob"), "there is no command 'frob'"),
                (hub.cli("unit"), "say what to do: add, list"),
                (hub.cli("run", "--port", "99999"), "--port = 99999 is not a number that it takes"),
                (hub.cli("quarantine", "retry", "zz:1"), "'zz:1' names no change", "ACTOR:COUNTER"),
                (tablet.cli("places", "frob"), "there is no command 'frob'", "'fieldpost-agent places --help'"),
                (world.run(self.programs.health, "key", "frob"), "there is no command 'frob'", "'fieldpost-health key --help'")):
            self.assertEqual(ran.code, 2, ran)
            for word in words:
                self.assertIn(word, ran.err)

    def test_a_choice_that_is_none_is_told_with_those_there_are(self):
        tablet = self.tablet(self.hub(), "T01")
        self.assert_refused(tablet.cli("edit", tablet.record(), "outcome=dream", "--reason", "because"), "fieldpost-agent",
                            "outcome: 'dream' is not one of", "no_action")

    def test_a_tablet_that_is_not_enrolled_says_so_at_every_command(self):
        tablet = world.Tablet(self.programs, self.folder / "none")
        for line in ("run", "sync --once", "record stop", "list", f"show {NO_RECORD}", "import STOP", "export", "status", "verify",
                     "places import BAD_CSV", "health key"):
            self.assertEqual(self.check("fieldpost-agent", line, ran := tablet.cli(*self.arguments(line))), [])
            self.assertIn("enroll", ran.err, line)

    def test_a_folder_without_a_hub_says_so_at_every_command(self):
        for line in ("run", "status", "records", "conflicts", "held", "quarantine", "verify", "doctor", "unit list", "device list",
                     "backup list", "backup run", "backup verify", f"backup key --out {self.folder / 'key'}"):
            ran = world.run(self.programs.hub, "--data", self.folder / "none", *line.split())
            self.assertEqual(self.check("fieldpost-hub", line, ran), [])
            self.assertIn("init", ran.err, line)

    def test_a_second_hub_or_daemon_on_the_same_folder_is_refused_in_words(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01").start()
        for program, ran in (("fieldpost-hub", hub.cli("run", "--port", "0")), ("fieldpost-agent", tablet.cli("run"))):
            self.assertNotEqual(ran.code, 0, ran)
            self.assertGreater(ran.code, 0, ran)
            self.assertIn(f"{program}: ", ran.err)
            self.assertNotRegex(ran.err, TRACE)

    def test_a_damaged_folder_is_named_with_the_file(self):
        hub = self.hub(start=False)
        for name in ("hub.json", "keys/admin.token", "keys/hub.seed", "keys/ca.pem", "keys/server.pem"):
            path = hub.path / name
            before, mode = path.read_bytes(), path.stat().st_mode
            path.write_bytes(b"\x00nonsense")
            ran = hub.cli("run")
            self.assertIn(ran.code, (1, 2), (name, ran))
            self.assertIn("fieldpost-hub: ", ran.err, name)
            self.assertNotRegex(ran.err, TRACE)
            path.write_bytes(before)
            os.chmod(path, mode)
        hub.start()


if __name__ == "__main__":
    scenario.main()
