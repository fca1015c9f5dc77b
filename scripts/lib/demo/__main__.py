"""python3 scripts/lib/demo --bin DIR --root DIR [--dir DIR] [--once]: called by scripts/demo."""
import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from play import Play
from world import Failed


def interrupt(*_):
    raise KeyboardInterrupt


def what_to_try(play):
    return f"""
Everything keeps running: the hub on https://127.0.0.1:{play.hub.port}, T07's agent on http://{play.t07.run_file['address']}
Try, in another terminal (these lines make the short names):

  hub() {{ '{play.hub.binary}' --data '{play.hub.folder}' "$@"; }}
  t07() {{ '{play.t07.binary}' --data '{play.t07.folder}' "$@"; }}
  t08() {{ '{play.t08.binary}' --data '{play.t08.folder}' "$@"; }}

  t07 record stop --author NP-2231           answer its questions (--lang km asks in Khmer) …
  hub records --limit 1000 | tail -n 1       … see it at the hub
  t08 list --limit 0 | tail -n 1             … and on the other tablet
  hub conflicts                              {len(play.clashing) - 1} stops with two witnesses each
  hub resolve ID witness --choose ACTOR:COUNTER --note WHY
  kill -9 {play.t07.process.pid:<34} T07's agent, in the middle of anything …
  t07 verify                                 … and what it had recorded is there
  t07 run                                    start it again
  hub records --type visit --limit 3         what the hub knows of visits
  hub status; hub device list; hub verify; hub doctor

Data and logs: {play.folder}
Ctrl-C ends it all."""


def keep_running(play):
    """Until Ctrl-C; says it when a program was ended from outside."""
    told = set()
    while True:
        time.sleep(0.5)
        for program in play.programs:
            ended = program.process is not None and program.process.poll() is not None
            if ended and program.process.pid not in told:
                told.add(program.process.pid)
                print(f"\n{program.name()} was ended from outside (exit status {program.process.returncode}).", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--dir")
    parser.add_argument("--once", action="store_true")
    chosen = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell may start us with Ctrl-C ignored
        signal.signal(number, interrupt)
    folder = pathlib.Path(chosen.dir).resolve() if chosen.dir else pathlib.Path(tempfile.mkdtemp(prefix="fieldpost-demo-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    play = Play(pathlib.Path(chosen.bin).resolve(), chosen.root, folder)
    started, status, failed = time.monotonic(), 0, False
    try:
        play.all_of_it()
        print(f"\nAll {play.checks} checks hold ({time.monotonic() - started:.0f} s).", flush=True)
        if not chosen.once:
            print(what_to_try(play), flush=True)
            keep_running(play)
    except KeyboardInterrupt:
        print("\nStopping hub and tablets.", flush=True)
        status = 130 if chosen.once else 0
    except Failed as failure:
        print(f"\nFAILED after {play.checks} checks: {failure}", file=sys.stderr, flush=True)
        status, failed = 1, True
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        play.end()
        if chosen.dir:
            print(f"All stopped. The data stays in {folder}.")
        elif failed:
            print(f"All stopped. Data and logs of the failed run stay in {folder}.", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            print("All stopped, nothing left behind.")
    return status


if __name__ == "__main__":
    sys.exit(main())
