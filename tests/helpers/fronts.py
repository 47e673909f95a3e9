"""Studies in which every method's front is known."""

from __future__ import annotations

import numpy as np

from helpers.synthetic import StudyBuilder

#: Method to its strengths.
STRENGTHS = {
    "beta_vae": ("beta", (1.0, 2.0, 4.0, 8.0)),
    "control_vae": ("set_point", (9.0, 7.0, 5.0)),
    "factor_vae": ("gamma", (1.0, 10.0, 100.0)),
}
SCORES = ("mig", "dci_disentanglement", "factor_vae_score")


def planted_fronts(
    builder: StudyBuilder, seeds: int = 6, methods: tuple[str, ...] = tuple(STRENGTHS), *, untrained: bool = True
) -> StudyBuilder:
    """Write runs whose score is 0.2 + 0.1 ln(distortion), ControlVAE's 0.1 above it, FactorVAE's the same.

    Distortion is exp(4 - rate / 3), ControlVAE's 10 % above it, FactorVAE's the same. Rates: β-VAE 3 to 9 nats,
    ControlVAE 5 to 9, FactorVAE 8 to 10. A seed shifts its scores by 0.01 for all methods; noise is 0.005.
    """
    for method in methods:
        name, strengths = STRENGTHS[method]
        rates = {"beta_vae": (9, 7, 5, 3), "control_vae": (9, 7, 5), "factor_vae": (10, 9, 8)}[method]
        for seed in range(seeds):
            rng = np.random.default_rng([seed, *method.encode()])
            for strength, rate in zip(strengths, rates, strict=True):
                controlled = method == "control_vae"
                distortion = float(np.exp(4 - rate / 3)) * (1.1 if controlled else 1)
                score = 0.2 + 0.1 * float(np.log(distortion)) + 0.1 * controlled + 0.01 * seed
                scores = {key: score + 0.005 * float(rng.normal()) for key in SCORES}
                scores |= {"kl": float(rate), "reconstruction_bce": distortion * float(1 + 0.002 * rng.normal())}
                builder.run(method, seed, scores, hyper={name: strength})
    for seed in range(seeds if untrained else 0):
        builder.run("untrained", seed, {**dict.fromkeys(SCORES, 0.02), "reconstruction_bce": 500.0})
    return builder
