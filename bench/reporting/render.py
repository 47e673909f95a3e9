"""The report of a study: tables, figures and one page that explains them, from stored runs alone."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.claims.load import load_claims
from bench.claims.render import brief
from bench.claims.verdict import Verdict, ledger, ledger_for
from bench.errors import BenchError, in_words, reason
from bench.figures.axes import slug
from bench.files import UTF_8
from bench.formatting import escape_name, escape_terminal, markdown_table
from bench.reporting import across, controllers, correlated, figure_files, front_tables, published, tuning
from bench.reporting import page as reporting_page
from bench.reporting.answers import LEADING, Answer, answers
from bench.reporting.fronts import FrontRow, front_rows
from bench.reporting.summary import PARTIAL, command, failures, summary_lines
from bench.reporting.tables import Table, latex, make_table, markdown, to_csv
from bench.results import per_factor
from bench.results.scored_on import ON_HELD_OUT, ON_TRAINING, scored_on
from bench.results.study import Study, read_study

#: What a report writes; anything else in its folder is the user's and stays.
OURS = ("report.md", "report.html", "across.csv", "controllers.csv", "correlated.csv", "fronts.csv", "table_", "fig_")

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
- {scored_on}
- Diverged and failed runs are counted and listed, and have no part in the means.
"""


def how_to_read(study: Study) -> str:
    """What a reader must know of the numbers of a study."""
    told = any(scored_on(spec) for spec in study.specs.values())
    return HOW_TO_READ.replace("{scored_on}", ON_HELD_OUT if told else ON_TRAINING)


def render(
    study: Study | Path,
    out_dir: Path,
    *,
    mixed: bool = False,
    claims: Sequence[Mapping[str, str]] | None = None,
    figures: Sequence[str] | None = None,
    name: str = "",
    n_jobs: int = 1,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    study : Study or Path
        ``results/<study>``; the study may still be running.
    out_dir : Path
        ``reports/<study>``: ``report.md``, ``report.html``, ``table_<dataset>.{md,tex,csv}``,
        ``fig_<name>.{png,pdf}``; ``controllers.csv`` of methods with a set point,
        ``across.csv`` of ranks over several data sets, ``correlated.csv`` where training factors
        were correlated, and ``fronts.csv`` where methods ran over their strength.
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
    tell : callable, optional
        Called with a line for everything that the report lacks because it raised: a figure, a claim, the page. The
        report says the same.

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
            missing: list[str] = []
            found = brief(_verdicts(study, missing.append)) if claims is None else claims
            pictures = figure_files.pictures(study, draft, n_jobs, figures, missing.append)
            rest = "" if figures is None else f"bench report {shlex.quote(name or study.path.name)}"
            _write(study, draft, found, pictures, rest, missing)
            _swap(draft, out_dir, Path(outer) / "old")
    except OSError as error:
        raise BenchError(f"the report can't be written to {out_dir}: {reason(error)}") from error
    if tell is not None:
        for line in missing:
            tell(line)
    return out_dir / "report.md"


def _verdicts(study: Study, tell: Callable[[str], None]) -> list[Verdict]:
    """Verdicts on all claims that can be judged, and a line for every other one; none on settings that are tried."""
    if study.meta.get("tuning"):
        return []
    try:
        return ledger_for(study)
    except BenchError:
        raise
    except Exception:  # a plug-in's measure, an odd record: judged one by one, the other claims remain
        found = []
        for name, paper in load_claims().items():
            for claim in paper.claim:
                alone = paper.model_copy(update={"claim": (claim,)})
                try:
                    found += ledger([study], papers={name: alone})
                except Exception as error:
                    tell(f"claim '{claim.id}' is left out: {(in_words(error).splitlines() or [''])[0]}")
        return found


def _write(
    study: Study,
    folder: Path,
    claims: Sequence[Mapping[str, str]],
    pictures: list[figure_files.Picture],
    rest: str,
    missing: list[str],
) -> None:
    """All files of a report; `rest` is the command that writes those that a short one lacks, empty for a whole one."""
    tables = [make_table(study, dataset) for dataset in study.datasets]
    for table in tables:
        stem = f"table_{slug(table.dataset)}"
        for suffix, text in (("md", markdown(table)), ("tex", latex(table)), ("csv", to_csv(table))):
            (folder / f"{stem}.{suffix}").write_bytes(text.encode(**UTF_8))
    if controllers.rows(study):
        (folder / "controllers.csv").write_bytes(controllers.to_csv(study).encode(**UTF_8))
    of_factors = {table.dataset: per_factor.tables(study, table.dataset) for table in tables}
    fronts = {table.dataset: rows for table in tables if (rows := front_rows(study, table.dataset))}
    if fronts:
        text = front_tables.to_csv([row for rows in fronts.values() for row in rows])
        (folder / "fronts.csv").write_bytes(text.encode(**UTF_8))
    over_all = across.across(study)
    if over_all:
        (folder / "across.csv").write_bytes(across.to_csv(over_all).encode(**UTF_8))
    of_falls = correlated.falls(study)
    if of_falls:
        (folder / "correlated.csv").write_bytes(correlated.to_csv(of_falls).encode(**UTF_8))
    beside = published.compare(study)
    of_tuning = tuning.sections(study)
    for name, text in tuning.tables_of(of_tuning).items():
        (folder / name).write_bytes(text.encode(**UTF_8))
    opening = answers(study, fronts)
    if rest:
        for file in folder.glob("fig_*.pdf"):
            file.unlink()
    else:
        try:
            page = reporting_page.page(
                study, tables, pictures, folder,
                of_factors=of_factors, fronts=fronts, beside=beside,
                how_to_read=how_to_read(study), claims=claims, missing=missing,
                of_tuning=of_tuning, over_all=over_all, of_falls=of_falls, opening=opening,
            )  # fmt: skip
        except (BenchError, OSError):
            raise
        except Exception as error:
            missing.append(f"report.html is left out: {(in_words(error).splitlines() or [''])[0]}")
        else:
            (folder / "report.html").write_bytes(page.encode(**UTF_8))
    text = escape_terminal(
        _page(
            study,
            tables,
            pictures,
            folder,
            of_factors,
            fronts,
            beside,
            claims,
            rest,
            missing,
            of_tuning,
            over_all,
            of_falls,
            opening,
        )
    )
    (folder / "report.md").write_bytes(text.encode(**UTF_8))


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
    fronts: Mapping[str, Sequence[FrontRow]],
    beside: Sequence[published.Comparison],
    claims: Sequence[Mapping[str, str]],
    rest: str,
    missing: Sequence[str],
    of_tuning: Sequence[tuning.Section],
    over_all: Sequence[across.Across],
    of_falls: Sequence[correlated.Fall],
    opening: Sequence[Answer],
) -> str:
    meta = study.meta
    leading = [picture for picture in pictures if picture[0].startswith(LEADING)]
    has_page = (folder / "report.html").exists()
    blocks = [
        f"# {escape_name(study.name)}",
        f"> **{escape_name(meta['notice'])}**" if meta.get("notice") else "",
        _answers(opening),
        *(_picture(folder, stem, caption) for stem, caption in leading),
        escape_name(meta.get("description", "")),
        "[report.html](report.html) has all this and every run, to be opened in a browser." if has_page else "",
    ]
    blocks += [section.markdown() for section in of_tuning]
    for table in tables:
        blocks += [f"## {escape_name(table.dataset)}", markdown(table).strip(), _files(table)]
        shown = per_factor.markdown(of_factors[table.dataset])
        blocks += [f"### Factor by factor ({escape_name(table.dataset)})", shown] if shown else []
        if rows := fronts.get(table.dataset):
            blocks += [f"### Fronts ({escape_name(table.dataset)})", front_tables.markdown(rows)]
            blocks += ["All comparisons as [CSV](fronts.csv)."]
    if over_all:
        blocks += ["## Over all data sets", across.markdown(over_all), "All ranks as [CSV](across.csv)."]
    if of_falls:
        for fall in of_falls:
            blocks += [f"## {escape_name(correlated.title(fall))}", correlated.markdown(fall)]
        blocks += [correlated.HOW_TO_READ, "All changes as [CSV](correlated.csv)."]
    blocks += _controllers(study)
    blocks += ["### Ours and published", published.markdown(beside)] if beside else []
    blocks += ["### How to read it", how_to_read(study).strip()]
    blocks += ["## Claims", _claims(claims)] if claims else []
    blocks += ["## Figures"]
    blocks += [_picture(folder, *picture) for picture in pictures if picture not in leading]
    blocks += [f"`{rest}` draws all figures and writes report.html, a page with every run."] if rest else []
    blocks += ["## Left out", "\n".join(f"- {escape_name(line)}" for line in missing)] if missing else []
    lines = failures(study)
    if lines:
        blocks += ["## Diverged and failed runs", "\n".join(f"- {_line(line)}" for line in lines)]
    bold = f"**{PARTIAL}**"
    blocks += [
        "## What ran",
        "\n".join(f"- **{heading}:** {_line(text).replace(PARTIAL, bold)}" for heading, text in summary_lines(study)),
    ]
    blocks += ["## Reproduce", _fenced(command(study))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _answers(opening: Sequence[Answer]) -> str:
    """A line per question, each with a link to the heading of its evidence."""
    return "\n".join(
        f"- **{each.question}:** {escape_name(each.text)} ([evidence](#{_anchor(each.section)}))" for each in opening
    )


def _anchor(title: str) -> str:
    """What GitHub calls a heading in links."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _line(text: str) -> str:
    """A text with names from outside on one line, without HTML and links; it may hold other Markdown of ours."""
    return " ".join(text.splitlines()).replace("<", "\\<").replace("](", "]\\(")


def _fenced(code: str) -> str:
    """A block of code between more backticks than stand in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}\n{code}\n{fence}"


def _claims(claims: Sequence[Mapping[str, str]]) -> str:
    """Verdicts of this study's runs alone; `bench claims` pools studies and lists what no run speaks to."""
    rows = [[claim.get(key, "") for key in ("id", "statement", "verdict", "effect", "n")] for claim in claims]
    table = markdown_table(["claim", "statement", "verdict", "effect [95 %]", "n"], rows, "llllr")
    rest = "Of these runs alone; `bench claims` pools studies, and lists the claims that no run speaks to and why."
    return f"{table}\n\n{rest}"


def _controllers(study: Study) -> list[str]:
    """The table of the methods that have a set point, and the runs that missed it."""
    head, rows = controllers.printed(study)
    if not rows:
        return []
    cells = [[escape_name(text) for text in row] for row in rows]
    missed = "\n".join(f"- {_line(line)}" for line in controllers.not_met_lines(study))
    files = "As [CSV](controllers.csv)."
    return ["## Controllers", markdown_table(head, cells, "lr"), controllers.HOW_TO_READ, missed, files]


def _picture(folder: Path, stem: str, caption: str) -> str:
    """Embed a figure, and name its PDF if there is one."""
    kind = "gif" if (folder / f"{stem}.gif").exists() else "png"
    pdf = f" ([PDF]({stem}.pdf))" if (folder / f"{stem}.pdf").exists() else ""
    return f"![{stem}]({stem}.{kind})\n\n{caption}{pdf}"


def _files(table: Table) -> str:
    stem = f"table_{slug(table.dataset)}"
    return f"The same table as [Markdown]({stem}.md), [LaTeX]({stem}.tex) and [CSV]({stem}.csv)."
