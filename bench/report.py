"""The report of a study: tables, figures and one page that explains them, from stored runs alone."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench import per_factor, published
from bench.aggregate import Study, read_study
from bench.errors import BenchError
from bench.figures._style import slug, style
from bench.labels import CONTROL, method_settings
from bench.registry import FIGURES
from bench.tables import Table, latex, make_table, markdown, to_csv
from bench.words import duration, ranges

DPI = 200

#: What a report writes; anything else in its folder is the user's and stays.
OURS = ("report.md", "table_", "fig_")

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


def render(study_path: Path, out_dir: Path, *, mixed: bool = False) -> Path:
    """Write the report of a study.

    Parameters
    ----------
    study_path : Path
        ``results/<study>``; the study may still be running.
    out_dir : Path
        ``reports/<study>``: ``report.md``, ``table_<dataset>.{md,tex,csv}`` and ``fig_<name>.{png,pdf}``.
        What an earlier report left there is replaced as a whole, other files stay.
    mixed : bool
        As in `bench.aggregate.read_study`.

    Returns
    -------
    Path
        ``report.md``. The same runs give the same bytes.

    Raises
    ------
    BenchError
        No such study, no finished run, damaged or mixed results, or the report can't be written.
    """
    study = read_study(study_path, mixed=mixed)
    if not study.finished:
        failed = f"; {len(study.failures)} failed" if study.failures else ""
        raise BenchError(f"study '{study.name}' at {study_path} has no finished run to report{failed}")
    if out_dir.exists() and not out_dir.is_dir():
        raise BenchError(f"{out_dir} is a file: give another folder")
    if out_dir.exists() and any(out_dir.iterdir()) and not (out_dir / "report.md").exists():
        raise BenchError(f"{out_dir} holds something else than a report: give another folder")
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}.", dir=out_dir.parent) as name:
            draft = Path(name) / "new"
            draft.mkdir()
            _write(study, draft)
            _swap(draft, out_dir, Path(name) / "old")
    except OSError as error:
        raise BenchError(f"the report can't be written to {out_dir}: {error.strerror or error}") from error
    return out_dir / "report.md"


def save_figure(figure: Figure, path: Path) -> None:
    """Save as ``<path>.png`` (200 dpi) and ``<path>.pdf``, both the same bytes every time."""
    plain = {"Creator": "Disbench", "Producer": "Disbench", "CreationDate": None}
    figure.savefig(
        path.with_name(f"{path.name}.png"),
        dpi=DPI,
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    # The layout is the costly part and has been settled by the first drawing.
    figure.set_layout_engine("none")
    figure.savefig(path.with_name(f"{path.name}.pdf"), dpi=DPI, metadata=plain)


def _write(study: Study, folder: Path) -> None:
    tables = [make_table(study, dataset) for dataset in study.datasets]
    for table in tables:
        stem = f"table_{slug(table.dataset)}"
        for suffix, text in (("md", markdown(table)), ("tex", latex(table)), ("csv", to_csv(table))):
            (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
    pictures: list[tuple[str, str]] = []
    for entry in sorted(FIGURES, key=lambda entry: (entry.info.get("order", 99), entry.name)):
        with style():
            drawn = entry.value(study)
            for part, figure in drawn.items() if isinstance(drawn, dict) else (("", drawn),):
                stem = f"fig_{entry.name}" + (f"_{part}" if part else "")
                save_figure(figure, folder / stem)
                pictures.append((stem, _caption(entry.value, part)))
    (folder / "report.md").write_text(_page(study, tables, pictures), encoding="utf-8", newline="\n")


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


def _page(study: Study, tables: list[Table], pictures: list[tuple[str, str]]) -> str:
    meta = study.meta
    blocks = [
        f"# {study.name}",
        f"> **{meta['notice']}**" if meta.get("notice") else "",
        meta.get("description", ""),
    ]
    blocks += ["## What ran", "\n".join(f"- {line}" for line in _facts(study))]
    for table in tables:
        blocks += [f"## {table.dataset}", markdown(table).strip(), _files(table)]
        of_factors = per_factor.markdown(study, table.dataset)
        blocks += [f"### Factor by factor ({table.dataset})", of_factors] if of_factors else []
    beside = published.markdown(study)
    blocks += ["### Ours and published", beside] if beside else []
    blocks += ["### How to read it", HOW_TO_READ.strip(), "## Figures"]
    blocks += [f"![{stem}]({stem}.png)\n\n{caption} ([PDF]({stem}.pdf))" for stem, caption in pictures]
    troubles = _troubles(study)
    if troubles:
        blocks += ["## Diverged and failed runs", "\n".join(f"- {line}" for line in troubles)]
    blocks += ["## Reproduce", f"```\n{_command(study)}\n```"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _files(table: Table) -> str:
    stem = f"table_{slug(table.dataset)}"
    return f"The same table as [Markdown]({stem}.md), [LaTeX]({stem}.tex) and [CSV]({stem}.csv)."


def _facts(study: Study) -> list[str]:
    runs, meta = study.runs, study.meta
    specs = [study.specs[run] for run, method in runs[["run", "method"]].itertuples(index=False) if method != CONTROL]
    facts = list(study.provenance.values())
    ended = runs["status"].value_counts()
    missing = max((study.planned or 0) - study.finished, 0)
    counts = [f"{study.finished} runs" + (f" of {study.planned} planned" if study.planned else "")]
    counts += [f"{ended[status]} {status}" for status in ("diverged", "failed") if status in ended]
    lines = [f"**Runs:** {', '.join(counts)}" + (" (**partial: the study isn't finished**)" if missing else "")]
    if meta.get("preset"):
        lines.append(f"**Preset:** {meta['preset']}")
    if meta.get("terms"):
        lines.append(f"**Terms:** {meta['terms'].replace('_', ' ')}")
    lines.append(f"**Methods:** {'; '.join(_method(study, label) for label in dict.fromkeys(runs['label']))}")
    lines.append(f"**Seeds:** {ranges(runs['seed'].unique().tolist())}")
    for label, dataset in dict(zip(runs["dataset_label"], runs["run"], strict=True)).items():
        data = study.specs[dataset]["dataset"]
        options = _settings(data.get("options", {}))
        lines.append(f"**Data:** {label}" + (f" ({options})" if options else ""))
    settings = [method_settings(spec) for spec in specs]
    for heading, keys in (
        ("Training", ("steps", "batch_size", "network", "network.latent_dim", "optimizer", "optimizer.lr")),
        ("Evaluation", ("evaluation.n_codes", "evaluation.n_images", "evaluation.protocol")),
        ("Machine", ("device", "threads", "precision")),
    ):
        shown = [(key, _several(s[key] for s in settings if key in s)) for key in keys]
        text = ", ".join(f"{key.split('.')[-1].replace('_', ' ')} {value}" for key, value in shown if value)
        lines += [f"**{heading}:** {text}"] if text else []
    hardware = _several(_hardware(item["hardware"]) for item in facts if "hardware" in item)
    lines += [f"**Hardware:** {hardware}"] if hardware else []
    names = sorted({name for item in facts for name, found in item.get("versions", {}).items() if found})
    versions = [f"{n} {_several(i.get('versions', {}).get(n, '?') for i in facts)}" for n in names]
    lines += [f"**Versions:** {', '.join(versions)}"] if versions else []
    commits = _several(_commit(item) for item in facts if item.get("commit"))
    lines += [f"**Commit:** {commits}"] if commits else []
    seconds = float(runs["wall_s"].sum())
    lines += [f"**Time:** {duration(seconds)} in all runs together"] if seconds else []
    return lines


def _method(study: Study, label: str) -> str:
    """Name a configuration with all its hyper-parameters, data set by data set where they differ."""
    chosen = study.runs.loc[study.runs["label"] == label, "run"]
    hyper = _several(dict.fromkeys(_settings(study.specs[run]["method"].get("hyper", {})) for run in chosen))
    return f"{label} ({hyper})" if hyper else label


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in values.items() if value not in ("", None))


def _several(values: Iterable[Any]) -> str:
    """One value as it is, several with how often each occurs."""
    counts = Counter(map(str, values))
    if len(counts) == 1:
        return next(iter(counts))
    return " / ".join(f"{value} ({count}×)" for value, count in sorted(counts.items()))


def _hardware(facts: dict[str, Any]) -> str:
    parts = [str(facts.get("cpu") or "unknown processor")]
    parts += [f"{facts['cores']} cores"] if facts.get("cores") else []
    parts += [f"{facts['memory_gib']:.0f} GiB"] if facts.get("memory_gib") else []
    parts += [str(facts["gpu"])] if facts.get("gpu") else []
    return ", ".join(parts)


def _commit(facts: dict[str, Any]) -> str:
    return str(facts["commit"])[:12] + (" with local changes" if facts.get("dirty") else "")


def _troubles(study: Study) -> list[str]:
    diverged = study.runs[study.runs["status"] == "diverged"]
    lines = [
        f"`{run}` diverged" + (f" after step {good}" if good is not None and good == good else "")
        for run, good in zip(diverged["run"], diverged["last_good_step"].astype(object), strict=True)
    ]
    return lines + [f"`{item['run']}` failed: {str(item['error']).splitlines()[0]}" for item in study.failures]


def _command(study: Study) -> str:
    """Return the commands stored with the study, or one put together from its settings."""
    if study.meta.get("commands"):
        return "\n".join(study.meta["commands"])
    meta = study.meta
    parts = ["bench", "run", *(["--preset", str(meta["preset"])] if meta.get("preset") else [])]
    for flag, key in (("--method", "methods"), ("--dataset", "datasets")):
        for value in meta.get(key, []):
            parts += [flag, f"'{value}'" if "[" in value else value]
    seeds = meta.get("seeds") or study.runs["seed"].unique().tolist()
    return " ".join([*parts, "--seeds", ranges(seeds).replace(" ", "")])
