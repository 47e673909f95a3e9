"""What raises costs itself, not the report: it is left out and named, and the exit code is 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.claims import verdict
from bench.registry import FIGURES

PLUGIN = """
from matplotlib.figure import Figure

from bench.registry import FIGURES


@FIGURES.register("odd")
def odd(study):
    \"\"\"Raises.\"\"\"
    raise RuntimeError("no <luck>\\nat all")


@FIGURES.register("half")
def half(study):
    \"\"\"One figure that can be drawn, and one that can't.\"\"\"
    bad = Figure()
    bad.text(0.5, 0.5, r"$\\\\foo$")
    return {"good": Figure(), "bad": bad}


@FIGURES.register("text")
def text(study):
    \"\"\"No figure at all.\"\"\"
    return "figure"
"""


@pytest.fixture
def study(study_builder):
    builder = study_builder()
    builder.study(figures=[])
    for method, mig in {"vae": 0.1, "beta_vae": 0.2}.items():
        for seed in range(3):
            builder.run(method, seed, {"mig": mig + seed / 100})
    return builder.root


def test_figures_of_a_plugin_that_raise_are_named(study, bench):
    Path("mine.py").write_text(PLUGIN, encoding="utf-8")
    with FIGURES.override(only=("strip",)):
        code, out, err = bench("report", "toy", "--plugin", "mine.py", "-q")
    assert code == 1
    assert "report: " in out
    lines = err.strip().splitlines()
    assert lines[0].startswith("bench: figure 'half' is left out: ")
    assert lines[1] == "bench: figure 'odd' is left out: RuntimeError: no <luck>"
    assert lines[2].startswith("bench: figure 'text' is left out: ")
    report = Path("reports/toy")
    for page in ("report.md", "report.html"):
        text = (report / page).read_text(encoding="utf-8")
        assert "Left out" in text
        assert "<luck>" not in text.replace(r"\<luck\>", "")
    assert {file.name for file in report.glob("fig_half*")} == {"fig_half_good.png", "fig_half_good.pdf"}
    assert (report / "fig_strip.png").exists()


def test_a_claim_that_raises_is_named_and_the_others_are_judged(study, bench, no_figures, monkeypatch):
    whole = verdict.judge

    def judge(name, paper, claim, pool):
        if claim is paper.claim[0]:
            raise ZeroDivisionError("nothing to divide")
        return whole(name, paper, claim, pool)

    monkeypatch.setattr(verdict, "judge", judge)
    code, _, err = bench("report", "toy", "-q")
    assert code == 1
    lines = err.strip().splitlines()
    assert len(lines) > 1
    assert all(line.endswith("is left out: ZeroDivisionError: nothing to divide") for line in lines)
    assert "is left out: ZeroDivisionError" in Path("reports/toy/report.md").read_text(encoding="utf-8")


def test_a_page_that_raises_is_named(study, bench, no_figures, monkeypatch):
    monkeypatch.setattr("bench.reporting.page.page", lambda *_, **__: 1 / 0)
    code, _, err = bench("report", "toy", "-q")
    assert code == 1
    assert "report.html is left out: ZeroDivisionError" in err
    text = Path("reports/toy/report.md").read_text(encoding="utf-8")
    assert "report.html is left out" in text
    assert "[report.html]" not in text
    assert not Path("reports/toy/report.html").exists()
    monkeypatch.undo()


def test_figures_that_raise_in_other_processes_are_named(study_builder, tmp_path, monkeypatch):
    from bench.reporting import figure_files
    from bench.results.study import read_study

    builder = study_builder("many")
    builder.study()
    monkeypatch.setattr(figure_files, "SHARED_FROM", 20)
    for seed in range(figure_files.SHARED_FROM):
        builder.run("vae", seed, {"mig": 0.1})

    def odd(study):
        """Raises."""
        raise RuntimeError

    lines = []
    (tmp_path / "out").mkdir()
    with FIGURES.override(only=("strip", "tradeoff")):
        FIGURES.register("odd")(odd)
        whole = read_study(builder.root)
        drawn = figure_files.pictures(whole, tmp_path / "out", 2, tell=lines.append)
    assert lines == ["figure 'odd' is left out: RuntimeError"]
    assert [stem for stem, _ in drawn] == ["fig_strip"]
