"""The language of the command line."""

from __future__ import annotations

import pytest

from bench.errors import BenchError, did_you_mean
from bench.selectors import parse_seeds, parse_selection, parse_value, split_list


def test_split_list_respects_brackets():
    assert split_list("vae, beta_vae[beta=1,4],factor_vae") == ["vae", "beta_vae[beta=1,4]", "factor_vae"]


def test_selection_is_a_grid():
    selection = parse_selection("beta_vae[beta=1,4,16,name=x]")
    assert selection.name == "beta_vae"
    assert selection.values == {"beta": [1, 4, 16], "name": ["x"]}
    assert parse_selection("vae").values == {}


@pytest.mark.parametrize(
    "text", ["beta_vae[beta=1", "beta_vae]", "[beta=1]", "a[4]", "a[beta=1,beta=2]", "a[=3]", "", "a[b=1]c", "a[]]"]
)
def test_malformed_selections(text):
    with pytest.raises(BenchError):
        parse_selection(text)


AWKWARD = ["a,b.npz", "a=b.npz", "a[0].npz", "it's.npz", ",=[]'].npz", "x,y=3].npz", " a ,", "1", "true"]


@pytest.mark.parametrize("value", [*AWKWARD, 'say "a,b".npz'])
def test_a_quoted_value_is_text_whatever_it_holds(value):
    quote = "'" if '"' in value else '"'
    text = f"npz[path={quote}{value}{quote},n=1,{quote}{value}{quote}]"
    assert split_list(f"vae,{text},dsprites") == ["vae", text, "dsprites"]
    assert parse_selection(text).values == {"path": [value], "n": [1, value]}
    assert parse_value(f"{quote}{value}{quote}") == value


def test_an_apostrophe_within_a_value_is_no_quote():
    assert parse_selection("npz[path=it's.npz,names=jane's]").values == {"path": ["it's.npz"], "names": ["jane's"]}


@pytest.mark.parametrize("text", ["npz[path=a[0].npz]", "npz[path='a,b.npz]", "npz[path=a].npz]", "npz[path=a,path=b]"])
def test_what_must_be_quoted_is_said(text):
    with pytest.raises(BenchError, match=r'quote a value that holds , = \[ or \]: name\[key="a,b"\]'):
        parse_selection(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("0:32:2", "0:32:2"),
        ("'a'", "a"),
        ("-2", -2),
    ],
)
def test_values(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [0, 1, 2]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("3,7", [3, 7]),
        ("7,3,3", [3, 7]),
        ("0-2,9", [0, 1, 2, 9]),
        ("7,", [7]),
    ],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "", ",", "a", "4-2", "-3", "1.5", "1,b", "1--2"])
def test_bad_seeds(text):
    with pytest.raises(BenchError, match=r"write a count \(10\), a range \(0-4\) or a list \(3,7\)"):
        parse_seeds(text)


def test_did_you_mean():
    assert did_you_mean("betavae", ["beta_vae", "vae", "factor_vae"]) == "; did you mean 'beta_vae'?"
    assert did_you_mean("zzzzzz", ["beta_vae"]) == ""
