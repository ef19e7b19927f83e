import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from looptool.config import PolicyConfig
from looptool.errors import UserError
from looptool.models.load import (
    base_checkpoint,
    load_config_of,
    load_model,
    load_tokenizer,
    model_hash,
    num_positions,
)
from looptool.records import Checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_local_folder_is_the_base_and_loads_in_the_asked_type(folder: Path) -> None:
    base = base_checkpoint(PolicyConfig(model=str(folder)), folder)
    assert base == Checkpoint(name="base", path=str(folder), base=str(folder))
    model = load_model(base, "bfloat16", train=True)
    assert str(model.dtype) == "torch.bfloat16"
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_hash_follows_the_weights(folder: Path) -> None:
    base = base_checkpoint(PolicyConfig(model=str(folder)), folder)
    before = model_hash(base)
    assert before == model_hash(base)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\x01\x02\x03\x04")
    assert model_hash(base) != before


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    base = base_checkpoint(PolicyConfig(model="~/model"), folder)
    assert base.path == str(folder)


def test_the_positions_are_read_without_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    here = Checkpoint(name="base", path=str(folder), base=str(folder))
    assert num_positions(load_config_of(here)) == 2048


def test_weights_that_were_cut_off_are_one_line(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    here = Checkpoint(name="base", path=str(folder), base=str(folder))
    with pytest.raises(UserError, match="weights are damaged") as error:
        load_model(here, "float32")
    assert "\n" not in str(error.value)


def test_a_package_that_a_tokenizer_wants_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def wants(*_: object, **__: object) -> None:
        raise ImportError("\nLlamaConverter requires the sentencepiece library.\nSee its page.")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", wants)
    here = Checkpoint(name="base", path=str(folder), base=str(folder))
    with pytest.raises(UserError, match="requires the sentencepiece library") as error:
        load_tokenizer(here)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing", None, "no config.json"),
        ("pickled", "pytorch_model.bin", "no \\*.safetensors"),
    ],
)
def test_what_a_user_gets_wrong_is_said(
    tmp_path: Path, name: str, content: str | None, told: str
) -> None:
    if content:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (tmp_path / name / content).write_bytes(b"")
    with pytest.raises(UserError, match=told) as error:
        base_checkpoint(PolicyConfig(model=str(tmp_path / name)), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_an_unreachable_id_is_one_line(tmp_path: Path, offline: str) -> None:
    nobody = "http://127.0.0.1:9"  # the port of `discard`: refused
    env = {**os.environ, "HF_HUB_OFFLINE": offline, "HF_ENDPOINT": nobody, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "looptool", "serve", "no-one/no-such-model"],
        env=env, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("looptool: model no-one/no-such-model: cannot be loaded")
    assert done.stderr.count("\n") == 1
