"""What a row is likely to say next, copied from its prompt or from what was said before.

Calls repeat their schemas' names and the user's words, so much of what follows the last few tokens
has followed them before (prompt lookup; transformers has it as `prompt_lookup_num_tokens`). A
draft needs no second model, and changes nothing but the speed: a step puts it through the model
behind the row's next token and keeps as much of it as the model itself comes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LONGEST = 3
"""Tokens that must have come before in the same order; fewer, where so many never did."""

Places = dict[tuple[int, ...], tuple[list[int], int]]
"""After which tokens a text goes on, and where: the text and the position in it."""


class Text:
    """The tokens of one row, prompt included, and the places at which drafts are found.

    `places` are where texts go on, the likeliest to go on alike first; each token adds to all.
    """

    def __init__(self, tokens: Sequence[int], places: Sequence[Places]) -> None:
        self.tokens = list(tokens)
        self.places = places

    @classmethod
    def of_prompt(cls, prompt: Sequence[int], places: Sequence[Places]) -> Text:
        """A text whose prompt can be copied from, too."""
        text = cls(prompt[:1], places)
        for token in prompt[1:]:
            text.add(token)
        return text

    def add(self, token: int) -> None:
        """The next token, which from now on may be copied."""
        tokens = self.tokens
        here = (tokens, len(tokens))
        for length in range(1, min(LONGEST, len(tokens)) + 1):
            last = tuple(tokens[-length:])
            for places in self.places:
                places[last] = here
        tokens.append(token)

    def draft(self, num: int) -> Draft:
        """At most `num` tokens that may come next."""
        for length in range(min(LONGEST, len(self.tokens)), 0, -1):
            last = tuple(self.tokens[-length:])
            for places in self.places:
                if (found := places.get(last)) is not None:
                    text, at = found
                    return Draft(text[at : at + num], length)
        return Draft([], 0)


class Draft(NamedTuple):
    """Tokens that may come next, for they did after as many of the last ones as `match` says."""

    tokens: list[int]
    match: int


class Prices(NamedTuple):
    """What a step costs, in milliseconds or anything else."""

    step: float
    """Whatever it holds,"""
    row: float
    """for each row that it decodes,"""
    token: float
    """for each token drafted,"""
    depth: float
    """and for each row, by how many tokens the longest draft is longer than none."""


class Odds:
    """How much of each draft is worth reading, by how often drafts were right of late.

    A token of a draft is won if it and those before it are right; how likely that is follows from
    how many tokens match before it. Drafts grow by one in all rows at once, as long as the tokens
    won rise by a larger share than the step's time.
    """

    MOST = 8
    """Tokens in a draft."""
    FADES = 0.995
    """What one token told is worth so much less after the next one."""
    LOOKS = 16
    """Steps without drafts after which one is made with some, for texts change."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self._right = [0.0, 2.0, 3.0, 4.0]  # by length of the match
        self._read = [5.0] * (LONGEST + 1)
        self._idle = 0

    def cut(self, drafts: Sequence[Draft], rows: int) -> list[list[int]]:
        """As much of each draft as is worth it, in a step of `rows` rows."""
        prices = self.prices
        time, won = prices.step + prices.row * rows, float(rows)
        look = self._idle >= self.LOOKS
        lengths = [0] * len(drafts)
        reached = [1.0] * len(drafts)  # the chance that the draft is right so far
        for depth in range(1, self.MOST + 1):
            longer = {}
            for at, draft in enumerate(drafts):
                if lengths[at] == depth - 1 and len(draft.tokens) >= depth:
                    chance = reached[at] * self._chance(draft.match + depth - 1)
                    if look or chance * time > prices.token * won:
                        longer[at] = chance
            more = prices.token * len(longer) + prices.depth * rows
            gain = sum(longer.values())
            if not longer or (gain * time <= won * more and not look):
                break
            time, won, look = time + more, won + gain, False
            for at, chance in longer.items():
                lengths[at], reached[at] = depth, chance
        self._idle = 0 if any(lengths) else self._idle + 1
        return [draft.tokens[:length] for draft, length in zip(drafts, lengths, strict=True)]

    def learn(self, match: int, read: int, right: int) -> None:
        """Of `read` tokens of a draft the first `right` were right."""
        for at in range(min(read, right + 1)):
            kind = min(LONGEST, match + at)
            self._right[kind] = self.FADES * self._right[kind] + (at < right)
            self._read[kind] = self.FADES * self._read[kind] + 1

    def _chance(self, match: int) -> float:
        kind = min(LONGEST, match)
        return self._right[kind] / self._read[kind]
