"""The command line as a user meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

PLUGIN = '''
from bench.method import Method, Objective, register_method

@register_method("tiny_vae", label="Tiny")
class TinyVAE(Method):
    """Tiny VAE: ``min R + KL``."""
    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
'''


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A smoke study of 20 steps, run once through the real command line."""
    folder = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "-m", "vae", "--seeds", "2"]
    command += ["--set", "train.steps=20", "-j", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_help_takes_under_a_second_and_imports_no_torch():
    code = "import sys; sys.argv = ['bench', '--help']; from bench.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'pandas', 'matplotlib', 'sklearn', 'scipy', 'numpy'} & set(sys.modules)\n"
    code += "print(heavy, file=sys.stderr)"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
        assert done.stderr.strip() == "set()"
        assert "run" in done.stdout
    assert min(times) < 1


@pytest.mark.slow
def test_run_says_what_it_is_what_it_did_and_where_the_report_is(finished):
    folder, done = finished
    assert "NOTE preset 'smoke' changed: train.steps=20; smoke test" in done.stdout
    assert "4 runs, 0 done already; 1 processes x 1 threads on cpu, float32, deterministic" in done.stdout
    assert "| VAE | 2 |" in done.stdout
    assert "Too few seeds to compare" in done.stdout
    assert (folder / "reports/smoke-dsprites/report.md").is_file()
    assert len((folder / "results/smoke-dsprites/runs.jsonl").read_text().splitlines()) == 4
    assert not done.stderr


@pytest.mark.slow
def test_second_call_does_nothing_and_report_has_the_same_bytes(finished, bench, monkeypatch):
    folder, _ = finished
    monkeypatch.chdir(folder)
    report = folder / "reports/smoke-dsprites"
    before = {p.name: p.read_bytes() for p in report.iterdir()}
    code, out, _ = bench("report", "smoke-dsprites", "results/smoke-dsprites")
    assert code == 0
    assert out.count("report: reports/smoke-dsprites/report.md") == 2
    assert {p.name: p.read_bytes() for p in report.iterdir()} == before
    code, out, _ = bench("run", "--preset", "smoke", "-m", "vae", "--seeds", "2", "--set", "train.steps=20", "-j", "1")
    assert code == 0
    assert "4 runs, 4 done already" in out


@pytest.mark.slow
def test_status_show_aggregate_and_list(finished, bench, monkeypatch):
    folder, _ = finished
    monkeypatch.chdir(folder)
    code, out, _ = bench("status", "smoke-dsprites")
    assert code == 0
    assert "4 planned: 4 done" in out
    run = json.loads(bench("status", "smoke-dsprites", "--json")[1])
    assert set(run.values()) == {"done"}
    shown = json.loads(bench("show", next(iter(run)))[1])
    assert set(shown) == {"spec", "result", "provenance"}
    table = bench("aggregate", "smoke-dsprites")[1].splitlines()
    assert len(table) == 5
    assert {"run", "seed", "mig", "kl", "reconstruction_bce"} <= set(table[0].split(","))
    assert "smoke-dsprites" in bench("list", "results")[1]
    code, _, err = bench("aggregate", "smoke-dsprites", "--out", "/nonexistent/x.csv")
    assert (code, err.strip()) == (2, "bench: --out '/nonexistent/x.csv': No such file or directory")
    # What a run recorded is a study file.
    again = json.loads(bench("plan", "results/smoke-dsprites/study.toml", "--json")[1])
    assert sorted(row["run"] for row in again) == sorted(run)


def heed_signals():
    """Undo what ``nohup`` or a shell's background has set for the tests themselves."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def started(folder):
    """A study that takes minutes, in a process of its own that trains by now."""
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "-m", "vae", "--seeds", "0-0"]
    command += ["--set", "train.steps=200000", "--set", "train.log_every=100", "-j", "1", "--study", "s"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("results/s/.tmp/*/progress")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_stop_it_once_however_often_they_come(tmp_path, name):
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    with started(tmp_path) as process:
        for _ in range(4):
            process.send_signal(getattr(signal, name))
            time.sleep(0.05)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert err.count("stopped; finished runs are kept") == 1


@pytest.mark.slow
def test_interrupted_says_how_to_go_on_and_status_says_stopped(tmp_path):
    with started(tmp_path) as process:
        status = [sys.executable, "-m", "bench", "status", "s"]
        assert "in work, step" in subprocess.run(status, cwd=tmp_path, capture_output=True, text=True).stdout
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "this study will take about" in out, "long runs are timed before they start"
    assert "stopped; finished runs are kept, the same command goes on from here" in err
    assert "Traceback" not in err
    assert "stopped, at step" in subprocess.run(status, cwd=tmp_path, capture_output=True, text=True).stdout


def test_plan_prints_resolved_runs_and_dry_run_runs_nothing(bench, tmp_path):
    code, out, _ = bench("plan", "--preset", "smoke", "-m", "beta_vae[beta=1,4]", "--seeds", "3")
    assert code == 0
    assert "9 runs of preset 'smoke', 0 done" in out
    assert "beta_vae[beta=1.0]" in out
    rows = json.loads(bench("plan", "--preset", "smoke", "--seeds", "0-0", "--json")[1])
    assert len(rows) == 6
    assert all(row["dataset"]["sha256"] for row in rows)
    code, out, _ = bench("run", "--preset", "smoke", "--dry-run")
    assert code == 0
    assert "12 runs" in out
    assert not list(tmp_path.iterdir())


def test_print_config_is_a_study_file(bench, tmp_path):
    _, out, _ = bench("plan", "--preset", "smoke", "--set", "beta_vae.beta=9", "--print-config")
    Path("mine.toml").write_text(out)
    a = json.loads(bench("plan", "--preset", "smoke", "--set", "beta_vae.beta=9", "--json")[1])
    b = json.loads(bench("plan", "mine.toml", "--json")[1])
    assert [row["run"] for row in a] == [row["run"] for row in b]


@pytest.mark.parametrize("kind", ["methods", "datasets", "metrics", "figures", "networks", "presets"])
def test_list(bench, kind):
    code, out, _ = bench("list", kind)
    assert code == 0
    assert len(out.splitlines()) > 1
    assert json.loads(bench("list", kind, "--json")[1])[0]["summary"]


def test_show_describes_a_table_of_a_study_file(bench):
    code, out, _ = bench("show", "train")
    assert code == 0
    assert "\n  batch_size = 64           Images per step.\n" in out
    assert json.loads(bench("show", "tuning", "--json")[1])["settings"]["draws"] == 16


def test_show_a_method_with_its_settings(bench):
    code, out, _ = bench("show", "dynamic_vae")
    assert code == 0
    assert "beta0 = 50.0" in out
    assert "Known deviations" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("run", "-m", "betavae"),
            "bench: unknown method 'betavae'; did you mean 'beta_vae'?; see `bench list methods`",
        ),
        (("run", "--preset", "quik"), "bench: unknown preset 'quik'; did you mean 'quick'?"),
        (("run", "--seeds", "ten"), "bench: --seeds ten: 'ten' isn't a seed"),
        (("run", "--rerun", "al"), "bench: --rerun al; did you mean 'all'?"),
        (("run", "--study", "a/b"), "bench: --study 'a/b' can't be a folder's name"),
        (("run", "none.toml"), "bench: study file 'none.toml': no such file"),
        (("run", "--plugin", "none.py"), "bench: plug-in 'none.py': no such file"),
        (("run", "-d", "npz[path=none.npz]"), "none.npz: no such file"),
        (("run", "-m", "dynamic_vae[set_point=0.1]"), "set_point=0.1 lies below set_point_start=0.5; it can only grow"),
        (("plan", "--set", "train.network=H"), "network 'H' is for 64x64 images, the dataset's are 20x12"),
        (("plan", "--set", "train.batch_size=5000"), "batch_size=5000 is larger than the dataset (1536 images)"),
        (("run", "-m", ""), "bench: no methods are chosen"),
        (("status", "nothing"), "bench: no study 'nothing' in 'results'; there is none yet"),
        (("report", "nothing"), "bench: no study 'nothing' in 'results'"),
        (("list", "method"), "bench: unknown kind 'method'; did you mean 'methods'?"),
        (("show", "dynamicvae"), "bench: nothing is called 'dynamicvae'; did you mean 'dynamic_vae'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(bench, tmp_path, words, message):
    code, _, err = bench(*words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing is left half-made"


def test_unknown_option_and_command_exit_with_2(bench):
    assert bench("run", "--sede", "3")[0] == 2
    assert bench("rum")[0] == 2


def test_older_results_are_refused_before_anything_runs(bench, tmp_path):
    study = tmp_path / "results" / "smoke-dsprites"
    study.mkdir(parents=True)
    (study / "study.toml").write_text(tomli_w.dumps({"record": {"schema_version": 0}}))
    code, _, err = bench("run", "--preset", "smoke")
    assert code == 2
    assert "has schema 0, this version writes 1; name another --study" in err


def test_a_results_folder_that_cannot_be_made(bench, tmp_path):
    (tmp_path / "results").write_text("a file")
    code, _, err = bench("run", "--preset", "smoke")
    assert code == 2
    assert "a file stands where a folder should; name another folder with --results" in err


@pytest.mark.slow
def test_a_plug_in_method_runs_and_a_failing_study_exits_with_1(bench, tmp_path):
    Path("tiny.py").write_text(PLUGIN)
    words = ["--preset", "smoke", "--seeds", "0-0", "--set", "train.steps=20", "--plugin", "tiny.py", "-j", "1"]
    code, out, _ = bench("run", "-m", "tiny_vae", *words)
    assert code == 0
    assert "| Tiny | 1 |" in out
    provenance = json.loads(next(Path("results").glob("*/runs/*tiny_vae*/provenance.json")).read_text())
    assert provenance["plugins"]["tiny.py"]
    words_again = [sys.executable, "-m", "bench", "report", "smoke-dsprites", "--figures", "none"]
    again = subprocess.run(words_again, capture_output=True, text=True, timeout=300)
    assert (again.returncode, again.stderr) == (0, "bench: plug-in 'tiny.py' is loaded, as the study recorded it\n")
    assert "| Tiny | 1 |" in again.stdout
    Path("tiny.py").write_text(
        PLUGIN.replace("return Objective", "raise RuntimeError('no luck [/x]'); return Objective")
    )
    code, out, err = bench("run", "-m", "tiny_vae", *words, "--rerun", "all", "--study", "second")
    assert code == 1
    assert "RuntimeError: no luck [/x]" in out
    assert "Traceback" not in out + err


@pytest.mark.slow
def test_own_images_without_factors(bench, tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez("own.npz", images=(rng.random((80, 16, 16)) < 0.3).astype(np.uint8) * 255)
    words = ["-d", "npz[path=own.npz]", "--preset", "smoke", "-m", "vae", "--seeds", "0-0"]
    code, out, _ = bench("run", *words, "--set", "train.steps=20", "-j", "1")
    assert code == 0, out
    assert "hyper-parameters: shared: one method is trained\n" in out
    report = next(Path("reports").glob("*/report.md")).read_text()
    assert "n codes 80, n images 80" in report
    result = json.loads(next(Path("results").glob("*/runs/npz-vae*/result.json")).read_text())
    assert result["not_applicable"]["mig"] == "the dataset has no factors"
    assert "mig" not in result["scores"]
    assert result["scores"]["reconstruction_bce"] > 0


@pytest.mark.slow
def test_remarks_on_own_images_come_before_the_runs_and_in_the_report(bench, tmp_path):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 2, (63, 16, 16), dtype=np.uint8)
    factors = np.stack(np.unravel_index(np.arange(63), (8, 8)), axis=1)
    np.savez("own.npz", images=images, factors=factors)
    words = ["-d", "npz[path=own.npz]", "--preset", "smoke", "-m", "vae", "--seeds", "0-0"]
    code, out, err = bench("run", *words, "--set", "train.steps=20", "-j", "1")
    remark = "its factors don't multiply out: 8 x 8 = 64 combinations, 63 of which have images"
    assert code == 0, err
    assert out.index(f"npz: {remark}\n") < out.index("runs done")
    assert f"I{remark[1:]}." in next(Path("reports").glob("*/report.md")).read_text()
