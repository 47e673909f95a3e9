"""β-VAEs trained on linear-Gaussian data end where the closed forms have them: a reduced `inference_optimum`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.analytic import learned, oracle
from bench.analytic.cases import case
from bench.analytic.control import integral_trajectory
from bench.config.expand import expand
from bench.config.study import find_study, resolve
from bench.data.images import store_of
from bench.dataset import load_dataset
from bench.evaluation import codes
from bench.execution import grouping
from bench.training import loop, state, step, torch_setup
from bench.training.log import COLUMNS, final
from bench.training.trained import take

pytestmark = pytest.mark.slow

MIXED = case("S1").model
#: What E log q (relative to 1 + its size), MSE and rate may be off: for the true decoder, and for a learned one.
NEAR, NEARLY = np.array([0.02, 0.01, 0.03]), np.array([0.05, 0.02, 0.02])


@dataclass(frozen=True)
class Run:
    """A trained run: its hyper-parameters, scores, and curves by column."""

    hyper: dict[str, Any]
    scores: dict[str, float]
    curves: dict[str, np.ndarray]
    final: dict[str, float | None]


def train(data: str, *methods: str, steps: int, seeds: tuple[int, ...] = (0,), **settings: Any) -> list[Run]:
    """Train runs with the study's own settings, in one group."""
    study = resolve(
        study_file=find_study("inference_optimum"),
        settings=[f"train.steps={steps}", *(f"train.{key}={value}" for key, value in settings.items())],
        datasets=[f"linear_gaussian[{data}]"],
        methods=list(methods),
        seeds=list(seeds),
        evaluation={"metrics": ["inference"]},
    )
    specs = expand(study)
    assert [len(group) for group in grouping.group(specs, 2)] == [len(specs)], "all of them at once"
    torch_setup.settings(1)
    dataset = load_dataset("linear_gaussian", specs[0].dataset.all_options)
    images = store_of(dataset)
    training = state.prepare(specs, dataset.image_shape, len(dataset), dataset.known_decoder())
    loop.train(training, dataset, images)
    found = []
    for number, spec in enumerate(specs):
        rows = np.array(training.log.rows)[:, number]
        scores = codes.evaluate(take(training, number), dataset, images).scores
        curves = dict(zip(("step", *COLUMNS), rows.T, strict=False))
        found.append(Run(spec.method.hyper, scores, curves, final(rows)))
    return found


def misses(runs: list[Run], formulas: Any, model: Any, family: tuple[str, ...] = (), scale: float = 1.0) -> np.ndarray:
    """Errors of E log q (relative to 1 + its size), MSE and rate against the closed forms at `scale` times beta."""
    betas = scale * np.array([run.hyper["beta"] for run in runs])
    log_q, rate = formulas.log_q(model, betas, *family), formulas.rate(model, betas, *family)
    squares = formulas.mean_squared_error(model, betas)
    got = np.array([[run.scores[column] for column in ("log_q", "source_mse", "rate")] for run in runs])
    errors = got - np.stack([log_q, squares, rate], axis=1)
    errors[:, 0] /= 1 + np.abs(log_q)
    return np.abs(errors).max(axis=0)


def peak(betas: Any, values: Any) -> float:
    """Where a parabola in log beta through the best point and its neighbours is highest."""
    best = int(np.clip(np.argmax(values), 1, len(betas) - 2))
    around = slice(best - 1, best + 2)
    square, slope, _ = np.polyfit(np.log(betas[around]), values[around], 2)
    return float(np.exp(-slope / (2 * square)))


def peaks(runs: list[Run], formulas: Any, model: Any) -> tuple[float, float]:
    """Peaks of the trained and of the exact E log q over the same betas."""
    betas = np.array([run.hyper["beta"] for run in runs])
    return peak(betas, np.array([run.scores["log_q"] for run in runs])), peak(betas, formulas.log_q(model, betas))


@pytest.fixture(scope="module")
def mixed():
    return train("case=S1", "beta_vae[beta=0.5,1,1.25,1.75,2.35,8]", steps=1200)


def test_an_encoder_for_the_true_decoder_is_the_exact_one(mixed):
    assert (misses(mixed, oracle, MIXED) < NEAR).all()


def test_kls_to_and_from_the_true_posterior_are_the_exact_ones(mixed):
    betas = np.array([run.hyper["beta"] for run in mixed])
    for column, exact in (
        ("forward_kl", oracle.forward_kl(MIXED, betas)),
        ("reverse_kl", oracle.reverse_kl(MIXED, betas)),
    ):
        assert [run.scores[column] for run in mixed] == pytest.approx(exact, rel=0.03, abs=0.03)
    assert all(run.scores["tc_conditional"] == 0 for run in mixed)


def test_the_best_beta_for_inference_lies_above_1_where_columns_of_the_mixing_are_not_orthogonal(mixed):
    found, exact = peaks(mixed, oracle, MIXED)
    assert found == pytest.approx(exact, abs=0.1)
    assert 1.5 < found < 2.0


def test_a_loss_with_another_scale_of_beta_would_be_seen(mixed, monkeypatch):
    """Without the half of the squared error, β is twice what it says: the tolerances must tell the two apart."""
    assert misses(mixed, oracle, MIXED, scale=2)[0] > 0.02
    plain = step.reconstruction
    monkeypatch.setattr(step, "reconstruction", lambda *given: 2 * plain(*given))
    wrong = train("case=S1", "beta_vae[beta=1,2]", steps=1200)
    assert not (misses(wrong, oracle, MIXED) < NEAR).all()
    assert (misses(wrong, oracle, MIXED, scale=0.5) < NEAR).all()


def test_the_best_beta_is_1_where_they_are():
    runs = train("case=S0", "beta_vae[beta=0.6,0.8,1,1.25]", steps=1200)
    assert (misses(runs, oracle, case("S0").model) < NEAR).all()
    found, _ = peaks(runs, oracle, case("S0").model)
    assert 0.9 < found < 1.1


def test_the_law_of_the_factors_does_not_matter():
    runs = train("case=S1,law=laplace", "beta_vae[beta=1,1.25,1.75,2.35]", steps=1200)
    assert (misses(runs, oracle, MIXED) < NEAR).all()
    assert 1.5 < peaks(runs, oracle, MIXED)[0] < 2.0
    assert "forward_kl" not in runs[0].scores


def test_a_free_covariance_has_its_best_beta_at_1_and_is_then_the_true_posterior():
    runs = train("case=S1", "full_covariance_vae[beta=0.5,1,1.75]", steps=1200)
    assert (misses(runs, oracle, MIXED, ("full",)) < NEAR).all()
    low, true, high = (run.scores for run in runs)
    assert max(true["forward_kl"], true["reverse_kl"], true["kl_aggregate"]) < 1e-3
    assert low["tc_conditional"] > true["tc_conditional"] > high["tc_conditional"]
    assert true["tc_conditional"] == pytest.approx(oracle.reverse_kl_floor(MIXED), abs=0.01)
    assert min(low["kl_aggregate"], high["kl_aggregate"]) > 1e-3


def test_a_learned_decoder_finds_the_principal_axes():
    model = case("L1").model
    runs = train("case=L1", "beta_vae[beta=1.25,1.75,2.35,3.5,8,40]", steps=3000)
    assert (misses(runs, learned, model) < NEARLY).all()
    found, exact = peaks(runs, learned, model)
    assert found == pytest.approx(exact, abs=0.15)
    assert runs[-1].scores["rate"] < 0.01, "beyond the last collapse"


# Controllers, as they are registered. A low gain makes a transient that is long against the encoder's own.
SLOW = "[set_point=1.2,ki=0.003]"
MODELS = {"S1": (oracle, MIXED), "L1": (learned, case("L1").model)}


@pytest.fixture(scope="module")
def steered():
    def steer(data: str, *methods: str, steps: int = 2000) -> list[Run]:
        return train(f"case={data}", *methods, steps=steps, log_every=20)

    return {
        ("control_vae", "S1"): steer("S1", "control_vae[set_point=1.7,2.2]", f"control_vae{SLOW}"),
        ("dynamic_vae", "S1"): steer("S1", "dynamic_vae[set_point=1.7,2.2]", f"dynamic_vae{SLOW}"),
        ("dynamic_vae", "L1"): steer("L1", "dynamic_vae[set_point=1.7,2.2]", steps=3000),
    }


@pytest.mark.parametrize("which", [("control_vae", "S1"), ("dynamic_vae", "S1"), ("dynamic_vae", "L1")])
def test_a_set_point_selects_the_beta_with_that_rate_and_its_inference(which, steered):
    formulas, model = MODELS[which[1]]
    for run in steered[which][:2]:
        target = run.hyper["set_point"]
        beta = formulas.beta_of_rate(model, target)
        assert run.final["beta"] == pytest.approx(beta, rel=0.03)
        assert run.final["kl"] == pytest.approx(target, abs=0.02)
        assert run.scores["log_q"] == pytest.approx(float(formulas.log_q(model, beta)), abs=0.05), "as at a fixed beta"


@pytest.mark.parametrize("name", ["control_vae", "dynamic_vae"])
def test_transients_settle_as_an_integrator_of_the_exact_rate(name, steered):
    """From where on the encoder follows. (A decoder that is learned follows later: such transients are longer.)"""
    run = steered[name, "S1"][2]
    target, ki = run.hyper["set_point"], run.hyper["ki"]
    kept = run.curves["step"] >= 500
    steps, betas = run.curves["step"][kept] - run.curves["step"][kept][0], run.curves["beta"][kept]

    def predict(gain: float) -> np.ndarray:
        rate = partial(oracle.rate, MIXED)
        return integral_trajectory(rate, betas[0], target, ki=gain, n_steps=int(steps[-1]))[steps.astype(int)]

    def off(gain: float) -> float:
        return float(np.abs(np.log(betas / predict(gain))).mean())

    end = oracle.beta_of_rate(MIXED, target)

    def half_way(path: np.ndarray) -> float:
        return float(steps[np.argmax(np.abs(path - end) < 0.5 * abs(path[0] - end))])

    assert off(ki) < 0.02
    assert min(off(0.5 * ki), off(1.5 * ki)) > 3 * off(ki), "another gain settles otherwise"
    assert half_way(betas) == pytest.approx(half_way(predict(ki)), rel=0.1, abs=20)
