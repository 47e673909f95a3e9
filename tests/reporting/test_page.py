"""The page of a report: what is in it, and that it needs nothing from outside."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.config.expand import expand
from bench.config.study import resolve
from bench.figures.frames import Animation, halved
from bench.registry import FIGURES
from bench.reporting.page import rich, scrolled
from bench.reporting.render import HOW_TO_READ, render
from bench.reporting.run_rows import ORIGIN, SEEDS, thinned
from bench.reporting.summary import run_command
from bench.reporting.tables import make_table
from bench.results.store import Store
from bench.results.study import read_study
from bench.selectors import parse_seeds
from helpers.synthetic import Build

VOID = ("meta", "link", "img", "input", "br")
EVIL = "</script><script>alert(1)</script><!--"


@dataclass
class Page(HTMLParser):
    """Elements in order, and the texts of those that matter."""

    text: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def having(self, key: str) -> list[dict[str, str]]:
        return [attributes for _, attributes in self.elements if key in attributes]

    @property
    def data(self) -> dict[str, Any]:
        """Run to what the page shows of it, as its script puts it together."""
        (at,) = [i for i, a in enumerate(a for t, a in self.elements if t == "script") if a.get("id") == "data"]
        stored = json.loads(self.texts["script"][at])
        out = {}
        for run, row in zip(stored["runs"], self.runs, strict=True):
            curves = None if run["steps"] is None else {"step": stored["steps"][run["steps"]], **run.get("curves", {})}
            seed = row["Seed"]
            command = stored["commands"][run["command"]].replace(SEEDS, f"--seeds {seed}-{seed}")
            facts = [tuple(stored["lines"][line]) for line in run["lines"]]
            out[run["id"]] = {"error": "", "pictures": {}, "files": [], **run} | {
                "curves": curves, "command": command, "facts": facts,
            }  # fmt: skip
        return out

    @property
    def runs(self) -> list[dict[str, str]]:
        """Rows of the table of runs: heading to text."""
        body = self.text.split('id="table"')[1].split("</table>")[0]
        cells = [
            [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]
            for line in re.findall("<tr>(.*)</tr>", body)
        ]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def page_of(study: Path, out: Path, **options: Any) -> Page:
    return Page((render(study, out, **options).parent / "report.html").read_text(encoding="utf-8"))


def test_every_run_has_a_row_and_its_details(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.fill([0, 1], ["vae", "dynamic_vae"], rows=400, pictures=True)
    builder.run("beta_vae", 0, {}, status="diverged")
    failed = builder.fail("factor_vae", 1)
    path = builder.study()
    page = page_of(path, tmp_path / "out")
    assert page.open == []
    runs = read_study(path).runs
    assert list(page.data) == list(runs["run"])
    for column in ("label", "seed", "status"):
        heading = {"label": "Method"}.get(column, column.capitalize())
        assert [row[heading] for row in page.runs] == list(runs[column].astype(str))
    assert set(runs["status"]) == {"ok", "diverged", "failed"}
    detail = page.data[failed]
    assert detail["error"] == "MemoryError: out of memory"
    assert detail["curves"] is None
    for run, method, seed in runs[["run", "method", "seed"]].itertuples(index=False):
        detail = page.data[run]
        assert detail["command"] == run_command(read_study(path), run)
        assert f"--seeds {seed}-{seed}" in detail["command"]
        if method in ("vae", "dynamic_vae"):
            assert len(detail["curves"]["step"]) == len(detail["curves"]["kl"]) == 200
            assert ("set_point" in detail["curves"]) == (method == "dynamic_vae")
            assert set(detail["pictures"]) == ({"reconstructions", "traversals"} if seed == 0 else set())
            assert detail["files"] == [f"runs/{run}/{name}.png" for name in ("reconstructions", "traversals")]
    first = next(run for run in page.data if page.data[run]["pictures"])
    stored = (path / "runs" / first / "traversals.png").read_bytes()
    assert base64.b64decode(page.data[first]["pictures"]["traversals"].split(",")[1]) == stored


def test_nothing_is_fetched(study_builder: Build, tmp_path: Path) -> None:
    with FIGURES.override(only=("strip", "traversals")):
        path = study_builder().fill([0], ["vae", "beta_vae", "untrained"], pictures=True, rows=5)
        out = tmp_path / "out"
        page = page_of(path, out)
    ids = {attributes["id"] for attributes in page.having("id")}
    assert len(ids) == len(page.having("id"))
    links = [a[key] for key in ("href", "src", "srcset", "action", "poster", "data") for a in page.having(key)]
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        elif not link.startswith("data:"):
            assert (out / link).is_file(), link
    assert sum(link.startswith("data:image/png") for link in links) == len(list(out.glob("fig_*.png"))) == 2
    for foreign in ("http:", "https:", "@import", "url(", "fetch(", "XMLHttpRequest", "import("):
        code = "".join(page.texts["style"] + [page.texts["script"][-1].replace("http://www.w3.org/2000/svg", "")])
        assert foreign not in code
    (policy,) = [a["content"] for a in page.having("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on") or key == "style"]


def test_text_of_others_is_never_markup(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder("toy", notice=EVIL, description=EVIL)
    builder.run("vae", 0, {"mig": 0.1, EVIL: 0.5}, hyper={"x": EVIL}, provenance={"hardware": {"cpu": EVIL}})
    builder.run("vae", 1, {"mig": 0.1}, hyper={"x": "plain"})
    run = builder.fail("beta_vae", 0)
    (record,) = builder.root.glob("failed/*.json")
    record.write_text(record.read_text().replace("MemoryError: out of memory", EVIL))
    claims = [{"id": EVIL, "statement": EVIL, "verdict": EVIL, "effect": EVIL, "n": EVIL, "next": EVIL}]
    page = page_of(builder.study(), tmp_path / "out", claims=claims)
    clean = page_of(study_builder("b").fill([0], ["vae"]), tmp_path / "b")
    assert page.open == []
    assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in clean.elements].count("script") == 2
    assert EVIL not in page.text
    assert page.data[run]["error"] == EVIL
    assert any(EVIL in row["Method"] for row in page.runs)


def test_the_same_runs_give_the_same_bytes(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    path = study_builder().fill([0, 1], ["vae", "dynamic_vae"], pictures=True, rows=20)
    first = page_of(path, tmp_path / "one").text
    moved = tmp_path / "elsewhere" / path.name
    shutil.copytree(path, moved)
    assert page_of(moved, tmp_path / "two").text == first


def test_bold_and_intervals_as_in_the_table(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    path = study_builder().fill(range(6), ["vae", "dynamic_vae", "untrained"], rows=5)
    page = page_of(path, tmp_path / "out")
    table = make_table(read_study(path), "dsprites")
    assert table.best
    assert len([a for a in page.having("class") if a["class"] == "best"]) == len(table.best)
    markdown = (tmp_path / "out" / "table_dsprites.md").read_text()
    intervals = [text for text in page.texts["small"] if text.startswith("[")]
    assert len(intervals) == markdown.count(" [")
    assert all(f" {text}" in markdown for text in intervals)


def test_claims_are_shown_only_where_there_are_any(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    path = study_builder().fill([0], ["vae"])
    assert "claims" not in {a["id"] for a in page_of(path, tmp_path / "a").having("id")}
    claim = {"id": "C1", "statement": "holds", "verdict": "contradicted (at quick only)", "effect": "-0.2 [-0.3, -0.1]"}
    page = page_of(path, tmp_path / "b", claims=[claim])
    assert "claims" in {a["id"] for a in page.having("id")}
    assert "contradicted" in {a["data-verdict"] for a in page.having("data-verdict")}
    assert "[-0.3, -0.1]" in page.texts["small"]


def test_thinned_curves_keep_ends_gaps_and_four_digits() -> None:
    steps = np.arange(1, 1001) * 50.0
    curves = pd.DataFrame({"step": steps, "kl": steps / 3, "beta": np.nan, "set_point": np.nan, "kl_0": 1.0})
    curves.loc[500:, "kl"] = np.nan
    thin = thinned(curves, 200)
    assert set(thin) == {"step", "kl"}
    assert (thin["step"][0], thin["step"][-1], len(thin["step"])) == (50.0, 50_000.0, 200)
    assert max(np.diff(thin["step"])) <= 6 * 50
    assert thin["kl"][0] == 16.67
    assert thin["kl"][-1] is None
    assert len(thinned(curves.head(7), 200)["step"]) == 7


def test_the_command_of_a_run_plans_that_run(tmp_path: Path) -> None:
    asked = resolve("smoke", methods=["beta_vae[beta=1,4]", "dynamic_vae"], seeds=[0, 3], settings=["train.lr=0.002"])
    specs = expand(asked)
    store = Store(tmp_path / "again")
    store.create(asked.model_dump(mode="json"), specs, "bench run --results 'my results' --plugin=x.py")
    for spec in specs:
        folder = store.path / "runs" / spec.run_id
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(spec.model_dump_json())
        (folder / "result.json").write_text('{"schema_version": 1, "status": "ok", "scores": {}}')
    study = read_study(store.path)
    for spec in specs:
        words = shlex.split(run_command(study, spec.run_id))
        options = dict(zip(words[3::2], words[4::2], strict=True))
        assert words[:3] == ["bench", "run", "my results/again/study.toml"]
        assert options["--plugin"] == "x.py"
        planned = expand(
            resolve(
                study_file=store.path / "study.toml",
                methods=[options["--method"]],
                seeds=parse_seeds(options["--seeds"]),
            )
        )
        controls = {run.run_id for run in planned if run.method.name == "untrained"}
        assert {run.run_id for run in planned} - controls == {spec.run_id} - controls


def test_the_little_markdown() -> None:
    assert rich(HOW_TO_READ).count("<li>") == HOW_TO_READ.count("\n- ") + 1
    assert "<strong>Bold</strong>" in rich(HOW_TO_READ)
    assert rich("<i>\n\nAnd *this*.").endswith("<p>&lt;i&gt;</p>\n<p>And <em>this</em>.</p>")
    assert rich("As [CSV](table_tuning.csv).") == '<p>As <a href="table_tuning.csv">CSV</a>.</p>'


@pytest.mark.parametrize(
    "text", ["[x](javascript:alert(1))", "![y](y.png)", "[z](//e.org/a.csv)", "https://e.org", "<b>"]
)
def test_the_little_markdown_has_no_elements_pictures_or_addresses(text: str) -> None:
    assert not re.search("<(?!/?p>)", str(rich(text)))


def test_a_table_of_texts_has_its_intervals_below_the_numbers() -> None:
    table = scrolled((["a|b", "c"], [["<i>", "1.0 [0.9, 1.1]"]]))
    assert 'aria-label="a|b"' in table
    assert '<th scope="col">a|b</th>' in table
    assert '<th scope="row">&lt;i&gt;</th><td>1.0 <small>[0.9, 1.1]</small></td>' in table


def test_imported_runs_are_told_from_ones_own(study_builder: Build, tmp_path: Path, no_figures: None) -> None:
    builder = study_builder()
    builder.fill([0, 1], ["vae"])
    theirs = builder.run("beta_vae", 0, {"mig": 0.1}, provenance={"imported": {"file": "theirs.zip", "sha256": "ab"}})
    page = page_of(builder.study(), tmp_path / "out")
    assert [(row["Method"], row[ORIGIN]) for row in page.runs] == [
        ("VAE", ""), ("VAE", ""), ("β-VAE", "theirs.zip")
    ]  # fmt: skip
    assert ("Imported from", "theirs.zip") in page.data[theirs]["facts"]
    assert "1 runs from theirs.zip" in page.texts["dd"]
    table = (tmp_path / "out" / "table_dsprites.md").read_text()
    assert "1 of 3 runs were imported from somebody else's export (β-VAE: 1)." in table
    own = page_of(study_builder("own").fill([0], ["vae"]), tmp_path / "own")
    assert ORIGIN not in own.runs[0]
    assert "imported" not in (tmp_path / "own" / "report.md").read_text().lower()


@pytest.mark.parametrize("change", [None, "odd pixel", "colour"])
def test_films_are_embedded_at_half_their_size_where_nothing_is_lost(tmp_path: Path, change: str | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 16, (3, 20, 30), dtype=np.uint8) * 17
    large = pixels.repeat(2, axis=1).repeat(2, axis=2)
    if change == "odd pixel":
        large[1, 5, 5] ^= 255
    frames = [Image.fromarray(frame) for frame in large]
    if change == "colour":
        frames = [Image.merge("RGB", [frame, frame, frame.point(lambda value: 255 - value)]) for frame in frames]
    path = tmp_path / "film.gif"
    Animation(tuple(frames), milliseconds=120).save(path)
    content = halved(path)
    if change:
        assert content == path.read_bytes()
        return
    with Image.open(io.BytesIO(content)) as film:
        assert (film.n_frames, film.size, film.info["duration"], film.info["loop"]) == (3, (30, 20), 120, 0)
        for place in range(3):
            film.seek(place)
            assert (np.asarray(film.convert("L")) == pixels[place]).all()
