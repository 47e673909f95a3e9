"""Archives of studies: good ones, what is in them, and bad ones made on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bench.errors import BenchError
from bench.sharing import archive
from bench.sharing.import_ import import_study
from bench.spec import RunSpec
from helpers.files import tree
from helpers.synthetic import Build

Member = tuple[zipfile.ZipInfo, bytes]


def finish(path: Path, **study: Any) -> Path:
    """Give a synthetic study the ids, plan and study.toml that a real one has."""
    plan = []
    for folder in sorted((path / "runs").iterdir()):
        run = RunSpec.model_validate_json((folder / "spec.json").read_bytes()).run_id
        result = json.loads((folder / "result.json").read_text()) | {"run": run}
        (folder / "result.json").write_text(json.dumps(result))
        folder.rename(folder.with_name(run))
        plan.append(run)
    (path / "plan.json").write_text(json.dumps({"runs": sorted(plan)}))
    record = {"schema_version": 1, "name": path.name, "planned": len(plan), "commands": ["bench run --seeds 3"]}
    settings = {"preset": "quick", "methods": ["all"], "datasets": ["dsprites"], "seeds": [0, 1, 2], **study}
    (path / "study.toml").write_text(tomli_w.dumps(settings | {"record": record}))
    return path


def finished_study(builder: Build, folder: str, seeds: range, **changes: Any) -> Path:
    """Return a study of two methods that can be exported."""
    return finish(builder(folder).fill(seeds, ["vae", "beta_vae"], **changes))


def names(file: Path) -> set[str]:
    """Return the names in an archive."""
    with zipfile.ZipFile(file) as opened:
        return set(opened.namelist())


def members(file: Path) -> list[Member]:
    """Return what an archive holds, as it is stored."""
    with zipfile.ZipFile(file) as opened:
        return [(item, opened.read(item)) for item in opened.infolist()]


def pack(items: list[Member], *, manifest: bool = True) -> bytes:
    """Zip members, with a manifest that fits them: what is then refused is refused for what it is."""
    kept = [(info, content) for info, content in items if not manifest or info.filename != archive.MANIFEST]
    if manifest:
        sums = {info.filename: hashlib.sha256(content).hexdigest() for info, content in kept}
        record = {"kind": archive.KIND, "format": archive.FORMAT, "study": "quick", "files": sums}
        kept.append((plain(archive.MANIFEST), json.dumps(record).encode()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Duplicate names are the point.
        for info, content in kept:
            opened.writestr(info, content)
    return out.getvalue()


def plain(name: str, mode: int = stat.S_IFREG | 0o644, compress: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """Return the entry of a name, which may be one that no export writes."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # Past the constructor, which tidies names up.
    info.external_attr = mode << 16
    info.compress_type = compress
    return info


def stays_out(content: bytes, folder: Path, match: str | None = None) -> None:
    """Hold that an archive doesn't come in, and leaves no trace."""
    file, results = folder / "bad.zip", folder / "here" / "results"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=match) as error:
        import_study(file, results)
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()
    assert sorted(tree(folder)) == ["bad.zip"]
