"""The policy as it trains, and as it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from looptool.config import LoraConfig, PolicyConfig
from looptool.models.load import load_model, load_tokenizer
from looptool.models.memory import keep_freed_memory
from looptool.records import Checkpoint
from looptool.train.checkpoint import replace_folder, settle

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

DONE = "looptool.json"


def trainable(
    policy: PolicyConfig, start: Checkpoint, lora: LoraConfig | None, seed: int
) -> torch.nn.Module:
    """The model of `start` in the computation's type, whole or under fresh adapters.

    The adapters' first values depend on `seed` alone. They are kept in the model's own type, so
    that no layer computes in fp32; their masters are in the optimizer.
    """
    import torch

    keep_freed_memory()
    model = load_model(start, policy.dtype, train=lora is None)
    if lora is None:
        return model
    from peft import LoraConfig as PeftLora
    from peft import get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(
            model,
            PeftLora(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear"),
            autocast_adapter_dtype=False,
        ).eval()


def save_trained(
    model: torch.nn.Module, optimizer: MasterAdamW, start: Checkpoint, folder: Path, done: str
) -> None:
    """Write the trained policy as a folder that transformers loads; `done` is kept beside it.

    Weights are saved in fp32: what one round of GRPO moves (learning rate times steps, some 1e-4)
    is of the order of bf16's spacing, and the next round goes on from here. Adapters are merged,
    so a checkpoint is always a whole model.
    """
    import torch

    masters = dict(zip(optimizer.names, optimizer.masters, strict=True))
    model = model.float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masters:
                parameter.copy_(masters[name])
    if hasattr(model, "peft_config"):
        model = model.merge_and_unload()  # type: ignore[operator]
    settle(folder)
    partial = folder.with_name(folder.name + ".new")
    partial.mkdir(parents=True)
    model.save_pretrained(partial)  # type: ignore[operator]
    load_tokenizer(start).save_pretrained(partial)
    (partial / DONE).write_text(done, encoding="utf-8")
    replace_folder(partial, folder)


def saved(folder: Path) -> str | None:
    """What `save_trained` kept as `done`, if the folder is complete."""
    settle(folder)
    done = folder / DONE
    return done.read_text(encoding="utf-8") if done.is_file() else None
