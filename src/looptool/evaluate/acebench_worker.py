"""Speaks to a copy of ACEBench inside the checkers' environment; imports nothing of LoopTool.

`python acebench_worker.py NAME`, in the copy's folder, reads one JSON request a line and answers
with one JSON line, `{"ok": …}` or `{"error": …}`.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib import import_module
from typing import Any

PATHS = {
    "INPUT_PATH": "./result_all/result_en/",
    "PROMPT_PATH": "./data_all/data_en/",
    "POSSIBLE_ANSWER_PATH": "./data_all/data_en/possible_answer/",
    "OUTPUT_PATH": "./score_all/score_en/",
}


class Worker:
    """The requests, one method each."""

    def __init__(self, name: str) -> None:
        sys.path.insert(0, os.getcwd())
        self.name = name
        self.talks: dict[str, Any] = {}

    def prompts(self) -> dict[str, str]:
        """The official special prompt, and what goes before the conversation."""
        texts = import_module("model_inference.prompt_en")
        return {"special": texts.SYSTEM_PROMPT_FOR_SPECIAL_DATA_EN, "user": texts.USER_PROMPT_EN}

    def evaluate(self, categories: list[str]) -> None:
        """Run `eval_main.py` as its own command line does: score files and tables."""
        os.makedirs(os.path.join(PATHS["OUTPUT_PATH"], self.name), exist_ok=True)
        before = sys.argv
        words = ["--model", self.name, "--category", *categories, "--language", "en"]
        sys.argv = ["eval_main.py", *words]
        try:
            runpy.run_path("eval_main.py", run_name="__main__")
        finally:
            sys.argv = before

    def official(self, category: str) -> dict[str, Any]:
        """The head of a category's official score file: its figures."""
        path = os.path.join(PATHS["OUTPUT_PATH"], self.name, f"data_{category}_score.json")
        with open(path, encoding="utf-8") as file:
            head: dict[str, Any] = json.loads(file.readline())
        return head

    def talk(self, category: str, id: str, said: str | None = None) -> dict[str, Any]:
        """Begin an agent conversation, or go on with what was `said` to what was asked last.

        Returns `who` is asked next, with `messages`, or `result` and `process` if it is over.
        """
        if said is None:
            talks = import_module("acebench_talk")
            entries = _load(f"{PATHS['PROMPT_PATH']}data_{category}.json")
            (entry,) = (entry for entry in entries if entry["id"] == id)
            self.talks[id] = talks.Talk(entry)
        asked: dict[str, Any] = self.talks[id].go_on(said)
        if "who" not in asked:
            del self.talks[id]
        return asked

    def outcomes(self, category: str) -> list[tuple[str, bool]]:
        """Each question (each conversation of several) by itself through the official functions.

        The score files do not tell this: they list a question whose second answer was accepted.
        """
        main: Any = import_module("eval_main")
        main.OUTPUT_PATH = PATHS["OUTPUT_PATH"]
        main.save_score_as_json = lambda *_: None
        main.convert_result_to_excel = lambda *_: None
        main.agent_eval_process = lambda *_: None
        main.language = "en"
        rows = _load(f"{PATHS['INPUT_PATH']}{self.name}/data_{category}_result.json")
        prompts = _load(f"{PATHS['PROMPT_PATH']}data_{category}.json")
        answers = _load(f"{PATHS['POSSIBLE_ANSWER_PATH']}data_{category}.json")
        groups: dict[str, list[int]] = {}
        many = category.startswith("normal_multi_turn")
        for at, row in enumerate(rows):
            groups.setdefault(row["id"].rsplit("_", 1)[0] if many else row["id"], []).append(at)
        check = main.normal_multi_turn_eval if many else main.normal_single_turn_eval
        if category.startswith("special"):
            check = main.special_eval
        told = []
        for id, members in groups.items():
            part = [[data[i] for i in members] for data in (rows, prompts, answers)]
            if category.startswith("agent"):
                accuracy, _ = main.agent_eval(*part, category, self.name)
            else:
                accuracy = check(*part, category, self.name, PATHS)
            told.append((id, accuracy == 1))
        return told


def _load(path: str) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def main() -> None:
    """Answer requests until the input ends. What the official code prints goes to stderr."""
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
