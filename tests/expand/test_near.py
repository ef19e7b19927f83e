"""Near-duplicates."""

from __future__ import annotations

from looptool.expand.near import Seen
from looptool.records import Label, Message, Sample, Scenario, ToolCall

LONG = (
    "I would like to book a table for four people at Maru on Friday evening, by the window, please"
)


def said(text: str, **arguments: str) -> Sample:
    label = Label(calls=(ToolCall(name="book", arguments=dict(arguments)),))
    return Sample.create((), (Message(role="user", content=text),), label, Scenario.SINGLE)


def test_punctuation_case_and_one_word_of_many_make_no_new_sample() -> None:
    seen = Seen([said(LONG, place="Maru")])
    assert seen.has_near(said(LONG.upper() + "!!", place="maru"))
    assert seen.has_near(said(LONG.replace("please", "thanks"), place="Maru"))


def test_other_words_or_other_values_do() -> None:
    seen = Seen([said(LONG, place="Maru"), said("book Maru", place="Maru")])
    assert not seen.has_near(said("Get me something for tonight, for two, at Maru", place="Maru"))
    assert not seen.has_near(said("book Otto", place="Otto"))


def test_a_later_step_of_the_same_dialogue_is_another_sample() -> None:
    first = said(LONG, place="Maru")
    answered = (*first.context, Message(role="assistant"), Message(role="tool", content="{}"))
    later = Sample.create((), answered, first.label, Scenario.SEQUENTIAL)
    assert not Seen([first]).has_near(later)


def test_an_empty_text_is_no_trouble() -> None:
    empty = Sample.create((), (), Label(), Scenario.CHAT)
    assert Seen([empty]).has_near(empty) and not Seen().has_near(empty)


def test_among_thousands_each_copy_is_found() -> None:
    samples = [said(f"{LONG} {n} {n + 1} {n * 7} {n * 13}", place=f"p{n}") for n in range(2000)]
    seen = Seen(samples[:1999])
    copies = [said(sample.context[0].content + " ok", place=f"p{n}")
              for n, sample in enumerate(samples[:200])]  # fmt: skip
    assert all(seen.has_near(copy) for copy in copies)
