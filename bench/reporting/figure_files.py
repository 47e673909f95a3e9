"""A report's figures: which there are, how they are saved, and how several processes share them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from bench.errors import BenchError, in_words
from bench.execution import processes
from bench.figures.axes import style
from bench.figures.frames import Animation
from bench.registry import FIGURES, FigureEntry, load_plugin, loaded_plugins
from bench.results.study import Study

DPI = 200
#: Shades of grey in figures without colour.
GREYS = 64
#: Colours, the commonest of a figure, that its palette has exactly.
COMMON = 128
#: Runs of a study below which one process draws: on two cores two took 18 to 23 s for 60 runs, one 7 to 10, since every
#: process imports anew what it draws with.
SHARED_FROM = 1_000
#: Processes that draw, at most: more take longer to start than they save.
MOST = 4

#: Stem and caption of a figure.
Picture = tuple[str, str]


@dataclass(frozen=True)
class Drawn:
    """What came of a figure's function: figures, and why there are no more.

    Attributes
    ----------
    pictures : tuple of Picture
    error : str
        What went wrong, in one line; empty if nothing did.
    """

    pictures: tuple[Picture, ...] = ()
    error: str = ""


def pictures(
    study: Study,
    folder: Path,
    n_jobs: int = 1,
    names: Sequence[str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Picture]:
    """Draw a study's figures, the same bytes by however many processes.

    Parameters
    ----------
    study : Study
    folder : Path
        For ``fig_<name>.{png,pdf}`` and ``fig_<name>.gif``.
    n_jobs : int
        Processes that draw.
    names : sequence of str, optional
        Figures; by default those that the study asks for, or all.
    tell : callable, optional
        Called with a line for every figure that is left out because its function raises.

    Returns
    -------
    list of Picture
        In the order of the figures.
    """
    wanted = _wanted(study, names)
    # What others have registered may be known in this process only.
    ours = [entry.name for entry in wanted if _is_ours(entry)]
    n_jobs = min(n_jobs, MOST, len(ours)) if len(study.runs) >= SHARED_FROM else 1
    drawn: dict[str, Drawn] = {}
    if n_jobs > 1:
        share = delayed(_draw_elsewhere)
        shares = [share(study, ours[k::n_jobs], folder, loaded_plugins()) for k in range(n_jobs)]
        # A process was killed, for want of memory perhaps: its figures are drawn here.
        with suppress(BrokenProcessPool):
            for part in Parallel(n_jobs, initializer=processes.start_worker)(shares):
                drawn |= part
    with _modules_left_alone():
        drawn |= {entry.name: draw(study, entry, folder) for entry in wanted if entry.name not in drawn}
    for entry in wanted:
        if (error := drawn[entry.name].error) and tell is not None:
            tell(f"figure '{entry.name}' is left out: {error}")
    return [picture for entry in wanted for picture in drawn[entry.name].pictures]


def draw(study: Study, entry: FigureEntry, folder: Path) -> Drawn:
    """Draw what one function makes of a study, which may be several figures, or none.

    Raises
    ------
    BenchError
        What a figure of ours says of damaged results. Any other error is kept: it costs this figure, not the report.
    OSError
        If a figure can't be written.
    """
    out: list[Picture] = []
    with style():
        try:
            drawn = entry.value(study)
        except Exception as error:
            if isinstance(error, BenchError) and _is_ours(entry):
                raise
            return Drawn(error=_in_one_line(error))
        # None and an empty dictionary alike: the study lacks what the figure is about.
        parts = drawn if isinstance(drawn, dict) else {"": drawn} if drawn is not None else {}
        for part, figure in parts.items():
            stem = f"fig_{entry.name}" + (f"_{part}" if part else "")
            try:
                if isinstance(figure, Animation):
                    figure.save(folder / f"{stem}.gif")
                else:
                    save_figure(figure, folder / stem)
            except OSError:
                raise
            except Exception as error:
                for suffix in ("png", "pdf", "gif"):
                    (folder / f"{stem}.{suffix}").unlink(missing_ok=True)
                return Drawn(tuple(out), _in_one_line(error))
            out.append((stem, _caption(entry.value, part)))
    return Drawn(tuple(out))


def _in_one_line(error: Exception) -> str:
    return (in_words(error).splitlines() or [""])[0]


def _is_ours(entry: FigureEntry) -> bool:
    return bool(entry.value.__module__.startswith("bench.figures."))


def save_figure(figure: Figure, path: Path) -> None:
    """Save as ``<path>.png`` (200 dpi) and ``<path>.pdf``, both the same bytes every time.

    The PNG has a palette unless there is a colour bar, in which it would show steps.
    """
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    shades = any(axes.get_label() == "<colorbar>" for axes in figure.axes)
    drawn = Image.fromarray(np.ascontiguousarray(pixels)) if shades else with_palette(pixels)
    drawn.save(path.with_name(f"{path.name}.png"), optimize=True, dpi=(DPI, DPI))
    # The layout is the costly part and has been settled by the first drawing.
    figure.set_layout_engine(None)
    plain = {"Creator": "Disbench", "Producer": "Disbench", "CreationDate": None}
    figure.savefig(path.with_name(f"{path.name}.pdf"), dpi=DPI, metadata=plain)


def with_palette(pixels: NDArray[np.uint8]) -> Image.Image:
    """Reduce a picture (H, W, 3) to 256 colours, or `GREYS` if it is grey: a third of the bytes, no visible change."""
    if (pixels == pixels[..., :1]).all():
        shades = Image.fromarray(np.rint(pixels[..., 0] * ((GREYS - 1) / 255)).astype(np.uint8))
        shades.putpalette([round(255 * shade / (GREYS - 1)) for shade in range(GREYS) for _ in range(3)])
        return shades
    codes = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    _, first, inverse, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    colours = pixels.reshape(-1, 3)[first]
    order = np.argsort(-counts, kind="stable")
    exact, rest = colours[order[:COMMON]], colours[order[COMMON:]]
    if len(rest):
        # Edges of lines and letters: mixtures, each of few pixels.
        cut = Image.fromarray(rest[None]).quantize(256 - COMMON, method=Image.Quantize.MEDIANCUT)
        exact = np.concatenate([exact, np.array(cut.getpalette(), dtype=np.uint8).reshape(-1, 3)])
    nearest = np.asarray(cKDTree(exact.astype(np.float64)).query(colours.astype(np.float64))[1], dtype=np.uint8)
    reduced = Image.fromarray(nearest[inverse].reshape(pixels.shape[:2]))
    reduced.putpalette(exact.ravel().tolist())
    return reduced


def _wanted(study: Study, names: Sequence[str] | None) -> list[FigureEntry]:
    asked = study.meta.get("figures") or None if names is None else dict.fromkeys(names)
    wanted = list(FIGURES) if asked is None else [FIGURES.get(name) for name in asked]
    return sorted(wanted, key=lambda entry: (entry.info.order, entry.name))


def _draw_elsewhere(study: Study, names: Sequence[str], folder: Path, plugins: Sequence[Path]) -> dict[str, Drawn]:
    """`draw` several figures in another process."""
    for plugin in plugins:
        load_plugin(plugin)
    with _modules_left_alone():
        return {name: draw(study, FIGURES.get(name), folder) for name in names}


@contextmanager
def _modules_left_alone() -> Iterator[None]:
    """Keep the collector from going through all modules again and again: a sixth of the time of figures."""
    ours_to_thaw = gc.get_freeze_count() == 0
    gc.freeze()
    try:
        yield
    finally:
        if ours_to_thaw:
            gc.unfreeze()


def _caption(function: Any, part: str) -> str:
    """Return the first two paragraphs of the figure's docstring, on one line."""
    paragraphs = [" ".join(text.split()) for text in (function.__doc__ or "").split("\n\n")]
    kept = [text for text in paragraphs[:2] if text and "----" not in text]
    return " ".join([*kept, f"({part})" if part else ""]).strip()
