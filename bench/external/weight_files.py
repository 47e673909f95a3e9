"""What is read for weights trained elsewhere: the file of tensors, and the map of its names to ours."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError, field_validator, model_validator
from safetensors.torch import load_file
from torch import Tensor

from bench.errors import BenchError, did_you_mean, reason
from bench.files import read_toml
from bench.npz import GIB
from bench.schema import StrictModel

#: What a file of weights may take in memory unless the user allows more.
MAX_BYTES = 2 * GIB
#: Dictionaries in dictionaries that are looked into.
DEEPEST = 50
#: How the rows of an encoder's last layer may be laid out; the first is what our own networks have.
HEADS = ("stacked", "interleaved")


@dataclass(frozen=True)
class State:
    """The tensors of a file.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By the names they have in the file, in its order.
    ordered : bool
        Whether that order is the one the tensors were saved in; a safetensors file is sorted by name.
    where : str
        The file, as error messages name it.
    """

    tensors: dict[str, Tensor]
    ordered: bool = True
    where: str = "these weights"


class KeyMap(StrictModel):
    """How a file's tensors become a network's.

    Attributes
    ----------
    inside : str
        Which of a checkpoint's state dicts, by the keys that lead to it ("model_states.net").
    prefix : str
        Dropped from the names in the file that begin with it ("module.").
    ignore : list of str
        Globs on the names in the file, after `prefix`, of tensors that aren't the network's.
    head : {"stacked", "interleaved"}
        Rows of the encoder's last layer: the K means and then the K second parameters, or the two by turns. Left out,
        it is found out by reconstructing a few images (`bench.external.with_weights.choose_head`).
    mean, logvar : str
        Two layers of the file that together are the encoder's last one, in place of `head`.
    second : {"logvar", "log_sigma"}
        What the second parameter is: the posterior's log-variance, or half of it.
    keys : dict of str to str
        Names of our parameters to the file's. Empty: they are matched by order and shape.
    """

    inside: str = ""
    prefix: str = ""
    ignore: list[str] = Field(default=[])
    head: Literal["stacked", "interleaved"] = "stacked"
    mean: str = ""
    logvar: str = ""
    second: Literal["logvar", "log_sigma"] = "logvar"
    keys: dict[str, str] = Field(default={})

    @field_validator("keys", mode="before")
    @classmethod
    def _flatten(cls, value: Any) -> Any:
        # To TOML, encoder.1.weight without quotes is a table in a table.
        return dict(_leaves(value)) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _one_head(self) -> KeyMap:
        if bool(self.mean) != bool(self.logvar):
            raise ValueError("'mean' and 'logvar' name the two layers of one head: give both or neither")
        if self.mean and "head" in self.model_fields_set:
            raise ValueError("'head' is for one layer, 'mean' and 'logvar' are for two: give one or the other")
        return self


def read_key_map(path: Path) -> KeyMap:
    """Read a key map from its TOML file.

    Raises
    ------
    BenchError
        Missing or malformed file, unknown keys, values of the wrong kind.
    """
    where = f"key map '{path}'"
    try:
        return KeyMap.model_validate(read_toml(path, where=where))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise BenchError(f"{where}: unknown key '{field}'{did_you_mean(field, KeyMap.model_fields)}") from None
        given = f"{field}={first['input']!r}: " if field else ""
        raise BenchError(f"{where}: {given}{first['msg'].removeprefix('Value error, ')}") from None


def read_state(path: Path, inside: str = "", *, max_bytes: int = MAX_BYTES) -> State:
    """Read a file's tensors; no code in it is run.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or what ``torch.save`` made of a state dict, alone or nested in a checkpoint.
    inside : str
        Which state dict of a checkpoint (`KeyMap.inside`); needed only where it holds several.
    max_bytes : int
        What the file and the chosen tensors may take each.

    Raises
    ------
    BenchError
        If there is no such file, it is damaged or too large, needs code to be opened, or doesn't hold exactly one
        state dict.
    """
    where = f"weights '{path}'"
    if not path.is_file():
        raise BenchError(f"{where}: no such file")
    ordered = path.suffix != ".safetensors"
    try:
        _check_bytes(_unpacked(path), max_bytes, where)
        content = _unpickle(path, where) if ordered else load_file(path)
    except BenchError:
        raise
    except Exception as error:  # a damaged header can fail in any way
        raise BenchError(f"{where} can't be read: {reason(error)}") from None
    found = dict(_state_dicts(content))
    if not found:
        raise BenchError(f"{where}: holds no state dict, which is names to tensors and nothing else")
    if inside and inside not in found:
        hint = did_you_mean(inside, found) or f"; there is {listed(found)}"
        raise BenchError(f"{where}: no state dict inside '{inside}'{hint}")
    if not inside and len(found) > 1:
        raise BenchError(f"{where}: several state dicts; name one in a key map (--keys) by inside: {listed(found)}")
    tensors = found[inside] if inside else next(iter(found.values()))
    # A view may be larger than the numbers it repeats.
    _check_bytes(sum(value.numel() * value.element_size() for value in tensors.values()), max_bytes, where)
    return State(tensors, ordered, where)


def listed(words: Iterable[str], most: int = 4) -> str:
    """The first few of them, and how many more there are."""
    all_words = [word or "the file itself" for word in words]
    more = f" and {len(all_words) - most} more" if len(all_words) > most else ""
    return ", ".join(repr(word)[1:-1] for word in islice(all_words, most)) + more


def _unpickle(path: Path, where: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        code = re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error))
        if code:
            raise BenchError(
                f"{where}: opening it would run code ({code[1] or code[2]}), which is unsafe and refused: save "
                "model.state_dict() alone, by safetensors.torch.save_file or torch.save"
            ) from None
        raise BenchError(f"{where} can't be read: damaged, or not a file of torch.save") from None


def _unpacked(path: Path) -> int:
    """Bytes of a file, or what a zip file says it unpacks to."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist())


def _check_bytes(size: int, most: int, where: str) -> None:
    if size > most:
        raise BenchError(
            f"{where}: would take {size / GIB:,.2f} GiB of memory, more than {most / GIB:,.2f} GiB; --max-memory "
            "allows more"
        )


def _state_dicts(content: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping of names to nothing but tensors, and the keys that lead to it; each mapping once."""
    left, seen = [(content, "", 0)], set()
    while left:
        table, path, depth = left.pop()
        if not isinstance(table, dict) or not table or id(table) in seen or depth > DEEPEST:
            continue
        seen.add(id(table))
        # An optimiser's state is keyed by numbers.
        if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in table.items()):
            yield path, dict(table)
        inner = [(key, value) for key, value in table.items() if isinstance(key, str)]
        left += [(value, f"{path}.{key}" if path else key, depth + 1) for key, value in reversed(inner)]


def _leaves(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{path}.{key}" if path else key
        yield from _leaves(value, name) if isinstance(value, dict) else ((name, value),)
