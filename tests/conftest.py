"""Fixtures that tests of several packages share."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# Beside other workers of pytest-xdist, and before NumPy and torch start as many threads as there are cores.
os.environ.update({"OMP_NUM_THREADS": "1"} if "PYTEST_XDIST_WORKER" in os.environ else {})

import pytest

from helpers.paths import REFERENCE
from helpers.synthetic import StudyBuilder

#: Tests of the documentation's plug-ins, which are run as their authors would: in a process of their own.
collect_ignore = ["examples"]

# A shell's background jobs ignore Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def blobs() -> tuple[Any, Any]:
    """Return small data to train on and their images in memory, with torch set up for one thread."""
    from bench.data.images import ImageStore
    from bench.training import torch_setup
    from helpers.blobs import Blobs

    torch_setup.settings(1)
    dataset = Blobs()
    return dataset, ImageStore(dataset)


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a caller of the command line in an empty folder: words to (exit code, stdout, stderr)."""
    from bench.cli.main import main

    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture(scope="session")
def reference_study() -> Iterator[Callable[[str], Path]]:
    """Return the folder of a committed study by its name; an archive is unpacked once."""
    from bench.sharing.opening import locate, opened

    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(opened(locate(name, REFERENCE))))


@pytest.fixture
def study_builder(tmp_path: Path) -> Callable[..., StudyBuilder]:
    """Return a factory of builders of study folders under ``tmp_path/results``."""

    def build(folder: str = "toy", **meta: Any) -> StudyBuilder:
        return StudyBuilder(tmp_path / "results" / folder, folder, meta)

    return build


@pytest.fixture
def no_figures() -> Iterator[None]:
    """Reports without their figures, which take seconds."""
    from bench.registry import FIGURES

    with FIGURES.override(only=()):
        yield
