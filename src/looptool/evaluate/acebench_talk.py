"""ACEBench's agent conversations inside the checkers' environment; imports nothing of LoopTool.

The official loop runs as it is, in a thread of its own, but for two things. Where it asks a model,
it asks whoever speaks to the worker. And where it gives model text to `eval`, it meets a function
that calls a method with plain values and evaluates nothing.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from threading import Thread, current_thread
from types import ModuleType, SimpleNamespace
from typing import Any

DECODERS = (
    "multi_turn.common_agent",
    "multi_turn.execution_role",
    "multi_step.execution_role_step",
)
RUNNERS = ("multi_turn.multi_turn_utils", "multi_step.multi_step_utils")
SCENES = (
    ("multi_turn.multi_turn_scene", "Scene"),
    ("multi_step.multi_step_scene", "Mulit_Step_Scene"),
)


class Talk(Thread):
    """One conversation. Only one of them moves at a time: whoever goes on with it waits."""

    def __init__(self, entry: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._entry = entry
        self._asked: SimpleQueue[dict[str, Any] | Exception] = SimpleQueue()
        self._said: SimpleQueue[str] = SimpleQueue()

    def go_on(self, said: str | None) -> dict[str, Any]:
        """What is asked next, or how it ended, after `said`; None begins. Raises what it raised."""
        if said is None:
            self.start()
        else:  # halves of characters, which no official file could hold, become question marks
            self._said.put(said.encode("utf-8", "replace").decode())
        asked = self._asked.get()
        if isinstance(asked, Exception):
            raise asked
        return asked

    def ask(self, who: str, messages: list[dict[str, str]]) -> str:
        """Called by the official code in this thread."""
        self._asked.put({"who": who, "messages": messages})
        return self._said.get()

    def inference(self, system: str, user: str) -> str:
        """What the official code calls a model: the contender."""
        told = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return self.ask("agent", told)

    def run(self) -> None:
        try:
            entry = self._entry
            # The name becomes part of a Python name; the user's must be one of those it knows.
            loop = official_loop()("model", user_model="gpt", language="en")
            functions = entry["function"]
            given = [functions] if isinstance(functions, dict | str) else functions
            result, process = loop.inference(entry["question"], given, "", "", entry, entry["id"])
            self._asked.put({"result": result, "process": process})
        except Exception as error:
            self._asked.put(error)


class Client:
    """What the official code takes for `openai.OpenAI`: the model that plays the user."""

    def __init__(self, **_: Any) -> None:
        self.chat = SimpleNamespace(completions=self)

    def create(self, messages: list[dict[str, str]], **_: Any) -> Any:
        message = SimpleNamespace(content=_this_talk().ask("user", messages))
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


@cache
def official_loop() -> Any:
    """The official class for local models, made safe."""
    infer = ModuleType("model_inference.model_infer")  # wants vLLM and hosted models' libraries
    infer.get_model = lambda **_: _this_talk()  # type: ignore[attr-defined]
    width = ModuleType("wcwidth")  # for the table of the dialogue, which is not written
    width.wcswidth = len  # type: ignore[attr-defined]
    sys.modules |= {infer.__name__: infer, width.__name__: width}
    loop = _official("common_inference").CommonInference
    loop.initialize_tokenizer = lambda *_: None
    _official("multi_turn.APIModel_user").OpenAI = Client
    for name, scene in SCENES:
        getattr(_official(name), scene).write_message_history = lambda *_: None
    for name in DECODERS:
        _official(name).eval = refuse
    for name in RUNNERS:
        module = _official(name)
        module.eval = plain_call(vars(module))
    return loop


def refuse(text: str) -> Any:
    """Stands for `eval` where the official code works out arithmetic in arguments."""
    raise ValueError("nothing but plain values")


def plain_call(names: dict[str, Any]) -> Callable[[str], Any]:
    """Stands for `eval` where the official code runs `OBJECT.METHOD(KEY=VALUE, …)`.

    OBJECT is one of those it keeps in its globals, `names`; METHOD is public; a VALUE is a literal
    that the result file can hold. Whatever else it is given raises ValueError, and runs nothing.
    """

    def call(text: str) -> Any:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or tree.args or not isinstance(tree.func, ast.Attribute):
            raise ValueError("no plain call")
        owner, method = tree.func.value, tree.func.attr
        if not isinstance(owner, ast.Name) or not owner.id.endswith("_instance"):
            raise ValueError("not one of the official objects")
        if method.startswith("_") or not all(keyword.arg for keyword in tree.keywords):
            raise ValueError("no public method, or no plain arguments")
        values = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except TypeError:
            raise ValueError("a value that JSON has not") from None
        return getattr(names[owner.id], method)(**values)

    return call


def _official(name: str) -> Any:
    return import_module(f"model_inference.{name}")


def _this_talk() -> Talk:
    talk = current_thread()
    assert isinstance(talk, Talk)
    return talk
