"""What the steps hand to the stages, and what they note about the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from looptool.config import (
    Config,
    MergeConfig,
    PolicyConfig,
    ProbeConfig,
    SupervisedConfig,
    TrainConfig,
    WarmStartConfig,
)
from looptool.errors import UserError
from looptool.models.engine import Engine
from looptool.models.load import model_hash
from looptool.records import (
    Checkpoint,
    Label,
    Match,
    Message,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Seed,
)
from looptool.runs.run import Run
from looptool.steps import Steps
from looptool.train.between import Between
from looptool.train.halving import Search, Tried
from looptool.train.stats import TrainStats
from looptool.validating import Validating
from looptool.work import Silent

SAID = (Message(role="user", content="Hello."),)
SAMPLE = Sample.create((), SAID, Label(content="Hello!"), Scenario.CHAT)


class Loaded(Exception):
    """Stands for the engine: the test is over where it is asked for."""


@pytest.fixture
def run(tiny_policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    def load_engine(*_: Any, max_rows: int) -> None:
        raise Loaded(f"{max_rows} rows")

    monkeypatch.setattr("looptool.models.engine.load_engine", load_engine)
    policy = PolicyConfig(model=str(tiny_policy), dtype="float32")
    config = Config(policy=policy, probe=ProbeConfig(batch_size=5))
    with Run(tmp_path, config, Silent()) as made:
        yield made


def test_probe_and_measure_decode_as_many_rows_as_the_config_says(run: Run) -> None:
    steps, base = Steps(run), Checkpoint(name="base", path="x", base="x")
    with pytest.raises(Loaded, match="5 rows"):
        steps.probe(1, base, [SAMPLE])
    with pytest.raises(Loaded, match="5 rows"):
        steps.measure(base, Seed(train=(), held_out=(SAMPLE,)))


def test_the_loop_trains_on_what_the_warm_start_left(tmp_path: Path) -> None:
    texts = [(Message(role="user", content=f"Hello {n}."),) for n in range(4)]
    train = tuple(Sample.create((), said, Label(content="Hello!"), Scenario.CHAT) for said in texts)
    config = Config(
        rounds=2,
        warm_start=WarmStartConfig(samples=2, reuse=False),
        merge=MergeConfig(seed_new_share=0.5),
    )
    with Run(tmp_path, config, Silent()) as run:
        steps, seed = Steps(run), Seed(train=train, held_out=())
        first = steps.first_dataset(seed)
        later = steps.merge(1, seed, first, [], [], [])
        assert [s.id for s in (*first, *later)] == [s.id for s in train[2:]]
        with pytest.raises(UserError, match=r"raise data\.samples"):
            steps.first_dataset(Seed(train=train[:2], held_out=()))


def test_the_learning_rate_sinks_from_round_to_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def train(config: TrainConfig, *rest: object) -> None:
        rates.append(config.learning_rate)
        raise Loaded

    monkeypatch.setattr("looptool.train.grpo.train", train)
    config = Config(train=TrainConfig(learning_rate=8e-6, learning_rate_decay=0.5))
    base = Checkpoint(name="base", path="x", base="x")
    with Run(tmp_path, config, Silent()) as run:
        for round in (1, 2, 3):
            with pytest.raises(Loaded):
                Steps(run).train(round, base, [SAMPLE], [])
    assert rates == [8e-6, 4e-6, 2e-6]


def test_a_policy_that_validation_finds_clearly_worse_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 30 validation samples, by path. The best, 20, has an interval from 15 to 25; 14 would do
    # beside 18.
    right = {"start": 20, "1": 10, "2": 18, "at-0.5": 14}
    likelier_half_way = [False, False, True]  # by round
    probed: list[str] = []

    def train(*args: Any) -> tuple[Checkpoint, TrainStats]:
        out: Path = args[5]
        number = out.name.removeprefix("round-")
        (out / number).mkdir(parents=True)
        return Checkpoint(name=out.name, path=str(out / number), base="x"), TrainStats()

    def probe(
        config: object, name: str, engine: Callable[[], Path], samples: Sequence[Sample], *_: object
    ) -> list[ProbeResult]:
        assert [s.id for s in samples] == [s.id for s in seed.train[-30:]]
        probed.append(engine().name)
        return [
            ProbeResult(
                sample_id=sample.id,
                checkpoint=name,
                output="",
                parsed=ParsedOutput(),
                match=Match(matched=at < right[probed[-1]]),
                perplexity=1.0,
                num_tokens=1,
            )
            for at, sample in enumerate(samples)
        ]

    def search(*_: object) -> Search:
        half = 0.1 if likelier_half_way.pop(0) else 0.3
        return Search(tried=(Tried(share=1, nats=0.2), Tried(share=0.5, nats=half)))

    def save(line: Between, share: float, folder: Path) -> Checkpoint:
        assert (line.start.name, line.end.name, share) == ("round-2", "round-3", 0.5)
        folder.mkdir()
        return line.end.model_copy(update={"path": str(folder)})

    monkeypatch.setattr(Between, "search", search)
    monkeypatch.setattr(Between, "save", save)
    monkeypatch.setattr("looptool.train.grpo.train", train)
    monkeypatch.setattr("looptool.probe.gcp.probe", probe)
    monkeypatch.setattr("looptool.models.load.is_whole", lambda path: True)
    monkeypatch.setattr(Steps, "_engine", lambda self, policy: Path(policy.path))
    texts = [(Message(role="user", content=f"Hello {n}."),) for n in range(36)]
    chat = [Sample.create((), said, Label(content="Hello!"), Scenario.CHAT) for said in texts]
    seed = Seed(train=tuple(chat), held_out=())
    config = Config(rounds=3, train=TrainConfig(validation_samples=30, labels=SupervisedConfig()))
    policy = Checkpoint(name="warm-start", path=str(tmp_path / "start"), base="x")
    with Run(tmp_path, config, Silent()) as run:
        steps = Steps(run)
        monkeypatch.setattr(steps, "seed", lambda: seed)
        assert [s.id for s in steps.first_dataset(seed)] == [s.id for s in chat[:6]][:4]
        taken = []
        for round in (1, 2, 3):
            policy = steps.train(round, policy, [SAMPLE], [])
            taken.append((policy.name, Path(policy.path).name))
    assert taken == [("warm-start", "start"), ("round-2", "2"), ("round-2", "2")]
    assert probed == ["start", "1", "2", "at-0.5"]  # what stands is not measured again


def test_without_training_on_labels_their_likelihood_decides_nothing(run: Run) -> None:
    validating = Validating(run, run.config.policy, (SAMPLE,), lambda policy: engine())

    def engine() -> Engine:
        raise Loaded

    start, end = (Checkpoint(name=name, path=name, base="x") for name in ("start", "end"))
    with pytest.raises(Loaded):
        validating.pick(1, start, end)
    assert not run.has("round-1/between")


def test_a_policy_is_needed_until_a_later_one_is_another(run: Run, tmp_path: Path) -> None:
    def policy(name: str) -> Callable[[], Checkpoint]:
        return lambda: Checkpoint(name=name, path=str(tmp_path / name), base="x")

    def found(later: list[str]) -> str:
        made = steps._checkpoint("warm-start/policy", policy("remade"), later)
        return Path(made.path).name

    steps, later = Steps(run), ["round-1/train/policy", "round-2/train/policy"]
    run.once("warm-start/policy", Checkpoint, policy("gone"))
    run.once(later[0], Checkpoint, policy("gone"))  # round 1 was rejected
    run.once(later[1], Checkpoint, policy("round-2"))
    assert found(later) == "gone", "round 2 stands on its own"
    assert found(later[:1]) == "remade"


def test_the_hash_of_the_base_model_joins_the_provenance(run: Run, tiny_policy: Path) -> None:
    with pytest.raises(Loaded):
        Steps(run).warm_start(Seed(train=(SAMPLE,), held_out=(SAMPLE,)))
    base = Checkpoint(name="base", path=str(tiny_policy), base=str(tiny_policy))
    assert json.loads(run.paths.provenance.read_text())["model_hash"] == model_hash(base)
