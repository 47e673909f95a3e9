"""The benchmark of speed: what it says of times, not the times themselves."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

from bench import speed
from bench.errors import BenchError
from bench.metrics import mig_sampled
from bench.speed import _problems, _sampling, data, evaluation, figure, metrics, overhead, report, start
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


@pytest.fixture
def one_thread():
    """Two threads that wait for each other at every one of thousands of small sums take minutes on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def posteriors():
    rng = np.random.default_rng(0)
    factors = _problems.grid((3, 4, 10, 4))
    return *_problems.codes_10_db(factors, rng, n_latents=5), factors


def test_the_problem_has_the_noise_it_claims():
    factors = _problems.draw((3, 6, 40), 20_000, np.random.default_rng(1))
    codes, logvar = _problems.codes_10_db(factors, np.random.default_rng(2), n_latents=4)
    signal = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    np.testing.assert_allclose((codes[:, :3] - signal).var(axis=0), 0.1, rtol=0.05)
    np.testing.assert_allclose(codes[:, 3].var(), 1, rtol=0.05)
    np.testing.assert_allclose(np.exp(logvar), 0.1)
    assert (factors.min(axis=0) == 0).all()
    assert factors.max(axis=0).tolist() == [2, 5, 39]


def test_sampling_and_quadrature_agree_within_the_error_of_sampling(posteriors, one_thread):
    codes, logvar, factors = posteriors
    exact = np.array(mig_sampled(codes, logvar, factors, rng=np.random.default_rng(0))["mutual_information"])
    drawn = np.array(
        [_sampling.sampled_information(codes, logvar, factors, rng=np.random.default_rng(seed)) for seed in range(8)]
    )
    error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
    # Sampling each posterior once at its own row is unbiased; five standard errors of eight runs for each entry.
    assert (np.abs(drawn.mean(axis=0) - exact) < 5 * error + 1e-3).all()
    assert exact.max() > 50 * error.max()
    # Narrower posteriors are another answer, which this tolerance must not hide.
    wrong = _sampling.sampled_information(codes, logvar - 1, factors, rng=np.random.default_rng(0))
    assert (np.abs(wrong - exact) > 5 * error + 1e-3).any()


@pytest.mark.parametrize("n_samples", [5, 100, 10_000])
def test_the_work_of_sampling_is_counted_as_it_is_done(posteriors, monkeypatch, n_samples):
    codes, logvar, factors = posteriors
    done = []

    def count(z, mean, spread, picked):
        done.append(len(picked) * len(mean))
        return np.zeros(mean.shape[1])

    monkeypatch.setattr(_sampling, "_entropies", count)
    _sampling.sampled_information(codes, logvar, factors, n_samples=n_samples, rng=np.random.default_rng(0))
    assert _sampling.n_densities(factors, n_samples) == sum(done)


def test_the_whole_set_is_the_sum_of_all_metrics(monkeypatch):
    # Every metric has been called once, on the rows that warm it up.
    monkeypatch.setattr(metrics, "interleave", lambda cases, **_: {case.name: [1.0, 2.0, 6.0] for case in cases})
    found, notes = metrics.whole_set(3, n_codes=300, n_images=4, sizes=(2, 3, 4))
    *each, whole = found
    assert {"dci", "mig", "mig_sampled", "reconstruction", "ssim"} <= {row.name for row in each}
    assert whole.value == pytest.approx(2.0 * len(each))
    assert f"{2 * len(each)} s, above its target" in notes[0]


def test_both_kinds_of_boosting_do_the_same_work():
    exact, ours = metrics.boosting(1, n_rows=90, sizes=(2, 2))
    assert ours.versus == exact.name
    assert "|ΔD| = " in ours.note


def test_encoding_every_vote_is_extrapolated_and_the_table_pays_for_its_own(monkeypatch):
    def times(cases, **_):
        for case in cases:
            case.call()
        encoder, *scores = cases
        return {encoder.name: [1.0]} | {case.name: [10.0] for case in scores}

    monkeypatch.setattr(metrics, "interleave", times)
    monkeypatch.setattr(metrics, "PER_CALL", 4)
    found = {row.name: row for row in metrics.votes(1, n_codes=400, n_encoded=8, sizes=(2, 3, 4))}
    # 8 images a second; 15,000 votes on batches of 64, or on pairs of them.
    assert found["factor_vae_score, each vote encoded"].value == pytest.approx(10 + 120_000)
    assert found["beta_vae_score, each vote encoded"].value == pytest.approx(10 + 240_000)
    table = found["factor_vae_score, from a table"]
    assert table.value == pytest.approx(10 + 50)
    assert table.ratio == pytest.approx(120_010 / 60)


def test_the_sampled_mig_is_extrapolated_where_it_is_not_done_in_full():
    slow, fast = metrics.sampled(1, sizes=(2, 3, 4), n_samples=2)
    assert "extrapolated" in slow.note
    assert fast.versus == slow.name
    assert "extrapolated" not in metrics.sampled(1, sizes=(2, 3, 4), n_samples=10_000)[0].note


def test_sections_run_at_tiny_sizes(monkeypatch):
    levels = (1, 1, 2, 4, 4)
    assert [row.unit for row in data.rendering(1, levels)] == ["images/s"] * 3
    loader, store = data.batches(1, "floats", levels, 8)
    assert store.versus == loader.name
    grid = {"shape": 1, "scale": 1, "orientation": 2, "pos_x": 4, "pos_y": 4}
    assert [row.name for row in evaluation.passes(1, grid, 8, ["B"])] == ["net B encodes", "net B decodes"]
    monkeypatch.setattr(start, "COMMANDS", {"python -c pass": ("-c", "pass")})
    section = start.measure(repeats=1, full=False)
    assert (section.better, len(section.rows)) == ("lower", 1)


def test_the_store_of_bits_and_the_loader_draw_whole_batches_of_the_same_images():
    drawn = []

    class Store:
        def gather(self, index):
            drawn.append(index)

    from bench.dataset import load_dataset

    dataset = load_dataset("dsprites", {"shape": 1, "scale": 1, "orientation": 2, "pos_x": 4, "pos_y": 4})
    data._gather(dataset, Store(), 10)
    assert [len(index) for index in drawn] == [10, 10, 10]
    assert len(set(np.concatenate(drawn).tolist())) == 30


@pytest.mark.slow
def test_a_run_in_a_store_is_a_whole_run():
    alone, stored, run = overhead.runs(1, 1)
    assert stored.versus == run.versus == alone.name
    assert run.note.startswith("+")
