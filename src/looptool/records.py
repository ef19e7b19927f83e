"""The nouns of LoopTool: frozen records that the stages take and return.

Behaviour lives in the stages. A record knows how to be read, written and identified, nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializationInfo,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from looptool.jsonvalue import content_hash
from looptool.tooltable import ToolTable


class Record(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(Record):
    """An OpenAI function schema, kept losslessly: keys that LoopTool does not know stay.

    In a file that holds many records a tool is written once and referred to by its hash: the
    store passes a `ToolTable` as pydantic context (see `runs.store`).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, JsonValue] = {"type": "object", "properties": {}}

    def as_function(self) -> dict[str, Any]:
        """The schema as the OpenAI `function` object: what was given, nothing added."""
        known = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in self.model_fields_set
        }
        return known | (self.model_extra or {})

    def hash(self) -> str:
        return content_hash(self.as_function())

    @model_validator(mode="wrap")
    @classmethod
    def _by_reference(
        cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Self:
        if isinstance(value, str) and isinstance(info.context, ToolTable):
            found = info.context.tools[value]
            assert isinstance(found, cls)
            return found
        made: Self = handler(value)
        return made

    @model_serializer(mode="plain")
    def _to_reference(self, info: SerializationInfo) -> Any:
        if isinstance(info.context, ToolTable):
            return info.context.refer(self)
        return self.as_function()


class ToolCall(Record):
    """One call of a tool."""

    name: str
    arguments: dict[str, JsonValue] = {}


class Message(Record):
    """An OpenAI chat message; `name` is the tool's name where `role` is "tool"."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Scenario(StrEnum):
    """What kind of situation a sample is."""

    SINGLE = "single"
    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"
    MULTI_TURN = "multi_turn"
    MISSING_PARAMETER = "missing_parameter"
    IRRELEVANT = "irrelevant"
    CHAT = "chat"


class Origin(StrEnum):
    """How a sample came into a round's dataset."""

    SEED = "seed"
    ERROR_SEED = "error_seed"
    EXPANDED = "expanded"
    HIGH_PERPLEXITY = "high_perplexity"
    SEED_NEW = "seed_new"


class Verdict(StrEnum):
    """The outcomes of a judgement (JGLV); a failed judgement is UNDECIDED, never a zero."""

    PRED_WRONG = "PRED_WRONG"
    LABEL_WRONG = "LABEL_WRONG"
    BOTH_CORRECT = "BOTH_CORRECT"
    BOTH_WRONG = "BOTH_WRONG"
    UNDECIDED = "UNDECIDED"


class ErrorType(StrEnum):
    """The kinds of wrong label that are planted as noise, and used to calibrate judges."""

    WRONG_VALUE = "wrong_value"
    MISSING_ARGUMENT = "missing_argument"
    EXTRA_ARGUMENT = "extra_argument"
    WRONG_TOOL = "wrong_tool"
    WRONG_TYPE = "wrong_type"
    NEEDLESS_CALL = "needless_call"
    SHOULD_ASK = "should_ask"


class Label(Record):
    """The right next move at one assistant turn: calls, or no call and what is said instead."""

    calls: tuple[ToolCall, ...] = ()
    content: str = ""


class LabelEdit(Record):
    """One change of a label: labels are never overwritten without one."""

    old: Label
    new: Label
    verdict: Verdict
    reason: str
    judge: str
    round: int


class Turn(Record):
    """One step of a Planner's flow: what is needed, and of which tools."""

    need: Scenario
    tools: tuple[str, ...] = ()
    intent: str = ""


class Dialogue(Record):
    """A simulated conversation over tools.

    `moves` marks, by message index, the assistant turns that may become labels.
    """

    tools: tuple[Tool, ...]
    messages: tuple[Message, ...]
    moves: tuple[tuple[int, Scenario], ...]
    domain: str = ""


class Sample(Record):
    """One assistant turn to learn: tools, the messages before it, and the label.

    `id` is a hash of what the sample was born with (tools, context, first label), so a corrected
    sample is the same sample with an edit in its history.
    """

    id: str
    tools: tuple[Tool, ...]
    context: tuple[Message, ...]
    label: Label
    scenario: Scenario
    origin: Origin = Origin.SEED
    domain: str = ""
    parents: tuple[str, ...] = ()
    round: int = 0
    edits: tuple[LabelEdit, ...] = ()

    @classmethod
    def create(
        cls,
        tools: tuple[Tool, ...],
        context: tuple[Message, ...],
        label: Label,
        scenario: Scenario,
        **rest: Any,
    ) -> Sample:
        """A new sample, with the id that its content gives it."""
        born = [
            [tool.as_function() for tool in tools],
            [message.model_dump(exclude_defaults=True) for message in context],
            label.model_dump(exclude_defaults=True),
        ]
        return cls(
            id=content_hash(born),
            tools=tools,
            context=context,
            label=label,
            scenario=scenario,
            **rest,
        )

    def corrected(self, edit: LabelEdit) -> Sample:
        """The sample with the edit's new label, the edit added to its history."""
        assert edit.old == self.label, "an edit starts from the label that stands"
        return self.model_copy(update={"label": edit.new, "edits": (*self.edits, edit)})

    def moved(self, origin: Origin, round: int) -> Sample:
        """The sample as it enters a round's dataset."""
        return self.model_copy(update={"origin": origin, "round": round})


class PlantedError(Record):
    """What was done to a sample's label on purpose. Only the report and calibration read it."""

    sample_id: str
    error: ErrorType
    truth: Label


class Seed(Record):
    """What the seed step makes: samples to train on, held-out ones, and the hidden truth."""

    train: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    planted: tuple[PlantedError, ...] = ()
    rejected: dict[str, int] = {}

    def less(self, gone: Collection[str]) -> Seed:
        """Without these training samples (ids) and what was planted in them."""
        train = tuple(sample for sample in self.train if sample.id not in gone)
        planted = tuple(error for error in self.planted if error.sample_id not in gone)
        return self.model_copy(update={"train": train, "planted": planted})


class Tally(Record):
    """How often what happened."""

    counts: dict[str, int] = {}


class Checkpoint(Record):
    """The policy at one point: a folder (or model id) that transformers can load.

    `name` is unique in a run ("base", "warm-start", "round-1"). On disk `path` is as
    `Paths.portable` says it.
    """

    name: str
    path: str
    base: str


class Mismatch(StrEnum):
    """Why a prediction does not match a label."""

    NONE = "none"
    PROMPT_TOO_LONG = "prompt_too_long"
    TRUNCATED = "truncated"
    BAD_JSON = "bad_json"
    BAD_CALL = "bad_call"
    UNCLOSED_THOUGHT = "unclosed_thought"
    UNEXPECTED_CALL = "unexpected_call"
    MISSING_CALL = "missing_call"
    WRONG_NUMBER_OF_CALLS = "wrong_number_of_calls"
    UNKNOWN_TOOL = "unknown_tool"
    WRONG_TOOL = "wrong_tool"
    UNKNOWN_ARGUMENT = "unknown_argument"
    MISSING_ARGUMENT = "missing_argument"
    EXTRA_ARGUMENT = "extra_argument"
    WRONG_TYPE = "wrong_type"
    WRONG_VALUE = "wrong_value"


class Match(Record):
    """The result of ToolMatch: whether it matched, why not, and where."""

    matched: bool
    reason: Mismatch = Mismatch.NONE
    detail: str = ""


class ParsedOutput(Record):
    """A model's output, parsed: thought, text, calls, and the defect that spoils it, if any.

    With a defect `calls` holds what could be read before it; an output with a defect never matches.
    """

    calls: tuple[ToolCall, ...] = ()
    content: str = ""
    thought: str = ""
    begins_call: bool = False
    defect: Mismatch = Mismatch.NONE
    detail: str = ""

    def as_label(self) -> Label:
        return Label(calls=self.calls, content="" if self.calls else self.content)


class ProbeResult(Record):
    """Greedy decoding of one sample by one checkpoint (GCP)."""

    sample_id: str
    checkpoint: str
    output: str
    parsed: ParsedOutput
    match: Match
    perplexity: float
    num_tokens: int


class Vote(Record):
    """One opinion of one judge, with the order in which it saw the candidates."""

    judge: str
    verdict: Verdict
    swapped: bool = False
    reason: str = ""


class Judgement(Record):
    """What verification found about one failed sample (JGLV)."""

    sample_id: str
    verdict: Verdict
    votes: tuple[Vote, ...] = ()
    error_analysis: str = ""
    correct_approach: str = ""
    judge: str = ""


class Failure(Record):
    """A verified failure, ready to be expanded: the sample as it stands, and the wrong move."""

    sample: Sample
    wrong: Label
    judgement: Judgement


class Expansion(Record):
    """The new samples that came of one failure, and why others were rejected."""

    parent: str
    samples: tuple[Sample, ...] = ()
    rejected: dict[str, int] = {}

    def less(self, gone: Collection[str], reason: str) -> Expansion:
        """Without these samples (ids), which count as rejected for `reason`."""
        kept = tuple(sample for sample in self.samples if sample.id not in gone)
        if not (lost := len(self.samples) - len(kept)):
            return self
        return self.model_copy(
            update={"samples": kept, "rejected": {**self.rejected, reason: lost}}
        )


class Score(Record):
    """An accuracy with its 95 % bootstrap interval."""

    correct: int
    total: int
    accuracy: float
    low: float
    high: float


class Measurement(Record):
    """One checkpoint on the held-out samples.

    `calls` is the accuracy on the samples whose label is a call, `call_rate` the share of outputs
    that begin a call, `mismatches` counts the reasons of the failures.
    """

    checkpoint: str
    overall: Score
    calls: Score
    by_scenario: dict[str, Score]
    mismatches: dict[str, int]
    call_rate: float
