"""Kinds of damage to a stored run, done to its folder; and runs with all the checksums that the runner records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.files import sha256, write_json
from bench.results.record import seal

FILES = ("spec.json", "curves.csv", "weights.safetensors", "scores_by_step.csv")

Damage = Callable[[Path], object]


def record(study: Path) -> Path:
    """Give the runs of a synthetic study weights, scores by step, and what the runner records of its files."""
    for folder in (study / "runs").iterdir():
        (folder / "weights.safetensors").write_bytes(folder.name.encode() * 100)
        (folder / "scores_by_step.csv").write_text("step,mig\n1500,0.1\n3000,0.2\n")
        (folder / "spec.json").write_text(json.dumps(json.loads((folder / "spec.json").read_text()), indent=1))
        result = json.loads((folder / "result.json").read_text())
        result["files"] = {name: sha256(folder / name) for name in FILES}
        result["sizes"] = {name: (folder / name).stat().st_size for name in FILES}
        write_json(folder / "result.json", seal(result))
    return study


def flip(name: str, place: float = 0.5) -> Damage:
    """Flip one bit of a file, at some share of its length."""

    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(place * len(content))] ^= 1
        (folder / name).write_bytes(content)

    return damage


def edit(name: str, old: str, new: str) -> Damage:
    """Replace the first occurrence of a text by one of the same length."""

    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        assert len(old) == len(new)
        (folder / name).write_text(text.replace(old, new, 1))

    return damage


def cut(name: str) -> Damage:
    """Keep the first half of a file."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def remove(name: str) -> Damage:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def swap_results(folder: Path) -> None:
    """Put another run's result in its place."""
    other = next(each for each in sorted(folder.parent.iterdir()) if each != folder)
    shutil.copy(other / "result.json", folder)


def edit_score(folder: Path) -> None:
    """Set a score to another value, as an editor would."""
    result = json.loads((folder / "result.json").read_text())
    result["scores"]["mig"] = 0.99
    write_json(folder / "result.json", result)


def edit_without_checksum(folder: Path) -> None:
    """Set a score to another value and take the checksum away."""
    result = json.loads((folder / "result.json").read_text())
    result["scores"]["mig"] = 0.99
    del result["checksum"]
    write_json(folder / "result.json", result)


#: What every reader of a study sees, whatever it reads it for: kind to the damaged file and the damage.
SEEN: dict[str, tuple[str, Damage]] = {
    "an edited score": ("result.json", edit_score),
    "an edited score without its checksum": ("result.json", edit_without_checksum),
    "a flipped bit in the result": ("result.json", flip("result.json", 0.9)),
    "a cut result": ("result.json", cut("result.json")),
    "another run's result": ("result.json", swap_results),
    "another seed in the spec": ("spec.json", edit("spec.json", '"seed": 1', '"seed": 2')),
    "another step size in the spec": ("spec.json", edit("spec.json", "0.0005", "0.0007")),
    "another sample in the spec": ("spec.json", edit("spec.json", '"n_images": 512', '"n_images": 511')),
    "a missing spec": ("spec.json", remove("spec.json")),
    "cut curves": ("curves.csv", cut("curves.csv")),
    "missing curves": ("curves.csv", remove("curves.csv")),
    "missing scores by step": ("scores_by_step.csv", remove("scores_by_step.csv")),
    "cut weights": ("weights.safetensors", cut("weights.safetensors")),
}
#: What is seen where files are read whole, and where they are used.
HIDDEN: dict[str, tuple[str, Damage]] = {
    "a flipped bit in the weights": ("weights.safetensors", flip("weights.safetensors")),
    "an edited curve": ("curves.csv", flip("curves.csv", 0.7)),
    "edited scores by step": ("scores_by_step.csv", edit("scores_by_step.csv", "0.1", "0.9")),
}
#: What costs no number, and is told where files are read whole.
HARMLESS: dict[str, tuple[str, Damage]] = {"missing weights": ("weights.safetensors", remove("weights.safetensors"))}
ALL = SEEN | HIDDEN | HARMLESS
