"""What is too long for the policy is known before anything is spent on it."""

from looptool.chat.limits import too_long
from looptool.config import PolicyConfig
from looptool.records import Label, Message, Sample, Scenario


class Words:
    """A chat format in which every word is a token."""

    def prompt_ids(self, tools: object, messages: tuple[Message, ...]) -> list[int]:
        return [0] * len(messages[0].content.split())

    def completion_ids(self, label: Label) -> list[int]:
        return [0] * len(label.content.split())


def sample(prompt: int, label: int) -> Sample:
    said = (Message(role="user", content="word " * prompt),)
    return Sample.create((), said, Label(content="word " * label), Scenario.CHAT)


def test_a_sample_must_fit_the_prompt_and_the_answer() -> None:
    fits, long_prompt, long_label = sample(8, 4), sample(9, 4), sample(8, 5)
    policy = PolicyConfig(max_prompt_tokens=8, max_new_tokens=4)
    found = too_long(Words(), (fits, long_prompt, long_label), policy)  # type: ignore[arg-type]
    assert found == {long_prompt.id, long_label.id}
