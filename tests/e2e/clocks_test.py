#!/usr/bin/env python3
"""Tablets whose clock stands at 1970, ten years ahead, or is set back while people work: everything is saved and
reaches the hub once, and a certificate is judged by the hub's time and not by the tablet's."""

import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scenario  # noqa: E402
import world  # noqa: E402

DAY_S = 86_400
TEN_YEARS_S = 3652 * DAY_S
WRONG = {"1970": -time.time() + 3600, "ten years ahead": TEN_YEARS_S}


class Clocks(scenario.Scenario):
    def newcomer(self, name, clock):
        tablet = world.Tablet(self.programs, self.folder / name, clock=clock)
        self.addCleanup(scenario.end, tablet)
        return tablet

    def clock(self, name):
        return world.Clock(self.programs, self.folder / f"{name}.clock")

    def assert_whole(self, hub, tablet, records):
        self.assertEqual(tablet.ask_cli("status")["waiting"], 0)
        self.assertEqual(set(hub.records()), set(records))
        self.assertEqual(len(set(records)), len(records))
        self.assert_converged(hub, tablet)
        stores = hub.get("/v1/status")["stores"]
        self.assertEqual((stores["enforcement"]["quarantined"], stores["enforcement"]["held"]), (0, 0))

    def change_of(self, hub, record):
        return hub.get(f"/v1/records/{record}/history")["changes"][0]

    def assert_time_told(self, hub, record, shift_s):
        """The estimate by hub time lies in the interval, and the device's own clock is said to be off."""
        change = self.change_of(hub, record)
        interval = change["interval"]
        self.assertEqual(change["clock"], "hub time carried forward by the device")
        self.assertLessEqual(interval["earliest"], change["time"])
        self.assertLessEqual(change["time"], interval["latest"])
        self.assertFalse(interval["outside"])
        self.assertLess(interval["error_ms"], 10_000)
        self.assertLess(abs(interval["clock_error_ms"] / 1000 - shift_s), 120)
        said = world.must(hub.cli("records", record, "--history")).out
        self.assertIn("made between", said)
        self.assertIn("the device's own clock was", said)
        self.assertIn("ahead" if shift_s > 0 else "behind", said)

    def assert_flagged(self, hub, name, shift_s):
        reported = hub.get(f"/v1/devices/{name}")["reported"]
        self.assertTrue(reported["clock_wrong"])
        self.assertLess(abs(reported["clock_error_ms"] / 1000 - shift_s), 120)
        self.assertIn("WRONG CLOCK", world.must(hub.cli("device", "list")).out)

    def test_a_time_that_cannot_be_true_is_shown_with_what_contradicts_it(self):
        hub = self.hub()
        clock = self.clock("T01")
        tablet = self.newcomer("T01", clock).enrol(hub, "T01")
        tablet.sync()
        self.assertFalse(hub.get("/v1/devices/T01")["reported"]["clock_wrong"])
        self.assertNotIn("WRONG CLOCK", hub.cli("device", "list").out)
        (tablet.path / "hub-time.json").unlink()  # as after a restart: this boot has met no hub
        clock.shift(-TEN_YEARS_S)
        lied = tablet.record()
        clock.shift(0)
        honest = tablet.record()
        tablet.sync()
        change = self.change_of(hub, lied)
        self.assertEqual(change["clock"], "device clock, not compared with the hub")
        self.assertTrue(change["interval"]["outside"])
        self.assertIsNone(change["interval"]["error_ms"])
        self.assertLess(change["time"], change["interval"]["earliest"])  # of the last welcome it had
        self.assertIn("WRONG CLOCK: the time stated cannot be true",
                      world.must(hub.cli("records", lied, "--history")).out)
        change = self.change_of(hub, honest)
        self.assertFalse(change["interval"]["outside"])
        self.assertLessEqual(change["interval"]["earliest"], change["time"])
        self.assertLessEqual(change["time"], change["interval"]["latest"])

    def test_a_clock_that_is_far_off_saves_and_syncs_everything_also_after_restarts(self):
        hub = self.hub()
        for number, (name, shift_s) in enumerate(WRONG.items()):
            with self.subTest(clock=name):
                clock = self.clock(str(number))
                tablet = self.newcomer(f"T0{number}", clock)
                before = set(hub.records())
                tablet.enrol(hub, f"T0{number}")
                clock.shift(shift_s)
                made = [tablet.record(witness=f"{name} {i}") for i in range(3)]
                for record in made:  # readable, and each another
                    self.assertEqual(uuid.UUID(record).version, 7)
                tablet.sync()  # the first time after enrolment, in a process that met no hub
                made.append(tablet.record(witness=f"{name} again"))
                tablet.sync()
                tablet.start()
                tablet.daemon.wait_line("connected to the hub")
                tablet.stop()
                self.assert_whole(hub, tablet, before | set(made))
                for record in made:
                    self.assert_time_told(hub, record, shift_s)
                self.assert_flagged(hub, f"T0{number}", shift_s)

    def test_a_clock_that_is_set_back_between_records_loses_and_doubles_nothing(self):
        hub = self.hub()
        clock = self.clock("T01")
        tablet = self.newcomer("T01", clock)
        tablet.enrol(hub, "T01").start()
        tablet.daemon.wait_line("connected to the hub")
        made = []
        for shift_s in (0, -5, -5, -3600, -TEN_YEARS_S, TEN_YEARS_S, 0, -time.time() + 60):
            clock.shift(shift_s)
            made.append(tablet.record(witness=f"shifted by {int(shift_s)} s"))
        world.wait_until(lambda: tablet.ask_cli("status")["in_sync"])
        references = [tablet.show(record)["document"]["ref_no"] for record in made]
        self.assertEqual(references, sorted(set(references), key=lambda ref: int(ref.split("-")[-1])))
        tablet.stop()
        self.assert_whole(hub, tablet, made)
        tablet.start()  # at 1970, and certificates are judged by what it kept of the hub's time
        tablet.daemon.wait_line("connected to the hub")

    def test_enrolment_with_a_wrong_clock_says_what_to_do_and_works_once_it_was_done(self):
        hub = self.hub()
        for number, (name, shift_s) in enumerate(WRONG.items()):
            with self.subTest(clock=name):
                clock = self.clock(str(number))
                clock.shift(shift_s)
                tablet = self.newcomer(f"T0{number}", clock)
                code = hub.invite(f"T0{number}")
                self.assert_refused(tablet.cli("enroll", code), "fieldpost-agent", "this device's clock says ",
                                    "set date and time" if shift_s < 0 else "set the clock")
                self.assertFalse((tablet.path / "identity.json").exists())
                clock.shift(0)
                world.must(tablet.cli("enroll", code))
                clock.shift(shift_s)
                tablet.sync()

    def test_an_expired_certificate_is_refused_whatever_the_tablets_clock_says_and_a_renewed_one_taken(self):
        office = self.clock("office")
        hub = world.Hub(self.programs, self.folder / "hub", clock=office)
        self.addCleanup(scenario.end, hub)
        world.must(hub.cli("unit", "add", "01-PPT"))
        hub.start()
        clock = self.clock("T01")
        tablet = self.newcomer("T01", clock).enrol(hub, "T01")
        tablet.sync()
        record = tablet.record()
        hub.stop()
        office.shift(400 * DAY_S)
        self.assertIn("Renew it: fieldpost-hub certificate renew", hub.cli("doctor").out)
        hub.start()
        world.must(hub.cli("status"))  # an operator reaches it all the same
        clock.shift(-time.time() + 3600)
        # The hub's own word, once it is heard; from then on the handshake ends it.
        for words in ("by its own clock it is", "which has expired: by the hub's own time"):
            self.assert_refused(tablet.cli("sync", "--once", "--timeout", 30), "fieldpost-agent", words,
                                "fieldpost-hub certificate renew")
        self.assertEqual(tablet.ask_cli("status")["waiting"], 1)
        # The running hub takes the renewed one by itself.
        said = world.must(hub.cli("certificate", "renew")).out
        self.assertIn("The running hub shows it", said)
        hub.daemon.wait_line("a renewed certificate is in use")
        tablet.sync()
        self.assertEqual(tablet.ask_cli("status")["waiting"], 0)
        self.assertIn("good     server certificate is valid for 364 more days", hub.cli("doctor").out)
        self.assertIn(record, world.must(hub.cli("records")).out)

    def test_a_running_hub_renews_without_cutting_anybody_off(self):
        hub = self.hub()
        tablet = self.tablet(hub, "T01").start()
        tablet.daemon.wait_line("connected to the hub")
        world.must(hub.cli("certificate", "renew", "--days", "400"))
        hub.daemon.wait_line("a renewed certificate is in use")
        record = tablet.record()
        world.wait_until(lambda: tablet.ask_cli("status")["in_sync"])
        self.assertIn(record, hub.records())
        self.assertNotIn("no connection to the hub", tablet.daemon.log())
        # Not to an end before the one that tablets have seen.
        self.assert_refused(hub.cli("certificate", "renew", "--days", "20"), "fieldpost-hub", "before the present one", "--days")

    def test_a_certificate_that_ends_soon_is_told_by_the_tablet_and_by_doctor(self):
        office = self.clock("office")
        hub = world.Hub(self.programs, self.folder / "hub", clock=office)
        self.addCleanup(scenario.end, hub)
        world.must(hub.cli("unit", "add", "01-PPT"))
        hub.start()
        tablet = self.newcomer("T01", self.clock("T01")).enrol(hub, "T01")
        self.assertNotIn("certificate ends in", tablet.cli("status").out)
        hub.stop()
        office.shift(345 * DAY_S + 3600)
        hub.start()
        tablet.start()
        tablet.daemon.wait_line("connected to the hub")
        self.assertIn("The hub's certificate ends in 19 days", tablet.cli("status").out)
        self.assertIn("MEND     server certificate expires in 19 days", hub.cli("doctor").out)

    def test_a_certificate_made_while_the_hubs_clock_was_ahead_is_told_and_replaced_on_the_operators_word(self):
        office = self.clock("office")
        hub = world.Hub(self.programs, self.folder / "hub", clock=office)
        self.addCleanup(scenario.end, hub)
        world.must(hub.cli("unit", "add", "01-PPT"))
        tablet = self.newcomer("T01", self.clock("T01"))
        hub.start()
        tablet.enrol(hub, "T01")
        hub.stop()
        office.shift(700 * DAY_S)  # for an afternoon, in which somebody renews and the tablet hears that time
        world.must(hub.cli("certificate", "renew"))
        hub.start()
        tablet.sync()
        hub.stop()
        office.shift(0)
        self.assertIn("MEND     the server certificate begins in the future", hub.cli("doctor").out)
        hub.start()
        self.assertTrue(any("begins in the future" in line for line in hub.daemon.lines if line), hub.daemon.log())
        self.assert_refused(hub.cli("certificate", "renew"), "fieldpost-hub", "if the clock is wrong, set it", "--clock-is-right")
        newcomer = self.newcomer("T02", self.clock("T02"))
        self.assertNotEqual(newcomer.cli("enroll", hub.invite("T02")).code, 0)
        world.must(hub.cli("certificate", "renew", "--clock-is-right"))
        hub.daemon.wait_line("a renewed certificate is in use")
        newcomer.enrol(hub, "T03")
        record = tablet.record()
        tablet.sync()  # it has heard a time 700 days from now
        self.assertIn(record, hub.records())
        self.assertNotIn("begins in the future", hub.cli("doctor").out)


if __name__ == "__main__":
    scenario.main()
