"""What a row is likely to say next, copied from its prompt or from what was said before.

Calls repeat their schemas' names and the user's words, so much of what follows the last few tokens
has followed them before (prompt lookup; transformers has it as `prompt_lookup_num_tokens`). A
draft needs no second model, and changes nothing but the speed: a step puts it through the model
behind the row's next token and keeps as much of it as the model itself comes to.
"""

from __future__ import annotations

from collections.abc import Sequence

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

    def draft(self, num: int) -> list[int]:
        """At most `num` tokens that may come next."""
        for length in range(min(LONGEST, len(self.tokens)), 0, -1):
            last = tuple(self.tokens[-length:])
            for places in self.places:
                if (found := places.get(last)) is not None:
                    text, at = found
                    return text[at : at + num]
        return []


class Pace:
    """How many tokens to draft: as many as pay, by how often drafts were right of late.

    The i-th token of a draft is worth something where those before it were right. With a chance p
    of each, k drafted tokens give 1 + p + … + p^k tokens a step, for the price of a longer step:
    each of them costs `1 / (still + moving * rows)` of what a step of so many rows costs.
    """

    LENGTHS = (0, 1, 2, 3, 4, 6, 8)
    FADES = 0.9
    """What was seen a step ago counts for so much less."""
    LOOKS = 16
    """Steps without drafts after which one is made with some, for texts change."""

    def __init__(self, still: float, moving: float) -> None:
        self.still, self.moving = still, moving
        self._right, self._read = 3.0, 5.0
        self._idle = 0

    def length(self, rows: int) -> int:
        """How many tokens to draft for each of `rows` rows."""
        chance = self._right / self._read
        price = rows / (self.still + self.moving * rows)

        def rate(k: int) -> float:
            return sum(chance**i for i in range(k + 1)) / (1 + price * k)

        best = max(self.LENGTHS, key=rate)
        self._idle = 0 if best else self._idle + 1
        return best or int(self._idle % self.LOOKS == 0)

    def learn(self, right: int, read: int) -> None:
        """Of `read` drafted tokens up to each row's first wrong one, `right` were right."""
        self._right = self.FADES * self._right + right
        self._read = self.FADES * self._read + read
