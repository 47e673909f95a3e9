"""Pictures of colour and of grey images, codes by class, and what figures say of squared errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.evaluation.montages import grid
from bench.figures import (
    animation,
    class_scatter,
    curves,
    rate_distortion,
    reconstructions,
    samples,
    tradeoff,
    traversals,
)
from bench.figures.axes import style
from bench.figures.frames import Animation, halved
from bench.reporting.tables import make_table
from bench.results.likelihood import likelihood_of, reconstruction_score
from bench.results.study import Study, read_study
from helpers.synthetic import Build

LATENTS = 6
SQUARED = {"dataset": {"name": "npz", "version": 1, "options": {"likelihood": "gaussian"}, "sha256": "cd" * 32}}


def picture(shape: tuple[int, int, int]) -> np.ndarray:
    """Red above and blue below if it has colour, light above and dark below if it hasn't."""
    image = np.zeros(shape)
    if shape[0] == 3:
        image[0, : shape[1] // 2] = image[2, shape[1] // 2 :] = 1.0
    else:
        image[0, : shape[1] // 2] = 0.6
    return image


def with_pictures(study_builder: Build, shape: tuple[int, int, int]) -> Study:
    builder = study_builder()
    run = builder.run("vae", 0, {"kl": 1.0, "reconstruction_bce": 20.0})
    for name, (rows, columns) in {"traversals": (LATENTS, 30), "reconstructions": (2, 10), "samples": (2, 10)}.items():
        pixels = grid(np.tile(picture(shape), (rows, columns, 1, 1, 1)))
        file = builder.root / "runs" / run / f"{name}.png"
        Image.fromarray(pixels if shape[0] == 3 else pixels[..., 0]).save(file)
    return read_study(builder.study())


def drawn(figure: Any) -> np.ndarray:
    """RGB of a figure as it is drawn."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Share of pixels that have this colour."""
    return float((np.abs(pixels - np.array(colour)).max(axis=2) < 6).mean())


@pytest.mark.parametrize("size", [(28, 28), (48, 32), (32, 48)])
@pytest.mark.parametrize("figure", [reconstructions.reconstructions, samples.samples, traversals.traversals])
def test_colour_is_drawn_in_colour(study_builder: Build, figure: Any, size: tuple[int, int]) -> None:
    with style():
        pixels = drawn(figure(with_pictures(study_builder, (3, *size))))
    red, blue = share(pixels, (255, 0, 0)), share(pixels, (0, 0, 255))
    assert red > 0.2
    assert red == pytest.approx(blue, rel=0.25)


@pytest.mark.parametrize("size", [(28, 28), (48, 32), (32, 48)])
@pytest.mark.parametrize("figure", [reconstructions.reconstructions, samples.samples, traversals.traversals])
def test_grey_is_drawn_in_grey_as_light_as_it_is(study_builder: Build, figure: Any, size: tuple[int, int]) -> None:
    with style():
        pixels = drawn(figure(with_pictures(study_builder, (1, *size))))
    assert np.ptp(pixels, axis=2).max() == 0
    assert share(pixels, (153, 153, 153)) > 0.2
    assert share(pixels, (0, 0, 0)) > 0.2


@pytest.mark.parametrize(("shape", "mode"), [((3, 28, 28), "RGB"), ((1, 28, 28), "L"), ((3, 96, 64), "RGB")])
def test_films_have_the_colours_and_the_shape_of_the_images(
    study_builder: Build, tmp_path: Path, shape: tuple[int, int, int], mode: str
) -> None:
    (film,) = animation.animation(with_pictures(study_builder, shape)).values()
    frame = film.frames[0]
    zoom = 1 if max(shape[1:]) > 64 else animation.LEAST
    assert frame.mode == mode
    assert frame.size == (3 * shape[2] * zoom, (LATENTS * (shape[1] + 1) - 1) * zoom)
    film.save(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    light, dark = ((255, 0, 0), (0, 0, 255)) if shape[0] == 3 else ((153, 153, 153), (0, 0, 0))
    assert np.abs(shown[0, 0] - light).max() <= 9
    assert np.abs(shown[shape[1] * zoom - 1, 0] - dark).max() <= 9


def test_a_film_has_the_colours_of_all_its_frames(tmp_path: Path) -> None:
    # 300 colours in stripes, none of them in the first frame, which is white.
    stripes = np.random.default_rng(0).integers(0, 256, (60, 1, 5, 3), dtype=np.uint8)
    frames = [np.full((8, 5, 3), 255, dtype=np.uint8), *stripes.repeat(8, axis=1)]
    Animation(tuple(map(Image.fromarray, frames))).save(tmp_path / "film.gif")
    off = []
    with Image.open(tmp_path / "film.gif") as image:
        for place, frame in enumerate(frames):
            image.seek(place)
            shown = np.asarray(image.convert("RGB")).astype(int)
            assert np.ptp(shown, axis=0).max() == 0  # no dots of other colours
            off += np.abs(shown[0] - frame[0]).max(axis=1).tolist()
    assert np.median(off) <= 8


@pytest.mark.parametrize("channels", [1, 3])
def test_doubled_pixels_are_halved_in_colour_and_in_grey(tmp_path: Path, channels: int) -> None:
    small = 17 * np.random.default_rng(0).integers(0, 4, (3, 6, 6, channels), dtype=np.uint8)
    large = [frame.repeat(2, axis=0).repeat(2, axis=1) for frame in small]
    Animation(tuple(Image.fromarray(f if channels == 3 else f[..., 0]) for f in large)).save(tmp_path / "large.gif")
    (tmp_path / "small.gif").write_bytes(halved(tmp_path / "large.gif"))
    with Image.open(tmp_path / "small.gif") as image:
        assert (image.size, image.n_frames) == ((6, 6), 3)
        image.seek(2)
        assert np.array_equal(np.asarray(image.convert("RGB")), np.broadcast_to(small[2], (6, 6, 3)))


def test_traversals_of_high_images_take_more_pages(study_builder: Build) -> None:
    pages = {}
    for shape in ((1, 16, 16), (1, 32, 16)):
        builder = study_builder(str(shape[1]))
        for beta in range(1, 6):
            run = builder.run("beta_vae", 0, {"kl": 1.0}, hyper={"beta": float(beta)})
            pixels = grid(np.tile(picture(shape), (LATENTS, 30, 1, 1, 1)))[..., 0]
            Image.fromarray(pixels).save(builder.root / "runs" / run / "traversals.png")
        found = traversals.traversals(read_study(builder.study()))
        pages[shape[1]] = [len(page.axes) for page in found.values()] if isinstance(found, dict) else len(found.axes)
    assert pages == {16: 5, 32: [2, 2, 1]}


def probe(accuracy: float, explained: float) -> dict[str, Any]:
    codes = [[0.0, 1.0, 2.0, 3.0], [0.5, 0.25, 0.0, -0.25]]
    scatter = {"latents": [4, 1], "explained": [explained, 0.1], "codes": codes, "labels": [0, 0, 2, 1]}
    return {
        "scores": {"linear_probe": accuracy, "kl": 2.0, "reconstruction_bce": 30.0},
        "details": {
            "linear_probe": {"scatter": scatter, "chance": 0.25, "classes": [0, 1, 2]},
            "reconstruction": {"bce_floor": 12.25},
        },
        "label_names": ["cat", "dog", "owl"],
    }


def labelled(study_builder: Build) -> Study:
    builder = study_builder()
    for method, accuracy, explained in (("vae", 0.75, 0.5), ("untrained", 0.5, 0.05)):
        result = probe(accuracy, explained)
        builder.run(method, 0, result.pop("scores"), result=result)
    return read_study(builder.study(methods=["vae", "untrained"]))


def test_codes_are_drawn_by_class(study_builder: Build) -> None:
    study = labelled(study_builder)
    figure = class_scatter.class_scatter(study)
    first, second = (axes for axes in figure.axes if axes.get_visible())
    assert first.get_title().endswith("linear probe 0.750, chance 0.250")
    assert (first.get_xlabel(), first.get_ylabel()) == ("z4 (50%)", "z1 (10%)")
    points = {line.get_marker(): line.get_xydata().tolist() for line in first.lines}
    assert points == {"o": [[0.0, 0.5], [1.0, 0.25]], "s": [[3.0, -0.25]], "^": [[2.0, 0.0]]}
    assert [text.get_text() for text in first.texts] == ["cat", "dog", "owl"]
    assert second.get_title().startswith("untrained")
    assert not second.texts  # names of classes that aren't apart would lie on top of each other
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog", "owl"]


def test_no_two_of_ten_classes_look_alike() -> None:
    looks = [(class_scatter.SHAPES[k % len(class_scatter.SHAPES)]) for k in range(10)]
    assert len(set(looks)) == 10


def test_tables_say_chance_and_the_least_cross_entropy(study_builder: Build) -> None:
    study = labelled(study_builder)
    notes = make_table(study, "dsprites").notes
    assert any(note.startswith("Chance of the linear probe is 0.250") and "of 3 classes" in note for note in notes)
    assert any("no BCE is below 12.2 nats" in note for note in notes)
    binary = read_study(study_builder("binary").fill([0], ["vae"], rows=3))
    assert not any("BCE" in note or "chance" in note.lower() for note in make_table(binary, "dsprites").notes)


def test_figures_of_data_with_squared_errors_show_squared_errors(study_builder: Build) -> None:
    study = read_study(study_builder("squared").fill([0, 1], ["vae", "beta_vae"], rows=3, **SQUARED))
    (name,) = study.datasets
    assert (likelihood_of(study, name), reconstruction_score(study, name)) == ("gaussian", "reconstruction_mse")
    assert rate_distortion.rate_distortion(study).axes[0].get_ylabel() == "Distortion: MSE (per pixel)"
    assert tradeoff.tradeoff(study).axes[0].get_xlabel().endswith("MSE (per pixel)")
    assert curves.curves(study).axes[0].get_ylabel() == "Reconstruction (squared error)"
    assert any(note.startswith("Trained on the squared error") for note in make_table(study, name).notes)
    plain = read_study(study_builder("plain").fill([0, 1], ["vae", "beta_vae"], rows=3))
    assert reconstruction_score(plain, "dsprites") == "reconstruction_bce"
    assert curves.curves(plain).axes[0].get_ylabel() == "Reconstruction (nats)"


def test_samples_are_of_trained_methods_that_have_them(study_builder: Build) -> None:
    builder = study_builder()
    for method, seed in (("vae", 0), ("vae", 1), ("beta_vae", 1), ("factor_vae", 0), ("untrained", 0)):
        run = builder.run(method, seed, {"kl": 1.0})
        if method != "factor_vae":
            pixels = grid(np.tile(picture((3, 8, 8)), (2, 10, 1, 1, 1)))
            Image.fromarray(pixels).save(builder.root / "runs" / run / "samples.png")
    figure = samples.samples(read_study(builder.study()))
    assert not isinstance(figure, dict)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.images]
    assert titles == ["VAE, seed 0, 3,000 steps", "β-VAE, seed 1, 3,000 steps"]


def test_runs_without_samples_have_no_figure_of_them(study_builder: Build) -> None:
    builder = study_builder()
    builder.run("vae", 0, {"kl": 1.0})
    assert samples.samples(read_study(builder.study())) == {}


def test_a_table_says_what_its_data_are_remarked_with(study_builder: Build) -> None:
    builder = study_builder()
    for seed in (0, 1):
        builder.run("vae", seed, {"kl": 1.0}, result={"remarks": ["its factors don't multiply out"]})
    notes = make_table(read_study(builder.study()), "dsprites").notes
    assert [note for note in notes if "multiply" in note] == ["Its factors don't multiply out."]
