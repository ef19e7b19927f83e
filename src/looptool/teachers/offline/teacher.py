"""The teacher without a model: trees, grammars and samplers write, a rule judge judges."""

from __future__ import annotations

from looptool.config import Config
from looptool.conversation import moves_made
from looptool.errors import UserError
from looptool.records import Failure, Judgement, Label, Sample, Tool, ToolCall, Turn
from looptool.seed.constraint_tree import cast, snake_case
from looptool.seed.context_tree import leaves
from looptool.seed.dice import dice
from looptool.teachers.base import (
    Case,
    DialogueBrief,
    Judge,
    Scene,
    ToolBrief,
    TreePath,
    Variation,
)
from looptool.teachers.offline.scenes import write_script
from looptool.teachers.offline.script import Beat, Step
from looptool.teachers.offline.understand import understand
from looptool.teachers.offline.usable import why_unusable
from looptool.teachers.offline.vary import vary
from looptool.teachers.offline.world import respond
from looptool.work import Progress


class OfflineTeacher:
    """Deterministic: an answer depends on the arguments and on `seed`, in every process.

    `judge` is who weighs candidates; without one, the rule judge.
    """

    concurrency = 1

    def __init__(self, seed: int = 0, judge: Judge | None = None) -> None:
        if judge is None:
            from looptool.teachers.offline.judge import RuleJudge

            judge = RuleJudge()
        self.seed = seed
        self._judge = judge
        self.name = judge.name
        self._leaves = {leaf.path: leaf for leaf in leaves()}
        self._script: tuple[DialogueBrief, tuple[Beat, ...]] | None = None

    async def grow_domain(self, name: str) -> tuple[TreePath, ...]:
        """The vocabulary's operations of this domain; UserError if it has no such domain."""
        known = {path[0]: None for path in self._leaves}
        domain = snake_case(name)
        if domain not in known:
            raise UserError(
                f"data.domains: the offline teacher knows no {name!r}; it knows "
                f"{', '.join(known)}. A teacher of type llm takes any name"
            )
        return tuple(path for path in self._leaves if path[0] == domain)

    async def write_tool(self, brief: ToolBrief) -> Tool | None:
        """The operation at the brief's path, cast by the draw of its seed."""
        leaf = self._leaves.get(brief.path)
        return cast(leaf.operation, leaf.group, brief.seed) if leaf else None

    def why_unusable(self, tool: Tool) -> str | None:
        """Why no request for a user's tool can be written, in a few words; None if one can."""
        return why_unusable(tool)

    async def plan(self, brief: DialogueBrief) -> tuple[Turn, ...]:
        """The turns of the script; empty if these tools do not allow the needs."""
        return tuple(beat.turn for beat in self._beats(brief))

    async def speak(self, scene: Scene) -> str | None:
        """The User's line in the script."""
        beats = self._beats(scene.brief)
        return beats[scene.turn].said if scene.turn < len(beats) else None

    async def move(self, scene: Scene) -> Label | None:
        """The Assistant's next step in the script; None when its turn is over."""
        step = self._step(scene, moves_made(scene.messages))
        return step.label if step else None

    async def answer(self, scene: Scene, call: ToolCall) -> str:
        """The Tool agent's answer: the script's, or the world's to any other call."""
        step = self._step(scene, moves_made(scene.messages) - 1)
        if step is not None and call in step.label.calls and step.results:
            return step.results[step.label.calls.index(call)]
        tool = next((tool for tool in scene.brief.tools if tool.name == call.name), None)
        sense = understand(tool) if tool else None
        if sense is None:
            return '{"status": "ok"}' if tool else '{"error": "Unknown tool."}'
        return respond(sense, call, scene.brief.seed, scene.messages)

    async def judge(self, case: Case) -> Judgement:
        """The rule judge's finding."""
        return await self._judge.judge(case)

    async def accept(self, sample: Sample) -> str | None:
        """The rule judge's opinion of a new sample."""
        return await self._judge.accept(sample)

    async def vary(
        self, failure: Failure, variation: Variation, number: int, seed: int
    ) -> tuple[Sample, ...]:
        """New samples of the failure's difficulty (EDDE)."""
        return await vary(self, failure, variation, number, seed + self.seed)

    async def forecast(self, config: Config, progress: Progress) -> None:
        """Nothing is paid."""

    def bill(self) -> None:
        """Nothing is paid."""

    def _beats(self, brief: DialogueBrief) -> tuple[Beat, ...]:
        if self._script is None or self._script[0] is not brief:
            seeded = brief.model_copy(update={"seed": dice(self.seed, brief.seed).getrandbits(48)})
            self._script = (brief, write_script(seeded))
        return self._script[1]

    def _step(self, scene: Scene, index: int) -> Step | None:
        beats = self._beats(scene.brief)
        steps = beats[scene.turn].steps if scene.turn < len(beats) else []
        return steps[index] if 0 <= index < len(steps) else None
