"""A report of many runs: made-up records, read, summarised, drawn and written."""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.execution import processes
from bench.speed.timing import Row, Section

#: Runs of the study: 42 configurations x seeds.
METHODS = ("vae", "beta_vae", "factor_vae", "control_vae", "dynamic_vae")
N_CONFIGURATIONS, N_SEEDS = 10, 120
#: Rows of a run's curves, and latents.
N_ROWS, N_LATENTS = 100, 10
TARGET_S, TARGET_GIB = 60, 1


def measure(*, repeats: int, full: bool) -> Section:
    """`bench report` on 5,000 runs with ``full``, on 500 otherwise; once, one thread."""
    section: Section = processes.call(_measure, N_SEEDS if full else N_SEEDS // 10, threads=1)
    return section


def _measure(n_seeds: int) -> Section:
    from bench.reporting import render

    with tempfile.TemporaryDirectory() as name:
        study = Path(name) / "results" / "many"
        n_runs = write_study(study, n_seeds, np.random.default_rng(0))
        started, clock = time.perf_counter(), time.process_time()
        render.render(study, Path(name) / "reports" / "many")
        seconds, processor = time.perf_counter() - started, time.process_time() - clock
        page = (Path(name) / "reports" / "many" / "report.html").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    notes = [
        f"{n_runs:,} runs of {(len(METHODS) - 1) * N_CONFIGURATIONS + 2} configurations, with curves and without "
        f"pictures. The target on 5,000 runs is {TARGET_S} s and {TARGET_GIB} GiB.",
        f"Processor time: {processor:.1f} s. Peak memory of the process: {peak:.2f} GiB. The page for the browser has "
        f"{page / 2**20:.1f} MiB.",
    ]
    row = Row(f"report of {n_runs:,} runs", seconds, "s", seconds, seconds)
    return Section("reporting", "Report", [row], notes, better="lower")


def write_study(path: Path, n_seeds: int, rng: np.random.Generator) -> int:
    """Write the records of a made-up study as the runner writes them, and return the number of runs."""
    from bench.config.expand import expand
    from bench.config.study import resolve

    strengths = ",".join(f"{value:g}" for value in np.linspace(1, 10, N_CONFIGURATIONS))
    names = {
        "vae": "",
        "beta_vae": "beta",
        "factor_vae": "gamma",
        "control_vae": "set_point",
        "dynamic_vae": "set_point",
    }
    chosen = [f"{name}[{key}={strengths}]" if key else name for name, key in names.items()]
    study = resolve("smoke", methods=chosen, controls=["untrained"], seeds=list(range(n_seeds)))
    specs = expand(study)
    path.mkdir(parents=True)
    head = {"name": path.name, "preset": "smoke", "planned": len(specs), "methods": chosen, "seeds": study.seeds}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    (path / "study.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    facts = {"wall_s": 10.0, "train_s": 8.0, "evaluate_s": 2.0, "versions": {"disbench": "0"}, "threads": 1}
    for spec in specs:
        folder = path / "runs" / spec.run_id
        folder.mkdir(parents=True)
        result = _result(spec.run_id, rng)
        for file, content in (("spec", spec.model_dump(mode="json")), ("result", result), ("provenance", facts)):
            (folder / f"{file}.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "curves.csv").write_text(_curves(rng), encoding="utf-8")
    return len(specs)


def _result(run: str, rng: np.random.Generator) -> dict[str, Any]:
    columns = ("mig", "factor_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness")
    scores = dict(zip(columns, rng.random(len(columns)).tolist(), strict=True))
    scores |= {"reconstruction_bce": 100 * rng.random(), "reconstruction_mse": 0.01 * rng.random()}
    scores |= {"psnr_db": 20 + rng.random(), "kl": 10 * rng.random(), "active_units": float(rng.integers(1, N_LATENTS))}
    details = {
        "kl": {"kl_per_latent": rng.random(N_LATENTS).tolist()},
        "mig": {"mig_per_factor": rng.random(5).tolist(), "mutual_information": rng.random((N_LATENTS, 5)).tolist()},
        "dci": {
            "informativeness_per_factor": rng.random(5).tolist(),
            "chance_per_factor": [0.3, 0.2, 0.03, 0.03, 0.03],
            "importance": rng.random((N_LATENTS, 5)).tolist(),
        },
    }
    final = {"reconstruction": scores["reconstruction_bce"], "kl": scores["kl"], "beta": 1.0, "set_point": None}
    record = {"schema_version": 1, "run": run, "status": "ok", "steps_done": 100, "last_good_step": 100}
    names = ["shape", "scale", "orientation", "pos_x", "pos_y"]
    return {**record, "scores": scores, "not_applicable": {}, "details": details, "final": final, "factor_names": names}


def _curves(rng: np.random.Generator) -> str:
    header = ["step", "reconstruction", "kl", "beta", "set_point", *(f"kl_{k}" for k in range(N_LATENTS))]
    values = rng.random((N_ROWS, len(header)))
    values[:, 0] = np.arange(1, N_ROWS + 1)
    return "\n".join([",".join(header), *(",".join(f"{value:.7g}" for value in row) for row in values)]) + "\n"
