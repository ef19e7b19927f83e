"""Which models take LoopTool's own attention functions; the others take the plain paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def why_not(model: PreTrainedModel) -> str | None:
    """Why this model's attention cannot be replaced; None where it can."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not getattr(model, "_supports_attention_backend", False):
        return f"{type(model).__name__} does not take its attention from transformers' interface"
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        return f"{type(model).__name__} has layers without a standard cache: {sorted(unknown)}"
    if getattr(config, "is_encoder_decoder", False) or not getattr(config, "is_causal", True):
        return f"{type(model).__name__} is not a causal decoder"
    if getattr(config, "kv_lora_rank", None):
        return f"{type(model).__name__} keeps its keys and values compressed (MLA)"
    if any(getattr(module, "sinks", None) is not None for module in model.modules()):
        return f"{type(model).__name__} has attention sinks"
    return None


@contextmanager
def attending(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Within it, the model's layers attend by the implementation registered as `name`."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
