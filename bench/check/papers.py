"""Tier 3: published values that somebody has read, beside ours from stored runs. Never a failure."""

from __future__ import annotations

from pathlib import Path

from bench.check.finding import Finding, Status
from bench.check.request import Request
from bench.errors import BenchError
from bench.formatting import interval, number
from bench.registry import METHODS
from bench.reporting import published
from bench.results.labels import printed_name
from bench.results.summary import score_info
from bench.sharing.opening import name_of, opened_study, studies_in

REFERENCE = Path("reference")


def check(request: Request) -> list[Finding]:
    """Compare every stored study's runs with the published values for the same data and hyper-parameters."""
    names = {printed_name(METHODS, entry.name): entry.name for entry in request.chosen_methods()}
    found: list[Finding] = []
    for path in studies(request.results):
        name = name_of(path)
        request.tell(f"tier 3: {name}")
        try:
            with opened_study(path) as study:
                comparisons = published.compare(study)
        except BenchError as error:
            found.append(Finding(3, f"study {name}", "all", "skipped", f"study {name}: {error}"))
            continue
        for item in comparisons:
            # A label is the method's printed name and the hyper-parameters that were published, in brackets.
            method = names.get(item.label.split(" (")[0])
            if method is not None:
                found.append(_finding(name, method, item))
    if all(finding.status == "skipped" for finding in found):
        text = (
            f"no stored run in '{request.results}' has a published counterpart: the same whole data set, method and "
            "hyper-parameters"
        )
        found.append(Finding(3, "published values", "all", "skipped", text))
    return found


def studies(results: Path) -> list[Path]:
    """Studies in `results` and in its folder of reference studies, folders and archives alike."""
    return [*studies_in(results), *studies_in(results / REFERENCE)]


def _finding(study: str, method: str, item: published.Comparison) -> Finding:
    ours, label = item.ours, score_info(item.score).label
    shown = f"{number(ours.mean, 3)} {interval(ours.low, ours.high, 3)}".rstrip()
    spread = "" if item.spread is None else f" ± {item.spread:g}"
    status: Status = "within" if item.within else "outside"
    text = (
        f"{item.label}, {label}: ours {shown} over {ours.n} seed{'s' * (ours.n > 1)} of '{study}', "
        f"published {item.value:g}{spread}: {'within' if item.within else 'not within'} ({item.source.title})"
    )
    quantity = f"{item.label}, {label}, {ours.n} seeds of {study}"
    return Finding(3, f"method {method}", quantity, status, text, item.value, ours.mean, item.spread)
