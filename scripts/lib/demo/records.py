"""Records for the demo: stops, seizures and visits as a border post and a rehab unit would write them.

The same seed gives the same records. Names, plates, notes and places differ from record to record, so
that sizes and merges mean something. Everything is invented.

  python3 records.py stops|seizures|visits --count N [--seed N] [--unit 01-PPT]     NDJSON on stdout
"""
import argparse
import datetime
import json
import random
import sys

FAMILY = "សុខ ចាន់ ហេង លី ឡុង មាស ទេព ឃឹម ជា ប៉ែន វង្ស រស់ ណុប ពៅ ស៊ឹម កែវ ទូច ម៉ៅ ផល ហ៊ុន ស្រេង ប្រាក់ ឈឹម ឆាយ".split()
GIVEN = "ដារ៉ា សុភា វុទ្ធី ពិសិដ្ឋ រតនា បូរី សុវណ្ណ វិចិត្រ ចាន់ណា សំណាង ស្រីពៅ វណ្ណា ភារុណ សុផល សុខុម រិទ្ធី ចន្ថា សុគន្ធ ដាវីត ពេជ្រ".split()
LATIN = {"TH": ["Somchai", "Prasert", "Anong", "Kittisak", "Malee"], "VN": ["Nguyen Van Hai", "Tran Thi Lan", "Le Minh"],
         "LA": ["Bounmy", "Khamla", "Phonesavanh"], "CN": ["Wang Lei", "Li Na", "Chen Bo"]}
SURNAMES = ["K.", "Jaidee", "S.", "Boonmee", "P.", "Wong"]
COLOURS = ["white", "black", "silver", "red", "blue", "grey", "green", "ស", "ខ្មៅ"]
GROUNDS = ["Smell of solvent from the boot", "Gave two different addresses", "Papers do not match the load",
           "Threw a small packet away before stopping", "Dog sat down beside the rear door", "Fresh welding under the seat",
           "លាក់កញ្ចប់តូចមួយនៅក្រោមកៅអី", "Would not say whose the bag is"]
PLACES = ["beside the left wheel", "under the spare wheel", "inside the door panel", "in the tool box", "in a rice sack",
          "behind the dashboard", "in a child's rucksack", "under the tarpaulin"]
OFFICERS = ["NP-2231", "NP-1187", "NP-3054", "NP-2790"]
CAMBODIA = datetime.timezone(datetime.timedelta(hours=7))
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Writer:
    """Writes a unit's records in the order of their days."""

    def __init__(self, seed, unit):
        self.random = random.Random(f"{seed}:{unit}")
        self.unit = unit
        self.at = datetime.datetime(2026, 3, 15, 5, 30, tzinfo=CAMBODIA)
        self.number = 0

    def later(self, minutes):
        self.at += datetime.timedelta(minutes=self.random.randint(2, minutes), seconds=self.random.randint(0, 59))
        self.number += 1
        return self.at

    def choice(self, *values):
        return self.random.choice(values)

    def weighted(self, **weights):
        return self.random.choices(list(weights), list(weights.values()))[0]

    def uuid7(self, at):
        """An id that carries its time, as the tablets make them (RFC 9562)."""
        bits = self.random.getrandbits(74)
        value = int(at.timestamp() * 1000) << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1
        text = f"{value:032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def position(self):
        if self.random.random() < 0.1:
            return {"source": "none", "reason": self.choice("no fix under the roof", "GPS switched off to save power")}
        return {"source": "gps", "lat": 136610000 + self.random.randint(-9000, 9000),
                "lon": 1025490000 + self.random.randint(-9000, 9000), "accuracy_m": self.random.randint(3, 28)}

    def person(self, role):
        nation = self.weighted(KH=78, TH=12, VN=5, LA=3, CN=2)
        person = {"role": role, "sex": self.weighted(male=70, female=30), "nationality": nation,
                  "age_estimate": self.random.randint(17, 68)}
        if nation == "KH":
            person["name_km"] = f"{self.choice(*FAMILY)} {self.choice(*GIVEN)}"
        else:
            person["name_latin"] = f"{self.choice(*LATIN[nation])} {self.choice(*SURNAMES)}"
        if self.random.random() < 0.3:
            person |= {"document_type": "passport" if nation != "KH" else "national_id",
                       "document_no": f"{self.choice(*'ABEN')}{self.random.randint(10**7, 10**8 - 1)}"}
        return person

    def vehicle(self):
        kind = self.weighted(motorcycle=45, car=30, van=12, truck=10, bus=3)
        plate = f"{self.random.randint(1, 3)}{self.choice(*'BCDEFGHJKLMNPQ')}-{self.random.randint(1000, 9999)}"
        return {"plate": plate, "country": self.weighted(KH=85, TH=13, VN=2), "class": kind, "colour": self.choice(*COLOURS)}

    def stop(self):
        at = self.later(11)
        officer = self.choice(*OFFICERS)
        searched = self.random.random() < 0.3
        stop = {"type": "stop", "external_id": f"DEMO-{self.unit}-S{self.number:05}", "author": officer, "officer_id": officer,
                "checkpoint_code": "01-PPT", "direction": self.weighted(entry=55, exit=45), "stopped_at": at.isoformat(),
                "stop_type": "traffic", "position": self.position(), "vehicles": [self.vehicle()],
                "persons": [self.person("driver")] + [self.person("passenger") for _ in range(self.random.randint(0, 2))],
                "search_type": "none", "outcome": "no_action" if self.random.random() < 0.9 else "fine"}
        if searched:
            stop |= {"search_type": self.choice("vehicle", "person_and_vehicle"),
                     "searched_at": (at + datetime.timedelta(minutes=self.random.randint(1, 9))).isoformat(),
                     "object_of_search": self.weighted(drugs=60, chemicals=10, cash=15, weapons=15),
                     "grounds": f"{self.choice(*GROUNDS)}, looked {self.choice(*PLACES)} at {at:%H:%M}",
                     "legal_basis": "DRUG-2012", "receipt_given": self.weighted(paper=70, qr=20, refused=10)}
            if stop["search_type"] == "person_and_vehicle":
                stop["more_than_outer_clothing"] = False
            if stop["outcome"] != "no_action":
                stop["outcome_linked_to_object"] = self.choice(True, False)
        return stop

    def drug_item(self, letter):
        drug, form = self.choice(("meth_tablet", "tablet"), ("meth_crystal", "crystal"), ("ketamine", "powder"),
                                 ("heroin", "powder"), ("cannabis_herb", "herb"))
        net = self.random.randint(800, 2_400_000)
        weighed_by, witness = self.random.sample(OFFICERS, 2)
        item = {"drug": drug, "form": form, "quantity_basis": "weighed", "net_mg": net, "gross_mg": net + self.random.randint(400, 9000),
                "scale_id": f"SC-{self.random.randint(1, 9):02}", "weighed_by": weighed_by, "weigh_witness": witness,
                "packages": self.random.randint(1, 24), "field_test": self.weighted(positive=85, inconclusive=15),
                "exhibit_no": f"PPT-26-{self.number:04}-{letter}", "seal_no": f"S-{self.random.randint(10**5, 10**6 - 1)}"}
        if form == "tablet":
            item |= {"logo": self.choice("WY", "999", "R"), "count": net // 90 + 1}
        return item

    def seizure(self):
        at = self.later(50)
        officer = self.choice(*OFFICERS)
        items = [self.drug_item(letter) for letter in "ABCD"[:self.random.randint(1, 4)]]
        seizure = {"type": "seizure", "id": self.uuid7(at), "author": officer, "seized_at": at.isoformat(), "place": f"0108{self.random.randint(1, 5):02}",
                   "position": self.position(), "seizing_agency": "border_police", "detection_method": self.choice("routine", "dog", "xray", "tip_off"),
                   "transport_mode": "road", "concealment": self.choice("vehicle_structure", "luggage", "on_body", "cargo"),
                   "origin": "unknown", "departure": self.choice("TH", "LA", "unknown"), "intended_destination": "KH", "drug_items": items,
                   "persons": [self.person("suspect") | {"status": "detained", "status_at": at.isoformat(), "status_authority": "Chief of post, Poipet"}],
                   "custody_events": [{"exhibit_no": item["exhibit_no"], "action": "sealed", "at": at.isoformat(), "new_seal": item["seal_no"]} for item in items]}
        if self.random.random() < 0.4:
            seizure["property_items"] = [{"kind": "cash", "amount_minor": self.random.randint(5, 900) * 10_000, "amount_currency": "KHR", "status": "held"}]
        return seizure

    def seizure_and_stop(self):
        """A seizure, and the stop that led to it."""
        seizure = self.seizure()
        stop = self.stop()
        # A name of its own: another file of the same unit counts its stops from one, too.
        stop.update({"external_id": f"DEMO-{self.unit}-Z{self.number:05}", "search_type": "vehicle", "searched_at": self.at.isoformat(), "object_of_search": "drugs", "legal_basis": "DRUG-2012",
                     "grounds": f"{self.choice(*GROUNDS)}, found {self.choice(*PLACES)}", "outcome": "seizure", "receipt_given": "paper",
                     "outcome_linked_to_object": True, "seizure_links": [{"record_id": seizure["id"]}]})
        stop.pop("more_than_outer_clothing", None)
        return [seizure, stop]

    def visit(self):
        at = self.later(95)
        group = lambda: "".join(self.choice(*CROCKFORD) for _ in range(4))
        ever = self.weighted(yes=20, no=70, unknown=10)
        kind = self.choice("outreach", "intake", "counselling", "medical", "follow_up", "aftercare")
        visit = {"type": "visit", "external_id": f"DEMO-{self.unit}-V{self.number:05}", "author": self.choice("RH-07", "RH-12"),
                 "client_pseudonym": "-".join(group() for _ in range(4)),
                 "episode_id": self.uuid7(at), "visit_at": at.isoformat(), "visit_month": f"{at:%Y-%m}", "visit_type": kind,
                 "setting": self.weighted(mobile_unit=80, community_health_centre=20), "facility_code": "UNIT",
                 "legal_status": self.weighted(voluntary=80, other_referred=15, unknown=5), "referral_source": self.choice("self", "family", "health", "commune"),
                 "ever_treated_before": self.choice("yes", "no", "unknown"), "age_band": self.choice("20_24", "25_29", "30_34", "35_39", "40_44"),
                 "sex": self.weighted(male=75, female=25), "living_status": self.choice("alone", "with_family", "with_others"),
                 "labour_status": self.choice("employed", "casual", "unemployed", "student"), "education": self.choice("none", "primary", "lower_secondary"),
                 "primary_drug": self.weighted(meth_crystal=50, meth_tablet=35, heroin=10, ketamine=5), "route": self.choice("smoke", "inhale", "sniff"),
                 "days_used_last_30": self.random.randint(0, 30), "age_first_use": self.random.randint(13, 19),
                 "ever_injected": ever, "hiv_tested": self.choice("yes", "no"), "hcv_tested": self.choice("yes", "no"),
                 "interventions": self.random.sample(["counselling_individual", "medical_check", "brief_advice", "family_session", "harm_reduction"], 2),
                 "next_visit": f"{at + datetime.timedelta(days=14):%Y-%m-%d}", "outcome": "continuing",
                 "consent": {"id": f"C-2026-{self.random.randint(1000, 9999)}", "scope": ["treatment", "statistics"], "given_at": at.isoformat()}}
        if self.random.random() < 0.5:
            visit["secondary_drugs"] = [{"drug": "alcohol", "route": "oral", "days_used_last_30": self.random.randint(0, 30), "age_first_use": self.random.randint(13, 19)}]
        return visit

    def stops(self, count):
        return [self.stop() for _ in range(count)]

    def seizures(self, count):
        """Each seizure with its stop: twice as many records as `count`."""
        return [record for _ in range(count) for record in self.seizure_and_stop()]

    def visits(self, count):
        return [self.visit() for _ in range(count)]


def main():
    parser = argparse.ArgumentParser(description="Invented but realistic records, one JSON object a line.")
    parser.add_argument("kind", choices=["stops", "seizures", "visits"])
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", default="demo")
    parser.add_argument("--unit", default="01-PPT", help="only part of the seed and of the external ids; the tablet fills in its own")
    chosen = parser.parse_args()
    for record in getattr(Writer(chosen.seed, chosen.unit), chosen.kind)(chosen.count):
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
