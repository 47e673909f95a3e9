"""Types of the public names, which `bench` imports when they are first used."""

from bench.api.catalogue import list_datasets as list_datasets
from bench.api.catalogue import list_figures as list_figures
from bench.api.catalogue import list_methods as list_methods
from bench.api.catalogue import list_metrics as list_metrics
from bench.api.catalogue import list_networks as list_networks
from bench.api.catalogue import list_presets as list_presets
from bench.api.catalogue import list_studies as list_studies
from bench.api.data import load_dataset as load_dataset
from bench.api.model import TrainedModel as TrainedModel
from bench.api.running import run as run
from bench.api.scoring import compare as compare
from bench.api.scoring import score as score
from bench.api.study import Study as Study
from bench.api.study import load_study as load_study
from bench.dataset import Dataset as Dataset
from bench.dataset import register_dataset as register_dataset
from bench.errors import BenchError as BenchError
from bench.method import Encoded as Encoded
from bench.method import Method as Method
from bench.method import Objective as Objective
from bench.method import Terms as Terms
from bench.method import register_method as register_method
from bench.method_kinds import ClosedFormMethod as ClosedFormMethod
from bench.method_kinds import StagedMethod as StagedMethod
from bench.metric import Score as Score
from bench.metric import register_metric as register_metric
from bench.network import register_network as register_network

__version__: str
