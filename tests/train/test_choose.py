from looptool.records import Label, Match, Origin, ParsedOutput, ProbeResult, Sample, Tool, ToolCall
from looptool.train.choose import PromptChooser

GET = Tool(name="get")
CALL = Label(calls=(ToolCall(name="get", arguments={}),))


def labelled(sample: Sample, label: Label) -> Sample:
    return sample.model_copy(update={"tools": (GET,), "label": label})


def probe(sample: Sample, matched: bool, perplexity: float) -> ProbeResult:
    calls = CALL.calls if matched == bool(sample.label.calls) else ()
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="base",
        output="",
        parsed=ParsedOutput(calls=calls, begins_call=bool(calls)),
        match=Match(matched=matched),
        perplexity=perplexity,
        num_tokens=20,
    )


def test_uninformed_choice_takes_every_prompt_once_before_any_twice(samples: list[Sample]) -> None:
    chooser = PromptChooser(samples, {}, 8, seed=1, informed=False)
    drawn = [index for step in range(6) for index in chooser.choose(3, step, 0)]
    assert sorted(drawn[:9]) == sorted(drawn[9:]) == list(range(9))


def test_calls_that_come_out_right_now_and_then_are_expected_to_teach_most(
    samples: list[Sample],
) -> None:
    certain, unsure, failed = (labelled(s, CALL) for s in samples[:3])
    hints = {
        certain.id: probe(certain, True, 1.0001),
        unsure.id: probe(unsure, True, 1.05),
        failed.id: probe(failed, False, 1.05),
    }
    chooser = PromptChooser([certain, unsure, failed], hints, 8, seed=1, informed=True)
    of_certain, of_unsure, of_failed = chooser.expected_signals()
    assert of_unsure > 2 * max(of_certain, of_failed)


def test_words_are_taken_for_right_however_perplexed_the_model_was_by_them(
    samples: list[Sample],
) -> None:
    right, wrong = (labelled(s, Label(content="No.")) for s in samples[:2])
    hints = {right.id: probe(right, True, 3.0), wrong.id: probe(wrong, False, 1.05)}
    of_right, of_wrong = PromptChooser([right, wrong], hints, 8, 1, True).expected_signals()
    assert of_wrong > 2 * of_right


def test_a_prediction_that_became_the_label_counts_as_right(samples: list[Sample]) -> None:
    failed = labelled(samples[0], Label(content="No."))
    found = {failed.id: probe(failed, False, 1.0001)}
    corrected = labelled(samples[0], CALL)
    of_label = {corrected.id: probe(corrected, True, 1.0001)}
    expected = PromptChooser([corrected], of_label, 8, 1, True).expected_signals()
    assert PromptChooser([corrected], found, 8, 1, True).expected_signals() == expected


def test_the_share_of_refusals_is_that_of_the_seed_and_not_of_the_failures(
    samples: list[Sample],
) -> None:
    seed = [s.model_copy(update={"label": CALL}) for s in samples[:3]]
    seed.append(samples[3].model_copy(update={"label": Label()}))
    failures = [
        s.model_copy(update={"id": f"{n}", "label": Label(), "origin": Origin.ERROR_SEED})
        for n, s in enumerate(samples[:9])
    ]
    chooser = PromptChooser(seed + failures, {}, 8, seed=1, informed=True)
    drawn = [index for step in range(50) for index in chooser.choose(8, step, 0)]
    assert 0.2 < sum(index >= 3 for index in drawn) / len(drawn) < 0.3


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
