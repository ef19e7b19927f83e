"""What a chat format promises: tools, messages and calls as text, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from looptool.chat.stream import OutputReader
from looptool.records import Label, Message, ParsedOutput, Tool


class ChatFormat(Protocol):
    """A format bound to a tokenizer.

    `parse(completion(label)).calls == label.calls` for any JSON. Marks of the format in untrusted
    text (messages, schemas, arguments) are escaped and never act.
    """

    name: str
    tokenizer: Any
    stop_ids: frozenset[int]
    """The tokens that end the model's turn."""

    def context(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The conversation so far as text, without the opening of the model's turn."""
        ...

    def prompt(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The text after which the model makes its move. Tools come first where possible."""
        ...

    def completion(self, label: Label) -> str:
        """What the model should say after the prompt, with the end of its turn."""
        ...

    def parse(self, text: str) -> ParsedOutput:
        """Reads what the model said, with or without the end of its turn. Never raises."""
        ...

    def reader(
        self,
        prompt: Sequence[int],
        stops: Sequence[str] = (),
        *,
        calls: bool = True,
        repeats: bool = True,
    ) -> OutputReader:
        """Reads what the model says after the prompt while it grows, as `parse` does at its end.

        The output also ends at any of `stops`. Without `calls`, calls are text; without `repeats`,
        a call that was said before is passed over.
        """
        ...

    def prompt_ids(self, tools: Sequence[Tool], messages: Sequence[Message]) -> list[int]:
        """The tokens of `prompt`."""
        ...

    def completion_ids(self, label: Label) -> list[int]:
        """The tokens of `completion`; the last one is in `stop_ids`."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of what the model said, for `parse`: control tokens are kept."""
        ...


def as_label(message: Message) -> Label:
    """The move that an assistant's message makes."""
    return Label(calls=message.tool_calls, content=message.content)


def encode(tokenizer: Any, text: str) -> list[int]:
    """The tokens of rendered text, with nothing added."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of tokens, control tokens included and nothing tidied up."""
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return str(text)


def check_prefix_preserving(
    format: ChatFormat, tools: Sequence[Tool], messages: Sequence[Message]
) -> bool:
    """Whether each context's text is a prefix of the text with the next message.

    And whether prompt and completion of each assistant's turn are what later turns see of it: if
    not, a model is trained on other text than it meets. Several tool results in a row count as one
    message, for formats that put them into one turn.
    """
    texts = [format.context(tools, messages[: end + 1]) for end in range(len(messages))]
    for index in range(1, len(messages)):
        before, message = messages[index - 1], messages[index]
        if not before.role == message.role == "tool" and not texts[index].startswith(
            texts[index - 1]
        ):
            return False
        if message.role == "assistant":
            said = format.prompt(tools, messages[:index]) + format.completion(as_label(message))
            if not all(text.startswith(said) for text in texts[index:]):
                return False
    return True
