"""A report's figures: which there are, how they are saved, and how several processes share them."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loky.process_executor import BrokenProcessPool
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
#: Runs of a study below which other processes would take longer to start than to draw.
SHARED_FROM = 20
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


@contextmanager
def pictures(
    study: Study,
    folder: Path,
    begun: Path,
    n_jobs: int = 1,
    names: Sequence[str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Callable[[], list[Picture]]]:
    """Draw a study's figures, the same bytes by however many processes.

    Parameters
    ----------
    study : Study
    folder : Path
        For ``fig_<name>.{png,pdf}`` and ``fig_<name>.gif``.
    begun : Path
        For the processes' notes on who draws what; not there yet.
    n_jobs : int
        Processes, this one included; the others begin at once.
    names : sequence of str, optional
        Figures; by default those that the study asks for, or all.
    tell : callable, optional
        Called with a line for every figure that is left out because its function raises.

    Yields
    ------
    callable
        Draws here what no other process has begun, waits for them, and gives all figures in order.
    """
    wanted = _wanted(study, names)
    # The collector would go through all modules again and again, which makes a sixth of a report's time.
    ours_to_thaw = gc.get_freeze_count() == 0
    gc.freeze()
    try:
        if n_jobs == 1 or len(study.runs) < SHARED_FROM:
            yield lambda: _in_order({entry.name: draw(study, entry, folder) for entry in wanted}, tell)
            return
        begun.mkdir()
        # What others have registered may be known in this process only.
        ours = [entry.name for entry in wanted if _is_ours(entry)]
        helpers = min(n_jobs, MOST, len(ours)) - 1
        with processes.crew([processes.worker_environment(1)] * helpers) as crew:
            # Here and now: loky would do it in a thread, while figures drawn here add to what the study keeps.
            sent = pickle.dumps(study)
            futures = [worker.submit(_help, sent, ours, folder, begun, loaded_plugins()) for worker in crew]

            def take() -> list[Picture]:
                drawn = _share(study, wanted, folder, begun)
                for future in futures:
                    # Killed, for want of memory perhaps: its figures are drawn here.
                    with suppress(BrokenProcessPool):
                        drawn |= future.result()
                for entry in wanted:
                    if entry.name not in drawn:
                        drawn[entry.name] = draw(study, entry, folder)
                return _in_order({entry.name: drawn[entry.name] for entry in wanted}, tell)

            yield take
    finally:
        if ours_to_thaw:
            gc.unfreeze()


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


def _in_order(drawn: Mapping[str, Drawn], tell: Callable[[str], None] | None) -> list[Picture]:
    for name, each in drawn.items():
        if each.error and tell is not None:
            tell(f"figure '{name}' is left out: {each.error}")
    return [picture for each in drawn.values() for picture in each.pictures]


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


def _share(study: Study, entries: Sequence[FigureEntry], folder: Path, begun: Path) -> dict[str, Drawn]:
    """Draw figures that no other process has begun."""
    drawn = {}
    for entry in entries:
        try:
            (begun / entry.name).mkdir()
        except FileExistsError:
            continue
        drawn[entry.name] = draw(study, entry, folder)
    return drawn


def _help(sent: bytes, names: Sequence[str], folder: Path, begun: Path, plugins: Sequence[Path]) -> dict[str, Drawn]:
    """`_share` in another process."""
    for plugin in plugins:
        load_plugin(plugin)
    entries = [FIGURES.get(name) for name in names]
    study: Study = pickle.loads(sent)  # noqa: S301  (from the process that began this one, never from a file)
    gc.freeze()
    return _share(study, entries, folder, begun)


def _caption(function: Any, part: str) -> str:
    """Return the first two paragraphs of the figure's docstring, on one line."""
    paragraphs = [" ".join(text.split()) for text in (function.__doc__ or "").split("\n\n")]
    kept = [text for text in paragraphs[:2] if text and "----" not in text]
    return " ".join([*kept, f"({part})" if part else ""]).strip()
