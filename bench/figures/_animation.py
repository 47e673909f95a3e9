"""Moving pictures: what a figure function may return in a `Figure`'s place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True)
class Animation:
    """Frames of one size, shown in turn for ever.

    Attributes
    ----------
    frames : tuple of PIL images
        In modes ``L`` or ``RGB``.
    milliseconds : int
        For each.
    """

    frames: tuple[Image.Image, ...]
    milliseconds: int = 150

    def save(self, path: Path) -> None:
        """Write a GIF; the same bytes every time."""
        # One palette for all frames, so that still parts stay still.
        grey = self.frames[0].mode == "L"
        palette = None if grey else self.frames[0].quantize(256)
        first, *others = [frame if palette is None else frame.quantize(palette=palette) for frame in self.frames]
        first.save(path, format="GIF", save_all=True, append_images=others, duration=self.milliseconds, loop=0)
