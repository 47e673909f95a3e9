"""Types of the metrics, which `bench.metrics` has from its files; written by ``bench check --record``."""

from bench.metrics.active_units import active_units as active_units
from bench.metrics.beta_vae_score import beta_vae_score as beta_vae_score
from bench.metrics.coverage import coverage as coverage
from bench.metrics.dci import dci as dci
from bench.metrics.dcimig import dcimig as dcimig
from bench.metrics.downstream import downstream as downstream
from bench.metrics.elbo import elbo as elbo
from bench.metrics.factor_vae_score import factor_vae_score as factor_vae_score
from bench.metrics.fairness import fairness as fairness
from bench.metrics.generalisation import generalisation as generalisation
from bench.metrics.generation import generation as generation
from bench.metrics.inference import inference as inference
from bench.metrics.infomec import infomec as infomec
from bench.metrics.irs import irs as irs
from bench.metrics.kl import kl as kl
from bench.metrics.linear_probe import linear_probe as linear_probe
from bench.metrics.mig import mig as mig
from bench.metrics.mig_sampled import mig_sampled as mig_sampled
from bench.metrics.mig_sup import mig_sup as mig_sup
from bench.metrics.modularity import modularity as modularity
from bench.metrics.mutual_information import mutual_information as mutual_information
from bench.metrics.prior_gap import prior_gap as prior_gap
from bench.metrics.reconstruction import reconstruction as reconstruction
from bench.metrics.rmig import rmig as rmig
from bench.metrics.sap import sap as sap
from bench.metrics.ssim import ssim as ssim
from bench.metrics.total_correlation import total_correlation as total_correlation
from bench.metrics.udr import udr as udr
from bench.metrics.z_max_variance import z_max_variance as z_max_variance

__all__: list[str]
