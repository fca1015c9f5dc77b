"""The scripts as a person meets them: help that teaches, and refusals that say what to do.

Nothing here builds or installs anything.
"""

import pathlib
import re
import subprocess
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LABELS = "unit property contract integration crash sim fuzz security e2e bench".split()


def run(script, *arguments):
    return subprocess.run(["bash", f"scripts/{script}", *arguments], cwd=ROOT, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def shell_scripts():
    return sorted(p for p in (ROOT / "scripts").iterdir()
                  if p.is_file() and p.read_bytes().startswith(b"#!/usr/bin/env bash"))


class EveryScript(unittest.TestCase):
    def test_parses(self):
        for script in [*shell_scripts(), ROOT / ".ci/run"]:
            with self.subTest(script.name):
                subprocess.run(["bash", "-n", str(script)], check=True)

    def test_is_executable(self):
        for script in (ROOT / "scripts").iterdir():
            if script.is_file() and script.read_bytes().startswith(b"#!"):
                with self.subTest(script.name):
                    self.assertTrue(script.stat().st_mode & 0o100, f"chmod +x scripts/{script.name}")

    def test_explains_itself(self):
        for script in shell_scripts():
            with self.subTest(script.name):
                answer = run(script.name, "--help")
                self.assertEqual(answer.returncode, 0, answer.stderr)
                self.assertIn(f"scripts/{script.name}", answer.stdout)

    def test_refuses_an_unknown_option_by_name(self):
        for script in shell_scripts():
            with self.subTest(script.name):
                answer = run(script.name, "--no-such-option")
                self.assertNotEqual(answer.returncode, 0)
                self.assertIn("--no-such-option", answer.stderr)
                self.assertIn("--help", answer.stderr)

    def test_stands_in_the_table(self):
        table = (ROOT / "scripts/README.md").read_text()
        for script in (ROOT / "scripts").iterdir():
            if script.is_file() and script.read_bytes().startswith(b"#!"):
                with self.subTest(script.name):
                    self.assertIn(f"`scripts/{script.name}`", table)


class Test(unittest.TestCase):
    def test_an_unknown_label_is_refused_with_the_list(self):
        answer = run("test", "units")
        self.assertEqual(answer.returncode, 2)
        self.assertIn("'units'", answer.stderr)
        for label in LABELS:
            self.assertIn(label, answer.stderr)

    def test_an_unknown_preset_is_refused_with_the_list(self):
        answer = run("test", "--preset", "fast")
        self.assertEqual(answer.returncode, 2)
        self.assertIn("asan-ubsan", answer.stderr)

    def test_jobs_must_be_a_number(self):
        for jobs in ["0", "-1", "many", "1.5", ""]:
            with self.subTest(jobs):
                answer = run("test", "--jobs", jobs)
                self.assertEqual(answer.returncode, 2)
                self.assertIn("--jobs", answer.stderr)

    def test_an_option_without_its_value_is_refused(self):
        for option in ["--preset", "--jobs", "--only"]:
            with self.subTest(option):
                answer = run("test", option)
                self.assertEqual(answer.returncode, 2)
                self.assertIn(option, answer.stderr)


class Setup(unittest.TestCase):
    def test_is_quick_when_nothing_is_missing(self):
        started = time.monotonic()
        answer = run("setup", "--dry-run")
        took = time.monotonic() - started
        if answer.returncode != 0:
            self.skipTest(f"something is missing here: {answer.stdout}")
        self.assertEqual(answer.stdout, "")
        self.assertLess(took, 5, "a second is the aim; five on a busy machine is the alarm")


class Labels(unittest.TestCase):
    def test_every_label_used_by_a_test_is_one_that_scripts_test_knows(self):
        for path in (ROOT / "tests").rglob("CMakeLists.txt"):
            for label in re.findall(r"(?m)^(?!\s*#).*\bLABELS?\s+\"?([a-z0-9]+)", path.read_text()):
                with self.subTest(f"{path.parent.name}: {label}"):
                    self.assertIn(label, LABELS + ["long"])


if __name__ == "__main__":
    unittest.main()
