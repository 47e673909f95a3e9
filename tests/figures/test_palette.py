"""How methods look: what they register, and what they get without."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex

from bench.errors import BenchError
from bench.figures.palette import looks, looks_of, method_dashes, method_look
from bench.method import Method, register_method
from bench.registry import METHODS
from bench.results.study import read_study

#: Colour, marker and line style of the methods that figures of committed reports show.
LOOKS = {
    "vae": ("#000000", "o", "solid"),
    "beta_vae": ("#0072B2", "s", (0, (5, 1.5))),
    "annealed_vae": ("#56B4E9", "^", (0, (5, 1.5, 1, 1.5))),
    "factor_vae": ("#009E73", "D", (0, (1, 1))),
    "control_vae": ("#E69F00", "v", (0, (3, 1, 1, 1, 1, 1))),
    "dynamic_vae": ("#D55E00", "P", "solid"),
    "beta_tcvae": ("#CC79A7", "<", (0, (7, 2))),
    "dip_vae": ("#B8A800", "h", (0, (6, 1, 1, 1))),
    "info_vae": ("#8C564B", "p", (0, (3, 2))),
    "sigma_vae": ("#5E4FA2", "8", (0, (1, 2))),
    "switch_beta": ("#1B7F8C", "d", (0, (8, 2, 2, 2))),
    "two_stage": ("#A6192E", ">", (0, (2, 1))),
    "autoencoder": ("#404040", "1", (0, (1, 1.5))),
    "pca": ("#909090", "2", (0, (6, 2))),
    "untrained": ("#6f6f6f", "X", (0, (4, 3))),
    "full_covariance_vae": ("#B8A800", "h", (0, (6, 1, 1, 1))),  # registered without a look
    "warm_vae": ("#B8A800", "h", (0, (6, 1, 1, 1))),  # not registered
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_method_looks_as_it_always_did(name):
    assert (*method_look(name), method_dashes(name)) == LOOKS[name]


def test_no_two_of_our_methods_look_alike():
    own = [entry.info for entry in METHODS if entry.info.colour]
    for facts in ("colour", "marker"):
        assert len({getattr(info, facts) for info in own}) == len(own)


def test_variations_of_the_only_method_take_the_other_methods_looks_in_their_order(study_builder):
    builder = study_builder()
    for beta in range(1, 15):
        builder.run("beta_vae", 0, {"kl": 1.0}, hyper={"beta": float(beta)})
    builder.run("untrained", 0, {"kl": 1.0})
    found = looks(read_study(builder.study()))
    shown = [to_hex(found[f"β-VAE (beta={beta})"].colour) for beta in range(1, 15)]
    names = ["beta_vae", *(name for name in list(LOOKS)[:14] if name != "beta_vae")]
    assert shown == [LOOKS[name][0].lower() for name in names]


def test_a_method_brings_its_look():
    class Mine(Method):
        """A method."""

    with METHODS.override():
        register_method("mine", colour="#123456", marker="*", dashes=(4, 1))(Mine)
        assert (*method_look("mine"), method_dashes("mine")) == ("#123456", "*", (0, (4, 1)))
        (look,) = looks_of("mine", ["Mine"]).values()
        assert (to_hex(look.colour), look.marker) == ("#123456", "*")
    # What is left out is the palette's, as for a name that nobody registered.
    default = (*method_look("mine"), method_dashes("mine"))
    with METHODS.override():
        register_method("mine", colour="#123456")(Mine)
        assert (*method_look("mine"), method_dashes("mine")) == ("#123456", *default[1:])


@pytest.mark.parametrize(
    ("look", "message"),
    [
        ({"colour": "red"}, "method 'mine': colour='red' is none: write it as '#0072B2'"),
        ({"marker": "Z"}, "method 'mine': marker='Z' is none of o v"),
        ({"dashes": (3,)}, r"method 'mine': dashes=\(3,\) are no strokes and gaps by turns"),
        ({"dashes": (3, 0)}, r"method 'mine': dashes=\(3, 0\) are no strokes and gaps by turns"),
        ({"color": "#123456"}, "unknown keyword 'color'; did you mean 'colour'"),
    ],
)
def test_an_impossible_look_is_refused(look, message):
    with pytest.raises(BenchError, match=message):
        register_method("mine", **look)
