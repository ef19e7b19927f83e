"""ACEBench, English: the official checker from a local clone, our generation.

Normal questions are asked in the model's own chat format, with the tools as tools, and the calls
are written as the checker reads them. Special ones are asked with the official prompt, because the
checker looks for the phrases that it asks for. Agent questions are conversations that the official
loop holds (`acebench_agent`). The checker has known defects (it deletes spaces in strings of
multi-turn answers, for one); the figure is the official one all the same.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from looptool.errors import UserError
from looptool.evaluate.acebench_agent import converse
from looptool.evaluate.acebench_text import as_said, as_text
from looptool.evaluate.answers import Player, Question, answer_all
from looptool.evaluate.averages import Mean
from looptool.evaluate.results import Average, CategoryResult, SuiteResult
from looptool.evaluate.worker import Worker
from looptool.runs.store import write_atomic
from looptool.work import Progress

SIZES = {
    "normal_single_turn_single_function": 100,
    "normal_single_turn_parallel_function": 100,
    "normal_multi_turn_user_adjust": 123,
    "normal_multi_turn_user_switch": 100,
    "normal_similar_api": 50,
    "normal_preference": 50,
    "normal_atom_bool": 50,
    "normal_atom_enum": 50,
    "normal_atom_number": 50,
    "normal_atom_list": 50,
    "normal_atom_object_deep": 50,
    "normal_atom_object_short": 50,
    "special_incomplete": 50,
    "special_error_param": 50,
    "special_irrelevant": 50,
    "agent_multi_step": 20,
    "agent_multi_turn": 30,
}
"""Questions of each category in the version that this is for."""
CATEGORIES = tuple(SIZES)
NORMAL = tuple(name for name in CATEGORIES if name.startswith("normal"))
SPECIAL = tuple(name for name in CATEGORIES if name.startswith("special"))
AGENT = tuple(name for name in CATEGORIES if name.startswith("agent"))
NEED_USER = ("agent_multi_turn",)
"""Categories that need a model that plays the user."""
GROUPS = {"all": CATEGORIES, "normal": NORMAL, "special": SPECIAL, "agent": AGENT}
DEFAULT = "all"
_PARTS = (Mean(NORMAL), Mean(SPECIAL), Mean(AGENT))
AVERAGES = (
    (Average(name="normal"), _PARTS[0]),
    (Average(name="special"), _PARTS[1]),
    (Average(name="agent"), _PARTS[2]),
    (Average(name="overall"), Mean(_PARTS, weights=(0.578, 0.2676, 0.1545))),
)
"""Those of the official `generate_result_csv`, which rounds each to three places."""
SCRIPT = Path(__file__).with_name("acebench_worker.py")
_DATA = Path("data_all", "data_en")
_ANSWERS = _DATA / "possible_answer"
_CODE = ("eval_main.py", "category.py", "model_eval", "model_inference")


def check_clone(clone: Path | None) -> Path:
    """The clone, if it is one of the version that this is for; UserError in one line if not."""
    if clone is None:
        raise UserError("--suite acebench needs --acebench PATH, a local clone of ACEBench")
    files = [f"data_{name}.json" for name in CATEGORIES]
    data = [str(folder / file) for folder in (_DATA, _ANSWERS) for file in files]
    for part in (*_CODE, *data):
        if not (clone / part).exists():
            raise UserError(f"--acebench {clone}: no clone of ACEBench, it has no {part}")
    for name, size in SIZES.items():
        for folder, what in ((_DATA, "questions"), (_ANSWERS, "answers")):
            found = len(_load(clone / folder / f"data_{name}.json"))
            if found != size:
                raise UserError(
                    f"--acebench {clone}: another version, {name} has {found} {what}, not {size}"
                )
    return clone


def askable(
    asked: str, chosen: tuple[str, ...], has_user: bool, progress: Progress
) -> tuple[str, ...]:
    """What can be asked of the categories `chosen`, which is what `asked` names.

    Without a model that plays the user, "all" is all that needs none, and says so; whoever names a
    category that needs one gets a UserError.
    """
    lacking = [name for name in chosen if name in NEED_USER]
    if has_user or not lacking:
        return chosen
    needs = (
        f"{', '.join(lacking)} needs a model that plays the user (--user-base-url, --user-model)"
    )
    if asked.strip() != "all":
        raise UserError(f"--categories {asked}: {needs}")
    progress.say(f"all that can be asked; {needs}")
    return tuple(name for name in chosen if name not in NEED_USER)


def evaluate(
    player: Player,
    categories: Sequence[str],
    limit: int | None,
    clone: Path,
    python: Path,
    out: Path,
    progress: Progress,
    user: Player | None = None,
) -> SuiteResult:
    """Answer the first `limit` questions (all, if None) of each category, and score them.

    `user` plays the user in the categories of NEED_USER. The clone stays as it is: the checker runs
    in a copy under `out`/checker, whose `result_all` and `score_all` hold the official files.
    """
    copy = out / "checker"
    _copy(clone, copy, categories, limit)
    log = out / "work" / f"{player.name}-checker.log"
    began: dict[str, dict[str, bool]] = {}
    unasked: Counter[str] = Counter()
    with Worker(python, SCRIPT, player.name, copy, log) as worker:
        prompts = worker.ask("prompts")
        for category in categories:
            entries = _load(copy / _DATA / f"data_{category}.json")
            journal = out / "work" / player.name / f"{category}.jsonl"
            if category in AGENT:
                players = {"agent": player}
                if user is not None and category in NEED_USER:
                    players["user"] = user
                held = converse(players, category, entries, worker, journal, progress)
                rows = [{"id": talk.id, **talk.outcome} for talk in held]
                began[category] = {talk.id: talk.began for talk in held}
            else:
                special = category in SPECIAL
                questions = [
                    special_question(entry, prompts) if special else normal_question(entry)
                    for entry in entries
                ]
                answers = answer_all(player, category, questions, journal, progress)
                read = as_said if special else as_text
                rows = [{"id": answer.id, "result": read(answer)} for answer in answers]
                began[category] = {answer.id: answer.began for answer in answers}
                unasked[category] = sum(answer.was_unasked for answer in answers)
            folder = copy / "result_all" / "result_en" / player.name
            lines = "\n".join(json.dumps(row) for row in rows)
            write_atomic(folder / f"data_{category}_result.json", lines.encode())
        worker.ask("evaluate", categories=list(categories))
        scored = []
        for category in categories:
            outcomes = worker.ask("outcomes", category=category)
            head = worker.ask("official", category=category)
            agent = category in AGENT
            official = head["end_to_end_accuracy" if agent else "accuracy"]
            process = head["process_accuracy"] if agent else None
            made = _category(category, outcomes, began[category], limit is None, process)
            made = made.model_copy(update={"unasked": unasked[category]})
            if user is not None and category in NEED_USER:
                made = made.model_copy(update={"user": user.identity})
            scored.append(made)
            if abs(official - scored[-1].score.accuracy) > 0.0006:  # it rounds to three places
                progress.say(f"{category}: eval_main.py says {official}, its own functions differ")
    return SuiteResult(
        suite="ACEBench",
        contender=player.name,
        identity=player.identity,
        categories=tuple(scored),
    )


def normal_question(entry: dict[str, Any]) -> Question:
    """The conversation as messages, the tools as tools, time or profile as the system message."""
    about = entry.get("time") or ""
    if profile := entry.get("profile"):
        about = f"Character profile of the user:\n{profile}"
    messages = [{"role": "system", "content": about}] if about else []
    messages += list(_turns(str(entry["question"])))
    given = entry["function"]
    tools = [_tool(tool) for tool in ([given] if isinstance(given, dict) else given)]
    return Question.model_validate({"id": entry["id"], "messages": messages, "tools": tools})


def special_question(entry: dict[str, Any], prompts: dict[str, str]) -> Question:
    """The official prompt, to the letter: tools as text, no tools of the chat format."""
    given = entry["function"]
    functions = [given] if isinstance(given, dict | str) else given
    system = prompts["special"].format(time=entry.get("time", ""), function=functions)
    user = prompts["user"].format(question=entry["question"])
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return Question.model_validate({"id": entry["id"], "messages": messages})


def _turns(history: str) -> Iterator[dict[str, str]]:
    """`user: …` and `system: …` lines as messages; the system is the assistant there."""
    parts = re.split(r"^(user|system):", history, flags=re.MULTILINE)
    if len(parts) < 3 or parts[0].strip():
        yield {"role": "user", "content": history.strip()}
        return
    for who, said in zip(parts[1::2], parts[2::2], strict=True):
        yield {"role": "user" if who == "user" else "assistant", "content": said.strip()}


def _tool(given: dict[str, Any]) -> dict[str, Any]:
    schema = given.get("parameters") or given.get("arguments") or {"type": "object"}
    about = str(given.get("description") or "")
    return {"name": given["name"], "description": about, "parameters": _json_schema(schema)}


TYPES = {"dict": "object", "float": "number", "list": "array", "tuple": "array", "any": "string"}


def _json_schema(value: Any) -> Any:
    """The schema with the suite's own type names translated."""
    if isinstance(value, list):
        return [_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _json_schema(inner) for key, inner in value.items()}
    if isinstance(made.get("type"), str):
        made["type"] = TYPES.get(made["type"], made["type"])
    return made


def _category(
    name: str,
    outcomes: list[tuple[str, bool]],
    began: dict[str, bool],
    whole: bool,
    process: float | None,
) -> CategoryResult:
    """Several rows of one conversation are one outcome."""
    called: dict[str, bool] = {}
    for id, call in began.items():
        key = _conversation(name, id)
        called[key] = called.get(key, False) or call
    wrong = sum(not right for _, right in outcomes)
    return CategoryResult(
        name=name,
        ids=tuple(id for id, _ in outcomes),
        right=tuple(right for _, right in outcomes),
        began=tuple(called[id] for id, _ in outcomes),
        whole=whole,
        reasons={"wrong": wrong} if wrong else {},
        process=process,
    )


def _conversation(category: str, id: str) -> str:
    """The conversation that a question is part of: itself, but for those of several questions."""
    return id.rsplit("_", 1)[0] if category.startswith("normal_multi_turn") else id


def _first(category: str, entries: Sequence[dict[str, Any]], limit: int | None) -> int:
    """How many the first `limit` questions are, the last with the rest of its conversation."""
    talks = [_conversation(category, entry["id"]) for entry in entries]
    end = len(talks) if limit is None else min(limit, len(talks))
    while 0 < end < len(talks) and talks[end] == talks[end - 1]:
        end += 1
    return end


def _copy(clone: Path, copy: Path, categories: Sequence[str], limit: int | None) -> None:
    """The checker and the questions that are asked: it wants files of one length."""
    for part in _CODE:
        source, target = clone / part, copy / part
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for category in categories:
        number = _first(category, _load(clone / _DATA / f"data_{category}.json"), limit)
        for folder in (_DATA, _ANSWERS):
            name = folder / f"data_{category}.json"
            lines = (clone / name).read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.strip()][:number]
            write_atomic(copy / name, "\n".join(kept).encode())


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except ValueError as error:
        raise UserError(f"{path} is not readable: {error}") from None
