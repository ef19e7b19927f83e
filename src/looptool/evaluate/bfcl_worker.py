"""Speaks to the official BFCL-v3 package inside its own environment; imports nothing of LoopTool.

`python bfcl_worker.py NAME` reads one JSON request a line and answers with one JSON line,
`{"ok": …}` or `{"error": …}`. The package calls hosted models through dozens of libraries: only the
handler of OpenAI-compatible function calling is registered, under NAME.

`python bfcl_worker.py NAME generate|evaluate …` is the official command line itself, NAME known to
it, for use against any OpenAI-compatible server.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class ModelConfig:
    """The official class of the same name."""

    model_name: str
    display_name: str
    url: str
    org: str
    license: str
    model_handler: Any
    input_price: float | None = None
    output_price: float | None = None
    is_fc_model: bool = True
    underscore_to_dot: bool = True


def register(name: str) -> None:
    """Stand in for the official table of models with one entry; before any other import of it."""
    stub = types.ModuleType("bfcl_eval.constants.model_config")
    stub.ModelConfig = ModelConfig  # type: ignore[attr-defined]
    mapping: dict[str, ModelConfig] = {}
    stub.MODEL_CONFIG_MAPPING = mapping  # type: ignore[attr-defined]
    sys.modules[stub.__name__] = stub
    os.environ.setdefault("OPENAI_API_KEY", "none")
    handlers = import_module("bfcl_eval.model_handler.api_inference.openai_completion")
    mapping[name] = ModelConfig(name, name, "", "", "", handlers.OpenAICompletionsHandler)


class Worker:
    """The requests, one method each."""

    def __init__(self, name: str) -> None:
        register(name)
        self.name = name
        self.runner = import_module("bfcl_eval.eval_checker.eval_runner")
        self.config = import_module("bfcl_eval.constants.eval_config")
        self.files = import_module("bfcl_eval.constants.category_mapping")
        self.text = import_module("bfcl_eval.model_handler.utils")

    def questions(self, category: str) -> list[dict[str, Any]]:
        """A category's questions, tools as the official client sends them."""
        return [
            {
                "id": entry["id"],
                "turns": entry["question"],
                "tools": [self._tools(category, entry["function"])],
            }
            for entry in self._entries(category)
        ]

    def score(self, category: str, result: str, score: str) -> dict[str, Any]:
        """The official checker on a result file, which may hold some of a category's questions.

        Returns the ids that failed with the checker's word for why.
        """
        load = self.runner.load_file
        rows = load(result, sort_by_id=True)
        ids = {row["id"] for row in rows}
        entries = [entry for entry in self._entries(category) if entry["id"] in ids]
        handler = self.runner.get_handler(self.name)
        shared = {"model_name": self.name, "test_category": category, "score_dir": Path(score)}
        if "relevance" in category:
            self.runner.relevance_file_runner(handler, rows, entries, **shared)
        else:
            path = self.config.POSSIBLE_ANSWER_PATH / self.files.TEST_FILE_MAPPING[category]
            known = {row["id"]: row for row in load(path)}
            answers = [known[entry["id"]] for entry in entries]
            if category.startswith("multi_turn"):
                self._guard()
                self.runner.multi_turn_runner(handler, rows, entries, answers, **shared)
            else:
                language = {"java": "Java", "javascript": "JavaScript"}.get(category, "Python")
                self.runner.ast_file_runner(
                    handler, rows, entries, answers, language=language, **shared
                )
        file = Path(score) / self.name / f"{self.files.VERSION_PREFIX}_{category}_score.json"
        head, *failed = load(file)
        return {
            "correct": head["correct_count"],
            "total": head["total_count"],
            "failed": {row["id"]: _reason(row) for row in failed},
        }

    def leaderboard(self, score: str) -> str:
        """The official tables of averages (`data_*.csv`) from the score files of whole categories.

        Returns the line of the overall table. Categories without a score file count as 0 there.
        """
        table: dict[str, Any] = {}
        folder = Path(score)
        helper = import_module("bfcl_eval.eval_checker.eval_runner_helper")
        helper.update_leaderboard_table_with_local_score_file(table, folder)
        table = {self.name: table[self.name]}  # others are not known to the official table here
        helper.generate_leaderboard_csv(table, folder, [self.name], None)
        return (folder / "data_overall.csv").read_text()

    def data(self) -> str:
        """The folder of the questions."""
        return str(self.config.PROMPT_PATH)

    def _entries(self, category: str) -> list[dict[str, Any]]:
        path = self.config.PROMPT_PATH / self.files.TEST_FILE_MAPPING[category]
        return self.runner.load_file(path, sort_by_id=True)  # type: ignore[no-any-return]

    def _tools(self, category: str, functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        mapping = import_module("bfcl_eval.constants.type_mappings").GORILLA_TO_OPENAPI
        style = import_module("bfcl_eval.model_handler.model_style").ModelStyle.OpenAI_Completions
        hinted = self.text.func_doc_language_specific_pre_processing(functions, category)
        tools = self.text.convert_to_tool(hinted, mapping, style)
        return [tool["function"] for tool in tools]

    def conversations(self, category: str, limit: int | None) -> list[dict[str, Any]]:
        """The first `limit` multi-turn entries: user turns, and the tools at each of them.

        Tools that stay as they were at the turn before are None.
        """
        client = import_module("bfcl_eval._llm_response_generation")
        prompts = import_module("bfcl_eval.constants.default_prompts")
        told = []
        for entry in client.process_multi_turn_test_case(self._entries(category)[:limit]):
            functions, later = entry["function"], entry.get("missed_function", {})
            turns, tools = [], []
            for at, turn in enumerate(entry["question"]):
                if str(at) in later:
                    functions = functions + later[str(at)]
                    said = prompts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC
                    turn = [{"role": "user", "content": said}]
                turns.append(turn)
                changed = at == 0 or str(at) in later
                copied = json.loads(json.dumps(functions)) if changed else []
                tools.append(self._tools(category, copied) if changed else None)
            told.append({"id": entry["id"], "turns": turns, "tools": tools})
        return told

    def execute(self, category: str, id: str, attempt: str, calls: list[Any]) -> list[str]:
        """What the official classes answer to `calls` ([name, arguments] pairs) of one step.

        The state of a conversation lives in this process, by `attempt`.
        """
        if category not in self.__dict__:
            self.__dict__[category] = {entry["id"]: entry for entry in self._entries(category)}
        entry = self.__dict__[category][id]
        utils = import_module("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils")
        decoded = self.text.convert_to_function_call([{name: args} for name, args in calls])
        results, _ = utils.execute_multi_turn_func_call(
            [harmless(call) for call in decoded],
            entry["initial_config"],
            entry["involved_classes"],
            attempt,
            id,
            long_context="long_context" in category,
        )
        return list(results)

    def _guard(self) -> None:
        """Make the official multi-turn checker meet only harmless calls."""
        handler = sys.modules["bfcl_eval.model_handler.api_inference.openai_completion"]
        decode = self.text.convert_to_function_call
        handler.convert_to_function_call = lambda calls: [  # type: ignore[attr-defined]
            harmless(call) for call in decode(calls)
        ]


_OFFERED: set[str] = set()
_LARGEST_EXPONENT = 10_000


def harmless(call: str) -> str:
    """The call as the official code may evaluate it.

    It passes the model's text to `eval`. A call of anything but a method of the official classes,
    or with anything but plain values as arguments, becomes a call of an undefined name: it ends in
    the same kind of error message, and runs nothing. So does a power that would take for ever.
    """
    import ast

    if not _OFFERED:
        utils = import_module("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils")
        for name, module in utils.CLASS_FILE_PATH_MAPPING.items():
            _OFFERED.update(m for m in dir(getattr(import_module(module), name)) if m[0] != "_")
    try:
        tree = ast.parse(call, mode="eval").body
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args
        for keyword in tree.keywords:
            assert keyword.arg
            value = ast.literal_eval(keyword.value)
            assert keyword.arg != "exponent" or abs(value) < _LARGEST_EXPONENT
        if tree.func.id in _OFFERED:
            return call
        name = tree.func.id
    except (SyntaxError, ValueError, TypeError, AssertionError, RecursionError, MemoryError):
        name = ""
    return f"undefined_{re.sub(r'[^A-Za-z0-9_]', '_', name)[:64]}()"


def _reason(row: dict[str, Any]) -> str:
    error = row.get("error")
    kind = row.get("error_type") or (error.get("error_type") if isinstance(error, dict) else "")
    return str(kind or "wrong")


def main() -> None:
    """Answer requests until the input ends. What the official code prints goes to stderr."""
    if len(sys.argv) > 2:
        register(sys.argv[1])
        sys.argv = ["bfcl", *sys.argv[2:]]
        import_module("bfcl_eval.__main__").cli()
        return
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"ok": getattr(worker, request.pop("do"))(**request)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
