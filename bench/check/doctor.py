"""Whether this installation computes right values, and what would change numbers here."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bench
from bench import provenance
from bench.check.baselines import baseline_folder
from bench.check.environment import CAPS
from bench.check.finding import REGRESSIONS, Finding
from bench.check.request import Request
from bench.check.run import check

#: Versions that the stored numbers and the committed results were made with, of what decides digits (constraints.txt).
MADE_WITH = {"torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1"}
#: What a library of another version may move.
MOVES = {
    "torch": "initialisation, training and with them every score",
    "numpy": "images and metrics, in the last digits",
    "scipy": "metrics that solve or search, in the last digits",
    "scikit-learn": "scores by a trained predictor (dci, explicitness, sap)",
}
#: Variables that choose a number of threads; runs don't heed them, metrics' libraries may.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: Beta, steps and data of the end-to-end run. Its scores were within 0.001 of the closed form when this was written.
BETA, STEPS, N, BOUND = 2.0, 1_500, 4_096, 0.005


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes
    ----------
    environment : dict
        JSON-ready facts: those of `bench.provenance.collect`, threads, variables, BLAS.
    remarks : list of str
        A sentence for everything that would change numbers here.
    findings : list of Finding
        Comparisons with stored numbers and closed forms.
    """

    environment: dict[str, Any]
    remarks: list[str]
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """Values that came out wrong."""
        return [finding for finding in self.findings if finding.status in REGRESSIONS]


def diagnose() -> Diagnosis:
    """Look at the environment, compute what is known, and compare (seconds)."""
    found = environment()
    return Diagnosis(found, remarks(found), [*formulas(), *end_to_end()])


def environment() -> dict[str, Any]:
    """Facts on which numbers depend."""
    import scipy.linalg  # noqa: F401  (brings a BLAS of its own, seen once it is loaded)
    import torch
    from threadpoolctl import threadpool_info

    keys = ("prefix", "version", "architecture", "num_threads")
    return provenance.collect() | {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "variables": {name: os.environ[name] for name in (*CAPS, *THREADS) if name in os.environ},
        "blas": [{key: pool.get(key) for key in keys} for pool in threadpool_info() if pool["user_api"] == "blas"],
        "float32_matmul": torch.get_float32_matmul_precision(),
    }


def remarks(facts: Mapping[str, Any]) -> list[str]:
    """Say in words what would change numbers, of facts as `environment` gives them."""
    said = [_versions(facts["versions"])]
    capped = {name: value for name, value in facts["variables"].items() if name in CAPS}
    hardware = facts["hardware"]
    said.append(
        f"Processor: torch takes its {hardware['capability']} kernels on this {hardware['cpu']}. With other vector "
        "instructions trainings differ in the last digits from the first steps on, and in scores after thousands: "
        "compare means over seeds, not single runs."
    )
    if capped:
        set_to = ", ".join(f"{name}={value}" for name, value in capped.items())
        said.append(f"Processor: {set_to} makes libraries take other kernels than by themselves.")
    said.append(
        f"Threads: a run takes the number in its spec (train.threads, 1 unless set), not the {facts['threads']} that "
        "torch would take here, nor -j. Another number adds up in another order: other last digits, another run id."
    )
    gpu = hardware["gpu"]
    said.append(
        f"Precision: runs are float32 on the CPU unless train.device or train.precision says otherwise; on the {gpu} "
        "they have other digits and another run id."
        if gpu
        else "Precision: runs are float32; train.precision=bfloat16 rounds far more, and makes another run id. Torch "
        "sees no GPU here; on one, digits differ."
    )
    if facts["float32_matmul"] != "highest":
        said.append(f"Precision: float32 products are set to '{facts['float32_matmul']}', so that they aren't float32.")
    if facts["blas"]:
        each = {
            f"{blas['prefix'].removeprefix('lib')} {blas['version']} ({blas['architecture']} kernels)"
            for blas in facts["blas"]
        }
        said.append(f"BLAS: {', '.join(sorted(each))}; another one moves metrics in the last digits of float64.")
    if facts["dirty"]:
        said.append("Code: this checkout has uncommitted changes; runs say so, and can't be redone from the commit.")
    said.append(
        "Nothing else: the number of jobs, interruptions, hash seed, locale, time zone and working directory leave "
        "every byte of a run alone."
    )
    return said


def formulas() -> list[Finding]:
    """Tier 0 of `bench check`: metrics, objectives, gradients and controllers against stored numbers."""
    folder = baseline_folder()
    found = check(Request(folder), (0,))
    if all(finding.status in ("new", "skipped") for finding in found):
        text = f"the stored numbers aren't in '{folder}': this installation is incomplete, so nothing can be compared"
        found.append(Finding(0, "stored numbers", "all", "missing", text))
    return found


def end_to_end() -> list[Finding]:
    """Run the study "inference_optimum" at a tiny size: its scores are known in closed form."""
    from bench.analytic import oracle
    from bench.analytic.cases import case
    from bench.config.expand import expand
    from bench.config.study import find_study, resolve
    from bench.execution.run import run_study

    study = resolve(
        study_file=find_study("inference_optimum"),
        settings=[f"train.steps={STEPS}"],
        methods=[f"beta_vae[beta={BETA:g}]"],
        datasets=[f"linear_gaussian[case=S1,n={N}]"],
        seeds=[0],
        evaluation={"metrics": ["inference", "kl"], "n_codes": N, "n_images": N},
    )
    specs = expand(study)
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        (outcome,) = run_study(study, specs, Path(folder) / "doctor", n_jobs=1)
    if outcome.state != "ok":
        text = f"end to end: a small training on linear-Gaussian data ended as {outcome.state}: {outcome.message}"
        return [Finding(0, "end to end", "all", "missing", text)]
    model = case("S1").model
    known = {
        "kl": oracle.rate(model, BETA),
        "log_q": oracle.log_q(model, BETA),
        "source_mse": oracle.mean_squared_error(model, BETA),
    }
    return [_against_theory(name, outcome.scores[name], float(value)) for name, value in known.items()]


def text(diagnosis: Diagnosis) -> str:
    """What the terminal shows."""
    facts = diagnosis.environment
    lines = ["Environment"]
    lines += [f"  {name:<13} {value or 'not installed'}" for name, value in facts["versions"].items()]
    lines += [f"  {name:<13} {value}" for name, value in facts["hardware"].items() if value is not None]
    lines += [f"  {name:<13} {value}" for name, value in facts["variables"].items()]
    if facts["commit"]:
        lines.append(f"  {'commit':<13} {facts['commit']}{' and changes' if facts['dirty'] else ''}")
    lines += ["", "What would change numbers here", *(f"  {remark}" for remark in diagnosis.remarks), "", "Values"]
    trained = [finding for finding in diagnosis.findings if finding.subject == "end to end"]
    stored = [finding for finding in diagnosis.findings if finding.subject != "end to end"]
    good = [finding for finding in stored if finding.status in ("same", "within")]
    lines.append(f"  {len(good)} of {len(stored)} comparisons with stored numbers are as they should be")
    lines += [f"  {finding.message}" for finding in trained if finding.status == "within"]
    lines += [f"  {finding.status}: {finding.message}" for finding in stored if finding.status in ("new", "skipped")]
    lines += [f"  WRONG: {finding.message}" for finding in diagnosis.wrong]
    return "\n".join([*lines, "", verdict(diagnosis)]) + "\n"


def verdict(diagnosis: Diagnosis) -> str:
    """One sentence."""
    wrong = list(dict.fromkeys(finding.subject for finding in diagnosis.wrong))
    if not wrong:
        return "This installation computes right values."
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return f"This installation computes WRONG VALUES: {', '.join(wrong[:5])}{more}. Don't trust scores from it."


def as_json(diagnosis: Diagnosis) -> str:
    """Everything, for a script."""
    content = {
        "disbench": bench.__version__,
        "right": not diagnosis.wrong,
        "verdict": verdict(diagnosis),
        "environment": diagnosis.environment,
        "remarks": diagnosis.remarks,
        "findings": [asdict(finding) for finding in diagnosis.findings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _against_theory(name: str, got: float, expected: float) -> Finding:
    close = abs(got - expected) <= BOUND
    says = "as theory has it" if close else "away from theory"
    message = f"end to end: {name} of a trained β-VAE is {got:.4f}, in closed form {expected:.4f}: {says}"
    return Finding(0, "end to end", name, "within" if close else "moved", message, expected, got, BOUND)


def _versions(versions: Mapping[str, str | None]) -> str:
    other = {name: version for name, version in MADE_WITH.items() if _release(versions[name]) != version}
    if not other:
        return (
            f"Libraries: Python {platform.python_version()} with the versions of torch, NumPy, SciPy and scikit-learn "
            "that the committed results were made with."
        )
    parts = [
        f"{name} is {versions[name] or 'missing'}, the committed results were made with {expected}: it may move "
        f"{MOVES[name]}"
        for name, expected in other.items()
    ]
    return "Libraries: " + "; ".join(parts) + "."


def _release(version: str | None) -> str | None:
    """A version without its build: ``2.13.0`` of ``2.13.0+cpu``."""
    return version and version.partition("+")[0]
