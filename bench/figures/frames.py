"""Moving pictures: what a figure function may return in a `Figure`'s place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

#: Colours of a GIF.
COLOURS = 256
#: Colours whose distances from those are worked out at once.
CHUNK = 4096


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
    """Colour frames with one palette, so that still parts stay still: of all of them, as colours come and go.

    A colour becomes the nearest one of the palette, itself where all frames have few. Dots of several colours in its
    place would flicker, and make the file three times as long.
    """
    arrays = [np.asarray(frame).astype(np.int64) @ [1 << 16, 1 << 8, 1] for frame in frames]
    seen = np.zeros(1 << 24, dtype=bool)
    for array in arrays:
        seen[array] = True
    packed = np.flatnonzero(seen)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    if len(colours) > COLOURS:
        whole = Image.fromarray(np.concatenate([np.asarray(frame)[::2, ::2] for frame in frames]))
        raw = whole.quantize(COLOURS, method=Image.Quantize.MEDIANCUT).getpalette() or []
        palette = np.array(raw, dtype=np.int64).reshape(-1, 3)[:COLOURS]
    else:
        palette = colours
    number = np.zeros(1 << 24, dtype=np.uint8)
    for start in range(0, len(colours), CHUNK):
        part = slice(start, start + CHUNK)
        number[packed[part]] = ((colours[part, None] - palette) ** 2).sum(axis=2).argmin(axis=1)
    out = []
    for array in arrays:
        image = Image.fromarray(number[array])
        image.putpalette(palette.astype(np.uint8).tobytes())
        out.append(image)
    return out
