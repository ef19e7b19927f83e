"""Drafts are what followed before; how many are made follows from how often they were right."""

from looptool.models.drafts import Pace, Places, Text


def test_a_draft_is_what_followed_the_same_tokens_last() -> None:
    text = Text.of_prompt([1, 2, 3, 4, 9, 2, 3, 5, 6, 1, 2, 3], [{}])
    assert text.draft(2) == [4, 9]  # after 1 2 3, not the later 5 6 after 2 3
    text.add(7)
    assert text.draft(4) == []  # nothing ever followed a 7
    text.add(3)
    assert text.draft(4) == [7, 3]  # after 3 last, as far as it went


def test_the_prompt_comes_before_what_others_said_and_a_longer_match_before_both() -> None:
    others: Places = {}
    Text.of_prompt([5, 1, 2, 30, 31], [others])
    own: Places = {}
    prompt = Text.of_prompt([1, 2, 20, 21], [own]).tokens
    assert Text([*prompt, 1, 2], [own, others]).draft(2) == [20, 21]
    assert Text([*prompt, 5, 1, 2], [own, others]).draft(2) == [30, 31]


def test_siblings_copy_from_each_other() -> None:
    places: Places = {}
    first, second = Text([1, 2], [places]), Text([1, 2], [places])
    for token in (7, 8, 9):
        first.add(token)
    assert second.draft(3) == [7, 8, 9]


def test_drafts_grow_where_they_are_right_and_stop_where_they_are_wrong() -> None:
    def settled(right: int, rows: int) -> list[int]:
        pace = Pace(still=35.0, moving=2.1)
        for _ in range(100):
            pace.learn(right, 10)
        return [pace.length(rows) for _ in range(Pace.LOOKS)]

    assert settled(10, rows=64) == [8] * Pace.LOOKS
    assert settled(0, rows=64) == [0] * (Pace.LOOKS - 1) + [1]  # one look, for texts change
    assert max(settled(6, rows=64)) < min(settled(6, rows=1))
