"""What a report says of a study and of each of its runs, in plain text."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import pandas as pd

from bench.config.hyper_choice import STORED_KEY, hyper_choice
from bench.config.plain_kl import plain_kl_in_words, read_plain_kls
from bench.formatting import duration, number, ranges
from bench.results.control_outcomes import NOT_RECORDED, control_outcomes
from bench.results.labels import CONTROL, Spec, method_settings
from bench.results.plugins import changed_plugins, missing_plugins, study_plugins, unknown_things
from bench.results.shared_settings import own_network, sharing
from bench.results.study import Study
from bench.selectors import parse_selection

PARTIAL = "partial: the study isn't finished"


def summary_lines(study: Study) -> list[tuple[str, str]]:
    """What ran: heading and text, line by line."""
    runs, meta = study.runs, study.meta
    known = runs[["run", "method"]].itertuples(index=False)
    specs = {run: study.specs[run] for run, method in known if method != CONTROL}
    records = list(study.provenance.values())
    ended = runs["status"].value_counts()
    missing = max((study.planned or 0) - study.finished, 0)
    counts = [f"{study.finished} runs" + (f" of {study.planned} planned" if study.planned else "")]
    counts += [f"{ended[status]} {status}" for status in ("diverged", "failed") if status in ended]
    lines = [("Runs", ", ".join(counts) + (f" ({PARTIAL})" if missing else ""))]
    if meta.get("preset"):
        lines.append(("Preset", str(meta["preset"])))
    if meta.get(STORED_KEY):
        shared = sharing(study.specs[run] for run in runs["run"])
        lines.append(("Hyper-parameters", f"{hyper_choice(meta)}: {shared}"))
    if meta.get("plain_kl"):
        kls = read_plain_kls(meta["plain_kl"], study.name).values()
        lines.append(("Set points", f"asked for as shares of {plain_kl_in_words(kls)}"))
    files = Counter(source for run in runs["run"] if (source := study.imported_from(run)))
    if files:
        lines.append(("Imported", "; ".join(f"{count} runs from {name}" for name, count in sorted(files.items()))))
    lines.append(("Methods", "; ".join(_method(study, label) for label in dict.fromkeys(runs["label"]))))
    lines.append(("Seeds", ranges(runs["seed"].unique().tolist())))
    for label, dataset in dict(zip(runs["dataset_label"], runs["run"], strict=True)).items():
        data = study.specs[dataset]["dataset"]
        options = _settings(data.get("options", {}))
        lines.append(("Data", label + (f" ({options})" if options else "")))
    settings = [_settings_of(spec) | _sample_sizes(study, run) for run, spec in specs.items()]
    for heading, keys in (
        ("Training", ("steps", "batch_size", "network", "network.latent_dim", "optimizer", "optimizer.lr")),
        ("Evaluation", ("evaluation.n_codes", "evaluation.n_images", "evaluation.protocol")),
        ("Machine", ("device", "threads", "precision")),
    ):
        shown = [(key, _several(s[key] for s in settings if key in s)) for key in keys]
        text = ", ".join(f"{key.split('.')[-1].replace('_', ' ')} {value}" for key, value in shown if value)
        lines += [(heading, text)] if text else []
    hardware = _several(_hardware(item["hardware"]) for item in records if "hardware" in item)
    lines += [("Hardware", hardware)] if hardware else []
    names = sorted({name for item in records for name, found in item.get("versions", {}).items() if found})
    versions = [f"{n} {_several(i.get('versions', {}).get(n, '?') for i in records)}" for n in names]
    lines += [("Versions", ", ".join(versions))] if versions else []
    commits = _several(_commit(item) for item in records if item.get("commit"))
    lines += [("Commit", commits)] if commits else []
    lines += _plugins(study)
    seconds = float(runs["wall_s"].sum())
    lines += [("Time", f"{duration(seconds)} in all runs together")] if seconds else []
    return lines


def _plugins(study: Study) -> list[tuple[str, str]]:
    """Which plug-ins are loaded, and what is missing where some aren't."""
    missing, changed = missing_plugins(study), changed_plugins(study)
    loaded = [PurePath(file).name for file in study_plugins(study) if file not in missing]
    shown = [f"{name} (not the file that ran)" if name in changed else name for name in loaded]
    lines = [("Plug-ins", ", ".join(shown))] if shown else []
    absent = [f"plug-in {PurePath(file).name}" for file in missing]
    absent += unknown_things(study.specs[run] for run in study.runs["run"])
    if absent:
        lacks = "labels, headings, directions and figures of their own are missing"
        lines.append(("Incomplete", f"not loaded here: {', '.join(absent)}; {lacks}"))
    return lines


def _settings_of(spec: Spec) -> dict[str, Any]:
    """Settings under the names of labels; the network is the one that is trained, which may be the method's own."""
    settings, own = method_settings(spec), own_network(spec["method"]["name"])
    return settings | ({"network": own} if own else {})


def _sample_sizes(study: Study, run: str) -> dict[str, Any]:
    """How many codes and images the evaluation used: the number in the spec, but no more than there are images."""
    asked = study.specs[run].get("evaluation", {})
    n_data = study.provenance.get(run, {}).get("n_data")
    measured = {} if n_data is not None else _measured(study, run)
    return {
        f"evaluation.{key}": min(asked[key], n_data or measured.get(key, asked[key]))
        for key in ("n_codes", "n_images")
        if key in asked
    }


def _measured(study: Study, run: str) -> dict[str, int]:
    """The sizes that metrics of all codes and of all images report, of runs that were made without `n_data`."""
    there = (study.path / "runs" / run / "result.json").exists()
    details = study.result(run).get("details", {}) if there else {}
    found = {
        "n_codes": [details.get(metric, {}).get("n_samples") for metric in ("kl", "active_units")],
        "n_images": [details.get("reconstruction", {}).get("n_images")],
    }
    return {key: sizes[0] for key, values in found.items() if (sizes := [size for size in values if size])}


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


def failures(study: Study) -> list[str]:
    """Diverged and failed runs; names of runs stand between backticks."""
    diverged = study.runs[study.runs["status"] == "diverged"]
    lines = [
        f"`{run}` diverged" + (f" after step {good}" if pd.notna(good) else "")
        for run, good in zip(diverged["run"], diverged["last_good_step"].astype(object), strict=True)
    ]
    for item in study.failures:
        lines.append(f"`{item['run']}` failed: {next(iter(str(item['error']).splitlines()), '')}")
    return lines


def command(study: Study) -> str:
    """Return the commands stored with the study, or one put together from its settings."""
    if study.meta.get("commands"):
        return "\n".join(study.meta["commands"])
    meta = study.meta
    parts = ["bench", "run", *(["--preset", str(meta["preset"])] if meta.get("preset") else [])]
    for flag, key in (("--method", "methods"), ("--dataset", "datasets")):
        for value in meta.get(key, []):
            parts += [flag, shlex.quote(value)]
    seeds = meta.get("seeds") or study.runs["seed"].unique().tolist()
    return " ".join([*parts, "--seeds", ranges(seeds).replace(" ", "")])


def run_summary(study: Study, run: str) -> list[tuple[str, str]]:
    """What one run was made with and where: heading and text, line by line."""
    spec, record = study.specs[run], study.provenance.get(run, {})
    settings = _settings_of(spec)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record.get("versions", {}).items()) if version)
    seconds = [(what, record.get(key)) for what, key in (("train", "train_s"), ("evaluate", "evaluate_s"))]
    lines = [
        ("Hyper-parameters", _settings(spec["method"].get("hyper", {}))),
        ("Data", spec["dataset"]["name"] + _bracketed(_settings(spec["dataset"].get("options", {})))),
        ("Data's SHA-256", str(spec["dataset"].get("sha256") or "")),
        ("Training", _chosen(settings, ("steps", "batch_size", "network", "network.latent_dim", "network.init",
                                        "optimizer", "optimizer.lr"))),
        ("Controller", _controller(study, run)),
        ("Machine", _chosen(settings, ("device", "threads", "precision"))),
        ("Hardware", _hardware(record["hardware"]) if "hardware" in record else ""),
        ("Versions", versions),
        ("Commit", _commit(record) if record.get("commit") else ""),
        ("Imported from", study.imported_from(run)),
        ("Started", str(record.get("started") or "")),
        ("Time", ", ".join(f"{duration(value)} to {what}" for what, value in seconds if value is not None)),
    ]  # fmt: skip
    return [(heading, text) for heading, text in lines if text]


def run_command(study: Study, run: str) -> str:
    """Return the command that does one run again, into a study beside this one.

    It reads the study's own file, which holds every setting; the controls that it names are run too.
    """
    spec, asked = study.specs[run], _asked(study)
    hyper = [f"{key}={value}" for key, value in spec["method"].get("hyper", {}).items() if value not in ("", None)]
    name = spec["method"]["name"] + (f"[{','.join(hyper)}]" if hyper else "")
    results = (asked.get("--results") or ["results"])[-1]
    parts = ["bench", "run", f"{results}/{study.path.name}/study.toml", "--method", name]
    chosen = [item for item in study.meta.get("datasets", []) if parse_selection(item).name == spec["dataset"]["name"]]
    if len(chosen) < len(study.meta.get("datasets", [])):
        parts += [part for item in chosen for part in ("--dataset", item)]
    # One number would be a count of seeds.
    parts += ["--seeds", f"{spec['seed']}-{spec['seed']}", "--results", results, "--study", f"{study.path.name}-again"]
    parts += [part for plugin in dict.fromkeys(asked.get("--plugin", ())) for part in ("--plugin", plugin)]
    return shlex.join(parts)


def _controller(study: Study, run: str) -> str:
    """What became of a run's controller, in a line; empty if it has no set point."""
    row = study.runs[study.runs["run"] == run]
    found = str(control_outcomes(row).iloc[0])
    if found in ("", NOT_RECORDED):
        return found
    facts = row.iloc[0]
    at = f" at step {facts['control.arrival_step']:,}" if pd.notna(facts["control.arrival_step"]) else ""
    error, rms = (number(facts[f"control.{key}"], 2, sign=key == "mean_error") for key in ("mean_error", "rms_error"))
    return f"{found}{at}; over the last 5 % {error} nats from its set point (RMS {rms})"


def _asked(study: Study) -> dict[str, list[str]]:
    """Options of the commands stored with the study, each with its values."""
    out: dict[str, list[str]] = {}
    for line in study.meta.get("commands", []):
        words = [part for word in _words(line) for part in word.split("=", 1)[: 2 if word[:2] == "--" else 1]]
        for flag, value in pairwise(words):
            if flag.startswith("--"):
                out.setdefault(flag, []).append(value)
    return out


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation that doesn't end
        return line.split()


def _chosen(settings: dict[str, Any], keys: Iterable[str]) -> str:
    known = [(key.split(".")[-1].replace("_", " "), settings.get(key)) for key in keys]
    return ", ".join(f"{name} {value}" for name, value in known if value not in ("", None))


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""
