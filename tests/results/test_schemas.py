"""Records of runs: what notes under a table and figures would stumble over is refused where the record is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.results.schemas import ResultRecord

PLAIN = {"status": "ok", "scores": {"mig": 0.5}}


@pytest.mark.parametrize(
    "more",
    [
        {"remarks": 5},
        {"remarks": [5]},
        {"label_names": "cat"},
        {"details": {"linear_probe": {"chance": "a tenth"}}},
        {"details": {"linear_probe": {"classes": 10}}},
        {"details": {"reconstruction": {"bce_floor": []}}},
    ],
)
def test_what_reports_would_stumble_over_is_refused(more):
    with pytest.raises(ValidationError):
        ResultRecord.model_validate(PLAIN | more)


def test_what_runs_write_is_taken():
    details = {"linear_probe": {"chance": 0.1, "classes": [0, 1], "scatter": {}}, "reconstruction": {"bce_floor": 3.5}}
    ResultRecord.model_validate(PLAIN | {"remarks": ["odd"], "label_names": ["cat", "dog"], "details": details})
