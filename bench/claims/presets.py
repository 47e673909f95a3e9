"""Presets as claims see them: whether a study kept to one, and how often to take scores at it."""

from __future__ import annotations

from pydantic import ValidationError

from bench.config.hyper_choice import current_spelling
from bench.config.preset_files import presets
from bench.config.study import StudySpec, resolve
from bench.results.study import Study


def is_shipped(study: Study) -> bool:
    """Whether a study's training, data, sample sizes and methods' settings are those of the preset it names."""
    asked = {key: value for key, value in current_spelling(study.meta).items() if key in StudySpec.model_fields}
    if asked.get("preset") not in presets():
        return False
    try:
        spec, plain = StudySpec.model_validate(asked), resolve(str(asked["preset"]))
    except ValidationError:
        return False
    # How often curves are logged and scores are taken moves none at the end.
    often = {name: getattr(plain.train, name) for name in ("log_every", "score_every")}
    same = spec.train.model_copy(update=often) == plain.train
    same &= spec.method == plain.method
    sizes = ("n_codes", "n_images")
    same &= all(getattr(spec.evaluation, name) == getattr(plain.evaluation, name) for name in sizes)
    # Other data sets are no part of the preset; on its own a smaller grid is another study, however it was asked for.
    same &= all(spec.dataset.get(name, {}) == plain.dataset.get(name, {}) for name in plain.datasets)
    return same and not any(item.startswith(f"{name}[") for item in spec.datasets for name in plain.datasets)


def score_every(preset: str) -> int:
    """A twentieth of a preset's steps, as a multiple of ``log_every``; 0 at an unnamed preset."""
    if preset not in presets():
        return 0
    train = resolve(preset).train
    return max(1, round(train.steps / 20 / train.log_every)) * train.log_every
