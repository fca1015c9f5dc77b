#!/usr/bin/env python3
"""A person at a terminal records a stop; the tablet dies; the record arrives at the hub all the same."""

import codecs
import os
import pty
import re
import select
import signal
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


# What a person types, by the field the question is about; anything else is answered by Enter.
ENGLISH = {"Checkpoint": "01-PPT", "Direction": "entry", "Kind of stop": "traffic", "Vehicles: add one": "yes", "Plate": "2A-1234",
           "Kind of vehicle": "car", "Vehicles: add another": "no", "Persons": "no", "Search": "none", "Outcome": "warning"}
KHMER_YES, KHMER_NO = "បាទ", "ទេ"


class Terminal:
    """A program on a terminal of its own, and what it wrote there."""

    def __init__(self, command):
        self.seen = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], [str(part) for part in command], {**world.clean_environment(), "LC_ALL": "C.UTF-8"})

    def expect(self, *patterns):
        """Waits for one of the patterns at the end of what stands there; answers which, and the line."""
        while True:
            for i, pattern in enumerate(patterns):
                found = re.search(pattern, self.seen)
                if found:
                    text, self.seen = self.seen[:found.end()], self.seen[found.end():]
                    return i, text
            ready, _, _ = select.select([self.fd], [], [], world.DEADLINE_S)
            if not ready:
                raise AssertionError(f"the program waits, but not for {patterns}: {self.seen[-2000:]}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the terminal's other end is closed
                data = b""
            if not data:
                raise AssertionError(f"the program left before it said {patterns}: {self.seen[-2000:]}")
            self.seen += self.decoder.decode(data)

    def type(self, text):
        os.write(self.fd, (text + "\n").encode())
        self.expect(re.escape(text) + r"\r?\n")  # the terminal's echo

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


QUESTION = r"(: |\] )$"
DONE = r"Recorded: (\S+) (\S+)\r?\n"


class AtTheTerminal(scenario.Scenario):
    def interview(self, tablet, answer, *options):
        """Answers question after question; the record's reference number and id."""
        terminal = Terminal([self.programs.agent, "--data", tablet.path, "--author", "NP-2231", *options, "record", "stop"])
        asked = []
        for _ in range(60):
            which, text = terminal.expect(DONE, QUESTION)
            if which == 0:
                found = re.search(DONE, text)
                self.assertEqual(terminal.wait(), 0)
                return found.group(1), found.group(2), asked
            asked.append(text)
            terminal.type(answer(text))
        self.fail(f"no end of questions: {asked[-3:]}")

    def test_one_stop_in_english_and_one_in_khmer_outlive_sigkill_and_reach_the_hub(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        hub.stop()  # no link at the checkpoint
        tablet.start()
        english = lambda text: next((answer for field, answer in ENGLISH.items() if text.lstrip().startswith(field)), "")
        first, first_id, asked = self.interview(tablet, english)
        self.assertTrue(any("Checkpoint" in text for text in asked), asked)
        self.assertEqual(tablet.kill(), -signal.SIGKILL)  # right after "Recorded"

        tablet.start()
        second, second_id, asked = self.interview(tablet, self.in_khmer, "--lang", "km")
        self.assertTrue(all(re.search("[\u1780-\u17ff]", text) for text in asked), asked)
        self.assertEqual(tablet.kill(), -signal.SIGKILL)
        self.assertNotEqual(first, second)

        hub.start()
        tablet.start()
        self.assertIn("In sync", world.must(tablet.cli("sync", "--once")).out)  # watches the daemon do it
        self.assertIn("Nothing waiting", tablet.cli("status").out)
        shown = world.must(hub.cli("records")).out
        for ref in (first, second):
            self.assertIn(ref, shown)
        document = hub.get(f"/v1/records/{first_id}")["document"]
        self.assertEqual((document["direction"], document["outcome"]), ("entry", "warning"))
        self.assertEqual(document["vehicles"][0]["plate"], "2A-1234")
        self.assertIn("at the hub", tablet.cli("show", second_id).out)
        tablet.stop()
        self.assert_converged(hub, tablet)

    def in_khmer(self, text):
        if "បាទ/ទេ" in text:
            return KHMER_NO
        if re.search(r"\n\s+1 ", text):  # numbered choices: by Khmer digit
            return "១"
        return "01-PPT" if "01-PPT" in text and "[" not in text else "" if "[" in text else "01-PPT"

    def test_a_person_cut_off_in_the_middle_leaves_nothing_half_recorded(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01")
        terminal = Terminal([self.programs.agent, "--data", tablet.path, "--author", "NP-2231", "record", "stop"])
        terminal.expect(QUESTION)
        terminal.type("01-PPT")
        terminal.expect(QUESTION)
        self.assertEqual(terminal.kill(), -signal.SIGKILL)
        self.assertEqual(tablet.ask_cli("status")["records"], 0)
        tablet.sync()
        self.assertEqual(hub.records(), {})


if __name__ == "__main__":
    scenario.main()
