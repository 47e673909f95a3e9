"""Planted regressions: which tier of ``bench check`` catches each, and which can't. The table in docs/check.md is this.

Clean numbers are measured here, so that digests can be compared on any machine; bounds are those of the baselines.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch

from bench import method, seeds
from bench.check import formulas, losses, trajectories
from bench.check.baselines import Measured, baseline_folder, entry, read
from bench.check.compare import compare
from bench.data import order
from bench.methods import dynamic_vae
from bench.nn import networks
from bench.registry import METHODS, METRICS
from bench.training import state, step

FILES = {"0": losses.FILE, "1": trajectories.FILE}
MEASURES = {"0": losses.measure, "1": trajectories.measure}


@cache
def stored(tier: str, name: str):
    """What the baselines would hold had they been recorded here."""
    measured = MEASURES[tier](METHODS.get(name))
    bounds = read(baseline_folder() / FILES[tier]).subjects[measured.subject]["bounds"]
    return entry(replace(measured, bounds=bounds), None, "here")


@pytest.fixture(autouse=True, scope="module")
def clean_numbers():
    for name in ("vae", "dynamic_vae", "two_stage"):
        for tier in MEASURES:
            stored(tier, name)


def alarms(tier: str, measured: Measured, known) -> dict[str, str]:
    """What moved, by "0", "1" (within any environment's bounds no more) or "1 exact" (only the digests say so)."""
    found: dict[str, str] = {}
    for finding in compare(int(tier), measured, known, "here"):
        if finding.status not in ("same", "within"):
            kind = f"{tier} exact" if finding.quantity.startswith("digest") else tier
            found.setdefault(kind, finding.message)
    return found


def caught(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for tier, measure in MEASURES.items():
        found |= alarms(tier, measure(METHODS.get(name)), stored(tier, name))
    return found


def mean_for_sum(patch):
    patch.setattr(method.Terms, "kl", property(lambda terms: terms.kl_per_latent.mean(dim=1)))


def sign_error(patch):
    clean = dynamic_vae.incremental_pi

    def wrong(*args, ki, **settings):
        return clean(*args, ki=-ki, **settings)

    patch.setattr(dynamic_vae, "incremental_pi", wrong)


def delayed_beta(patch):
    clean = dynamic_vae.incremental_pi

    def late(state, kl, set_point, *, floor, **settings):
        return torch.maximum(state.raw, floor), clean(state, kl, set_point, floor=floor, **settings)[1]

    patch.setattr(dynamic_vae, "incremental_pi", late)


def other_order(patch):
    patch.setattr(order, "stream", lambda seed, name: seeds.stream(seed, f"shuffled {name}"))


def same_order_in_every_epoch(patch):
    patch.setattr(order, "stream", lambda seed, name: seeds.stream(seed, f"{name.rpartition(':')[0]}:0"))


def learning_rate(patch):
    clean = state.Adam
    patch.setattr(state, "Adam", lambda parameters, *, lr, **rest: clean(parameters, lr=1.01 * lr, **rest))


def second_moment(patch):
    """Decay of Adam's second moment 0.99 instead of 0.999: bias correction hides it in the first step."""
    clean = state.Adam
    patch.setattr(
        state,
        "Adam",
        lambda parameters, *, betas=(0.9, 0.999), **rest: clean(parameters, betas=(betas[0], 0.99), **rest),
    )


def narrower_init(patch):
    """He's factor of 2 for rectifiers left out."""
    clean = networks.initialise

    def narrow(module, scheme, seeds, role):
        clean(module, scheme, seeds, role)
        for layer in module.modules():
            if isinstance(layer, networks.Linear):
                layer.weight.data.div_(math.sqrt(2))

    patch.setattr(networks, "initialise", narrow)


def init_of_another_stream(patch):
    patch.setattr(networks, "torch_stream", lambda seed, name: seeds.torch_stream(seed + 1, name))


def stage_without_fresh_decoder(patch):
    from bench.methods import two_stage

    patch.setattr(two_stage.TwoStage, "begin_stage", lambda self, stage: stage.state)


def rounding(patch):
    """Another order of the same sums: no regression, and no plant; only the digests may say something."""
    clean = step.reconstruction
    patch.setattr(step, "reconstruction", lambda logits, x, likelihood: clean(logits.flip(1), x.flip(1), likelihood))


#: Plant, method, and which of "0", "1" (numbers beyond their bounds, on any machine) and "1 exact" see it.
PLANTS = [
    (mean_for_sum, "vae", {"0", "1", "1 exact"}),
    (sign_error, "dynamic_vae", {"0", "1", "1 exact"}),
    (delayed_beta, "dynamic_vae", {"0", "1", "1 exact"}),
    (other_order, "vae", {"0", "1", "1 exact"}),
    (same_order_in_every_epoch, "vae", {"1", "1 exact"}),
    (learning_rate, "vae", {"0", "1", "1 exact"}),
    (second_moment, "vae", {"1", "1 exact"}),
    (narrower_init, "vae", {"0", "1", "1 exact"}),
    (init_of_another_stream, "vae", {"0", "1", "1 exact"}),
    (stage_without_fresh_decoder, "two_stage", {"0", "1", "1 exact"}),
    (rounding, "vae", {"1 exact"}),
]


@pytest.mark.parametrize(("plant", "name", "tiers"), PLANTS, ids=[plant.__name__ for plant, _, _ in PLANTS])
def test_a_planted_regression_is_caught_by_these_tiers(monkeypatch, plant, name, tiers):
    plant(monkeypatch)
    found = caught(name)
    assert set(found) == tiers, "\n".join(found.values())


def test_a_metric_with_19_bins_is_caught_by_tier_0_and_not_by_tier_1():
    mig = METRICS.get("mig")
    known = read(baseline_folder() / formulas.FILE).subjects["metric mig"]
    assert set(alarms("0", formulas.measure(mig, n_bins=19), known)) == {"0"}
    before = trajectories.measure(METHODS.get("vae"))
    with METRICS.override({"mig": partial(mig.value, n_bins=19)}):
        after = trajectories.measure(METHODS.get("vae"))
    assert before.numbers["score mig"] != after.numbers["score mig"]
    assert alarms("1", after, stored("1", "vae")) == {}


@pytest.mark.parametrize("name", ["vae", "dynamic_vae", "two_stage"])
def test_a_clean_rerun_raises_nothing(name):
    assert caught(name) == {}


@pytest.mark.parametrize("settings", [{"nudge": 3}, {"nudge": 4}])
def test_rounding_moves_digests_and_nothing_else(settings):
    for name in ("vae", "dynamic_vae"):
        found = alarms("1", trajectories.measure(METHODS.get(name), **settings), stored("1", name))
        assert set(found) <= {"1 exact"}, found


def test_a_finding_says_what_moved_how_far_whereto_and_since_when(monkeypatch):
    learning_rate(monkeypatch)
    message = next(m for m in caught("vae").values() if "first move" in m)
    said = "method vae: first move of decoder, norm of step 1 rose by 0.00383 (1.00 %), from 0.3831"
    assert said in message
    assert "to 0.3870" in message
    assert "since version 1 (stored by disbench" in message


def test_bounds_are_far_below_what_another_seed_does():
    """Of the losses; scores of a net that hardly learnt aren't that far apart."""
    spec = trajectories.trials.spec(METHODS.get("vae"), steps=80, log_every=20)
    numbers, _ = trajectories.follow(spec.model_copy(update={"seed": 1}))
    known = stored("1", "vae")
    for column in ("reconstruction", "kl"):
        ratios = [
            abs(numbers[column][case] - old) / (known["bounds"][column] * max(1, abs(old)))
            for case, old in known["numbers"][column].items()
        ]
        assert np.median(ratios) > 5
