"""Weights trained elsewhere in a network of ours, so that a model is scored without being trained again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from bench.errors import BenchError, did_you_mean
from bench.external.weight_files import KeyMap, State, listed
from bench.nn.layers import Linear
from bench.nn.networks import VAE, ImageShape, build

Shape = tuple[int, ...]


def load_vae(
    network: str, shape: ImageShape, state: State, key_map: KeyMap | None = None, latent_dim: int | None = None
) -> VAE:
    """A network of ours with the weights of a file.

    Without ``keys`` in the key map, our parameters in the order of their definition are matched with the file's, which
    must be of the same shapes one by one. The file's order is that of the numbers in its names where these tell it (an
    encoder and a decoder of numbered layers), else the order it was saved in; where there is neither, it is refused.
    Two things shapes can't show: layers of equal shape that were defined in another order than they are applied in,
    and the layout of the encoder's last layer, taken as stacked with log-variances unless the key map says otherwise
    (`bench.external.with_weights.choose_head` tries both).
    A mistake in either leaves reconstructions that are worse than the mean image; log sigma taken for log-variances
    doesn't, as the means are right.

    Parameters
    ----------
    network : str
        Name of one of our networks.
    shape : tuple of int
        (C, H, W) of the images.
    state : State
        From `bench.external.weight_files.read_state`. Layers as ``torch.nn`` stores them, or as our checkpoints do.
    key_map : KeyMap, optional
        From `bench.external.weight_files.read_key_map`.
    latent_dim : int, optional
        K; by default the one with which most of the network's shapes are found in the file.

    Returns
    -------
    VAE
        Of one run, float32, on the CPU.

    Raises
    ------
    BenchError
        If the tensors aren't exactly the network's, up to axes of length 1 at the end of a shape, or aren't finite.
    """
    key_map, where = key_map or KeyMap(), state.where
    theirs = _chosen(state, key_map)
    joined = _join_head(theirs, key_map, where)
    k = latent_dim or _latent_dim(network, shape, theirs)
    # Without values until the file is known to have them all: its sizes may be anything.
    with torch.device("meta"):
        vae = build(network, 1, shape, k)
    target = f"network '{network}' with {vae.latent_dim} latents"
    shapes, transposed = torch_shapes(vae), _transposed(vae)
    if _stored_as_ours(theirs, shapes, transposed):
        theirs = {name: value.T if name in transposed else value for name, value in theirs.items()}
    last = [name for name in shapes if name.startswith("encoder.")][-2:]
    partners = dict(zip(last, joined, strict=False))
    wanted = {name: size for name, size in shapes.items() if name not in partners}
    offered = {name: value for name, value in theirs.items() if name not in joined}
    if key_map.keys:
        partners |= _by_name(wanted, offered, key_map.keys, where)
    else:
        partners |= _by_order(wanted, offered, State(offered, state.ordered, where), target)
    for name, partner in partners.items():
        if _trimmed(theirs[partner].shape) != _trimmed(shapes[name]):
            both = f"'{name}' is {_show(shapes[name])}, {partner!r} is {_show(theirs[partner].shape)}"
            raise BenchError(f"{where}: not of {target}: {both}")
    vae = build(network, 1, shape, k)
    for name, parameter in vae.named_parameters():
        partner = partners[name]
        value = _floats(theirs[partner], f"{where}: {partner!r}").reshape(shapes[name])
        value = _as_our_head(value, key_map) if name in last else value
        with torch.no_grad():
            parameter.copy_((value.T if name in transposed else value).unsqueeze(0))
    return vae


def key_map_template(vae: VAE) -> str:
    """TOML of a key map to be filled in: every parameter of the network, with its shape in torch's own layers."""
    lines = [
        "# All of these may be left out.",
        '# inside = "model_states.net"    # which of a checkpoint\'s state dicts',
        '# prefix = "module."             # dropped from the names in the file',
        "# ignore = [\"discriminator.*\"]   # tensors in the file that aren't the network's",
        '# head = "interleaved"           # rows of the last encoder layer by turns; "stacked": the means first',
        '# mean = "encoder.fc_mean"       # or two layers, in place of the last encoder layer below',
        '# logvar = "encoder.fc_logvar"',
        '# second = "log_sigma"           # what the second parameter is; "logvar" unless said',
        "",
        "# Our name = the name in the file, of a tensor of that shape.",
        "[keys]",
        *(f'"{name}" = ""  # {_show(shape)}' for name, shape in torch_shapes(vae).items()),
    ]
    return "\n".join(lines) + "\n"


def torch_shapes(vae: VAE) -> dict[str, Shape]:
    """Shapes of a network's parameters, without the run axis, as ``torch.nn``'s layers have them."""
    turned = _transposed(vae)
    shapes = {name: tuple(parameter.shape[1:]) for name, parameter in vae.named_parameters()}
    return {name: shape[::-1] if name in turned else shape for name, shape in shapes.items()}


def _chosen(state: State, key_map: KeyMap) -> dict[str, Tensor]:
    """The file's tensors without the prefix and without those to ignore."""
    prefix, where = key_map.prefix, state.where
    if prefix and not any(name.startswith(prefix) for name in state.tensors):
        raise BenchError(f"{where}: no name begins with the prefix '{prefix}'; there is {listed(state.tensors)}")
    chosen = {name.removeprefix(prefix): value for name, value in state.tensors.items()}
    if len(chosen) < len(state.tensors):
        raise BenchError(f"{where}: without the prefix '{prefix}' two tensors have the same name")
    for pattern in key_map.ignore:
        kept = {name: value for name, value in chosen.items() if not fnmatchcase(name, pattern)}
        if len(kept) == len(chosen):
            raise BenchError(f"{where}: no tensor '{pattern}' to ignore{did_you_mean(pattern, chosen)}")
        chosen = kept
    return chosen


def _join_head(theirs: dict[str, Tensor], key_map: KeyMap, where: str) -> list[str]:
    """Replace the two layers of a head by one that is stacked; the names of its weight and bias, or nothing."""
    joined = []
    for kind in ("weight", "bias") if key_map.mean else ():
        names = [f"{layer}.{kind}" for layer in (key_map.mean, key_map.logvar)]
        for name in names:
            if name not in theirs:
                raise BenchError(f"{where}: no tensor '{name}' for the head{did_you_mean(name, theirs)}")
        mean, second = (theirs[name] for name in names)
        if mean.shape != second.shape:
            sizes = f"{_show(mean.shape)} and {_show(second.shape)}"
            raise BenchError(f"{where}: {' and '.join(map(repr, names))} differ in shape: {sizes}")
        joined.append(" with ".join(names))
        theirs[joined[-1]] = torch.cat([_floats(theirs.pop(name), f"{where}: {name!r}") for name in names])
    return joined


def _latent_dim(network: str, shape: ImageShape, theirs: Mapping[str, Tensor]) -> int:
    """The K of which the network has the fewest shapes that the file hasn't; a head's bias is of length 2K."""
    sizes = {value.shape[0] for value in theirs.values() if value.ndim == 1}
    sorted_shapes = Counter(tuple(sorted(_trimmed(value.shape))) for value in theirs.values())

    def n_missing(k: int) -> int:
        with torch.device("meta"):
            shapes = torch_shapes(build(network, 1, shape, k)).values()
        return (Counter(tuple(sorted(_trimmed(size))) for size in shapes) - sorted_shapes).total()

    return min([n // 2 for n in sorted(sizes) if n and n % 2 == 0] or [10], key=n_missing)


def _stored_as_ours(theirs: Mapping[str, Tensor], shapes: Mapping[str, Shape], transposed: Iterable[str]) -> bool:
    """Whether this is a file of our own, with transposed linear layers."""
    if not theirs.keys() >= shapes.keys():
        return False
    wanted = [(tuple(theirs[name].shape), shapes[name]) for name in transposed]
    return wanted != [] and all(own == size[::-1] for own, size in wanted) and any(own != size for own, size in wanted)


def _by_name(
    wanted: Mapping[str, Shape], offered: Mapping[str, Tensor], keys: Mapping[str, str], where: str
) -> dict[str, str]:
    """Partners as a key map gives them, all of ours with all of theirs; an empty name counts as not given."""
    given = {ours: name for ours, name in keys.items() if name}
    for ours, name in given.items():
        if ours not in wanted:
            above = "; it belongs above [keys]" if ours in KeyMap.model_fields else did_you_mean(ours, wanted)
            raise BenchError(f"key map: '{ours}' is no parameter to be filled here{above}")
        if name not in offered:
            raise BenchError(f"{where}: no tensor '{name}' for '{ours}'{did_you_mean(name, offered)}")
    if missing := [name for name in wanted if name not in given]:
        raise BenchError(f"key map: nothing is said of {listed(f'{name} {_show(wanted[name])}' for name in missing)}")
    if twice := [name for name, count in Counter(given.values()).items() if count > 1]:
        raise BenchError(f"key map: named more than once: {listed(twice)}")
    if left := [name for name in offered if name not in given.values()]:
        names = listed(f"{name} {_show(offered[name].shape)}" for name in left)
        raise BenchError(f"{where}: {names} would be left out; if the network doesn't use them, put them under ignore")
    return given


def _by_order(wanted: Mapping[str, Shape], offered: Mapping[str, Tensor], state: State, target: str) -> dict[str, str]:
    """Partners by order, where that is known and every shape fits."""
    ours = {name: (_kind(name), _trimmed(size)) for name, size in wanted.items()}
    theirs = {name: (_kind(name), _trimmed(value.shape)) for name, value in offered.items()}
    lone, others = _without_partner(ours, theirs.values()), _without_partner(theirs, ours.values())
    way_out = "a key map (--keys) can say which is which, or that mean and logvar are two layers"
    if lone or others:
        shown = [listed(f"{name} {_show(wanted[name])}" for name in lone)]
        shown += [listed(f"{name} {_show(offered[name].shape)}" for name in others)]
        both = ", ".join(f"{whose} {names}" for whose, names in zip(("ours", "theirs"), shown, strict=True) if names)
        raise BenchError(f"{state.where}: not of {target}: no partner for {both}; {way_out}")
    fitting, misfits = [], []
    for order in filter(None, [_numbered_order(offered), list(offered) if state.ordered else None]):
        pairs = dict(zip(ours, order, strict=True))
        unlike = [name for name, partner in pairs.items() if ours[name] != theirs[partner]]
        for name in unlike[:1]:
            partner = listed([pairs[name]])
            misfits.append(f"'{name}' {_show(wanted[name])} would be '{partner}' {_show(offered[pairs[name]].shape)}")
        if not unlike and pairs not in fitting:
            fitting.append(pairs)
    if len(fitting) == 1:
        return fitting[0]
    reason = misfits[0] if misfits else "nothing tells the order of the layers"
    reason = "the numbers in the names and the order in the file disagree" if fitting else reason
    raise BenchError(f"{state.where}: of the shapes of {target}, but {reason}; {way_out}")


def _without_partner(tensors: Mapping[str, Hashable], others: Iterable[Hashable]) -> list[str]:
    """Names whose kind and shape the others haven't, or not so often."""
    left = Counter(others)
    lone = []
    for name, wanted in tensors.items():
        if left[wanted] == 0:
            lone.append(name)
        left[wanted] -= left[wanted] > 0
    return lone


def _numbered_order(names: Iterable[str]) -> list[str] | None:
    """Encoder, then decoder, each by the numbers of its layers; None unless one number tells the layers apart."""
    split = [name.split(".") for name in names]
    shared = next((depth for depth, column in enumerate(zip(*split, strict=False)) if len(set(column)) > 1), 0)
    parts_of: dict[str, list[list[str]]] = {"enc": [], "dec": []}
    for parts in split:
        parts_of.setdefault(parts[shared][:3].lower(), []).append(parts)
    order = []
    for group in parts_of.values():
        layers = {".".join(parts[:-1]) for parts in group}
        numbers = [tuple(map(int, re.findall(r"\d+", layer))) for layer in layers]
        one_form = len({re.sub(r"\d+", "#", layer) for layer in layers}) == 1
        if not one_form or sum(len(set(column)) > 1 for column in zip(*numbers, strict=True)) > 1:
            return None
        # A layer's weight comes before its bias.
        keyed = [
            ([*map(int, re.findall(r"\d+", ".".join(parts[:-1])))], parts[-1] != "weight", parts) for parts in group
        ]
        order += [".".join(parts) for *_, parts in sorted(keyed)]
    return order if len(parts_of) == 2 else None


def _as_our_head(rows: Tensor, key_map: KeyMap) -> Tensor:
    """Rows of the encoder's last layer, (2K, ...), as K means and then K log-variances."""
    if key_map.head == "interleaved":
        rows = torch.cat([rows[0::2], rows[1::2]])
    if key_map.second == "log_sigma":
        mean, log_sigma = rows.chunk(2)
        rows = torch.cat([mean, 2 * log_sigma])
    return rows


def _floats(value: Tensor, where: str) -> Tensor:
    if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
        kind = "without values" if value.is_meta else f"{value.layout} of {value.dtype}"
        raise BenchError(f"{where} is no dense array of floats but {kind.replace('torch.', '')}")
    value = value.detach().float()
    if not bool(value.isfinite().all()):
        raise BenchError(f"{where} holds values that are NaN or infinite")
    return value


def _transposed(vae: VAE) -> set[str]:
    """Parameters that are stored the other way round than torch's."""
    return {f"{name}.weight" for name, layer in vae.named_modules() if isinstance(layer, Linear)}


def _kind(name: str) -> str:
    """What of its layer a tensor is: weight or bias, in most files."""
    return name.rpartition(".")[2]


def _trimmed(shape: Iterable[int]) -> Shape:
    """A shape without the axes of length 1 at its end: a 1x1 convolution is a linear layer."""
    sizes = tuple(shape)
    while sizes and sizes[-1] == 1:
        sizes = sizes[:-1]
    return sizes


def _show(shape: Iterable[int]) -> str:
    return f"({', '.join(map(str, shape))})"
