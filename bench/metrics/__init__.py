"""Metrics, one file each, and `measure`, which applies those that are asked for.

Most take a table of codes and, where they need them, the factors; a few also see images.

From outside: every metric as a function of its own (``from bench.metrics import mig``), and `measure.measure`.
"""

from bench.metrics.active_units import active_units
from bench.metrics.beta_vae_score import beta_vae_score
from bench.metrics.dci import dci
from bench.metrics.elbo import elbo
from bench.metrics.factor_vae_score import factor_vae_score
from bench.metrics.generation import generation
from bench.metrics.inference import inference
from bench.metrics.infomec import infomec
from bench.metrics.irs import irs
from bench.metrics.kl import kl
from bench.metrics.mig import mig
from bench.metrics.mig_sampled import mig_sampled
from bench.metrics.modularity import modularity
from bench.metrics.mutual_information import mutual_information
from bench.metrics.prior_gap import prior_gap
from bench.metrics.reconstruction import reconstruction
from bench.metrics.rmig import rmig
from bench.metrics.sap import sap
from bench.metrics.ssim import ssim
from bench.metrics.total_correlation import total_correlation
from bench.metrics.udr import udr

__all__ = [
    "active_units",
    "beta_vae_score",
    "dci",
    "elbo",
    "factor_vae_score",
    "generation",
    "inference",
    "infomec",
    "irs",
    "kl",
    "mig",
    "mig_sampled",
    "modularity",
    "mutual_information",
    "prior_gap",
    "reconstruction",
    "rmig",
    "sap",
    "ssim",
    "total_correlation",
    "udr",
]
