"""What a run loses on images that it was never trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.metric import Score, check_codes, register_metric
from bench.metrics.active_units import active_units
from bench.metrics.kl import kl
from bench.metrics.reconstruction import reconstruction


@register_metric(
    "generalisation",
    version=1,
    inputs=("train_codes", "train_images", "train_decoded", "codes", "images", "decoded"),
    optional=("train_logvar", "logvar"),
    groups=(),
    scores={
        "generalisation_gap": Score("Gap of the ELBO (nats)", low=-math.inf, high=math.inf, higher_is_better=False),
        "reconstruction_gap": Score("Gap of the BCE (nats)", low=-math.inf, high=math.inf, higher_is_better=False),
        "held_out_elbo": Score("ELBO, held out (nats)", low=-math.inf, high=0),
        "train_elbo": Score("ELBO, training (nats)", low=-math.inf, high=0, higher_is_better=None),
        "train_bce": Score("BCE, training (nats/image)", high=math.inf, higher_is_better=None),
        "train_kl": Score("KL, training (nats)", high=math.inf, higher_is_better=None),
        "train_active_units": Score("Active units, training", high=math.inf, higher_is_better=None),
    },
)
def generalisation(
    train_codes: Any,
    train_images: Any,
    train_decoded: Any,
    codes: Any,
    images: Any,
    decoded: Any,
    *,
    train_logvar: Any | None = None,
    logvar: Any | None = None,
    threshold: float = 0.01,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Reconstruction, KL, ELBO and active units on training images, and how much worse held-out images fare.

    The ELBO is minus the cross-entropy at the posterior means minus the KL, of a Bernoulli decoder whatever the run was
    trained with. Gaps are what held-out images cost more: 0 for a model that has learned nothing of single images.
    Their noise is that of two samples of images; with as many images, that of one mean times the square root of 2.

    Parameters
    ----------
    train_codes, codes : array-like of shape (N, D) and (N', D)
        Posterior means of training and of held-out images.
    train_images, images : array-like of shape (M, C, H, W) and (M', C, H, W)
        In [0, 1].
    train_decoded, decoded : array-like of the same shapes
        Logits of the decoder for the same rows.
    train_logvar, logvar : array-like of the codes' shapes, optional
        Log-variances. Without them there is no KL, and no ELBO.
    threshold : float
        Of `bench.metrics.active_units`.
    rng : numpy.random.Generator, optional
        Unused; here because every metric takes one.

    Returns
    -------
    dict
        ``generalisation_gap``, the ELBO of training images minus that of held-out ones; ``reconstruction_gap``, the
        cross-entropy of held-out images minus that of training ones; ``held_out_elbo``, ``train_elbo``, ``train_bce``,
        ``train_kl``, ``train_active_units``; None where there is no KL; ``n_train``, ``n_held_out``: images;
        ``n_active``: active units of held-out images; ``settings``.

    Raises
    ------
    ValueError
        For what `bench.metrics.reconstruction`, `bench.metrics.kl` and `bench.metrics.active_units` reject.

    References
    ----------
    The gap between training and held-out ELBO is that of Zhang, Hayes, Barber: Generalization Gap in Amortized
    Inference, NeurIPS 2022.
    """
    for table in (train_codes, codes):
        check_codes(table)
    seen, unseen = reconstruction(train_images, train_decoded), reconstruction(images, decoded)
    found: dict[str, float | None] = {
        "generalisation_gap": None,
        "reconstruction_gap": unseen["reconstruction_bce"] - seen["reconstruction_bce"],
        "held_out_elbo": None,
        "train_elbo": None,
        "train_bce": seen["reconstruction_bce"],
        "train_kl": None,
        "train_active_units": active_units(train_codes, train_logvar, threshold=threshold)["active_units"],
    }
    active = active_units(codes, logvar, threshold=threshold)["n_active"]
    if train_logvar is not None and logvar is not None:
        nats, held = kl(train_codes, train_logvar)["kl"], kl(codes, logvar)["kl"]
        on_seen, on_unseen = -seen["reconstruction_bce"] - nats, -unseen["reconstruction_bce"] - held
        found |= {"train_kl": nats, "train_elbo": on_seen, "held_out_elbo": on_unseen}
        found["generalisation_gap"] = on_seen - on_unseen
    return {
        **found,
        "n_train": seen["n_images"],
        "n_held_out": unseen["n_images"],
        "n_active": active,
        "settings": {"threshold": threshold},
    }
