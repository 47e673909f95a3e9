"""The report of a study: tables, figures and one page that explains them, from stored runs alone."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.claims.render import brief
from bench.claims.verdict import ledger_for
from bench.errors import BenchError, reason
from bench.figures.axes import slug
from bench.formatting import markdown_table
from bench.reporting import figure_files, published
from bench.reporting import page as reporting_page
from bench.reporting.summary import PARTIAL, command, facts, troubles
from bench.reporting.tables import Table, latex, make_table, markdown, to_csv
from bench.results import per_factor
from bench.results.study import Study, read_study

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
- `untrained` is the study's network at its initialisation. A score near that row says nothing about training.
- Scores are taken on images that the models were trained on, as in the papers: these data sets have no split.
- Diverged and failed runs are counted and listed, and have no part in the means.
"""


def render(
    study: Study | Path,
    out_dir: Path,
    *,
    mixed: bool = False,
    claims: Sequence[Mapping[str, str]] | None = None,
    figures: Sequence[str] | None = None,
    name: str = "",
    n_jobs: int = 1,
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
        As in `bench.results.study.read_study`, for a path.
    claims : sequence of mappings, optional
        Verdicts on claims, as `bench.claims.render.brief` gives them; by default this study's own.
    figures : sequence of str, optional
        Names of figures, for a short report: ``report.md``, which says how to get the rest, tables, and these figures
        without a PDF.
    name : str
        What ``bench report`` calls the study; by default its folder's name.
    n_jobs : int
        Processes that may draw; the report doesn't depend on it.

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
        with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}.", dir=out_dir.parent) as outer:
            draft = Path(outer) / "new"
            draft.mkdir()
            with figure_files.pictures(study, draft, Path(outer) / "begun", n_jobs, figures) as take_pictures:
                found = brief(ledger_for(study)) if claims is None else claims
                rest = "" if figures is None else f"bench report {shlex.quote(name or study.path.name)}"
                _write(study, draft, found, take_pictures, rest)
            _swap(draft, out_dir, Path(outer) / "old")
    except OSError as error:
        raise BenchError(f"the report can't be written to {out_dir}: {reason(error)}") from error
    return out_dir / "report.md"


def _write(
    study: Study,
    folder: Path,
    claims: Sequence[Mapping[str, str]],
    take_pictures: Callable[[], list[figure_files.Picture]],
    rest: str,
) -> None:
    """All files of a report; `rest` is the command that writes those that a short one lacks, empty for a whole one."""
    tables = [make_table(study, dataset) for dataset in study.datasets]
    for table in tables:
        stem = f"table_{slug(table.dataset)}"
        for suffix, text in (("md", markdown(table)), ("tex", latex(table)), ("csv", to_csv(table))):
            (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
    of_factors = {table.dataset: per_factor.tables(study, table.dataset) for table in tables}
    beside = published.compare(study)
    pictures = take_pictures()
    if rest:
        for file in folder.glob("fig_*.pdf"):
            file.unlink()
    (folder / "report.md").write_text(
        _page(study, tables, pictures, folder, of_factors, beside, claims, rest), encoding="utf-8", newline="\n"
    )
    if rest:
        return
    page = reporting_page.page(
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


def _page(
    study: Study,
    tables: list[Table],
    pictures: list[tuple[str, str]],
    folder: Path,
    of_factors: Mapping[str, Sequence[per_factor.Table]],
    beside: Sequence[published.Comparison],
    claims: Sequence[Mapping[str, str]],
    rest: str,
) -> str:
    meta = study.meta
    blocks = [
        f"# {study.name}",
        f"> **{meta['notice']}**" if meta.get("notice") else "",
        meta.get("description", ""),
        "" if rest else "[report.html](report.html) has all this and every run, to be opened in a browser.",
    ]
    bold = f"**{PARTIAL}**"
    blocks += [
        "## What ran",
        "\n".join(f"- **{heading}:** {text.replace(PARTIAL, bold)}" for heading, text in facts(study)),
    ]
    for table in tables:
        blocks += [f"## {table.dataset}", markdown(table).strip(), _files(table)]
        shown = per_factor.markdown(of_factors[table.dataset])
        blocks += [f"### Factor by factor ({table.dataset})", shown] if shown else []
    blocks += ["### Ours and published", published.markdown(beside)] if beside else []
    blocks += ["### How to read it", HOW_TO_READ.strip()]
    blocks += ["## Claims", _claims(claims)] if claims else []
    blocks += ["## Figures"]
    blocks += [_picture(folder, stem, caption) for stem, caption in pictures]
    blocks += [f"`{rest}` draws all figures and writes report.html, a page with every run."] if rest else []
    lines = troubles(study)
    if lines:
        blocks += ["## Diverged and failed runs", "\n".join(f"- {line}" for line in lines)]
    blocks += ["## Reproduce", f"```\n{command(study)}\n```"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _claims(claims: Sequence[Mapping[str, str]]) -> str:
    """Verdicts of this study's runs alone; `bench claims` pools studies and lists what no run speaks to."""
    rows = [[claim.get(key, "") for key in ("id", "statement", "verdict", "effect", "n")] for claim in claims]
    table = markdown_table(["claim", "statement", "verdict", "effect [95 %]", "n"], rows, "llllr")
    rest = "Of these runs alone; `bench claims` pools studies, and lists the claims that no run speaks to and why."
    return f"{table}\n\n{rest}"


def _picture(folder: Path, stem: str, caption: str) -> str:
    """Embed a figure, and name its PDF if there is one."""
    kind = "gif" if (folder / f"{stem}.gif").exists() else "png"
    pdf = f" ([PDF]({stem}.pdf))" if (folder / f"{stem}.pdf").exists() else ""
    return f"![{stem}]({stem}.{kind})\n\n{caption}{pdf}"


def _files(table: Table) -> str:
    stem = f"table_{slug(table.dataset)}"
    return f"The same table as [Markdown]({stem}.md), [LaTeX]({stem}.tex) and [CSV]({stem}.csv)."
