"""What is known about a registered thing before it runs: a frozen dataclass per kind, whose fields are the keywords."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bench.errors import did_you_mean
from bench.tunable import Range

#: What a metric may ask for by name. All rows belong to the same images.
Input = Literal[
    "codes",  #    (N, D) float64, posterior means
    "logvar",  #   (N, D) float64, posterior log-variances
    "factors",  #  (N, F) int64, factor classes
    "labels",  #  (N,) int64, class of the image
    "covariance",  #  (N, D, D) float64, posterior covariances
    "sources",  #  (N, F) float64, the factors as real numbers of unit variance
    "true_mean",  #  (N, F) float64, mean of the sources given the data, where that is Gaussian
    "true_covariance",  #  (N, F, F) float64, and their covariance
    "decoder_codes",  #  (N, D) float32, what the decoder is given at evaluation for the same images
    "images",  #   (M, C, H, W) float32 in [0, 1], the first M rows
    "decoded",  #  (M, C, H, W) float32, decoder outputs (logits) at the posterior means of the same rows
    "generated",  #  (G, C, H, W) float32, decoder outputs (logits) of draws from N(0, I)
    "train_codes",  #   (N', D) float64, posterior means of training images, where others are held out
    "train_logvar",  #  (N', D) float64, posterior log-variances of the same
    "train_images",  #  (M', C, H, W) float32 in [0, 1], training images, of the same rows as the first M' train_codes
    "train_decoded",  # (M', C, H, W) float32, decoder outputs (logits) at the posterior means of the same rows
]

#: Matplotlib's markers of one letter, but for those too small to see.
MARKERS = tuple("ov^<>12348spP*hH+xXDd")

#: By data set what the authors' code sets otherwise than the method's file: ``{"train": {...}, "hyper": {...}}``.
Published = Mapping[str, Mapping[str, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Info:
    """What anything registered may say.

    Attributes
    ----------
    order : float
        Place in lists and tables; names decide between equals.
    groups : tuple of str
        Names that select it together with others.
    """

    order: float = 50
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.groups, str):
            raise ValueError(f"groups={self.groups!r} is a string, write ({self.groups!r},)")


@dataclass(frozen=True, kw_only=True)
class MethodInfo(Info):
    """Of a method.

    Attributes
    ----------
    label : str
        Name in tables and figures; its own name if empty.
    trains : bool
        False for a control that is only evaluated.
    colour, marker : str
        In figures, as ``"#0072B2"`` and Matplotlib's ``"s"``; where empty, the palette's by a hash of the name.
    dashes : tuple of float or None
        Lengths in points of the line's strokes and gaps by turns, ``()`` for a solid line; None: as for the others.
    published : mapping
        Settings for ``--hyper published``; see `Published`.
    tuning : mapping of str to Range
        Of each hyper-parameter that is worth tuning, where; see `bench.tunable`.
    """

    label: str = ""
    trains: bool = True
    colour: str = ""
    marker: str = ""
    dashes: tuple[float, ...] | None = None
    published: Published = field(default_factory=dict)
    tuning: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.colour and not re.fullmatch("#[0-9a-fA-F]{6}", self.colour):
            raise ValueError(f"colour={self.colour!r} is none: write it as '#0072B2'")
        if self.marker and self.marker not in MARKERS:
            raise ValueError(f"marker={self.marker!r} is none of {' '.join(MARKERS)}")
        if self.dashes and (len(self.dashes) % 2 or min(self.dashes) <= 0):
            raise ValueError(
                f"dashes={self.dashes!r} are no strokes and gaps by turns: write (5, 1.5), or () for a solid line"
            )
        for dataset, tables in self.published.items():
            for table in tables:
                if table not in ("train", "hyper"):
                    raise ValueError(f"published settings on '{dataset}': '{table}' is neither 'train' nor 'hyper'")


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(Info):
    """Of a data set.

    Attributes
    ----------
    label : str
        Name in tables and figures; its own name if empty.
    """

    label: str = ""


@dataclass(frozen=True)
class Score:
    """One column that a metric contributes to the tables.

    Attributes
    ----------
    label : str
        Column heading, with the unit where there is one. ``{option}`` stands for the value of one of the metric's
        options, for those without which the number can't be read (DCI's predictor).
    low, high : float
        Range; infinite where there is no bound.
    higher_is_better : bool or None
        None where neither direction is better (KL).
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool | None = True


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Info):
    """Of a metric.

    Attributes
    ----------
    inputs, optional : tuple of str
        What it is called with, by position, and by keyword where there is such a thing; see `Input`.
    scores : mapping of str to Score
        The keys of its result that become columns.
    cost : {"cheap", "seconds", "minutes"}
        On 10,000 codes of dSprites' five factors, one core.
    """

    inputs: tuple[Input, ...]
    scores: Mapping[str, Score]
    optional: tuple[Input, ...] = ()
    cost: Literal["cheap", "seconds", "minutes"] = "cheap"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = get_args(Input)
        for need in (*self.inputs, *self.optional):
            if need not in known:
                raise ValueError(f"unknown input '{need}'{did_you_mean(need, known)}; there are: {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class FigureInfo(Info):
    """Of a figure, whose `order` is its place in the report: after all others if it isn't given."""

    order: float = 99


@dataclass(frozen=True, kw_only=True)
class NetworkInfo(Info):
    """Of a network.

    Attributes
    ----------
    fits : callable or None
        Whether images of a shape (C, H, W) are of a size that it is made for. Where another network refuses images,
        its message names the first one in lists that fits them; None is never named.
    """

    fits: Callable[[tuple[int, int, int]], bool] | None = None
