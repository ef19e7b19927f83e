"""Drafts are what followed before; how many are made follows from how often they were right."""

from looptool.models.drafts import Draft, Odds, Places, Prices, Text

PRICES = Prices(step=35.0, row=2.7, token=1.0, depth=0.3)


def test_a_draft_is_what_followed_the_same_tokens_last() -> None:
    text = Text.of_prompt([1, 2, 3, 4, 9, 2, 3, 5, 6, 1, 2, 3], [{}])
    assert text.draft(2) == Draft([4, 9], 3)  # after 1 2 3, not the later 5 6 after 2 3
    text.add(7)
    assert text.draft(4).tokens == []  # nothing ever followed a 7
    text.add(3)
    assert text.draft(4) == Draft([7, 3], 1)  # after 3 last, as far as it went


def test_the_prompt_comes_before_what_others_said_and_a_longer_match_before_both() -> None:
    others: Places = {}
    Text.of_prompt([5, 1, 2, 30, 31], [others])
    own: Places = {}
    prompt = Text.of_prompt([1, 2, 20, 21], [own]).tokens
    assert Text([*prompt, 1, 2], [own, others]).draft(2) == Draft([20, 21], 2)
    assert Text([*prompt, 5, 1, 2], [own, others]).draft(2) == Draft([30, 31], 3)


def test_siblings_copy_from_each_other() -> None:
    places: Places = {}
    first, second = Text([1, 2], [places]), Text([1, 2], [places])
    for token in (7, 8, 9):
        first.add(token)
    assert second.draft(3).tokens == [7, 8, 9]


def settled(right: float, match: int = 1) -> Odds:
    """Odds that have seen a share of the tokens be right, whatever matched before them."""
    odds = Odds(PRICES)
    for n in range(4000):
        for length in {1, 2, 3, match}:
            odds.learn(length, 1, int(n % 10 < 10 * right))
    return odds


def lengths(odds: Odds, drafts: list[Draft], rows: int) -> list[int]:
    return [len(draft) for draft in odds.cut(drafts, rows)]


def test_what_is_always_right_is_read_whole_and_what_never_is_now_and_then() -> None:
    drafts = [Draft(list(range(8)), 1)] * 64
    assert lengths(settled(1.0), drafts, 64) == [8] * 64
    odds = settled(0.0)
    read = [max(lengths(odds, drafts, 64)) for _ in range(Odds.LOOKS + 1)]
    assert read == [0] * Odds.LOOKS + [1]


def test_drafts_are_longer_where_a_step_has_few_rows() -> None:
    long = Draft(list(range(8)), 3)
    few, many = (max(lengths(settled(0.7), [long] * rows, rows)) for rows in (1, 64))
    assert few > many > 0


def test_a_row_that_is_sure_reads_more_than_one_that_guesses() -> None:
    odds = Odds(PRICES)
    for n in range(4000):
        odds.learn(1, 1, int(n % 10 < 2))
        odds.learn(3, 1, 1)
    drafts = [Draft([5, 6, 7, 8], 3)] * 40 + [Draft([5, 6, 7, 8], 1)] * 24
    assert lengths(odds, drafts, 64) == [4] * 40 + [0] * 24


def test_a_step_without_drafts_is_one_without() -> None:
    assert lengths(settled(1.0), [Draft([], 0)] * 3, 3) == [0] * 3
