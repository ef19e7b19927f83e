"""How tools, messages and calls become text and back."""

from __future__ import annotations

from typing import Any

from looptool.chat.base import ChatFormat, check_prefix_preserving
from looptool.chat.hermes import Hermes
from looptool.chat.native import Native
from looptool.errors import UserError

__all__ = ["ChatFormat", "check_prefix_preserving", "load_format"]


def load_format(name: str, tokenizer: Any) -> ChatFormat:
    """The chat format `hermes` or `native`, bound to a transformers tokenizer.

    Raises:
        UserError: there is no such format, or the tokenizer does not support it.
    """
    if name == "hermes":
        return Hermes(tokenizer)
    if name == "native":
        return Native(tokenizer)
    raise UserError(f'there is no chat format {name!r}: use "hermes" or "native"')
