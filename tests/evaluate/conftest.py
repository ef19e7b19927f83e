"""A small official ACEBench of our own with the agent categories: the names of the real one, few
lines, and nothing of its text or its questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from looptool.evaluate import acebench

LOOP = """
from model_inference.model_infer import get_model
from model_inference.multi_turn.multi_turn_scene import Scene
from model_inference.multi_turn.APIModel_user import User
from model_inference.multi_turn import execution_role, common_agent
from model_inference.multi_step import execution_role_step
from wcwidth import wcswidth
class CommonInference:
    def __init__(self, name, model_path=None, user_model="gpt-4o", language="zh"):
        self.tokenizer = self.initialize_tokenizer(model_path)
        self.model = get_model(model_name=name, model_path=model_path)
        assert (user_model, language) == ("gpt", "en")
    def initialize_tokenizer(self, path):
        raise AssertionError("no tokenizer here")
    def inference(self, question, functions, time, profile, entry, id):
        many = "multi_turn" in id
        role = execution_role if many else execution_role_step
        user = User(question) if many else None
        history = "user:" + (user.say("Well?") if many else question)
        states, process = [], []
        for _ in range(4):
            said = self.model.inference(f"Call some of {functions}", history)
            history += "|agent:" + said
            if "finish" in said:
                break
            try:
                common_agent.decode(said)
            except Exception:
                history += "|user:" + (user.say(said) if many else "No questions.")
                continue
            process.append(said)
            results, lamp = role.respond(said, entry["id"].split("_")[-1])
            history += "|execution:" + str(results)
            states = [{"Lamp": vars(lamp)}]
        Scene().write_message_history()
        return states, process
"""
DECODE = """
import ast
def value(tree):
    if isinstance(tree, ast.BinOp):
        return eval(ast.unparse(tree))
    if isinstance(tree, ast.Call):
        return {tree.func.id: {k.arg: value(k.value) for k in tree.keywords}}
    return ast.literal_eval(tree)
def source(value):
    if isinstance(value, dict):
        ((name, inside),) = value.items()
        return f"{name}({', '.join(f'{k}={source(v)}' for k, v in inside.items())})"
    return repr(value)
def decode(text):
    tree = ast.parse(text.strip("[]"), mode="eval").body
    return source({tree.func.id: {k.arg: value(k.value) for k in tree.keywords}})
"""
ROLE = """
from model_inference.{where}.{where}_utils import run
def respond(text, id):
    return run(decode(text), id)
"""
RUNNER = """
class Lamp:
    def __init__(self):
        self.level = 0
    def set_level(self, level):
        self.level = level
        return {"level": level}
def run(call, id):
    name = f"model_{id}_lamp_instance"
    globals().setdefault(name, Lamp())
    try:
        return eval(f"{name}.{call}"), globals()[name]
    except Exception as error:
        return f"Error: {error}", globals()[name]
"""
USER = """
from openai import OpenAI
class User:
    def __init__(self, wish):
        self.client = OpenAI(base_url=None, api_key=None)
        self.messages = [{"role": "system", "content": "You want: " + wish}]
    def say(self, text):
        self.messages.append({"role": "user", "content": text})
        made = self.client.chat.completions.create(
            messages=self.messages, model="gpt", temperature=0.001, max_tokens=1000, top_p=1)
        return made.choices[0].message.content
"""
SCENE = """
class {name}:
    def write_message_history(self):
        raise AssertionError("nothing else is written")
"""
MAIN = """
import json, os, sys
OUTPUT_PATH = "./score_all/score_en/"
normal_multi_turn_eval = normal_single_turn_eval = special_eval = None
def load(path):
    return [json.loads(line) for line in open(path) if line.strip()]
def save_score_as_json(name, rows, folder):
    with open(os.path.join(folder, name), "w") as file:
        file.write("\\n".join(map(json.dumps, rows)))
def agent_eval_process(name, rows, truth, category, right, language):
    assert language == "en"
    with open(f"{OUTPUT_PATH}{name}/data_{category}_process.json", "a") as file:
        file.write("once\\n")
    shares = []
    for i, (row, known) in enumerate(zip(rows, truth)):
        stones = known["mile_stone"]
        reached = sum(stone in row["process"] for stone in stones)
        shares.append(1.0 if i in right else reached / len(stones))
    return round(sum(shares) / len(shares), 3)
def agent_eval(rows, prompts, truth, category, name):
    assert len(rows) == len(prompts) == len(truth)
    right = [i for i, (r, t) in enumerate(zip(rows, truth)) if r["result"] == t["ground_truth"]]
    end = round(len(right) / len(rows), 3)
    process = agent_eval_process(name, rows, truth, category, right, language)
    head = {"end_to_end_accuracy": end, "process_accuracy": process}
    save_score_as_json(f"data_{category}_score.json", [head], OUTPUT_PATH + name)
    return end, process
if __name__ == "__main__":
    words, language = sys.argv, "en"
    name = words[words.index("--model") + 1]
    for c in words[words.index("--category") + 1 : words.index("--language")]:
        data = "data_all/data_en/"
        agent_eval(
            load(f"result_all/result_en/{name}/data_{c}_result.json"),
            load(f"{data}data_{c}.json"), load(f"{data}possible_answer/data_{c}.json"), c, name,
        )
"""


@pytest.fixture
def lamp_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two questions a category: a lamp is wanted at level 3."""
    root = tmp_path / "clone"
    files = {
        "eval_main.py": MAIN,
        "category.py": "",
        "model_eval/__init__.py": "",
        "model_inference/common_inference.py": LOOP,
        "model_inference/prompt_en.py": (
            'SYSTEM_PROMPT_FOR_SPECIAL_DATA_EN = "{time}{function}"\nUSER_PROMPT_EN = "{question}"'
        ),
        "model_inference/multi_turn/common_agent.py": DECODE,
        "model_inference/multi_turn/APIModel_user.py": USER,
        "model_inference/multi_turn/execution_role.py": DECODE + ROLE.format(where="multi_turn"),
        "model_inference/multi_step/execution_role_step.py": (
            DECODE + ROLE.format(where="multi_step")
        ),
        "model_inference/multi_turn/multi_turn_utils.py": RUNNER,
        "model_inference/multi_step/multi_step_utils.py": RUNNER,
        "model_inference/multi_turn/multi_turn_scene.py": SCENE.format(name="Scene"),
        "model_inference/multi_step/multi_step_scene.py": SCENE.format(name="Mulit_Step_Scene"),
    }
    for category in acebench.AGENT:
        ids = [f"{category}_{at}" for at in range(2)]
        files[f"data_all/data_en/data_{category}.json"] = "\n".join(
            json.dumps(
                {"id": id, "question": f"Level 3 for {id}.", "function": {"name": "set_level"}}
            )
            for id in ids
        )
        files[f"data_all/data_en/possible_answer/data_{category}.json"] = "\n".join(
            json.dumps(
                {
                    "id": id,
                    "ground_truth": [{"Lamp": {"level": 3}}],
                    "mile_stone": ["[set_level(level=1)]", "[set_level(level=3)]"],
                }
            )
            for id in ids
        )
        monkeypatch.setitem(acebench.SIZES, category, len(ids))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root
