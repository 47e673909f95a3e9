"""The same spec gives the same bytes whatever surrounds the process.

What happens on the way (workers, kills, two processes on one study) is in test_runner.py; here it is the surroundings.
All of them change at once, since whichever mattered would show; docs/determinism.md has what does change numbers.
"""

from __future__ import annotations

import hashlib
import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

pytestmark = pytest.mark.slow

STUDY = "smoke-dsprites"
PLAIN = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1"}
#: Fourteen hours ahead, ASCII as the encoding of files, many threads, another order of sets, a narrow terminal.
STRANGE = {
    "PYTHONHASHSEED": "4294967295",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "TZ": "Pacific/Kiritimati",
    "OMP_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "2",
    "COLUMNS": "40",
}
#: Times, machine and the command's words: facts about the making, which no result contains.
MAKING = ("provenance.json", "study.toml")


def bench(*words: str, cwd: Path, surroundings: dict[str, str], umask: int = 0o022) -> None:
    own = {name: value for name, value in os.environ.items() if name not in {*PLAIN, *STRANGE, "LANG", "LANGUAGE"}}
    own["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(
        command, cwd=cwd, env=own | surroundings, capture_output=True, umask=umask, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def run(jobs: int, cwd: Path, **options: object) -> Path:
    words = ["run", "--preset", "smoke", "-m", "beta_vae,dynamic_vae", "--seeds", "0-0", "--set", "train.steps=40"]
    bench(*words, "-j", str(jobs), cwd=cwd, **options)  # type: ignore[arg-type]
    return cwd


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".tmp" not in path.parts]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in MAKING
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(1, tmp_path_factory.mktemp("plain"), surroundings=PLAIN)


@pytest.fixture(scope="module")
def strange_place(tmp_path_factory):
    # What ASCII can't spell, a dotless i, a space and a quote.
    place = tmp_path_factory.mktemp("else") / "dır with a 'näme"
    place.mkdir()
    return place


def test_jobs_hash_seed_locale_time_zone_threads_and_place_leave_every_byte_alone(plain, strange_place):
    run(2, strange_place, surroundings=STRANGE, umask=0o077)
    expected, found = digests(plain / "results"), digests(strange_place / "results")
    assert sum(name.endswith(("weights.safetensors", "curves.csv", "result.json")) for name in expected) == 9
    assert {name for name in expected if name.endswith(".jsonl")}
    assert found == expected
    # The making is told in reports, and nothing else differs in them.
    expected, found = digests(plain / "reports"), digests(strange_place / "reports")
    assert found.keys() == expected.keys()
    differ = {name for name in expected if found[name] != expected[name]}
    assert differ <= {f"{STUDY}/report.md", f"{STUDY}/report.html"}


def test_a_report_on_the_same_runs_is_the_same_anywhere(plain, strange_place):
    elsewhere = strange_place / "copied"
    shutil.copytree(plain / "results" / STUDY, elsewhere / "kept" / STUDY)
    bench("report", STUDY, "--results", "kept", "--reports", "out", cwd=elsewhere, surroundings=STRANGE)
    expected = digests(plain / "reports" / STUDY)
    assert {"report.md", "report.html", "table_dsprites.csv", "fig_tradeoff.pdf", "fig_tradeoff.png"} <= set(expected)
    assert digests(elsewhere / "out" / STUDY) == expected


def test_the_comparison_sees_another_number_and_another_file(plain, tmp_path):
    changed = tmp_path / "results"
    shutil.copytree(plain / "results", changed)
    weights = next(changed.rglob("weights.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    expected, found = digests(plain / "results"), digests(changed)
    assert [name for name in expected if expected[name] != found[name]] == [weights.relative_to(changed).as_posix()]
    weights.unlink()
    assert digests(changed).keys() < expected.keys()


def test_turkish_letters_and_decimal_commas_leave_every_byte_alone(plain, tmp_path):
    # In Turkish "I".lower() is a dotless i, in German numbers have a comma: to C libraries that ask the locale.
    before = locale.setlocale(locale.LC_ALL)
    for name in ("tr_TR.UTF-8", "de_DE.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        finally:
            locale.setlocale(locale.LC_ALL, before)
        break
    else:
        pytest.skip("neither tr_TR.UTF-8 nor de_DE.UTF-8 is installed here")
    run(1, tmp_path, surroundings=PLAIN | {"LC_ALL": name})
    assert digests(tmp_path) == digests(plain)
