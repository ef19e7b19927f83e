"""What the loop asks of a teacher: small protocols, the same for the offline one and an LLM.

Every method is a coroutine, so that a teacher behind an endpoint can have many under way; the
offline teacher simply never waits. Determinism: an answer depends on the arguments and on the
teacher's configuration, never on the order of the calls.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from looptool.records import (
    Failure,
    Judgement,
    Label,
    Message,
    Record,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Turn,
)

if TYPE_CHECKING:
    from looptool.config import Config
    from looptool.work import Progress

TreePath = tuple[str, str, str]
"""A leaf of the Context Tree: domain, group, operation."""


class ToolBrief(Record):
    """What tool to write: a leaf of the Context Tree and a draw from the Constraint Tree.

    `constraints` are stated in words for a language model, and `seed` gives the offline teacher the
    same draw again.
    """

    path: TreePath
    constraints: tuple[str, ...] = ()
    seed: int = 0


class DialogueBrief(Record):
    """What dialogue to simulate: over which tools, and with which needs, turn by turn.

    `absent` are tools that are not at hand: an irrelevant request asks for what one of them would
    do. With `tool_error` one of the tools' answers is to be an error. Without `closing` nobody
    needs what the last calls return and the assistant says of it.
    """

    id: str
    tools: tuple[Tool, ...]
    needs: tuple[Scenario, ...]
    domain: str
    seed: int
    absent: tuple[Tool, ...] = ()
    tool_error: bool = False
    closing: bool = True


class Scene(Record):
    """The state of a simulated dialogue, as one of its agents sees it.

    `turn` is the index of the plan's turn that is being played. The User and the offline
    Assistant may read the plan; a language model as Assistant sees only tools and messages.
    """

    brief: DialogueBrief
    plan: tuple[Turn, ...]
    messages: tuple[Message, ...]
    turn: int


class Variation(StrEnum):
    """How an expanded sample differs from the failure that it came from (EDDE)."""

    COMPLEXITY = "complexity"
    PERSONA = "persona"
    INTERACTION = "interaction"
    DATA = "data"
    SIBLING_TOOL = "sibling_tool"
    TURNS = "turns"


class Case(Record):
    """Two candidate moves in one situation. A judge sees this and nothing else."""

    sample_id: str
    tools: tuple[Tool, ...]
    context: tuple[Message, ...]
    prediction: Label
    label: Label


class Expense(Record):
    """Calls that were paid for, their tokens, and their price in the unit of the config."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Expense) -> Expense:
        return Expense(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost=self.cost + other.cost,
        )

    def __sub__(self, other: Expense) -> Expense:
        return Expense(
            calls=self.calls - other.calls,
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            completion_tokens=self.completion_tokens - other.completion_tokens,
            cost=self.cost - other.cost,
        )

    def rounded(self) -> Expense:
        """The cost without the noise of adding floats."""
        return self.model_copy(update={"cost": round(self.cost, 9)})


class Unusable(Record):
    """Answers of a role that broke its rules: how many, how many pieces of work were given up for
    it, and how often for what.
    """

    answers: int = 0
    lost: int = 0
    faults: dict[str, int] = Field(default_factory=dict)

    def with_fault(self, fault: str, answers: int, lost: int) -> Unusable:
        return Unusable(
            answers=self.answers + answers,
            lost=self.lost + lost,
            faults=self.faults | {fault: answers},
        )


class Bill(Record):
    """What a teacher has cost a run so far, by role, and what of it would not do."""

    roles: dict[str, Expense]
    unusable: dict[str, Unusable] = Field(default_factory=dict)

    def total(self) -> Expense:
        """The sum over the roles."""
        return sum(self.roles.values(), Expense()).rounded()

    def summary(self) -> str:
        """One line."""
        total = self.total()
        price = f", cost {total.cost:.4g}" if total.cost else ""
        shares = "; ".join(
            f"{role} {one.prompt_tokens:,} + {one.completion_tokens:,}"
            + (f" = {one.cost:.4g}" if total.cost else "")
            for role, one in self.roles.items()
        )
        return (
            f"teacher: {total.calls:,} calls paid so far, {total.prompt_tokens:,} tokens in, "
            f"{total.completion_tokens:,} out{price} ({shares})"
        )


class ToolWriter(Protocol):
    """Grows the Context Tree and writes the tools of the seed."""

    async def grow_domain(self, name: str) -> tuple[TreePath, ...]:
        """The leaves of one domain, each once; none if nothing came of it.

        Raises UserError for a domain of which this teacher knows nothing.
        """
        ...

    async def write_tool(self, brief: ToolBrief) -> Tool | None:
        """A valid tool for the brief, or None if none came of it."""
        ...


class Simulator(Protocol):
    """The four agents of a dialogue."""

    async def plan(self, brief: DialogueBrief) -> tuple[Turn, ...]:
        """The Planner: the flow of turns. Empty if these tools do not allow the needs."""
        ...

    async def speak(self, scene: Scene) -> str | None:
        """The User's next message; None when there is nothing left to say."""
        ...

    async def move(self, scene: Scene) -> Label | None:
        """The Assistant's next move; None if it is not certain enough to be a label."""
        ...

    async def answer(self, scene: Scene, call: ToolCall) -> str:
        """The Tool agent's result for one call, as JSON text; an error has the key "error"."""
        ...


class Judge(Protocol):
    """`name` stands in every judgement and label edit that it causes."""

    name: str

    async def judge(self, case: Case) -> Judgement:
        """Which of the two candidates is right (JGLV); UNDECIDED where it cannot tell."""
        ...

    async def accept(self, sample: Sample) -> str | None:
        """None if a generated sample is sound, else a short reason for its rejection."""
        ...


class Expander(Protocol):
    """Makes new samples from failures."""

    async def vary(
        self, failure: Failure, variation: Variation, number: int, seed: int
    ) -> tuple[Sample, ...]:
        """Up to `number` new samples of the same difficulty, not yet checked (EDDE)."""
        ...


class Teacher(ToolWriter, Simulator, Judge, Expander, Protocol):
    """All roles together. `concurrency` is how many calls may be under way at once."""

    concurrency: int

    async def forecast(self, config: Config, progress: Progress) -> str | None:
        """What a run of this config is likely to cost, in one line; None where nothing is paid."""
        ...

    def bill(self) -> Bill | None:
        """What the run has paid so far; None if nothing."""
        ...
