"""The whole loop on a tiny policy: it ends, and whatever kills it, it ends with the same result."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from looptool.records import Checkpoint, Measurement, PlantedError, Sample
from looptool.runs.paths import Paths
from looptool.runs.store import read_records
from looptool.train.halving import Search
from looptool.validating import Validation

from .teachers.scripted_model import play
from .teachers.scripted_server import FAULTS, Script, Server

CONFIG = """
rounds = 2
[policy]
model = "{model}"
dtype = "float32"
max_new_tokens = 64
[data]
tools = 60
samples = 54
held_out_samples = 16
label_noise = 0.2
[warm_start]
samples = 24
batch_tokens = 8192
[train]
steps = 2
prompts_per_step = 4
group_size = 4
max_completion_tokens = 64
checkpoint_every = 1
validation_samples = 6
[train.labels]  # too much at once: half of it is better
learning_rate = 0.1
batch_tokens = 1024
[verify]
calibration_samples = 16
[expand]
max_failures = 6
"""

EXPANDING = "work/round-1/expand.jsonl"

STEPS = (
    "work/seed-tools.jsonl",
    "work/measure/base.jsonl",
    "models/warm-start",
    "round-1/between.jsonl",
    "models/round-1/at-0.5",
    "work/round-1/probe.jsonl",
    "work/round-1/verify.jsonl",
    EXPANDING,
    "round-1/expansions.jsonl",  # from here on: merge
    "models/round-2",
    "round-2/train/policy.jsonl",
    "measure/round-2.jsonl",
    "round-2/dataset.jsonl",  # from here on: report
)
"""What appears in the run directory when each step has begun."""


LANGUAGE_MODEL = """
rounds = 1
[policy]
model = "{model}"
dtype = "float32"
max_new_tokens = 64
[teacher]
type = "llm"
base_url = "{url}"
model = "m"
timeout = 1.0
[data]
tools = 16
samples = 16
held_out_samples = 4
[warm_start]
samples = 8
[train]
steps = 1
prompts_per_step = 2
group_size = 4
max_completion_tokens = 64
[verify]
calibration_samples = 4
[expand]
max_failures = 4
"""


def looptool(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "looptool", *arguments]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(looptool(*arguments), capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def config(tiny_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(CONFIG.format(model=tiny_policy))
    return path


@pytest.fixture(scope="module")
def undisturbed(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "undisturbed"
    done = run("run", config, "--run", root)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    return root


def results(root: Path) -> dict[str, str]:
    """What a run ends with, file by file: datasets, verdicts, measurements, but no durations."""
    kept = [p for p in root.rglob("*.jsonl") if not {"work", "models"} & set(p.parts)]
    return {str(p.relative_to(root)): timeless(p.read_text(), root) for p in kept}


def timeless(text: str, root: Path) -> str:
    """Less what says when, where and how fast it was made."""
    text = text.replace(str(root), "RUN").replace(root.name, "RUN")
    return re.sub(r'"(started|command|\w*seconds)"[:,] ?("[^"]*"|\[[^]]*\]|[-+.e\d]+)', "", text)


def kill_when(appears: Path, arguments: Sequence[str | Path]) -> bool:
    """Start looptool and `kill -9` it once a file is there; False if it ended before."""
    process = subprocess.Popen(
        looptool(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if appears.exists():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait() == -signal.SIGKILL


def test_each_round_turns_failures_into_the_next_dataset(undisturbed: Path) -> None:
    dataset = read_records(undisturbed / "round-1/dataset.jsonl", Sample)
    origins = {sample.origin.value for sample in dataset}
    assert {"error_seed", "expanded", "seed_new"} <= origins
    seeds = {s.id for s in read_records(undisturbed / "seed/train.jsonl", Sample)}
    for sample in dataset:
        assert (sample.id in seeds) != (sample.origin.value == "expanded")
        if sample.origin.value == "expanded":
            assert set(sample.parents) & seeds
            assert sample.round == 2  # it enters the second round


def test_a_round_goes_as_far_as_its_validation_says(undisturbed: Path) -> None:
    ended = []
    for number in (1, 2):
        [found] = read_records(undisturbed / f"round-{number}/between.jsonl", Search)
        [validation] = read_records(undisturbed / f"round-{number}/validation.jsonl", Validation)
        assert found.summary() in (undisturbed / "report.html").read_text()
        wanted = "weights" if found.best == 1 else f"at-{found.best:g}"
        assert validation.taken and policy_of(undisturbed, number).name == wanted
        ended.append(found.best)
    assert min(ended) < 1, "the way back was not taken"


def policy_of(root: Path, number: int) -> Path:
    [policy] = read_records(root / f"round-{number}/train/policy.jsonl", Checkpoint)
    return Path(Paths(root).located(policy.path))


def test_training_never_sees_the_held_out_tools_nor_the_planted_truth(undisturbed: Path) -> None:
    held_out = read_records(undisturbed / "seed/held-out.jsonl", Sample)
    planted = read_records(undisturbed / "seed/planted.jsonl", PlantedError)
    hidden = {tool.name for sample in held_out for tool in sample.tools}
    spoilt = {error.sample_id for error in planted}
    assert planted
    assert not spoilt & {sample.id for sample in held_out}
    for name in ("seed/train", "round-1/dataset", "round-2/dataset"):
        for sample in read_records(undisturbed / f"{name}.jsonl", Sample):
            assert not {tool.name for tool in sample.tools} & hidden


def test_every_checkpoint_is_measured(undisturbed: Path) -> None:
    for name in ("base", "warm-start", "round-1", "round-2"):
        (measured,) = read_records(undisturbed / f"measure/{name}.jsonl", Measurement)
        assert measured.overall.total == 16
        assert measured.overall.low <= measured.overall.accuracy <= measured.overall.high


def test_killed_in_every_step_it_ends_with_the_same_result(
    undisturbed: Path, config: Path, tmp_path: Path
) -> None:
    root = tmp_path / "killed"
    killed = [step for step in STEPS if kill_when(root / step, ["run", config, "--run", root])]
    assert len(killed) >= 8, "the run was not disturbed where it should have been"
    done = run("run", config, "--run", root)
    assert done.returncode == 0, done.stderr
    assert results(root) == results(undisturbed)
    page, expected = ((r / "report.html").read_text() for r in (root, undisturbed))
    assert timeless(page, root) == timeless(expected, undisturbed)


def test_a_finished_run_is_not_computed_again(undisturbed: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*.jsonl")}
    done = run("run", undisturbed)
    assert done.returncode == 0, done.stderr
    finished = {p: t for p, t in before.items() if "work" not in p.parts}
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


def test_a_second_process_is_refused(undisturbed: Path, config: Path, tmp_path: Path) -> None:
    root = tmp_path / "shared"
    first = subprocess.Popen(
        looptool("run", config, "--run", root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (root / "config.json").exists():
            assert first.poll() is None
            time.sleep(0.01)
        second = run("run", config, "--run", root)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "in use by process" in second.stderr


@pytest.mark.parametrize("gone", ["", "model.safetensors"])
def test_a_missing_checkpoint_is_made_again(
    undisturbed: Path, config: Path, tmp_path: Path, gone: str
) -> None:
    root = tmp_path / "missing"
    assert run("train", config, "--run", root).returncode == 0
    weights = policy_of(root, 1)
    (weights / gone).unlink() if gone else shutil.rmtree(weights)
    done = run("probe", root)
    assert done.returncode == 0, done.stderr
    assert "making it again" in done.stdout
    assert (root / "round-1/probes.jsonl").read_bytes() == (
        undisturbed / "round-1/probes.jsonl"
    ).read_bytes()


def test_a_run_that_was_moved_finds_its_checkpoints(undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(undisturbed, root)
    hidden = undisturbed.with_name("hidden")
    undisturbed.rename(hidden)
    try:
        (root / "round-2/probes.jsonl").unlink()
        (root / "work/round-2/probe.jsonl").unlink()
        done = run("probe", root)
    finally:
        hidden.rename(undisturbed)
    assert done.returncode == 0, done.stderr
    assert "making it again" not in done.stdout
    assert results(root) == results(undisturbed)


def test_a_step_alone_stops_behind_itself(config: Path, tmp_path: Path) -> None:
    done = run("seed", config, "--run", tmp_path / "stepwise")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "stepwise/seed/train.jsonl").exists()
    assert not (tmp_path / "stepwise/measure").exists()


def test_a_changed_config_is_refused_and_nothing_is_lost(undisturbed: Path, config: Path) -> None:
    before = results(undisturbed)
    done = run("run", config, "--run", undisturbed, "-o", "data.samples=50")
    assert done.returncode == 2
    assert "data.samples" in done.stderr
    assert "Traceback" not in done.stderr
    assert results(undisturbed) == before
    assert json.loads((undisturbed / "config.json").read_text())["data"]["samples"] == 54


def test_a_language_model_that_fails_and_a_run_that_is_killed_change_nothing(
    tiny_policy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "llm.toml"
    roots = {rate: tmp_path / f"faults-{rate}" for rate in (0.0, 0.3)}
    for rate, root in roots.items():
        with Server(Script(model=play, fault_rate=rate, faults=FAULTS)) as server:
            path.write_text(LANGUAGE_MODEL.format(model=tiny_policy, url=server.url))
            if rate:
                steps = ("work/seed-train-0.jsonl", "work/round-1/verify.jsonl", EXPANDING)
                killed = [kill_when(root / step, ["run", path, "--run", root]) for step in steps]
                assert all(killed), "the run was not disturbed where it should have been"
            done = run("run", path, "--run", root)
            assert done.returncode == 0, done.stderr
            assert max(server.seen.paid.values()) == 1
            assert set(server.seen.faults) == (set(FAULTS) if rate else set())
    expected, found = (results(root) for root in roots.values())
    for made in (expected, found):  # answers that were cut or empty are paid for too
        del made["bill.jsonl"], made["forecast.jsonl"]
    assert found == expected
