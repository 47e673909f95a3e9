"""Moving pictures: what a figure function may return in a `Figure`'s place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence


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
        path.write_bytes(self.encoded())

    def encoded(self) -> bytes:
        """The GIF that `save` writes."""
        # One palette for all frames, so that still parts stay still.
        grey = self.frames[0].mode == "L"
        palette = None if grey else self.frames[0].quantize(256)
        first, *others = [frame if palette is None else frame.quantize(palette=palette) for frame in self.frames]
        out = io.BytesIO()
        first.save(out, format="GIF", save_all=True, append_images=others, duration=self.milliseconds, loop=0)
        return out.getvalue()


def halved(path: Path) -> bytes:
    """A GIF of `Animation.save` with every second pixel of every second line, if it is grey and that is all of it.

    Otherwise as it is: a browser can double pixels as well as a file does.
    """
    with Image.open(path) as image:
        duration = int(image.info["duration"])
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    small = [frame[::2, ::2, 0] for frame in frames]
    again = (frame.repeat(2, axis=0).repeat(2, axis=1)[..., None] for frame in small)
    if not all(a.shape[:2] == b.shape[:2] and (a == b).all() for a, b in zip(again, frames, strict=True)):
        return path.read_bytes()
    return Animation(tuple(map(Image.fromarray, small)), duration).encoded()
