"""The report of a study: tables, figures and one page that explains them, from stored runs alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from bench import html, per_factor, published
from bench.aggregate import Study, read_study
from bench.errors import BenchError
from bench.figures._animation import Animation
from bench.figures._style import slug, style
from bench.ledger import ledger_for
from bench.ledger_tables import brief
from bench.registry import FIGURES
from bench.report_facts import PARTIAL, command, facts, troubles
from bench.tables import Table, latex, make_table, markdown, to_csv

DPI = 200
#: Shades of grey in figures without colour.
GREYS = 64
#: Colours, the commonest of a figure, that its palette has exactly.
COMMON = 128

#: What a report writes; anything else in its folder is the user's and stays.
OURS = ("report.md", "report.html", "table_", "fig_")

HOW_TO_READ = """\
- Every number is a mean over seeds ± its standard deviation, with the 95 % bootstrap interval of the mean in
  brackets (BCa, 9,999 resamples). An arrow gives the better direction; KL and active units have none.
- **Bold** is a best value whose interval lies clear of every other row's, the untrained one's included. No
  bold means that these seeds can't tell.
- Read disentanglement beside reconstruction and KL: a model that encodes fewer nats reconstructs worse, and
  may look more disentangled for that alone.
- DCI's numbers belong to the predictor that is part of their name. Read D and C next to I factor by factor: a factor
  that can't be predicted above chance has importances all the same, and they mean nothing.
- `untrained` is the preset's network at its initialisation. A score near that row says nothing about training.
- Scores are taken on images that the models were trained on, as in the papers: these data sets have no split.
- Diverged and failed runs are counted and listed, and have no part in the means.
"""


def render(
    study: Study | Path, out_dir: Path, *, mixed: bool = False, claims: Sequence[Mapping[str, str]] | None = None
) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    study : Study or Path
        ``results/<study>``; the study may still be running.
    out_dir : Path
        ``reports/<study>``: ``report.md``, ``report.html``, ``table_<dataset>.{md,tex,csv}`` and
        ``fig_<name>.{png,pdf}``.
        What an earlier report left there is replaced as a whole, other files stay.
    mixed : bool
        As in `bench.aggregate.read_study`, for a path.
    claims : sequence of mappings, optional
        Verdicts on claims, as `bench.ledger_tables.brief` gives them; by default this study's own.

    Returns
    -------
    Path
        ``report.md``. The same runs give the same bytes.

    Raises
    ------
    BenchError
        No such study, no finished run, damaged or mixed results, or the report can't be written.
    """
    study = read_study(study, mixed=mixed) if isinstance(study, Path) else study
    if not study.finished:
        failed = f"; {len(study.failures)} failed" if study.failures else ""
        raise BenchError(f"study '{study.name}' at {study.path} has no finished run to report{failed}")
    if out_dir.exists() and not out_dir.is_dir():
        raise BenchError(f"{out_dir} is a file: give another folder")
    if out_dir.exists() and any(out_dir.iterdir()) and not (out_dir / "report.md").exists():
        raise BenchError(f"{out_dir} holds something else than a report: give another folder")
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}.", dir=out_dir.parent) as name:
            draft = Path(name) / "new"
            draft.mkdir()
            _write(study, draft, brief(ledger_for(study)) if claims is None else claims)
            _swap(draft, out_dir, Path(name) / "old")
    except OSError as error:
        raise BenchError(f"the report can't be written to {out_dir}: {error.strerror or error}") from error
    return out_dir / "report.md"


def save_figure(figure: Figure, path: Path) -> None:
    """Save as ``<path>.png`` (200 dpi) and ``<path>.pdf``, both the same bytes every time.

    The PNG has a palette unless there is a colour bar, in which it would show steps.
    """
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    shades = any(axes.get_label() == "<colorbar>" for axes in figure.axes)
    drawn = Image.fromarray(np.ascontiguousarray(pixels)) if shades else with_palette(pixels)
    drawn.save(path.with_name(f"{path.name}.png"), optimize=True, dpi=(DPI, DPI))
    # The layout is the costly part and has been settled by the first drawing.
    figure.set_layout_engine(None)
    plain = {"Creator": "Disbench", "Producer": "Disbench", "CreationDate": None}
    figure.savefig(path.with_name(f"{path.name}.pdf"), dpi=DPI, metadata=plain)


def with_palette(pixels: NDArray[np.uint8]) -> Image.Image:
    """Reduce a picture (H, W, 3) to 256 colours, or `GREYS` if it is grey: a third of the bytes, no visible change."""
    if (pixels == pixels[..., :1]).all():
        shades = Image.fromarray(np.rint(pixels[..., 0] * ((GREYS - 1) / 255)).astype(np.uint8))
        shades.putpalette([round(255 * shade / (GREYS - 1)) for shade in range(GREYS) for _ in range(3)])
        return shades
    codes = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    _, first, inverse, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    colours = pixels.reshape(-1, 3)[first]
    order = np.argsort(-counts, kind="stable")
    exact, rest = colours[order[:COMMON]], colours[order[COMMON:]]
    if len(rest):
        # Edges of lines and letters: mixtures, each of few pixels.
        cut = Image.fromarray(rest[None]).quantize(256 - COMMON, method=Image.Quantize.MEDIANCUT)
        exact = np.concatenate([exact, np.array(cut.getpalette(), dtype=np.uint8).reshape(-1, 3)])
    nearest = np.asarray(cKDTree(exact.astype(np.float64)).query(colours.astype(np.float64))[1], dtype=np.uint8)
    reduced = Image.fromarray(nearest[inverse].reshape(pixels.shape[:2]))
    reduced.putpalette(exact.ravel().tolist())
    return reduced


def _write(study: Study, folder: Path, claims: Sequence[Mapping[str, str]]) -> None:
    tables = [make_table(study, dataset) for dataset in study.datasets]
    for table in tables:
        stem = f"table_{slug(table.dataset)}"
        for suffix, text in (("md", markdown(table)), ("tex", latex(table)), ("csv", to_csv(table))):
            (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
    of_factors = {table.dataset: per_factor.markdown(study, table.dataset) for table in tables}
    pictures: list[tuple[str, str]] = []
    wanted = [FIGURES.get(name) for name in study.meta.get("figures", [])] or list(FIGURES)
    for entry in sorted(wanted, key=lambda entry: (entry.info.get("order", 99), entry.name)):
        with style():
            drawn = entry.value(study)
            # None and an empty dictionary alike: the study lacks what the figure is about.
            parts = drawn if isinstance(drawn, dict) else {"": drawn} if drawn is not None else {}
            for part, figure in parts.items():
                stem = f"fig_{entry.name}" + (f"_{part}" if part else "")
                if isinstance(figure, Animation):
                    figure.save(folder / f"{stem}.gif")
                else:
                    save_figure(figure, folder / stem)
                pictures.append((stem, _caption(entry.value, part)))
    beside = published.markdown(study)
    (folder / "report.md").write_text(
        _page(study, tables, pictures, folder, of_factors, beside, claims), encoding="utf-8", newline="\n"
    )
    page = html.page(
        study, tables, pictures, folder,
        of_factors=of_factors, beside=beside, how_to_read=HOW_TO_READ, claims=claims,
    )  # fmt: skip
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")


def _swap(draft: Path, target: Path, aside: Path) -> None:
    """Put `draft` in the place of `target`, which is never seen half-written."""
    if not target.exists():
        draft.rename(target)
        return
    kept = [item for item in target.iterdir() if not item.name.startswith(OURS)]
    for item in kept:
        (shutil.copytree if item.is_dir() else shutil.copy2)(item, draft / item.name)
    target.rename(aside)
    try:
        draft.rename(target)
    except OSError:
        aside.rename(target)
        raise


def _caption(function: Any, part: str) -> str:
    """Return the first two paragraphs of the figure's docstring, on one line."""
    paragraphs = [" ".join(text.split()) for text in (function.__doc__ or "").split("\n\n")]
    kept = [text for text in paragraphs[:2] if text and "----" not in text]
    return " ".join([*kept, f"({part})" if part else ""]).strip()


def _page(
    study: Study,
    tables: list[Table],
    pictures: list[tuple[str, str]],
    folder: Path,
    of_factors: Mapping[str, str],
    beside: str,
    claims: Sequence[Mapping[str, str]],
) -> str:
    meta = study.meta
    blocks = [
        f"# {study.name}",
        f"> **{meta['notice']}**" if meta.get("notice") else "",
        meta.get("description", ""),
        "[report.html](report.html) has all this and every run, to be opened in a browser.",
    ]
    bold = f"**{PARTIAL}**"
    blocks += [
        "## What ran",
        "\n".join(f"- **{heading}:** {text.replace(PARTIAL, bold)}" for heading, text in facts(study)),
    ]
    for table in tables:
        blocks += [f"## {table.dataset}", markdown(table).strip(), _files(table)]
        shown = of_factors[table.dataset]
        blocks += [f"### Factor by factor ({table.dataset})", shown] if shown else []
    blocks += ["### Ours and published", beside] if beside else []
    blocks += ["### How to read it", HOW_TO_READ.strip()]
    blocks += ["## Claims", _claims(claims)] if claims else []
    blocks += ["## Figures"]
    blocks += [_picture(folder, stem, caption) for stem, caption in pictures]
    lines = troubles(study)
    if lines:
        blocks += ["## Diverged and failed runs", "\n".join(f"- {line}" for line in lines)]
    blocks += ["## Reproduce", f"```\n{command(study)}\n```"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _claims(claims: Sequence[Mapping[str, str]]) -> str:
    """Verdicts of this study's runs alone; `bench claims` pools studies and lists what no run speaks to."""
    lines = ["| claim | statement | verdict | effect [95 %] | n |", "|---|---|---|---|---:|"]
    for claim in claims:
        cells = [claim.get(key, "").replace("|", "\\|") for key in ("id", "statement", "verdict", "effect", "n")]
        lines.append(f"| {' | '.join(cells)} |")
    rest = "Of these runs alone; `bench claims` pools studies, and lists the claims that no run speaks to and why."
    return "\n".join([*lines, "", rest])


def _picture(folder: Path, stem: str, caption: str) -> str:
    """Embed a figure, or what moves, which has no PDF."""
    if (folder / f"{stem}.gif").exists():
        return f"![{stem}]({stem}.gif)\n\n{caption}"
    return f"![{stem}]({stem}.png)\n\n{caption} ([PDF]({stem}.pdf))"


def _files(table: Table) -> str:
    stem = f"table_{slug(table.dataset)}"
    return f"The same table as [Markdown]({stem}.md), [LaTeX]({stem}.tex) and [CSV]({stem}.csv)."
