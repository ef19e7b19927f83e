"""The trainer computes what TRL's own computes, and says where it cannot."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from datasets import Dataset
from tests.train.families import FAMILIES, SMALL, ids, tiny
from trl.trainer.grpo_config import GRPOConfig

from looptool.train.trainer import SharedPrefixGRPOTrainer

PAD = 0


def trainer_of(
    model: Any, tokenizer: Any, out: Path, loss: str = "dapo", beta: float = 0.0
) -> SharedPrefixGRPOTrainer:
    arguments = GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=4,
        num_generations=4,
        loss_type=loss,
        beta=beta,
        temperature=0.7,
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        report_to="none",
    )
    return SharedPrefixGRPOTrainer(
        model=model,
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["x"] * 4}),
        processing_class=tokenizer,
    )


def batch(rng: random.Random) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Two groups as TRL pads them: prompts on the left, ragged completions on the right."""
    width, most = 14, 9
    rows, masks = [], []
    for size in (5, 3):
        prompt = ids(rng.randint(6, width), rng)
        for member in range(size):
            completion = ids(rng.randint(1, most) if member else 1, rng)
            left, right = width - len(prompt), most - len(completion)
            rows.append([PAD] * left + prompt + completion + [PAD] * right)
            masks.append([0] * left + [1] * (len(prompt) + len(completion)) + [0] * right)
    return torch.tensor(rows), torch.tensor(masks), most


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probs_entropies_and_gradients_are_those_of_trl(
    family: str, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    model = tiny(family)
    trainer = trainer_of(model, tiny_tokenizer, tmp_path)
    assert trainer.shared_prefix
    rows, mask, width = batch(random.Random(1))
    seen = mask[:, -width:].bool()
    weights = torch.linspace(-1, 1, int(seen.sum()))
    found = []
    for shared in (True, False):
        trainer.shared_prefix = shared
        logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, rows, mask, width, compute_entropy=True
        )
        assert entropies is not None
        model.zero_grad()
        (logps[seen] * weights).sum().backward()  # type: ignore[no-untyped-call]
        grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((logps[seen].detach(), entropies[seen].detach(), grads))
    (logps, entropies, grads), (trl_logps, trl_entropies, trl_grads) = found
    torch.testing.assert_close(logps, trl_logps, atol=1e-4, rtol=0)
    torch.testing.assert_close(entropies, trl_entropies, atol=1e-4, rtol=0)
    assert (grads - trl_grads).norm() < 1e-3 * trl_grads.norm()


@pytest.mark.parametrize(("loss", "beta"), [("grpo", 0.0), ("dr_grpo", 0.0), ("dapo", 0.1)])
def test_losses_whose_parts_do_not_add_up_are_refused(
    loss: str, beta: float, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"{loss}.* with beta {beta}"):
        trainer_of(tiny("llama"), tiny_tokenizer, tmp_path, loss, beta)


def test_experts_with_an_auxiliary_loss_take_the_path_of_trl_and_say_so(
    tiny_tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = transformers.Qwen3MoeConfig(
        **SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8
    )
    model = transformers.Qwen3MoeForCausalLM(config)
    assert not trainer_of(model, tiny_tokenizer, tmp_path).shared_prefix
    assert "auxiliary loss" in caplog.text
