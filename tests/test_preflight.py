"""What would stop a run late is told before it has made anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looptool import preflight as module
from looptool.chat.hermes import Hermes
from looptool.config import Config
from looptool.errors import UserError
from looptool.preflight import check_two_calls, preflight
from looptool.records import Label, ParsedOutput


def config(**rest: Any) -> Config:
    return Config.model_validate(rest)


def told(config: Config, cache: Path) -> str:
    with pytest.raises(UserError) as caught:
        preflight(config, cache)
    assert "\n" not in str(caught.value) and not list(cache.iterdir())
    return str(caught.value)


def test_a_sound_policy_passes(tiny_policy: Path, tmp_path: Path) -> None:
    preflight(config(policy={"model": str(tiny_policy)}), tmp_path)
    preflight(config(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tracker", ["wandb", "trackio", "tensorboard"])
def test_a_tracker_without_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda package: None)
    line = told(config(train={"report_to": tracker}), tmp_path)
    assert f"`pip install {tracker}`" in line


def test_vllm_without_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda package: None)
    assert "`pip install 'trl[vllm]'`" in told(config(train={"vllm": True}), tmp_path)


def test_a_template_without_tools_is_told(tiny_policy: Path, tmp_path: Path) -> None:
    native = {"model": str(tiny_policy), "format": "native"}
    assert "has no chat template" in told(config(policy=native), tmp_path)


def test_a_template_that_takes_one_call_at_a_time_is_told(tiny_tokenizer: Any) -> None:
    class OneCall(Hermes):
        def parse(self, text: str) -> ParsedOutput:
            output = super().parse(text)
            return output.model_copy(update={"calls": output.calls[:1]})

    class Refusing(Hermes):
        def completion(self, label: Label) -> str:
            if len(label.calls) > 1:
                raise UserError("refuses a message")
            return super().completion(label)

    check_two_calls(Hermes(tiny_tokenizer), "m")
    with pytest.raises(UserError, match=r'two calls.*format = "hermes"'):
        check_two_calls(OneCall(tiny_tokenizer), "m")
    with pytest.raises(UserError, match="refuses a message"):
        check_two_calls(Refusing(tiny_tokenizer), "m")


@pytest.mark.parametrize(
    ("policy", "train", "key"),
    [
        ({"max_prompt_tokens": 8000}, {}, "policy.max_new_tokens = 320"),
        ({"max_prompt_tokens": 7800}, {"max_completion_tokens": 500}, "max_completion_tokens"),
    ],
)
def test_more_tokens_than_the_model_has_positions_are_told(
    tiny_policy: Path, tmp_path: Path, policy: dict[str, Any], train: dict[str, Any], key: str
) -> None:
    for model in (str(tiny_policy), "smollm2-135m"):
        line = told(config(policy=policy | {"model": model}, train=train), tmp_path)
        assert key in line and "8192 positions" in line
