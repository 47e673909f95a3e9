"""Metrics, one file each. All take a table of codes and, where they need them, the factors."""

from bench.metrics.active_units import active_units
from bench.metrics.dci import dci
from bench.metrics.factor_vae_score import factor_vae_score
from bench.metrics.kl import kl
from bench.metrics.mig import mig
from bench.metrics.reconstruction import reconstruction

__all__ = ["active_units", "dci", "factor_vae_score", "kl", "mig", "reconstruction"]
