"""The framework of `bench speed`: what it says of times, not the times themselves."""

from __future__ import annotations

import json
from functools import partial

import pytest

from bench import speed
from bench.errors import BenchError
from bench.speed import figure, report
from bench.speed.timing import Case, Row, Section, interleave, rows


class Machine:
    """A clock that advances by what each case costs, and by how slow the machine is in that round."""

    def __init__(self, drift):
        self.now, self.called, self.drift = 0.0, [], drift

    def case(self, name, cost, *, work=1.0, unit="s"):
        def call():
            past = self.called.count(name)
            self.called.append(name)
            self.now += cost * self.drift[past]

        return Case(name, call, work, unit)

    def clock(self):
        return self.now


@pytest.fixture
def bench(bench):
    return partial(bench, "speed")


@pytest.fixture
def measured(monkeypatch):
    """The section `start` with numbers of its own; returns what it was asked for."""
    asked = []

    def measure(**options):
        asked.append(options)
        slow, fast = Row("slow", 4.0, "s", 3.5, 4.5), Row("fast", 2.0, "s", 1.5, 2.5, 2.0, 1.8, 2.2, "slow", "half")
        return Section("start", "Start", [slow, fast], ["A note."], better="lower")

    monkeypatch.setattr(speed, "load", lambda name: measure)
    return asked


def test_cases_take_turns_and_their_order_alternates():
    machine = Machine([1] * 4)
    cases = [machine.case(name, cost) for name, cost in (("a", 1), ("b", 2), ("c", 3))]
    seconds = interleave(cases, repeats=3, warmup=1, clock=machine.clock)
    assert "".join(machine.called) == "abc" + "cba" + "abc" + "cba"
    assert seconds == {"a": [1, 1, 1], "b": [2, 2, 2], "c": [3, 3, 3]}


def test_warm_up_is_not_counted_and_progress_counts_it():
    machine, seen = Machine([100, 1, 1]), []
    case = machine.case("a", 1)
    seconds = interleave(
        [case], repeats=2, warmup=1, clock=machine.clock, progress=lambda done, of: seen.append((done, of))
    )
    assert seconds == {"a": [1, 1]}
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_what_comes_before_a_call_is_not_timed():
    machine = Machine([1, 1])

    def rest():
        machine.now += 100

    case = Case("a", machine.case("a", 1).call, 1.0, "s", before=rest)
    assert interleave([case], repeats=1, warmup=1, clock=machine.clock) == {"a": [1]}
    assert machine.now == 202


def test_drift_that_hits_all_cases_leaves_their_ratio_alone():
    machine = Machine([1, 5, 1, 7, 2])
    cases = [machine.case("plain", 3), machine.case("ours", 1)]
    plain, ours = rows(cases, interleave(cases, repeats=5, warmup=0, clock=machine.clock), versus="plain")
    assert (ours.ratio_low, ours.ratio, ours.ratio_high) == pytest.approx((3, 3, 3))
    assert ours.high > ours.low
    assert (plain.ratio, plain.versus, ours.versus) == (None, "", "plain")


def test_a_ratio_above_one_is_faster_whether_seconds_or_rates_are_shown():
    seconds = {"plain": [4.0, 4.0], "ours": [1.0, 1.0]}
    for unit, value in (("s", 1.0), ("images", 1.0)):
        cases = [Case("plain", print, 1, unit), Case("ours", print, 1, unit)]
        _, ours = rows(cases, seconds, versus="plain")
        assert (ours.ratio, ours.value) == pytest.approx((4, value))


def test_values_are_medians_per_unit_of_work_with_quartiles():
    seconds = {"a": [1.0, 2.0, 3.0, 4.0, 5.0]}
    rate, time = (rows([Case("a", print, work, unit)], seconds)[0] for work, unit in ((60, "images"), (0.5, "s")))
    assert (rate.value, rate.unit) == (20, "images/s")
    # A call that does half of the work stands for twice its time.
    assert (time.low, time.value, time.high, time.unit) == (4, 6, 8, "s")


def test_partial_work_is_extrapolated_in_the_ratio_too():
    cases = [Case("a tenth", print, 0.1, "s"), Case("whole", print, 1, "s")]
    slow, fast = rows(cases, {"a tenth": [2.0], "whole": [4.0]}, versus="a tenth")
    assert (slow.value, fast.ratio) == pytest.approx((20, 5))


@pytest.mark.parametrize(("repeats", "names"), [(0, "ab"), (1, "aa")])
def test_no_rounds_and_repeated_names_are_refused(repeats, names):
    with pytest.raises(ValueError, match=r"repeats must be|different names"):
        interleave([Case(name, print, 1, "s") for name in names], repeats=repeats)


def test_every_module_but_the_framework_is_a_section():
    names = speed.section_names()
    assert {"data", "evaluation", "metrics", "overhead", "start"} <= set(names)
    assert not {"timing", "report", "figure"} & set(names)
    assert not any(name.startswith("_") for name in names)
    assert all(callable(speed.load(name)) for name in names)
    assert speed.choose([]) == names
    assert speed.choose(["start", "data", "start"]) == ["start", "data"]


def test_an_unknown_section_is_one_line_with_the_nearest_name(bench):
    code, out, err = bench("metrcs")
    assert code == 2
    assert out == ""
    assert err.startswith("bench: unknown section 'metrcs'; did you mean 'metrics'?")
    assert err.count("\n") == 1


def test_the_table_says_what_was_measured_and_against_what(bench, measured):
    code, out, _ = bench("start", "--repeats", "4", "--full")
    assert code == 0
    assert measured == [{"repeats": 4, "full": True}]
    for word in ("2 s", "1.5 to 2.5", "1.8 to 2.2", "fast: half", "A note.", "lower is better", "commit", "torch"):
        assert word in out
    assert "4 interleaved rounds" in out


def test_a_measurement_survives_the_round_trip(bench, measured, tmp_path):
    assert bench("start", "--json", "a.json")[0] == 0
    stored = report.read(tmp_path / "a.json")
    section = speed.load("start")()
    back = stored["sections"][0]
    assert Section(**{**back, "rows": [Row(**row) for row in back["rows"]]}) == section
    _, out, err = bench("start", "--json", "-")
    printed = json.loads(out)
    assert printed["sections"] == stored["sections"]
    assert "commit" in err


def test_comparison_with_itself_is_one_and_names_no_difference(bench, measured):
    bench("start", "--json", "a.json")
    code, out, _ = bench("start", "--compare", "a.json")
    assert code == 0
    assert out.count(" 1.00") == 2
    assert "same machine, settings and versions" in out


def test_comparison_gives_the_gain_in_speed_and_says_what_else_changed(bench, measured, tmp_path):
    bench("start", "--json", "a.json")
    stored = json.loads((tmp_path / "a.json").read_text())
    stored["sections"][0]["rows"][1]["value"] = 6.0
    stored["sections"][0]["rows"][0]["unit"] = "images/s"
    stored["sections"][0] |= {"threads": 8, "precision": "bfloat16"}
    stored["environment"]["versions"]["torch"] = "1.0"
    stored["environment"]["hardware"]["cpu"] = "Abacus"
    (tmp_path / "a.json").write_text(json.dumps(stored))
    _, out, _ = bench("start", "--compare", "a.json")
    assert "3.00" in out
    assert "new" in out
    told = " ".join(out.split())
    for difference in (
        "Abacus then",
        "1.0 then",
        "start: threads 1 now, 8 then",
        "precision float32 now, bfloat16 then",
    ):
        assert difference in told
    assert "numpy" not in told.split("compared with")[1]


def test_a_gain_is_above_one_when_faster_in_either_direction():
    now, then = (Row("a", value, "s", value, value) for value in (2.0, 6.0))
    assert report.change(now, then, "lower") == pytest.approx(3)
    assert report.change(now, then, "higher") == pytest.approx(1 / 3)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}', '{"schema_version": 99, "sections": []}', None])
def test_what_is_no_measurement_is_refused_before_anything_is_timed(bench, measured, tmp_path, text):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    code, _, err = bench("start", "--compare", "a.json")
    assert (code, measured) == (2, [])
    assert "'a.json'" in err


@pytest.mark.parametrize("option", ["--json", "--figure"])
def test_a_folder_that_is_not_there_is_noticed_before_anything_is_timed(bench, measured, option):
    code, _, err = bench("start", option, "nowhere/a")
    assert (code, measured) == (2, [])
    assert "no folder 'nowhere'" in err


def test_the_figure_has_a_bar_per_ratio_as_png_and_pdf(bench, measured, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure, "_bars", lambda axes, found, labels: drawn.append([row.name for row in found]))
    assert bench("start", "--figure", "speed.png")[0] == 0
    assert drawn == [["fast"]]
    assert {path.name for path in tmp_path.iterdir()} == {"speed.png", "speed.pdf"}


def test_without_ratios_there_is_no_figure(tmp_path):
    with pytest.raises(BenchError, match="no ratios"):
        figure.draw([Section("a", "A", [Row("b", 1.0, "s", 1.0, 1.0)])], tmp_path / "a")
