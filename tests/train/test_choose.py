from looptool.records import Label, Match, ParsedOutput, ProbeResult, Sample, ToolCall
from looptool.train.choose import PromptChooser

CALL = Label(calls=(ToolCall(name="get", arguments={}),))


def probe(sample: Sample, matched: bool, perplexity: float) -> ProbeResult:
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="base",
        output="",
        parsed=ParsedOutput(),
        match=Match(matched=matched),
        perplexity=perplexity,
        num_tokens=20,
    )


def test_uninformed_choice_takes_every_prompt_once_before_any_twice(samples: list[Sample]) -> None:
    chooser = PromptChooser(samples, {}, 8, seed=1, informed=False)
    drawn = [index for step in range(6) for index in chooser.choose(3, step, 0)]
    assert sorted(drawn[:9]) == sorted(drawn[9:]) == list(range(9))


def test_a_mastered_and_certain_prompt_is_expected_to_teach_least(samples: list[Sample]) -> None:
    certain, unsure, failed = samples[:3]
    hints = {
        certain.id: probe(certain, True, 1.0001),
        unsure.id: probe(unsure, True, 1.3),
        failed.id: probe(failed, False, 1.3),
    }
    chooser = PromptChooser([certain, unsure, failed], hints, 8, seed=1, informed=True)
    signals = chooser.expected_signals()
    assert signals[0] < min(signals[1:])


def test_a_prompt_that_is_always_right_comes_up_less_and_less(samples: list[Sample]) -> None:
    chooser = PromptChooser(samples, {}, 8, seed=1, informed=True)
    before = chooser.expected_signals()[0]
    for _ in range(4):
        chooser.learn(0, right=8, wrong=0)
    assert chooser.expected_signals()[0] < before / 2
    for _ in range(4):
        chooser.learn(0, right=4, wrong=4)
    assert chooser.expected_signals()[0] > 0.9


def test_a_restored_chooser_draws_what_the_first_one_would_have(samples: list[Sample]) -> None:
    first = PromptChooser(samples, {}, 8, seed=1, informed=True)
    first.choose(4, 0, 0)
    first.learn(2, 3, 5)
    second = PromptChooser(samples, {}, 8, seed=1, informed=True)
    second.restore(first.state())
    assert second.choose(4, 1, 0) == first.choose(4, 1, 0)


def test_more_prompts_than_there_are_samples_repeat(samples: list[Sample]) -> None:
    chosen = PromptChooser(samples[:2], {}, 8, seed=1, informed=True).choose(5, 0, 0)
    assert len(chosen) == 5 and set(chosen) == {0, 1}


def test_refusals_keep_their_share_however_much_they_would_teach(samples: list[Sample]) -> None:
    mixture = [
        sample.model_copy(update={"id": f"{i}", "label": Label() if i % 4 == 0 else CALL})
        for i, sample in enumerate(samples * 4)
    ]
    chooser = PromptChooser(mixture, {}, 8, seed=1, informed=True)
    for index, sample in enumerate(mixture):  # calls fail all, refusals are mixed
        chooser.learn(index, right=0 if sample.label.calls else 4, wrong=8)
    drawn = [index for step in range(50) for index in chooser.choose(8, step, 0)]
    refusals = sum(not mixture[index].label.calls for index in drawn)
    assert 0.2 < refusals / len(drawn) < 0.3


def test_an_update_holds_no_more_refusals_than_their_share(samples: list[Sample]) -> None:
    mixture = [
        sample.model_copy(update={"id": f"{i}", "label": Label() if i % 4 == 0 else CALL})
        for i, sample in enumerate(samples[:8])
    ]
    chooser = PromptChooser(mixture, {}, 8, seed=1, informed=True)
    assert chooser.in_proportion([0, 1, 2, 3, 4]) == [True, True, True, True, False]
    assert chooser.in_proportion([0, 4]) == [False, False]
    plain = PromptChooser(mixture, {}, 8, seed=1, informed=False)
    assert plain.in_proportion([0, 4]) == [True, True]
