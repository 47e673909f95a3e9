"""The command `score`: metrics of representations that were made elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.common import load_plugins, say
from bench.cli.options import Json, Plugins
from bench.errors import BenchError, did_you_mean
from bench.files import write_out

FORMATS = (".md", ".csv", ".json")


def score(
    codes: Annotated[
        list[Path] | None,
        typer.Argument(help="Files with codes: .npy, or .npz with logvar, factors, labels or index where known."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help=r"Metric: a name, name\[option=value], a glob, core or all (default); repeatable."
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            "-d",
            "--dataset",
            help=r"""Whose images were encoded: a name, or name\[option=value]; 'npz\[path="a,b.npz"]' with quotes.""",
        ),
    ] = "",
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", help="module:function from images (n, C, H, W) to codes; repeatable."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", help="safetensors or a plain state dict for --network; repeatable."),
    ] = None,
    network: Annotated[str, typer.Option("--network", help="Network the weights belong to.")] = "H",
    keys: Annotated[Path | None, typer.Option("--keys", help="Key map of the weights (TOML).")] = None,
    print_keys: Annotated[
        bool, typer.Option("--print-keys", help="Print a key map for --network to fill in, and stop.")
    ] = False,
    udr: Annotated[
        bool, typer.Option("--udr", help="Also rank the representations without labels (UDR), as seeds of one setting.")
    ] = False,
    n_codes: Annotated[int, typer.Option("--n-codes", help="Images to encode.", min=2)] = 15_000,
    n_images: Annotated[int, typer.Option("--n-images", help="Images to decode (--weights).", min=1)] = 5_000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the metrics' random draws.", min=0)] = 0,
    max_memory: Annotated[
        float, typer.Option("--max-memory", help="GiB that the arrays of a file may take.", min=0.001, max=1e6)
    ] = 2.0,
    out: Annotated[Path | None, typer.Option("--out", help="Also write a file: .md, .csv or .json.")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Score codes that were made elsewhere: read from files, or computed by an encoder or from weights."""
    load_plugins(plugin)
    if print_keys:
        typer.echo(_key_map(network, dataset), nl=False)
        return
    if not (codes or encoder or weights):
        raise BenchError("nothing to score: give a file of codes, --encoder or --weights; see `bench score --help`")
    if (encoder or weights) and not dataset:
        raise BenchError("--encoder and --weights need --dataset, whose images they encode; see `bench list datasets`")
    if keys is not None and not weights:
        raise BenchError("--keys belongs to --weights")
    if out is not None and out.suffix not in FORMATS:
        raise BenchError(f"--out '{out}': the name must end in {', '.join(FORMATS)}{did_you_mean(out.suffix, FORMATS)}")

    from rich.console import Console

    from bench.external import render
    from bench.external.codes import choose_dataset, read_codes
    from bench.external.encoder import encode_with
    from bench.external.names import distinct_names
    from bench.external.score import rank_without_labels
    from bench.external.score import score as score_all
    from bench.selectors import split_list

    data = choose_dataset(dataset) if dataset else None
    files = [*(codes or []), *(weights or [])]
    names = dict(zip(files, distinct_names(files), strict=True))
    found = [replace(read_codes(path, data, max_memory=max_memory), name=names[path]) for path in codes or []]
    if data is not None:
        found += [encode_with(target, data, n_codes) for target in encoder or []]
    if data is not None and weights:
        from bench.external.with_weights import encode_with_weights

        sizes = {"n_codes": n_codes, "n_images": n_images}
        for path in weights:
            item = encode_with_weights(path, network, data, keys=keys, max_memory=max_memory, **sizes)
            found.append(replace(item, name=names[path]))
    for note in filter(None, (item.note for item in found)):
        say(f"bench: note: {note}", err=True)
    for warning in filter(None, (item.warning for item in found)):
        say(f"bench: warning: {warning}", err=True)
    chosen = [part for item in metric or ["all"] for part in split_list(item)]
    with Console(stderr=True).status("evaluating") as status:
        scored = score_all(found, chosen, seed=seed, tell=lambda text: status.update(text))
    ranking = rank_without_labels(found, seed=seed) if udr else None
    if ranking is not None and ranking["warning"]:
        say(f"bench: warning: --udr: {ranking['warning']}", err=True)
    if out is not None:
        write_out(out, render.render(scored, out.suffix, seed=seed, udr=ranking))
    if json:
        typer.echo(render.render(scored, ".json", seed=seed, udr=ranking), nl=False)
    else:
        say(render.render(scored, ".md", seed=seed, udr=ranking), nl=False)


def _key_map(network: str, dataset: str) -> str:
    from bench.external.codes import choose_dataset
    from bench.external.weights import key_map_template
    from bench.nn import networks

    shape = choose_dataset(dataset).image_shape if dataset else (1, 64, 64)
    return key_map_template(networks.build(network, 1, shape, 10))
