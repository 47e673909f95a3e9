"""Methods over all data sets of a study: their ranks on each, and the mean rank with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.formatting import csv_table, escape_markdown, heading, markdown_table
from bench.metric import Score
from bench.results.labels import CONTROL
from bench.results.study import Study
from bench.results.summary import score_info
from bench.seeds import stream
from bench.stats import MeanRanks, mean_ranks

#: What methods are ranked by, where a study has it.
SCORES = ("reconstruction_bce", "mig", "dci_disentanglement", "factor_vae_score", "generalisation_gap")


@dataclass(frozen=True)
class Across:
    """Ranks by one score.

    Attributes
    ----------
    score : str
    info : Score
    datasets : tuple of str
        Labels of the data sets that have it, one of those with the same images.
    left_out : tuple of str
        Labels of methods that lack it on one of them.
    ranks : MeanRanks
    """

    score: str
    info: Score
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    ranks: MeanRanks


def across(study: Study) -> list[Across]:
    """Ranks by each of `SCORES` that at least two methods have on at least two data sets; the control isn't ranked."""
    runs = study.runs[(study.runs["status"] == "ok") & (study.runs["method"] != CONTROL)]
    images: dict[tuple[str, str], str] = {}
    for run, label in zip(study.runs["run"], study.runs["dataset_label"], strict=True):
        data = study.specs[run]["dataset"]
        images.setdefault((data["name"], str(data.get("sha256"))), str(label))
    found = []
    for score in (name for name in SCORES if name in study.scores):
        known = runs[runs[score].notna() & runs["dataset_label"].isin(images.values())]
        datasets = tuple(dict.fromkeys(known["dataset_label"]))
        labels = dict.fromkeys(known["label"])
        everywhere = [x for x in labels if set(known.loc[known["label"] == x, "dataset_label"]) == set(datasets)]
        if len(datasets) < 2 or len(everywhere) < 2:
            continue
        tasks = []
        for dataset in datasets:
            here = known[known["dataset_label"] == dataset]
            of = {x: here[here["label"] == x] for x in everywhere}
            tasks.append({x: dict(zip(part["seed"], part[score], strict=True)) for x, part in of.items()})
        if any(not set.intersection(*(set(values) for values in task.values())) for task in tasks):
            continue
        info = score_info(score)
        rng = stream(0, f"ranks:{score}:{' '.join(sorted(known['run']))}")
        ranks = mean_ranks(tasks, higher_is_better=bool(info.higher_is_better), rng=rng)
        found.append(Across(score, info, datasets, tuple(x for x in labels if x not in everywhere), ranks))
    return found


def printed(found: Sequence[Across]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: a method's mean rank by each score; nothing is escaped."""
    labels = dict.fromkeys(label for each in found for label in each.ranks.methods)
    head = ["method", *(heading(each.info.label, each.info.higher_is_better) for each in found)]
    return head, [[label, *(_cell(each.ranks, label) for each in found)] for label in labels]


def notes(found: Sequence[Across]) -> list[str]:
    """What a reader must know of the ranks."""
    datasets = dict.fromkeys(dataset for each in found for dataset in each.datasets)
    lines = [
        f"Mean rank over {len(datasets)} data sets ({', '.join(datasets)}), 1 the best, with the ranks on each in "
        "parentheses, in this order. In brackets the 95 % bootstrap interval over seeds: how sure the ranks on these "
        "data sets are, not what others would show."
    ]
    for each in found:
        if set(each.datasets) != set(datasets):
            lines.append(f"{each.info.label}: of {', '.join(each.datasets)}, the others have none.")
        if each.left_out:
            lines.append(f"{each.info.label}: not ranked, since a data set lacks it: {', '.join(each.left_out)}.")
    lines += [f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys(each.ranks.note for each in found) if note]
    return lines


def markdown(found: Sequence[Across]) -> str:
    """Table and notes in Markdown."""
    head, rows = printed(found)
    cells = [[escape_markdown(text) for text in row] for row in rows]
    table = markdown_table([escape_markdown(text) for text in head], cells, "lr", style="spaced")
    return "\n\n".join([table, *(escape_markdown(line) for line in notes(found))])


def to_csv(found: Sequence[Across]) -> str:
    """Every rank, full precision."""
    head = ["score", "method", "mean_rank", "low", "high", "n_seeds", "dataset", "rank"]
    rows = [
        [each.score, label, r.mean[i], r.low[i], r.high[i], r.n_seeds, dataset, r.ranks[j, i]]
        for each in found
        for r in [each.ranks]
        for i, label in enumerate(r.methods)
        for j, dataset in enumerate(each.datasets)
    ]
    return csv_table(head, rows)


def _cell(ranks: MeanRanks, label: str) -> str:
    if label not in ranks.methods:
        return "–"
    i = ranks.methods.index(label)
    each = ", ".join(f"{rank:g}" for rank in ranks.ranks[:, i])
    return f"{ranks.mean[i]:.2f} [{ranks.low[i]:.2f}, {ranks.high[i]:.2f}] ({each})"
