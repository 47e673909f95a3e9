"""Two studies to compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers.comparison import by_seed
from helpers.synthetic import Build


@pytest.fixture
def studies(study_builder: Build) -> Callable[..., tuple[Path, Path]]:
    """Two studies of one method each, from their scores by seed."""

    def build(a: Mapping[str, Any], b: Mapping[str, Any], **of_b: Any) -> tuple[Path, Path]:
        paths = []
        for name, scores, changes in (("a", a, {}), ("b", b, of_b)):
            builder = study_builder(name)
            for seed in sorted({seed for values in scores.values() for seed in by_seed(values)}):
                chosen = {score: by_seed(values)[seed] for score, values in scores.items() if seed in by_seed(values)}
                builder.run("vae", seed, chosen, **changes)
            paths.append(builder.study())
        return paths[0], paths[1]

    return build
