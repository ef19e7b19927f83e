"""The Hermes format: ChatML turns, tools in the system turn, calls in `<tool_call>` tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looptool.chat.base import as_label, decode, encode
from looptool.chat.escape import Escaper, control_tokens
from looptool.chat.reading import cut_at, read_tagged
from looptool.chat.stream import OutputReader
from looptool.errors import UserError
from looptool.records import Label, Message, ParsedOutput, Tool

_SYSTEM = "You are a helpful assistant."
_TOOLS = """\
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


class Hermes:
    """The public Hermes/Qwen convention, for any tokenizer.

    Turns end with `<|im_end|>` where that is one token, else with the tokenizer's own end. The
    tools come before the system message, so that all samples with the same tools share a prefix.
    """

    name = "hermes"

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        one_token = len(encode(tokenizer, "<|im_end|>")) == 1
        self._end = "<|im_end|>" if one_token else tokenizer.eos_token
        if not self._end:
            raise UserError(
                f"the tokenizer of {tokenizer.name_or_path} has no end-of-text token: set eos_token"
            )
        known = control_tokens(tokenizer)
        self._escape = Escaper(known | {self._end})
        self._stops = [self._end, *known & {"<|endoftext|>", tokenizer.eos_token}]
        self.stop_ids = frozenset(tokenizer.convert_tokens_to_ids(self._stops))
        self._bos = _bos(tokenizer)

    def context(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The conversation so far; tool results at the end leave their turn open for more."""
        given = messages[0] if messages and messages[0].role == "system" else None
        text = self._bos + self._system(tools, given.content if given else "")
        previous = "system"
        for message in messages[1 if given else 0 :]:
            text += self._message(message, previous)
            previous = message.role
        return text

    def prompt(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The conversation and the opening of the assistant's turn."""
        closed = self._close(messages[-1].role if messages else "system")
        return f"{self.context(tools, messages)}{closed}<|im_start|>assistant\n"

    def completion(self, label: Label) -> str:
        """Text, if any, then one `<tool_call>` block a call, then the end of the turn."""
        parts = [self._escape.text(label.content)] if label.content else []
        for call in label.calls:
            body = self._escape.json({"name": call.name, "arguments": call.arguments})
            parts.append(f"<tool_call>\n{body}\n</tool_call>")
        return "\n".join(parts) + self._end

    def parse(self, text: str) -> ParsedOutput:
        """Reads tagged calls (`read_tagged`)."""
        return read_tagged(cut_at(text, self._stops))

    def reader(
        self,
        prompt: Sequence[int],
        stops: Sequence[str] = (),
        *,
        calls: bool = True,
        repeats: bool = True,
    ) -> OutputReader:
        """Reads tagged calls while the output grows; no prompt of this format begins a thought."""
        return OutputReader("tagged", [*self._stops, *stops], calls=calls, repeats=repeats)

    def prompt_ids(self, tools: Sequence[Tool], messages: Sequence[Message]) -> list[int]:
        """The tokens of the prompt."""
        return encode(self.tokenizer, self.prompt(tools, messages))

    def completion_ids(self, label: Label) -> list[int]:
        """The tokens of the completion, the end of the turn included."""
        return encode(self.tokenizer, self.completion(label))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the model's tokens."""
        return decode(self.tokenizer, ids)

    def _system(self, tools: Sequence[Tool], given: str) -> str:
        parts = []
        if tools:
            lines = [
                self._escape.json({"type": "function", "function": tool.as_function()})
                for tool in tools
            ]
            parts.append(_TOOLS.format(tools="\n".join(lines)))
        if given or not tools:
            parts.append(self._escape.text(given or _SYSTEM))
        return self._turn("system", "\n\n".join(parts))

    def _message(self, message: Message, previous: str) -> str:
        if message.role == "tool":
            opening = "" if previous == "tool" else "<|im_start|>user"
            content = self._escape.text(message.content)
            return f"{opening}\n<tool_response>\n{content}\n</tool_response>"
        if message.role == "assistant":
            said = self.completion(as_label(message))
            return f"{self._close(previous)}<|im_start|>assistant\n{said}\n"
        return self._close(previous) + self._turn(message.role, self._escape.text(message.content))

    def _turn(self, role: str, text: str) -> str:
        return f"<|im_start|>{role}\n{text}{self._end}\n"

    def _close(self, previous: str) -> str:
        """The end of the turn that tool results leave open."""
        return f"{self._end}\n" if previous == "tool" else ""


def _bos(tokenizer: Any) -> str:
    """The beginning-of-text token, for tokenizers that put one before every text."""
    bos = tokenizer.bos_token_id
    begins = bos is not None and list(tokenizer("a")["input_ids"][:1]) == [bos]
    return str(tokenizer.bos_token) if begins else ""
