"""The policy as it trains, and as it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from looptool.config import LoraConfig, PolicyConfig
from looptool.models.load import is_whole, load_model, load_tokenizer, to_device
from looptool.models.memory import keep_freed_memory
from looptool.records import Checkpoint
from looptool.train.checkpoint import replace_folder, settle, sync_files

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

DONE = "looptool.json"


def trainable(
    policy: PolicyConfig,
    start: Checkpoint,
    lora: LoraConfig | None,
    seed: int,
    *,
    learning_rate: float,
    max_grad_norm: float,
) -> tuple[torch.nn.Module, MasterAdamW]:
    """The model of `start`, whole or under fresh adapters, and what trains it.

    Its masters are the checkpoint's fp32 values; it computes in the policy's type, on the GPU if
    there is one, without dropout. The adapters' first values depend on `seed` alone.
    """
    import torch

    from looptool.models.precision import choose_precision
    from looptool.train.optimizer import MasterAdamW

    keep_freed_memory()
    model: torch.nn.Module = load_model(start, "float32", train=lora is None)
    _without_dropout(model)
    if lora is not None:
        model = _adapted(model, lora, seed)
    to_device(model)
    compute = getattr(torch, choose_precision(policy.dtype).dtype)
    optimizer = MasterAdamW(model, lr=learning_rate, max_grad_norm=max_grad_norm, compute=compute)
    return model.train(), optimizer


def _adapted(model: torch.nn.Module, lora: LoraConfig, seed: int) -> torch.nn.Module:
    import torch
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(
            model,
            PeftLora(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear"),
            autocast_adapter_dtype=False,
        )


def _without_dropout(model: torch.nn.Module) -> None:
    """Log-probs of a rollout and of its update must be of one policy."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010


def save_trained(
    model: torch.nn.Module, optimizer: MasterAdamW, start: Checkpoint, folder: Path, done: str
) -> None:
    """Write the trained policy as a folder that transformers loads; `done` is kept beside it.

    Weights are saved in fp32: what one round of GRPO moves (learning rate times steps, some 1e-4)
    is of the order of bf16's spacing, and the next round goes on from here. Adapters are merged,
    into the fp32 values of `start`, so a checkpoint is always a whole model.
    """
    import torch

    masters = dict(zip(optimizer.names, optimizer.masters, strict=True))
    frozen = _frozen_values(model, start)
    model = model.cpu().float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(masters[name] if name in masters else frozen[_plain_name(name)])
    if hasattr(model, "peft_config"):
        model = model.merge_and_unload()  # type: ignore[operator]
    save_model(model, start, folder, done)


def save_model(model: torch.nn.Module, start: Checkpoint, folder: Path, done: str = "{}") -> None:
    """Write `model` with the tokenizer of `start`: all of it, or nothing is there."""
    settle(folder)
    partial = folder.with_name(folder.name + ".new")
    partial.mkdir(parents=True)
    model.save_pretrained(partial)  # type: ignore[operator]
    load_tokenizer(start).save_pretrained(partial)
    (partial / DONE).write_text(done, encoding="utf-8")
    sync_files(partial)
    replace_folder(partial, folder)


def _frozen_values(model: torch.nn.Module, start: Checkpoint) -> dict[str, torch.Tensor]:
    """The fp32 values of what was not trained, by name in `start`."""
    if all(parameter.requires_grad for parameter in model.parameters()):
        return {}
    return dict(load_model(start, "float32").named_parameters())


def _plain_name(name: str) -> str:
    """A parameter's name without what PEFT puts around it."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def saved(folder: Path) -> str | None:
    """What `save_model` kept as `done`, if the folder is complete."""
    settle(folder)
    done = folder / DONE
    return done.read_text(encoding="utf-8") if done.is_file() and is_whole(folder) else None
