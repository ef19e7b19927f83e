"""The tokenizer's own chat template, for models that were trained with one that knows tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from looptool.chat.base import decode, encode
from looptool.chat.escape import Escaper, control_tokens
from looptool.chat.reading import cut_at, read_bare, read_tagged
from looptool.chat.stream import OutputReader
from looptool.errors import UserError
from looptool.records import Label, Message, ParsedOutput, Tool, ToolCall

_TURN_ENDS = {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<end_of_turn>", "</s>"}
_PROBE = Message(role="user", content="Hello")
_PROBE_CALL = ToolCall(name='a "quoted" name', arguments={"text": "<tool_call>", "number": 1.5})
# Templates that think or tell the date would make completions long, and runs differ by the day.
_SETTINGS = {"enable_thinking": False, "date_string": "26 Jul 2024"}


class Native:
    """A tokenizer's chat template with `tools=`; reads tagged calls and Llama 3's bare JSON.

    Raises:
        UserError: the template knows no tools, or writes calls in a way that cannot be read back.
    """

    name = "native"

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        known = control_tokens(tokenizer)
        self._escape = Escaper(known)
        self._stops = sorted(known & (_TURN_ENDS | {tokenizer.eos_token}))
        self.stop_ids = frozenset(tokenizer.convert_tokens_to_ids(self._stops))
        self._raw_names = False
        self._read: Callable[[str], ParsedOutput] = read_tagged
        if not tokenizer.chat_template or not self._stops:
            raise self._unfit("has no chat template")
        tool = Tool(name="looptool_probe", description="A probe.")
        if tool.name not in self.prompt([tool], [_PROBE]):
            raise self._unfit("has a chat template that knows no tools")
        self._opening = self.prompt([], [_PROBE])
        self._learn_to_read()

    def context(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The conversation as the template writes it."""
        return self._render(tools, messages, open_turn=False)

    def prompt(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
        """The conversation and the template's generation prompt, thinking switched off."""
        return self._render(tools, messages, open_turn=True)

    def completion(self, label: Label) -> str:
        """What the template writes for the move after a generation prompt, up to its turn's end.

        Raises:
            UserError: the template does not take such a move (Llama 3 takes one call at a time).
        """
        move = Message(role="assistant", content=label.content, tool_calls=label.calls)
        before, after = self._opening, self.context([], [_PROBE, move])
        if not after.startswith(before):
            raise self._unfit("has a chat template whose turns do not begin with its prompt")
        said = after[len(before) :].rstrip("\n")
        return said if said.endswith(tuple(self._stops)) else said + str(self.tokenizer.eos_token)

    def parse(self, text: str) -> ParsedOutput:
        """Reads calls as this template writes them."""
        return self._read(cut_at(text, self._stops))

    def reader(
        self,
        prompt: Sequence[int],
        stops: Sequence[str] = (),
        *,
        calls: bool = True,
        repeats: bool = True,
    ) -> OutputReader:
        """Reads calls as this template writes them while the output grows.

        Some templates begin a thought in the prompt.
        """
        return OutputReader(
            "tagged" if self._read is read_tagged else "bare",
            [*self._stops, *stops],
            calls=calls,
            repeats=repeats,
            thinking=self.decode(prompt[-8:]).rstrip().endswith("<think>"),
        )

    def prompt_ids(self, tools: Sequence[Tool], messages: Sequence[Message]) -> list[int]:
        """The tokens of the prompt."""
        return encode(self.tokenizer, self.prompt(tools, messages))

    def completion_ids(self, label: Label) -> list[int]:
        """The tokens of the completion, the end of the turn included."""
        return encode(self.tokenizer, self.completion(label))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the model's tokens."""
        return decode(self.tokenizer, ids)

    def _learn_to_read(self) -> None:
        """Finds the way to write names and to read calls that brings a call back unchanged."""
        for self._read in (read_tagged, read_bare):
            for self._raw_names in (True, False):
                label = Label(calls=(_PROBE_CALL,))
                if self.parse(self.completion(label)).calls == label.calls:
                    return
        raise self._unfit("has a chat template that writes calls in an unknown way")

    def _render(self, tools: Sequence[Tool], messages: Sequence[Message], open_turn: bool) -> str:
        functions = [{"type": "function", "function": tool.as_function()} for tool in tools]
        calls = [[call.model_dump() for call in message.tool_calls] for message in messages]
        # Stands for the backslash of the unicode escapes, until the template has written JSON.
        backslash = _absent_from(str((self.tokenizer.chat_template, functions, messages)))
        chat = [
            self._message(message, message_calls, backslash)
            for message, message_calls in zip(messages, calls, strict=True)
        ]
        try:
            text: str = self.tokenizer.apply_chat_template(
                chat,
                tools=self._escape.mark(functions, backslash) or None,
                tokenize=False,
                add_generation_prompt=open_turn,
                **_SETTINGS,
            )
        except Exception as error:  # a template is foreign code
            raise self._unfit(f"has a chat template that refuses a message ({error})") from error
        return text.replace(backslash, "\\")

    def _message(
        self, message: Message, calls: list[dict[str, Any]], backslash: str
    ) -> dict[str, Any]:
        chat: dict[str, Any] = {
            "role": message.role,
            "content": self._escape.text(message.content),
        }
        for key in ("tool_call_id", "name"):
            if value := getattr(message, key):
                chat[key] = self._escape.text(value)
        if calls:
            functions = [self._function(call, backslash) for call in calls]
            chat["tool_calls"] = [{"type": "function", "function": call} for call in functions]
        return chat

    def _function(self, call: dict[str, Any], backslash: str) -> dict[str, Any]:
        marked: dict[str, Any] = self._escape.mark(call, backslash)
        if self._raw_names:
            # Most templates put the name between quotes as it is.
            marked["name"] = self._escape.json(call["name"])[1:-1]
        return marked

    def _unfit(self, what: str) -> UserError:
        model = self.tokenizer.name_or_path or "this model"
        return UserError(f'the tokenizer of {model} {what}: set format = "hermes"')


def _absent_from(source: str) -> str:
    """A short mark that does not occur in the source, and cannot overlap itself."""
    return next(mark for mark in (f"@{number}#" for number in count()) if mark not in source)
