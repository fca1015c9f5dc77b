#!/usr/bin/env python3
"""For scripts/lint: writes FOLDER/compile_commands.json as clang can read it, and prints those of
the sources on standard input that were not found clean as they are now, each after its hash.

Arguments: the dev build's database, FOLDER, and 1 for all sources however they were found. The hash
is of all that a source is judged by: FOLDER/judge (.clang-tidy, the tool's version), its flags, its
text and that of every header of this tree it reaches. Headers of the system are not part of it.
"""

import functools
import hashlib
import json
import os
import re
import sys

database, folder, again = sys.argv[1:]
commands = json.load(open(database))
for entry in commands:
    entry["command"] = re.sub(r"-Winvalid-pch|-include \S*cmake_pch\.hxx|-fpch-preprocess", "", entry["command"])
json.dump(commands, open(f"{folder}/compile_commands.json", "w"))
flags = {os.path.relpath(entry["file"]): entry["command"] for entry in commands}


@functools.cache
def text(path):
    return open(path, "rb").read()


@functools.cache
def included(path):
    names = re.findall(rb'^\s*#\s*include\s+"([^"]+)"', text(path), re.MULTILINE)
    places = [os.path.join(base, name.decode()) for name in names for base in ("shared", ".", os.path.dirname(path))]
    return [os.path.normpath(place) for place in places if os.path.isfile(place)]


def reached(path):
    seen, left = {path}, [path]
    while left:
        new = [found for found in included(left.pop()) if found not in seen]
        seen.update(new)
        left += new
    return sorted(seen)


judge = text(f"{folder}/judge")
for path in sys.stdin.read().split("\n"):
    if not path:
        continue
    digest = hashlib.sha256(judge + flags[path].encode())
    for part in reached(path):
        digest.update(part.encode() + hashlib.sha256(text(part)).digest())
    if again == "1" or not os.path.exists(f"{folder}/clean/{digest.hexdigest()}"):
        print(digest.hexdigest(), path)
