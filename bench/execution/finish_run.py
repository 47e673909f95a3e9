"""What becomes of a trained run: it is evaluated, and all its files go into its working folder."""

from __future__ import annotations

import time

from bench import provenance
from bench.evaluation import montages
from bench.execution import metric_pool
from bench.execution.load import Tools
from bench.execution.task import Attempt, Outcome
from bench.files import sha256, write_json
from bench.metrics.measure import Evaluation
from bench.results import control, scores_by_step
from bench.results.record import RESULT, SIZES, WEIGHTS, seal
from bench.results.store import CHECKPOINT, CURVES, MEASURED, PROGRESS
from bench.spec import SCHEMA_VERSION


def begin(attempt: Attempt, tools: Tools) -> None:
    """Draw a run's pictures and begin its evaluation; a run that diverged has neither."""
    clock = time.perf_counter()
    trained = attempt.after_training()
    if trained.facts["status"] == "ok":
        attempt.pending = metric_pool.begin(trained.run, tools.dataset, tools.images, tools.pool, tools.plugins)
        if tools.dataset.likelihood != "gaussian_unit":
            montages.write(trained.run.model, tools.dataset, tools.images, attempt.folder)
    attempt.evaluate_s = time.perf_counter() - clock


def finish(attempt: Attempt, tools: Tools) -> Outcome:
    """Wait for a run's scores and write what isn't in its folder yet; ``result.json``, which makes it done, last."""
    clock = time.perf_counter()
    trained, folder = attempt.after_training(), attempt.folder
    spec, factor_names = trained.run.spec, tools.dataset.factor_names
    measured = Evaluation({}, {}, {}) if attempt.pending is None else attempt.pending.result()
    if attempt.pending is not None and spec.train.score_every:
        row = scores_by_step.row(spec.train.steps, measured, factor_names)
        scores_by_step.add(folder / scores_by_step.NAME, row)
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    attempt.evaluate_s += time.perf_counter() - clock
    write_json(
        folder / "provenance.json",
        {
            **provenance.collect(),
            **trained.history,
            "settings": tools.settings,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trained.began)),
            "evaluate_s": round(attempt.evaluate_s, 3),
            "wall_s": round(trained.took_s + attempt.evaluate_s, 3),
            "n_data": len(tools.dataset),
            "plugins": {path.name: sha256(path) for path in tools.plugins},
        },
    )
    names = ("spec.json", CURVES, WEIGHTS, scores_by_step.NAME)
    there = [name for name in names if (folder / name).exists()]
    well = trained.facts["status"] == "ok"
    steered = control.record(folder / CURVES, spec.method.name, spec.method.hyper) if well else None
    result = {
        "schema_version": SCHEMA_VERSION,
        "run": spec.run_id,
        **trained.facts,
        **({"control": steered} if steered else {}),
        "scores": measured.scores,
        "not_applicable": measured.not_applicable,
        "details": measured.details,
        "factor_names": list(factor_names),
        **({"label_names": list(tools.dataset.label_names)} if tools.dataset.label_names else {}),
        **({"remarks": list(tools.dataset.remarks)} if tools.dataset.remarks else {}),
        "files": {name: sha256(folder / name) for name in there},
        SIZES: {name: (folder / name).stat().st_size for name in there},
    }
    write_json(folder / RESULT, seal(result))
    # Until then the checkpoints were all there is.
    for leftover in (*folder.glob(f"{CHECKPOINT}*"), folder / PROGRESS, folder / MEASURED):
        leftover.unlink(missing_ok=True)
    return Outcome.of(result, trained.took_s + attempt.evaluate_s, attempt.warnings())
