"""The metrics, against scikit-learn's boosting, encoding anew for every vote, and sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.execution import processes
from bench.speed import _problems
from bench.speed.timing import Case, Row, Section, interleave, rows

#: Rows that are fitted to and tested on, images, and dSprites' factor sizes.
N_CODES, N_IMAGES = 15_000, 5_000
SIZES = (3, 6, 40, 32, 32)
#: Rows (2:1) and factor sizes on which exact boosting takes seconds, not minutes.
SMALL_ROWS, SMALL_SIZES = 3_000, (3, 6, 10)
#: Samples per entropy of the plain estimator of the sampled MIG, and those timed on the full grid.
N_SAMPLES, FEW_SAMPLES = 10_000, 50
SMALL_GRID = (3, 4, 10, 8, 8)
#: Images encoded per case, per call, and by each score if every batch of every vote is encoded.
N_ENCODED, PER_CALL = 2_048, 256
VOTES = {"factor_vae_score": 15_000 * 64, "beta_vae_score": 2 * 15_000 * 64}
#: Seconds that the whole set should take at most.
TARGET_S = 30


def measure(*, repeats: int, full: bool) -> Section:
    """All metrics on 15,000 codes of dSprites' five factors; one thread, in a process of its own."""
    section: Section = processes.call(_measure, repeats, full, threads=1)
    return section


def _measure(repeats: int, full: bool) -> Section:
    from bench.training.torch_setup import settings

    settings(1)
    found, notes = whole_set(repeats, n_codes=N_CODES, n_images=N_IMAGES, sizes=SIZES)
    if full:
        found += boosting(1, n_rows=N_CODES, sizes=SIZES)
    else:
        found += boosting(repeats, n_rows=SMALL_ROWS, sizes=SMALL_SIZES)
        notes.append("Exact boosting is timed on a small problem; --full times it once on dSprites' sizes (minutes).")
    found += votes(repeats, n_codes=N_CODES, n_encoded=N_ENCODED, sizes=SIZES)
    if full:
        found += sampled(1, sizes=SIZES, n_samples=FEW_SAMPLES)
    else:
        found += sampled(repeats, sizes=SMALL_GRID, n_samples=N_SAMPLES)
    precision = "float64; networks and the sampling estimator float32"
    return Section("metrics", "Metrics", found, notes, better="lower", precision=precision)


def whole_set(repeats: int, *, n_codes: int, n_images: int, sizes: Sequence[int]) -> tuple[list[Row], list[str]]:
    """Every registered metric and the sum of all, and what is to be said about them."""
    from bench.registry import METRICS

    rng = np.random.default_rng(0)
    factors = _problems.draw(sizes, n_codes, rng)
    codes, logvar = _problems.codes_10_db(factors, rng)
    images, decoded = _problems.pictures(n_images, rng)
    inputs: dict[str, NDArray[Any]] = {
        "codes": codes,
        "logvar": logvar,
        "factors": factors,
        "images": images,
        "decoded": decoded,
    }
    chosen = [entry for entry in METRICS if set(entry.info.inputs) <= inputs.keys()]
    given = {entry.name: [inputs[need] for need in entry.info.inputs] for entry in chosen}
    for entry in chosen:
        # Imports and first calls, on a few rows.
        _score(entry.value, [each[:300] for each in given[entry.name]])
    cases = [Case(entry.name, partial(_score, entry.value, given[entry.name]), 1, "s") for entry in chosen]
    seconds = interleave(cases, repeats=repeats, warmup=0)
    total = Case("the whole set", _nothing, 1, "s")
    sums = [sum(each) for each in zip(*seconds.values(), strict=True)]
    whole = rows([total], {total.name: sums})[0]
    verdict = "within" if whole.value <= TARGET_S else "above"
    notes = [
        f"{n_codes:,} codes of 10 latents, factors of {_sizes(sizes)} values, {n_images:,} binary 64x64 images. "
        f"The whole set takes {whole.value:.3g} s, {verdict} its target of {TARGET_S} s."
    ]
    left_out = [entry.name for entry in METRICS if entry not in chosen]
    if left_out:
        notes.append(f"Not timed, because they need something else: {', '.join(left_out)}.")
    return [*rows(cases, seconds), whole], notes


def boosting(repeats: int, *, n_rows: int, sizes: Sequence[int]) -> list[Row]:
    """DCI with our boosting against scikit-learn's exact one, on the same rows."""
    from bench.metrics import dci

    rng = np.random.default_rng(1)
    factors = _problems.draw(sizes, n_rows, rng)
    codes, _ = _problems.codes_10_db(factors, rng)
    kept: dict[str, dict[str, Any]] = {}

    def call(predictor: str) -> None:
        sizes_of_split = {"n_train": 2 * n_rows // 3, "n_test": n_rows // 3}
        kept[predictor] = dci(codes, factors, predictor=predictor, rng=np.random.default_rng(2), **sizes_of_split)

    cases = [
        Case(f"DCI by {predictor}, {n_rows:,} rows", partial(call, predictor), 1, "s")
        for predictor in ("sklearn_gbt", "hist_gbt")
    ]
    exact, ours = rows(cases, interleave(cases, repeats=repeats, warmup=0), versus=cases[0].name)
    apart = {
        letter: abs(kept["hist_gbt"][score] - kept["sklearn_gbt"][score])
        for letter, score in (("D", "dci_disentanglement"), ("C", "dci_completeness"))
    }
    exact = replace(exact, note=f"factors of {_sizes(sizes)} values; two thirds of the rows to fit, one to test")
    return [exact, replace(ours, note=", ".join(f"|Δ{letter}| = {gap:.4f}" for letter, gap in apart.items()))]


def votes(repeats: int, *, n_codes: int, n_encoded: int, sizes: Sequence[int]) -> list[Row]:
    """Scores that vote, from a table of codes against encoding the images of every vote, with net H."""
    import torch

    from bench.nn import networks
    from bench.registry import METRICS

    rng = np.random.default_rng(3)
    factors = _problems.draw(sizes, n_codes, rng)
    codes, _ = _problems.codes_10_db(factors, rng)
    vae = networks.build("H", 1, (1, 64, 64), codes.shape[1])
    networks.initialise(vae, "he", [0], "vae")
    images = torch.from_numpy(_problems.pictures(n_encoded, rng)[0]).unsqueeze(0)

    def encode() -> None:
        with torch.no_grad():
            for start in range(0, n_encoded, PER_CALL):
                vae.encode(images[:, start : start + PER_CALL])

    encoder = Case("net H's encoder", encode, n_encoded, "images")
    scores = [Case(name, partial(_score, METRICS.get(name).value, [codes, factors]), 1, "s") for name in VOTES]
    seconds = interleave([encoder, *scores], repeats=repeats)
    per_image = np.array(seconds[encoder.name]) / n_encoded
    found: list[Row] = []
    for case in scores:
        own = np.array(seconds[case.name])
        needed = VOTES[case.name]
        both = [
            Case(f"{case.name}, each vote encoded", _nothing, 1, "s"),
            Case(f"{case.name}, from a table", _nothing, 1, "s"),
        ]
        times = (own + per_image * needed, own + per_image * n_codes)
        slow, fast = rows(both, {one.name: list(t) for one, t in zip(both, times, strict=True)}, versus=both[0].name)
        speed = n_encoded / float(np.median(seconds[encoder.name]))
        measured = f"extrapolated from {n_encoded:,} images, {speed:,.0f} a second"
        slow = replace(slow, note=f"{needed:,} images through net H, {measured}")
        fast = replace(
            fast, note=f"{n_codes:,} images through net H once, counted here although all metrics share them"
        )
        found += [slow, fast]
    return found


def sampled(repeats: int, *, sizes: Sequence[int], n_samples: int) -> list[Row]:
    """Sampled MIG by quadrature against the estimator of Chen et al., on a full grid."""
    from bench.metrics import mig_sampled
    from bench.speed._sampling import n_densities, sampled_information

    rng = np.random.default_rng(4)
    factors = _problems.grid(sizes)
    codes, logvar = _problems.codes_10_db(factors, rng)
    share = n_densities(factors, n_samples) / n_densities(factors, N_SAMPLES)
    # Imports and first calls, on a few rows.
    few = slice(512)
    mig_sampled(codes[few], logvar[few], factors[few], rng=rng)
    sampled_information(codes[few], logvar[few], factors[few], n_samples=4, rng=rng)
    cases = [
        Case(
            f"sampled MIG by sampling, {len(factors):,} rows",
            partial(sampled_information, codes, logvar, factors, n_samples=n_samples, rng=rng),
            share,
            "s",
        ),
        Case(
            f"sampled MIG by quadrature, {len(factors):,} rows",
            partial(mig_sampled, codes, logvar, factors, rng=rng),
            1,
            "s",
        ),
    ]
    slow, fast = rows(cases, interleave(cases, repeats=repeats, warmup=0), versus=cases[0].name)
    measured = f", extrapolated from {share:.2%} of their densities" if share < 1 else ""
    return [replace(slow, note=f"{N_SAMPLES:,} samples per entropy{measured}"), fast]


def _score(metric: Callable[..., Any], inputs: Sequence[NDArray[Any]]) -> None:
    metric(*inputs, rng=np.random.default_rng(0))


def _nothing() -> None:
    """Stand in for a case whose times were computed from others'."""


def _sizes(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))
