"""Pictures in PNG or JPEG: decoded within bounds, cropped to squares."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError, reason

#: No larger picture is decoded.
MAX_SIDE = 8192
#: Modes of 8 bits in Pillow's terms, and that of pictures of 1 bit.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def decoded(content: bytes, where: str, *, grey: bool | None = None) -> NDArray[np.uint8]:
    """A picture's pixels.

    Parameters
    ----------
    content : bytes
        Of a PNG or JPEG file.
    where : str
        How messages name it.
    grey : bool, optional
        One channel instead of three; by default as the picture has it.

    Returns
    -------
    ndarray of shape (1 or 3, h, w), uint8
        What is transparent stands on white.

    Raises
    ------
    BenchError
        In one line that names it: no readable picture, too large, more than 8 bits a channel.
    """
    try:
        with warnings.catch_warnings():
            # Pillow remarks on odd chunks and on sizes, which are checked below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
                if max(picture.size) > MAX_SIDE:
                    raise BenchError(f"{where}: is {picture.width}x{picture.height}; needs at most {MAX_SIDE} a side")
                if picture.mode not in MODES:
                    raise BenchError(f"{where}: has more than 8 bits a channel ({picture.mode})")
                return _pixels(picture, grey)
    except BenchError:
        raise
    except Exception as error:
        # Pillow's decoders raise anything on damaged bytes, SyntaxError among it.
        what = "neither PNG nor JPEG" if "cannot identify" in str(error) else reason(error)
        raise BenchError(f"{where}: can't be read as a picture: {what}") from error


def _pixels(picture: Image.Image, grey: bool | None) -> NDArray[np.uint8]:
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        plain = Image.alpha_composite(white, over).convert("L" if picture.mode == "LA" else "RGB")
    else:
        plain = picture
    if grey is None:
        grey = plain.mode in ("1", "L")
    pixels = np.asarray(plain.convert("L" if grey else "RGB"), dtype=np.uint8)
    return pixels[None] if grey else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def centre(image: NDArray[np.uint8], side: int | None = None) -> NDArray[np.uint8]:
    """The square in the middle of a picture (C, h, w), `side` pixels wide; by default as large as fits."""
    _, height, width = image.shape
    side = min(height, width, side or max(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]
