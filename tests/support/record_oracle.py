#!/usr/bin/env python3
"""A deliberately dumb validator for record documents, the oracle of the real ones.

It follows schemas/README.md word for word and nothing else: no speed, no cleverness, only the
standard library. `check(document)` answers every broken rule as (field, rule, severity).

  record_oracle.py record FILE.json ...   one line per problem
  record_oracle.py csv FILE.csv           the same for a CSV file of stops
"""
import datetime
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KHMER_DIGITS = str.maketrans("០១២៣៤៥៦៧៨៩", "0123456789")
DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?(Z|[+-][0-9]{2}:[0-9]{2})\Z")


def schema_of(record_type):
    return json.loads((ROOT / "schemas" / "records" / f"{record_type}.json").read_text(encoding="utf-8"))


def resolve(root, schema):
    """The schema a $ref points to, with the annotations that stand beside the $ref on top."""
    while "$ref" in schema:
        target = root["definitions"][schema["$ref"].rsplit("/", 1)[1]]
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


# -- the effective document -----------------------------------------------------------------------

def effective(root, schema, value, newer=False):
    """Nulls are left out; a voided item keeps only item_id, void and void_reason. Of a record written
    with a newer form than ours (newer), members we do not know are left out too."""
    schema = resolve(root, schema)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {k: effective(root, known.get(k, {}), v, newer) for k, v in value.items()
                if v is not None and (k in known or not newer)}
    if isinstance(value, list) and schema.get("x-repeat"):
        items = [effective(root, schema["items"], item, newer) for item in value if item is not None]
        return [{k: i[k] for k in ("item_id", "void", "void_reason") if k in i}
                if isinstance(i, dict) and i.get("void") is True else i for i in items]
    return value


# -- JSON Schema, the subset ----------------------------------------------------------------------

def type_ok(name, value):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"object": dict, "array": list, "string": str, "boolean": bool}[name])


def same(a, b):
    return type(a) is type(b) and a == b


def join(path, name):
    return f"{path}/{name}" if path else name


def item_name(item, index):
    return item["item_id"] if isinstance(item, dict) and isinstance(item.get("item_id"), str) else str(index)


def validate(root, schema, value, path=""):
    if "$ref" in schema:
        return validate(root, root["definitions"][schema["$ref"].rsplit("/", 1)[1]], value, path)
    if "type" in schema and not type_ok(schema["type"], value):
        return [(path, "type")]
    found = []
    if "const" in schema and not same(schema["const"], value):
        found.append((path, "const"))
    if "enum" in schema and not any(same(e, value) for e in schema["enum"]):
        found.append((path, "enum"))
    if type_ok("integer", value):
        found += [(path, "minimum")] if value < schema.get("minimum", value) else []
        found += [(path, "maximum")] if value > schema.get("maximum", value) else []
    if isinstance(value, str):
        found += [(path, "minLength")] if len(value) < schema.get("minLength", 0) else []
        found += [(path, "maxLength")] if len(value) > schema.get("maxLength", len(value)) else []
        if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
            found.append((path, "pattern"))
    if isinstance(value, list):
        found += [(path, "minItems")] if len(value) < schema.get("minItems", 0) else []
        found += [(path, "maxItems")] if len(value) > schema.get("maxItems", len(value)) else []
        if "items" in schema:
            for index, item in enumerate(value):
                found += validate(root, schema["items"], item, join(path, item_name(item, index)))
    if isinstance(value, dict):
        found += [(join(path, n), "required") for n in schema.get("required", []) if n not in value]
        known = schema.get("properties", {})
        for name, member in value.items():
            if name in known:
                found += validate(root, known[name], member, join(path, name))
            elif schema.get("additionalProperties") is False:
                found.append((join(path, name), "additionalProperties"))
    for part in schema.get("allOf", []):
        found += validate(root, part, value, path)
    if "anyOf" in schema and all(validate(root, p, value, path) for p in schema["anyOf"]):
        found.append((path, "anyOf"))
    if "oneOf" in schema and sum(not validate(root, p, value, path) for p in schema["oneOf"]) != 1:
        found.append((path, "oneOf"))
    if "not" in schema and not validate(root, schema["not"], value, path):
        found.append((path, "not"))
    if "if" in schema:
        branch = "else" if validate(root, schema["if"], value, path) else "then"
        found += validate(root, schema.get(branch, {}), value, path)
    return found


# -- x-kind: what a pattern cannot say ------------------------------------------------------------

def parse_date(text):
    match = DATE.match(text)
    try:
        return datetime.date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def parse_instant(text):
    """(instant in ms since 1970 UTC, the date in the offset it was written with), or None."""
    match = INSTANT.match(text)
    day = parse_date(match[1]) if match else None
    if day is None:
        return None
    hour, minute, second = int(match[2]), int(match[3]), int(match[4] or 0)
    offset = 0
    if match[6] != "Z":
        hours, minutes = int(match[6][1:3]), int(match[6][4:6])
        if hours > 14 or minutes > 59:
            return None
        offset = (hours * 60 + minutes) * (-1 if match[6][0] == "-" else 1)
    if hour > 23 or minute > 59 or second > 59:
        return None
    minutes_utc = (day.toordinal() - 719163) * 1440 + hour * 60 + minute - offset
    return (minutes_utc * 60 + second) * 1000 + int((match[5] or "0").ljust(3, "0")), day


def check_kinds(root, schema, value, path=""):
    schema = resolve(root, schema)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return [f for k, v in value.items() if k in known for f in check_kinds(root, known[k], v, join(path, k))]
    if isinstance(value, list) and schema.get("x-repeat"):
        return [f for i, v in enumerate(value) for f in check_kinds(root, schema["items"], v, join(path, item_name(v, i)))]
    if not isinstance(value, str) or not re.search(schema.get("pattern", ""), value):
        return []
    parse = {"date": parse_date, "instant": parse_instant}.get(schema.get("x-kind"))
    return [(path, "x-kind")] if parse and parse(value) is None else []


# -- x-rules --------------------------------------------------------------------------------------

def live(items):
    """[(name, item)] of the items that are not voided; the name is the id, or the index if there is none."""
    return [(item_name(i, n), i) for n, i in enumerate(items or []) if i.get("void") is not True]


def field_schema(root, names):
    schema = root
    for name in names:
        schema = resolve(root, schema)
        schema = schema["items"] if schema.get("x-repeat") else schema
        schema = resolve(root, schema).get("properties", {}).get(name, {})
    return resolve(root, schema)


def look(root, document, scope, item, path):
    """(value or None, its schema) of a rule's path, relative to the scope unless it begins with /."""
    if path.startswith("/") or not scope:
        names, value = path.lstrip("/").split("/"), document
        schema = field_schema(root, names)
    else:
        names, value = path.split("/"), item
        schema = field_schema(root, [scope, *names])
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value, schema


def spread(document, path):
    """Every (place, value) of array/field over the array's live items."""
    array, field = path.split("/")
    return [(f"{array}/{name}/{field}", i[field]) for name, i in live(document.get(array)) if field in i]


def compare(a, a_schema, b, b_schema):
    """-1, 0, 1, or None when the two cannot be compared (then the rule holds)."""
    kinds = a_schema.get("x-kind"), b_schema.get("x-kind")
    if kinds[0] in ("instant", "date") and kinds[1] in ("instant", "date"):
        parsed = [parse_instant(v) if k == "instant" else parse_date(v) for v, k in zip((a, b), kinds)]
        if None in parsed:
            return None
        if kinds == ("instant", "instant"):
            x, y = parsed[0][0], parsed[1][0]
        else:
            x, y = (p[1] if k == "instant" else p for p, k in zip(parsed, kinds))
    else:
        x, y = (s["x-band"].get(v, [None, None])[1] if "x-band" in s else v for v, s in ((a, a_schema), (b, b_schema)))
        if not (type_ok("integer", x) and type_ok("integer", y)):
            return None
    return (x > y) - (x < y)


def holds_when(root, document, scope, item, conditions):
    for c in conditions:
        value, _ = look(root, document, scope, item, c["field"])
        if "in" in c and not any(same(value, v) for v in c["in"]):
            return False
        if "present" in c and (value is not None) != c["present"]:
            return False
    return True


def run_rule(root, document, rule):
    scope, op, left = rule["scope"], rule["op"], rule["left"]
    if op in ("unique", "exists_in"):
        known = {v for p in rule.get("right", []) for _, v in spread(document, p)}
        seen, broken = set(), []
        for path in left:
            for place, value in spread(document, path):
                if (value in seen) if op == "unique" else (value not in known):
                    broken.append(place)
                seen.add(value)
        return broken if holds_when(root, document, "", None, rule.get("when", [])) else []
    items = live(document.get(scope)) if scope else [("", None)]
    broken = []
    for name, item in items:
        if not holds_when(root, document, scope, item, rule.get("when", [])):
            continue
        base = f"{scope}/{name}" if scope else ""
        if op in ("min_items", "max_items"):
            count = sum(len(live(document.get(a))) for a in left)
            if (count < rule["count"]) if op == "min_items" else (count > rule["count"]):
                broken.append(left[0])
            continue
        if op in ("required", "require_one"):
            missing = [p for p in left if look(root, document, scope, item, p)[0] is None]
            if op == "required":
                broken += [join(base, p) for p in missing]
            elif len(missing) == len(left):
                broken.append(join(base, left[0]))
            continue
        a, a_schema = look(root, document, scope, item, left)
        b, b_schema = look(root, document, scope, item, rule["right"])
        if a is None or b is None:
            continue
        if op == "ne":
            bad = same(a, b)
        elif op == "starts_with":
            bad = isinstance(a, str) and isinstance(b, str) and not a.startswith(b)
        else:
            order = compare(a, a_schema, b, b_schema)
            bad = order is not None and (order > 0 if op == "le" else order < 0)
        if bad:
            broken.append(join(base, left))
    return broken


def check(document):
    """Every broken rule of a record document, sorted: [(field, rule, severity)]."""
    if not isinstance(document, dict) or document.get("type") not in ("stop", "seizure", "case", "visit"):
        return [("type", "const", "error")]
    root = schema_of(document["type"])
    found = {(n, "x-nullable") for n, s in root["properties"].items()
             if resolve(root, s).get("x-nullable") is False and n in document and document[n] is None}
    version = document.get("schema_version")
    newer = type_ok("integer", version) and version > root["x-version"]
    doc = effective(root, root, document, newer)
    found |= set(validate(root, root, doc)) | set(check_kinds(root, root, doc))
    found -= {(n, "required") for n, rule in found if rule == "x-nullable"}
    answer = {(f, r, "warn" if newer and r == "enum" else "error") for f, r in found}
    if not any(r == "type" for _, r in found):  # rules need the right kinds of values
        for rule in root["x-rules"]:
            answer |= {(f, rule["id"], rule["severity"]) for f in run_rule(root, doc, rule)}
    return sorted(answer)


# -- CSV of records -------------------------------------------------------------------------------

def csv_records(data):
    """[(line where the record starts, [cells as bytes])]; RFC 4180, spaces around a quoted cell ignored."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    records, cells, cell = [], [], bytearray()
    line, start, state = 1, 1, "start"   # start | plain | quoted | closed
    i = 0
    while i <= len(data):
        c = data[i:i + 1]
        if state == "quoted" and c:
            if c == b'"' and data[i + 1:i + 2] == b'"':
                cell += b'"'
                i += 1
            elif c == b'"':
                state = "closed"
            else:
                cell += c
                line += c == b"\n"
        elif c in (b",", b"\n", b""):
            cells.append(bytes(cell))
            cell, state = bytearray(), "start"
            if c != b",":
                if any(x.strip() for x in cells):
                    records.append((start, cells))
                line, start, cells = line + 1, line + 1, []
        elif c == b'"' and state == "start" and not cell.strip():
            cell, state = bytearray(), "quoted"
        elif state != "closed":
            cell += c
            if c not in b" \t\r":
                state = "plain"
        i += 1
    return records


def plate_norm(text):
    return re.sub("[ \\-./·\u00a0\u200b\u200c\u200d]", "", text.translate(KHMER_DIGITS)).upper()


def cell_value(schema, text):
    """(value, broken rule or None) of one cell that is not empty."""
    free = schema.get("x-widget") == "textarea" or schema.get("x-label", "").startswith("person.name")
    plain = text if free else text.translate(KHMER_DIGITS)
    kind = schema.get("x-kind")
    if kind == "instant":
        plain = re.sub(r"^([0-9]{4}-[0-9]{2}-[0-9]{2}) +", r"\1T", plain)
        if re.search(r"T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?$", plain):
            plain += "+07:00"
    if schema.get("type") == "integer":
        return (int(plain), None) if re.match(r"-?[0-9]{1,18}\Z", plain) else (None, "type")
    if schema.get("type") == "boolean":
        word = plain.lower()
        if word in ("yes", "true", "1", "បាទ", "ចាស", "បាទ/ចាស"):
            return True, None
        return (False, None) if word in ("no", "false", "0", "ទេ") else (None, "type")
    if schema.get("type") == "array":
        return [part.strip() for part in plain.split(";") if part.strip()], None
    return (plain.lower() if "enum" in schema else plain), None


def read_csv(data, record_type="stop"):
    """(good documents, [(line, column, rule, severity)])"""
    root = schema_of(record_type)
    records = csv_records(data)
    header = [c.decode("utf-8").strip() for c in records[0][1]]
    for name in header:
        if name != "external_id" and not field_schema(root, [p for p in name.split(".") if not p.isdigit()]):
            raise SystemExit(f"csv.header: {name} is not a field of {record_type}")
    good, problems, seen = [], [], {}
    for line, cells in records[1:]:
        if len(cells) != len(header):
            problems.append((line, "", "csv.columns", "error"))
            continue
        row, broken = {}, []
        for name, raw in zip(header, cells):
            try:
                row[name] = raw.decode("utf-8").replace("\r\n", "\n").strip(" \t\r\n\u00a0\u200b")
            except UnicodeDecodeError:
                broken.append((line, name, "csv.utf8", "error"))
        if broken:
            problems += broken
            continue
        key = row.pop("external_id", "")
        if key and key in seen:
            problems.append((line, "external_id", "csv.duplicate", "error"))
            continue
        document = {"id": f"0190a000-0000-7000-8000-{line:012x}", "type": record_type, "schema_version": root["x-version"],
                    "unit": "01-PPT", "author": "import", "state": "final", "ref_no": f"01-PPT-T07-2026-{line:05d}",
                    "captured_at": "2026-03-15T08:00:00+07:00"}
        names = {}
        for name, text in row.items():
            if not text:
                continue
            parts = name.split(".")
            value, rule = cell_value(field_schema(root, [p for p in parts if not p.isdigit()]), text)
            if rule:
                broken.append((line, name, rule, "error"))
                continue
            target = document
            if len(parts) == 3:
                item_id = f"0000000{parts[1]}"
                items = target.setdefault(parts[0], [])
                target = next((i for i in items if i["item_id"] == item_id), None)
                if target is None:
                    target = {"item_id": item_id}
                    items.append(target)
                names[f"{parts[0]}/{item_id}"] = f"{parts[0]}.{parts[1]}"
            elif len(parts) == 2:
                target = target.setdefault(parts[0], {})
            target[parts[-1]] = value
        for vehicle in document.get("vehicles", []):
            if "plate" in vehicle:
                vehicle["plate_norm"] = plate_norm(vehicle["plate"])
        for field, rule, severity in [] if broken else check(document):  # what cannot be read cannot be judged
            for place, column in names.items():
                field = field.replace(place, column)
            broken.append((line, field.replace("/", "."), rule, severity))
        problems += broken
        if not any(b[3] == "error" for b in broken):
            good.append(document)
            if key:
                seen[key] = line
    return good, problems


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in ("record", "csv"):
        print(__doc__)
        return 0 if arguments[:1] in (["--help"], ["-h"]) else 2
    failed = False
    for name in arguments[1:]:
        data = pathlib.Path(name).read_bytes()
        if arguments[0] == "csv":
            good, problems = read_csv(data)
            print(f"{name}: {len(good)} good")
        else:
            problems = check(json.loads(data))
        for problem in problems:
            print(f"{name}: " + " ".join(map(str, problem)))
        failed |= any(p[-1] == "error" for p in problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
