#!/usr/bin/env python3
"""What a running hub answers is what its API document says, member by member, with something of everything in it."""

import json
import re
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402


TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None), "number": (int, float)}


class Document:
    """The few keywords of JSON Schema that the document uses."""

    def __init__(self, document):
        self.document = document

    def target(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def faults(self, schema, value, at="answer"):
        schema = self.target(schema)
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        right = [t for t in types if isinstance(value, TYPES[t]) and not (t == "integer" and isinstance(value, bool))]
        if types and not right:
            return [f"{at} is {value!r}, not {types}"]
        found = []
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{at} is {value!r}, not one of {schema['enum']}")
        if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{at} is {value!r}, not written {schema['pattern']}")
        if isinstance(value, str) and schema.get("format") == "date-time" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            found.append(f"{at} is {value!r}, no time")
        if isinstance(value, int) and value < schema.get("minimum", value):
            found.append(f"{at} is {value}, below {schema['minimum']}")
        if isinstance(value, dict):
            found += [f"{at} lacks {name}" for name in schema.get("required", []) if name not in value]
            for name, member in value.items():
                if name in schema.get("properties", {}):
                    found += self.faults(schema["properties"][name], member, f"{at}.{name}")
                elif schema.get("additionalProperties") is False:
                    found.append(f"{at}.{name} is not in the document")
        if isinstance(value, list):
            for i, item in enumerate(value):
                found += self.faults(schema["items"], item, f"{at}[{i}]")
        return found


class ApiDocument(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.the_hub = self.hub(start=False)
        self.set_up_backups(self.the_hub)
        self.the_hub.start().daemon.wait_line("backup 1 made")  # it is due at once
        self.document = Document(self.the_hub.api("GET", "/v1/openapi.json", token=False).json())
        self.checked = set()

    def check(self, method, pattern, path=None, body=None, status=200):
        answer = self.the_hub.api(method, path or pattern, body)
        self.assertEqual(answer.status, status, f"{method} {path}: {answer!r}")
        operation = self.document.document["paths"][pattern][method.lower()]
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            self.assertEqual(self.document.faults(schema, body, "request"), [])
        response = self.document.target(operation["responses"][str(status)])
        (kind, content), = response["content"].items()
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], kind)
        value = answer.json() if kind == "application/json" else answer.body.decode()
        self.assertEqual(self.document.faults(content["schema"], value, f"{method} {pattern}"), [])
        self.checked.add((method.lower(), pattern))
        return value

    def something_of_everything(self):
        """Two tablets, a conflict, a change in quarantine and one held behind it."""
        one, two = self.tablet(self.the_hub, "T01", author="NP-1"), self.tablet(self.the_hub, "T02", author="NP-2")
        record = one.record()
        one.sync()
        two.sync()
        world.must(one.cli("edit", record, "outcome=warning", "--reason", "no papers"))
        world.must(two.cli("edit", record, "outcome=fine", "--reason", "on the way back"))
        bad = one.raw(world.raw_stop("01-PPT-T01-2026-90001", direction="sideways"))[0]
        world.must(one.cli("edit", bad["record"], "direction=exit", "--reason", "typed the wrong way"))
        for tablet in (one, two):
            tablet.sync()
        return record, bad

    def lose_a_record(self):
        """One that another tablet's copy still holds, by putting the hub back."""
        hub, gone, witness = self.the_hub, self.tablet(self.the_hub, "T08"), self.tablet(self.the_hub, "T09")
        hub.stop()
        shutil.copytree(hub.path / "enforcement", self.folder / "kept")
        hub.start()
        lost = gone.record()
        gone.sync()
        witness.sync()
        hub.stop()
        shutil.rmtree(hub.path / "enforcement")
        shutil.copytree(self.folder / "kept", hub.path / "enforcement")
        hub.start()  # nothing in the copy says that it is old: the tablet's cursor does, and the hub begins anew
        witness.sync()
        return lost

    def test_every_operation_answers_the_members_its_document_names(self):
        record, bad = self.something_of_everything()
        for path in ("/healthz", "/readyz", "/metrics", "/v1/openapi.json", "/v1/status", "/v1/units", "/v1/damaged"):
            self.check("GET", path)
        self.check("GET", "/v1/digests/{unit}", "/v1/digests/01-PPT")
        self.assertEqual(len(self.check("GET", "/v1/records")["records"]), 1)
        # A full page that is the last promises no other.
        self.assertNotIn("next_after", self.check("GET", "/v1/records", "/v1/records?limit=1&type=stop&unit=01-PPT&compartment=enforcement"))
        self.check("GET", "/v1/records/{id}", f"/v1/records/{record}")
        self.assertEqual(len(self.check("GET", "/v1/records/{id}/history", f"/v1/records/{record}/history")["changes"]), 3)
        devices = self.check("GET", "/v1/devices")["devices"]
        self.assertTrue(all("reported" in device for device in devices))
        self.check("GET", "/v1/devices/{name}", "/v1/devices/T01")
        self.assertEqual(len(self.check("GET", "/v1/held")["held"]), 1)
        self.assertEqual(self.check("GET", "/v1/export/sealed")["visits"], [])  # with visits in it: sealed_export_test.py
        self.assertEqual(len(self.check("GET", "/v1/quarantine")["quarantine"]), 1)
        conflict = self.check("GET", "/v1/conflicts")["records"][0]
        sibling = conflict["conflicts"][0]["siblings"][0]

        self.check("POST", "/v1/records/{id}/resolve", f"/v1/records/{record}/resolve", {
            "path": "outcome", "choose": f"{sibling['actor']}:{sibling['counter']}", "note": "the receipt says so",
            "author": "OP-1", "version": conflict["version"]})
        actor, counter = bad["dot"].split(":")
        for ruling in ("retry", "accept"):
            self.check("POST", "/v1/quarantine/{actor}/{counter}", f"/v1/quarantine/{actor}/{counter}", {"ruling": ruling, "note": "why"})
        hold = self.check("POST", "/v1/holds", None, {"record": record, "reason": "court case 71", "author": "prosecutor-3"})
        self.assertEqual(self.check("GET", "/v1/records/{id}", f"/v1/records/{record}")["holds"], [hold])
        settings = self.the_hub.path / "hub.json"  # read anew at each look
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "retention": {"stop": {"years": 5}, "every_hours": 24}}))
        self.assertEqual(self.check("GET", "/v1/retention")["types"][0]["rule"], "stop: 5 years")
        self.assertEqual(self.check("GET", "/v1/retention/plan")["types"][0]["young"], 2)
        self.assertEqual(self.check("POST", "/v1/retention/run", None, {"author": "OP-1"})["types"][0]["erased"], 0)
        lifted = self.check("POST", "/v1/holds/{id}/lift", f"/v1/holds/{hold['id']}/lift", {"reason": "acquitted", "author": "judge-1"})
        self.assertEqual(self.check("GET", "/v1/holds")["holds"], [lifted])
        self.check("POST", "/v1/verify")
        self.assertEqual(self.check("POST", "/v1/backup", None, {"full": True})["number"], 2)
        self.assertEqual([one["number"] for one in self.check("GET", "/v1/backups")["backups"]], [1, 2])
        self.assertEqual(self.check("GET", "/v1/status")["backup"]["restorable"], 2)
        self.check("POST", "/v1/repair")
        self.check("PUT", "/v1/units/{code}", "/v1/units/02-MRU1", {"name": "Mobile unit 1", "compartment": "health"})
        self.check("POST", "/v1/invitations", None, {"name": "T03", "unit": "01-PPT", "valid_minutes": 5})
        self.check("PUT", "/v1/units/{code}", "/v1/units/02-BVL", {})
        self.check("POST", "/v1/devices/{name}/move", "/v1/devices/T02/move", {"unit": "02-BVL"})
        self.checked.add(("post", "/v1/enrol"))  # by the tablets above; refused here
        self.check("POST", "/v1/enrol", None, {"secret": "00" * 16, "device": "11" * 32, "signature": "22" * 64}, status=403)
        lost = self.lose_a_record()
        entry = self.check("GET", "/v1/recovery")["recovery"][0]
        self.assertEqual((entry["record"], len(entry["copies"]), entry["here"]), (lost, 1, None))
        self.check("POST", "/v1/recovery/{id}", f"/v1/recovery/{lost}", {"decision": "join", "note": "why"})
        self.assertEqual(self.check("GET", "/v1/records/{id}", f"/v1/records/{lost}")["recovered"][0]["kind"], "joined")
        every = {(method, path) for path, methods in self.document.document["paths"].items() for method in methods}
        self.assertEqual(self.checked, every)

    def test_every_operation_documents_the_errors_of_its_kind(self):
        """What hub/api/api.cpp answers for every handler of a kind; bad_requests_test.py adds what is really answered."""
        for path, methods in self.document.document["paths"].items():
            for method, operation in methods.items():
                said, at_once = set(operation["responses"]), path in ("/healthz", "/readyz", "/v1/openapi.json")
                wanted = {"200", "400"}  # 400: the address itself may be malformed
                if not at_once:
                    wanted |= {"500", "503"}  # a store's fault; more requests wait than may (busy), or the hub stops
                if "security" not in operation:
                    wanted |= {"401"}
                if "{" in path:
                    wanted |= {"400", "404"} if "{code}" not in path else {"400"}
                if method != "get":
                    wanted |= {"413"}
                if method != "get" and path != "/v1/verify":  # it writes: what is there may contradict, the store may be full
                    wanted |= {"409", "507"}
                self.assertEqual(wanted - said, set(), f"{method} {path} does not document these")
                for status, response in operation["responses"].items():
                    if status >= "400":
                        (content,) = self.document.target(response)["content"].values()
                        self.assertEqual(content["schema"], {"$ref": "#/components/schemas/Error"})

    def test_the_document_served_is_the_one_in_the_tree_and_every_reference_leads_somewhere(self):
        tree = json.loads((pathlib.Path(__file__).resolve().parents[2] / "hub/api/openapi.json").read_text())
        self.assertEqual(self.document.document, tree)
        for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(tree)):
            self.document.target({"$ref": reference})
        operations = [operation for methods in tree["paths"].values() for operation in methods.values()]
        self.assertEqual(len({operation["operationId"] for operation in operations}), len(operations))


if __name__ == "__main__":
    scenario.main()
