from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from looptool.config import Config, LlmTeacherConfig, LoraConfig, check_config, load_config
from looptool.errors import UserError
from looptool.merge import first_share, loop_seed, seed_share
from looptool.records import Label, Message, Sample, Scenario

ROOT = Path(__file__).parents[1]


def refused(raw: dict[str, Any], overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(UserError) as caught:
        check_config(raw, "my.toml", overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_file_is_a_config() -> None:
    assert check_config({}, "my.toml") == Config()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"trian": {}}, "my.toml: trian: unknown key"),
        ({"train": {"step": 3}}, "my.toml: train.step: unknown key"),
        ({"train": {"lora": {"ranks": 8}}}, "my.toml: train.lora.ranks: unknown key"),
        ({"teacher": {"type": "offline", "model": "x"}}, "my.toml: teacher.model: unknown key"),
        ({"rounds": "many"}, "my.toml: rounds: "),
        ({"train": 3}, "my.toml: train: "),
        ({"data": {"label_noise": -0.1}}, "my.toml: data.label_noise: "),
        ({"merge": {"high_perplexity_share": 1.5}}, "my.toml: merge.high_perplexity_share: "),
        ({"train": {"group_size": 1}}, "my.toml: train.group_size: "),
        ({"train": {"learning_rate": 0}}, "my.toml: train.learning_rate: "),
        ({"rounds": 0}, "my.toml: rounds: "),
        ({"data": {"held_out_share": 0}}, "my.toml: data.held_out_share: "),
        ({"data": {"shares": {"single": 0.5}}}, "my.toml: data: shares sum to 0.500"),
        ({"data": {"shares": {"singel": 1.0}}}, "my.toml: data.shares.singel"),
        (
            {"warm_start": {"reuse": False, "samples": 2000}},
            "my.toml: warm_start.samples (without reuse)",
        ),
        ({"data": {"distractors": [4, 1]}}, "my.toml: data: distractors"),
        ({"teacher": {"type": "oracle"}}, "my.toml: teacher: "),
        ({"teacher": {"type": "llm", "model": "m"}}, "my.toml: teacher.base_url: "),
    ],
)
def test_what_is_wrong_is_named_in_one_line(raw: dict[str, Any], named: str) -> None:
    assert refused(raw).startswith(named)


def test_an_unknown_key_tells_where_the_known_ones_are_listed() -> None:
    assert "docs/configuration.md" in refused({"sed": 1})
    assert (ROOT / "docs" / "configuration.md").exists()


def test_the_first_of_several_mistakes_is_named_and_the_others_counted() -> None:
    assert refused({"rounds": 0, "seed": -1}).endswith("(and 1 more)")


@pytest.mark.parametrize(
    "raw",
    [{"rounds": True}, {"rounds": "3"}, {"rounds": 3.5}, {"verify": {"enabled": "no"}},
     {"verify": {"enabled": 1}}, {"policy": {"model": 3}}, {"train": {"max_grad_norm": "1"}},
     {"train": {"learning_rate": float("nan")}}, {"train": {"learning_rate": float("inf")}}],
    ids=str,
)  # fmt: skip
def test_a_value_of_another_type_is_not_taken_for_what_it_looks_like(raw: dict[str, Any]) -> None:
    assert refused(raw)


def test_an_integer_is_a_number() -> None:
    assert check_config({"train": {"max_grad_norm": 1}}, "x").train.max_grad_norm == 1.0


def test_overrides_reach_any_key_and_are_typed_as_in_toml() -> None:
    config = check_config(
        {"rounds": 2},
        "my.toml",
        ["rounds=5", "train.lora.rank=8", "policy.model=some/model", "verify.enabled=false",
         'data.shares={single=1.0}', "teacher.type=llm", "teacher.base_url='http://x/v1'",
         "teacher.model=m"],
    )  # fmt: skip
    assert config.rounds == 5
    assert config.train.lora is not None and config.train.lora.rank == 8
    assert config.policy.model == "some/model"
    assert config.verify.enabled is False
    assert list(config.data.shares.values()) == [1.0]
    assert isinstance(config.teacher, LlmTeacherConfig)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("rounds", "-o rounds: write it as"),
        ("=3", "-o =3: write it as"),
        ("rounds.x=3", "-o rounds.x=3: rounds is a value"),
        ("train.stepz=3", "train.stepz: unknown key"),
        ("rounds=lots", "rounds: "),
    ],
)
def test_a_wrong_override_is_named(override: str, named: str) -> None:
    assert named in refused({"rounds": 2}, (override,))


def test_an_override_makes_the_section_that_a_resolved_config_leaves_unset() -> None:
    raw = json.loads(Config().model_dump_json())
    assert raw["train"]["lora"] is None
    config = check_config(raw, "config.json", ["train.lora.rank=8"])
    assert config.train.lora == LoraConfig(rank=8)
    assert config.warm_start.lora is None


def test_no_distractors_at_all_may_be_asked_for() -> None:
    assert check_config({"data": {"distractors": [0, 0]}}, "x").data.distractors == (0, 0)


def test_a_config_reads_back_from_its_own_json() -> None:
    config = check_config({"train": {"lora": {}}, "rounds": 7}, "x")
    assert check_config(json.loads(config.model_dump_json()), "x") == config


@pytest.mark.parametrize("text", ["rounds = ", "a = 1\na = 2", "\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.toml: not readable as TOML"):
        load_config(path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not readable as TOML"):
        load_config(path)


def test_a_seed_that_no_generator_takes_is_refused() -> None:
    assert check_config({"seed": 2**63 - 1}, "x").seed == 2**63 - 1
    with pytest.raises(UserError, match="seed"):
        check_config({"seed": 2**63}, "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such config"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.toml")), ids=lambda p: p.name)
def test_every_config_in_the_repository_is_valid(path: Path) -> None:
    load_config(path)


def test_the_configuration_page_is_current() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", "import make_configuration as m; print(m.text(), end='')"],
        cwd=ROOT / "docs", capture_output=True, encoding="utf-8", check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert printed.stdout == page, "run: python docs/make_configuration.py"


def test_every_key_has_a_line_of_doc() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    undocumented = [line for line in page.splitlines() if line.endswith("|  |")]
    assert all(line.startswith("| `type`") for line in undocumented)


def test_every_row_of_the_page_is_one_line_and_shows_its_limits() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(re.fullmatch(r"\|( [^|]+ \|){3} .*\|", row) for row in rows)
    optional = [row for row in rows if "`max_failures`" in row or "`max_budget_tokens`" in row]
    assert len(optional) == 2 and all("| integer, ≥ 1 | not set |" in row for row in optional)


def test_the_quickstart_holds_seed_back_that_its_warm_start_has_not_seen() -> None:
    config = load_config(ROOT / "configs" / "quickstart.toml")
    assert config.warm_start.reuse
    for num_too_long in range(14):  # the longest labels are left out before
        seed = made_up_samples(config.data.samples - num_too_long)
        known = {sample.id for sample in seed[: config.warm_start.samples]}
        held = seed_share(seed, config.merge, 1, config.rounds, frozenset())
        assert held and known.isdisjoint(sample.id for sample in held)


def test_the_static_baseline_trains_on_all_that_the_warm_start_leaves() -> None:
    config = load_config(ROOT / "configs" / "ablations" / "static.toml")
    rest = loop_seed(made_up_samples(config.data.samples), config)
    assert config.merge.static and first_share(rest, config.merge) == rest


def made_up_samples(number: int) -> list[Sample]:
    return [
        Sample.create((), (Message(role="user", content=f"{n}?"),), Label(), Scenario.CHAT)
        for n in range(number)
    ]


def test_a_config_changes_keys_of_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("rounds = 5\n[train]\nsteps = 3\ngroup_size = 4\n")
    (tmp_path / "child.toml").write_text('extends = "base.toml"\n[train]\nsteps = 7\n')
    config = load_config(tmp_path / "child.toml")
    assert (config.rounds, config.train.steps, config.train.group_size) == (5, 7, 4)


def test_a_circle_of_configs_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(UserError, match="extends itself"):
        load_config(tmp_path / "a.toml")


def test_an_override_of_two_lines_sets_one_key(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("rounds = 2")
    with pytest.raises(UserError, match=r"rounds: .*valid integer"):
        load_config(path, ["rounds=1\nx=2"])
