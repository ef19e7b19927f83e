"""What would stop a run late is found before anything is made: no seed is paid for in vain."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from looptool.config import Config
from looptool.errors import UserError
from looptool.records import Label, Message, Tool, ToolCall

if TYPE_CHECKING:
    from looptool.chat import ChatFormat

_TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""The packages of which a tracker needs one."""

_TOOL = Tool(name="look_up")
_CALLS = tuple(ToolCall(name="look_up", arguments={"place": place}) for place in ("Oslo", "Rome"))
_TALK = (
    Message(role="user", content="Look up Oslo and Rome."),
    Message(role="assistant", tool_calls=_CALLS),
    Message(role="tool", name="look_up", content="{}"),
    Message(role="tool", name="look_up", content="{}"),
    Message(role="assistant", content="Nothing was found."),
    Message(role="user", content="Thank you."),
)


def preflight(config: Config, cache: Path) -> None:
    """Raises UserError where a package, the model, its chat template or its length cannot serve.

    The model's weights are not loaded. Into `cache` the embedded one is converted, if its own
    template is asked for.
    """
    from looptool.chat import load_format
    from looptool.models import load

    _check_tracker(config.train.report_to)
    if config.train.vllm and not find_spec("vllm"):
        raise UserError(
            "train.vllm needs a package that is not installed: run `pip install 'trl[vllm]'` on a "
            "machine with a GPU, or set train.vllm = false"
        )
    policy = config.policy
    if policy.model == load.EMBEDDED:
        load.embedded_weights()
        _check_length(config, load.EMBEDDED_POSITIONS)
        if policy.format == "hermes":
            return
    base = load.base_checkpoint(policy, cache)
    chat = load_format(policy.format, load.load_tokenizer(base))
    check_two_calls(chat, policy.model)
    _check_length(config, load.num_positions(load.load_config_of(base)))


def check_two_calls(chat: ChatFormat, model: str) -> None:
    """Raises UserError where a conversation with two calls in one move cannot be written."""
    output = chat.parse(chat.completion(Label(calls=_CALLS)))
    chat.prompt([_TOOL], _TALK)
    if output.calls != _CALLS:
        raise UserError(
            f"the chat template of {model} does not write two calls of one move so that they can "
            'be read back: set policy.format = "hermes"'
        )


def _check_tracker(name: str) -> None:
    packages = _TRACKERS.get(name, ())
    if packages and not any(find_spec(package) for package in packages):
        raise UserError(
            f'train.report_to = "{name}" needs a package that is not installed: '
            f"run `pip install {packages[0]}`"
        )


def _check_length(config: Config, positions: int | None) -> None:
    """Prompt and completion together must fit the positions that the model has."""
    policy = config.policy
    ends = {"policy.max_new_tokens": policy.max_new_tokens}
    if config.train.steps:
        ends["train.max_completion_tokens"] = config.train.max_completion_tokens
    key, longest = max(ends.items(), key=lambda end: end[1])
    if positions is not None and policy.max_prompt_tokens + longest > positions:
        raise UserError(
            f"policy.max_prompt_tokens = {policy.max_prompt_tokens} and {key} = {longest} are "
            f"more than the {positions} positions of {policy.model}; lower one of them"
        )
