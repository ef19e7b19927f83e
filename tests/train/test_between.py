"""On the line between two policies: its weights, its likelihoods, and where the search stops."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from looptool.chat import load_format
from looptool.config import PolicyConfig, SupervisedConfig
from looptool.models.load import load_model, load_tokenizer
from looptool.records import Checkpoint, Sample
from looptool.train.between import Between
from looptool.train.halving import LEAST_SHARE, Search, halving
from looptool.train.packing import Group
from looptool.train.supervised import groups_of, nats_a_move, supervise, supervised_step
from looptool.train.trainable import trainable
from looptool.work import Silent

from .ends import same_weights


@pytest.fixture(scope="module")
def end(
    policy: PolicyConfig,
    start: Checkpoint,
    samples: list[Sample],
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkpoint:
    config = SupervisedConfig(learning_rate=1e-2, epochs=3, batch_tokens=512)
    out = tmp_path_factory.mktemp("trained")
    return supervise(config, policy, start, samples, out, "round-1", 0, Silent())


@pytest.fixture(scope="module")
def groups(policy: PolicyConfig, start: Checkpoint, samples: list[Sample]) -> list[Group]:
    return groups_of(load_format(policy.format, load_tokenizer(start)), samples, policy)


def test_the_line_goes_straight_from_the_start_to_the_end(
    start: Checkpoint, end: Checkpoint
) -> None:
    line = Between(start, end)
    ends = [dict(load_model(each, "float32").named_parameters()) for each in (start, end)]
    for share in (0.0, 0.25, 1.0):
        for name, found in line.at(share).named_parameters():
            begun, ended = (parameters[name] for parameters in ends)
            torch.testing.assert_close(found, begun + share * (ended - begun))
    assert any(not ends[0][name].equal(ends[1][name]) for name in ends[0])


def test_a_policy_on_the_way_is_saved_once_under_the_name_of_the_end(
    start: Checkpoint, end: Checkpoint, tmp_path: Path
) -> None:
    line = Between(start, end)
    half = line.save(0.5, tmp_path / "mean")
    assert (half.name, half.base) == (end.name, end.base)
    model = AutoModelForCausalLM.from_pretrained(half.path, dtype=torch.float32)
    wanted = dict(line.at(0.5).named_parameters())
    assert all(value.equal(wanted[name]) for name, value in model.named_parameters())
    assert load_tokenizer(half).get_vocab() == load_tokenizer(start).get_vocab()
    assert same_weights(line.save(0.25, tmp_path / "mean"), half)


def test_likelihood_is_what_supervised_training_descends_on(
    policy: PolicyConfig, start: Checkpoint, groups: list[Group]
) -> None:
    model, optimizer = trainable(policy, start, None, 0, learning_rate=1e-9, max_grad_norm=1.0)
    found = nats_a_move(model, groups, Silent())
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())
    assert found == pytest.approx(supervised_step(model, optimizer, groups), rel=1e-5)


def test_the_search_measures_the_models_of_the_line(
    policy: PolicyConfig, start: Checkpoint, end: Checkpoint, samples: list[Sample]
) -> None:
    shared, plain = (
        Between(start, end).search(policy, samples, Silent(), each).tried for each in (True, False)
    )
    assert [one.share for one in shared[:2]] == [1.0, 0.5]
    for one, other in zip(shared, plain, strict=True):
        assert one.nats == pytest.approx(other.nats, rel=1e-4)
    backwards = Between(end, start).search(policy, samples, Silent())
    assert backwards.best < 1, "the way away from what was learned is not gone"
    assert backwards.tried[0].nats > shared[0].nats
    assert backwards.tried[1].nats == pytest.approx(shared[1].nats, rel=1e-4), "half is half"


def test_halving_stops_where_it_gets_worse_and_near_the_start() -> None:
    assert shares(halving(lambda share: -share)) == [1.0, 0.5]
    valley = halving(lambda share: abs(share - 0.45))
    assert shares(valley) == [1.0, 0.5, 0.25] and valley.best == 0.5
    assert shares(halving(lambda share: share))[-1] == LEAST_SHARE
    assert halving(lambda share: 0.0).best == 1, "of equals the end"


def shares(found: Search) -> list[float]:
    return [one.share for one in found.tried]


def test_without_a_sample_that_fits_there_is_nothing_to_choose_by(
    policy: PolicyConfig, start: Checkpoint, end: Checkpoint, samples: list[Sample]
) -> None:
    short = policy.model_copy(update={"max_prompt_tokens": 1})
    assert Between(start, end).search(short, samples, Silent()) == Search()


def test_a_model_with_recurrent_layers_is_measured_the_plain_way(
    policy: PolicyConfig, recurrent: Checkpoint, samples: list[Sample]
) -> None:
    line = Between(recurrent, recurrent)
    found = line.search(policy, samples, Silent())
    assert found.tried and found == line.search(policy, samples, Silent(), shared_prefix=False)
