"""Moving pictures: what a figure function may return in a `Figure`'s place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

#: Colours of a GIF.
COLOURS = 256


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
        first, *others = self.frames if self.frames[0].mode == "L" else _in_one_palette(self.frames)
        out = io.BytesIO()
        first.save(out, format="GIF", save_all=True, append_images=others, duration=self.milliseconds, loop=0)
        return out.getvalue()


def halved(path: Path) -> bytes:
    """A GIF of `Animation.save` with every second pixel of every second line, if that is all of it.

    Otherwise as it is: a browser can double pixels as well as a file does.
    """
    with Image.open(path) as image:
        duration = int(image.info["duration"])
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    small = [frame[::2, ::2] for frame in frames]
    again = (frame.repeat(2, axis=0).repeat(2, axis=1) for frame in small)
    if not all(a.shape == b.shape and (a == b).all() for a, b in zip(again, frames, strict=True)):
        return path.read_bytes()
    if all((frame == frame[..., :1]).all() for frame in small):
        small = [frame[..., 0] for frame in small]
    return Animation(tuple(map(Image.fromarray, small)), duration).encoded()


def _in_one_palette(frames: tuple[Image.Image, ...]) -> list[Image.Image]:
    """Colour frames with one palette, so that still parts stay still: of all of them, as colours may come and go.

    A colour becomes the nearest one of the palette. Dots of several colours in its place would flicker, and triple the
    file.
    """
    arrays = [np.asarray(frame) for frame in frames]
    colours = np.unique(np.concatenate([array[::2, ::2].reshape(-1, 3) for array in arrays]), axis=0)
    if len(colours) > COLOURS:
        everything = Image.fromarray(np.concatenate([array[::2, ::2] for array in arrays], axis=0))
        palette = everything.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    else:
        palette = Image.new("P", (1, 1))
        palette.putpalette(colours.astype(np.uint8).tobytes())
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
