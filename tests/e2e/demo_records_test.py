"""The demo's invented records keep to the forms, whatever the seed; judged by the dumb validator."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts/lib/demo"), str(ROOT / "tests/support")]
sys.dont_write_bytecode = True

import record_oracle  # noqa: E402
from records import Writer  # noqa: E402


def whole(record, writer, number):
    """With what a tablet fills in."""
    record = {"id": writer.uuid7(writer.at), "unit": writer.unit, "state": "final", "schema_version": 1, "captured_at": writer.at.isoformat(),
              "ref_no": f"{writer.unit}-T07-2026-{number:05}", **record}
    record.pop("external_id", None)
    for items in record.values():
        if isinstance(items, list):
            for place, item in enumerate(i for i in items if isinstance(i, dict)):
                item.setdefault("item_id", f"{place:08}")
    return record


class Records(unittest.TestCase):
    def test_every_record_is_valid_without_an_error(self):
        for seed in range(5):
            for kind, unit in (("stops", "01-PPT"), ("seizures", "01-PPT"), ("visits", "01-RH1")):
                writer = Writer(seed, unit)
                for number, record in enumerate(getattr(writer, kind)(40), 1):
                    document = whole(record, writer, number)
                    errors = [fault for fault in record_oracle.check(document) if fault[2] == "error"]
                    self.assertEqual(errors, [], f"seed {seed}: {document}")

    def test_one_seed_makes_the_same_records_and_another_makes_others(self):
        self.assertEqual(Writer(7, "01-PPT").stops(20), Writer(7, "01-PPT").stops(20))
        self.assertNotEqual(Writer(7, "01-PPT").stops(20), Writer(8, "01-PPT").stops(20))

    def test_a_broken_record_would_be_noticed(self):
        writer = Writer(1, "01-PPT")
        document = whole(writer.stop(), writer, 1)
        del document["direction"]
        self.assertTrue(any(fault[2] == "error" for fault in record_oracle.check(document)))


if __name__ == "__main__":
    unittest.main()
