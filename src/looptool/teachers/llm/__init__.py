"""The teacher behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from looptool.config import Config, LlmTeacherConfig
from looptool.records import Failure, Judgement, Label, Sample, Tool, ToolCall, Turn
from looptool.runs.paths import Paths
from looptool.teachers.base import Bill, Case, DialogueBrief, Scene, ToolBrief, TreePath, Variation
from looptool.teachers.llm import expander, judge, simulator, writer
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.client import Client
from looptool.teachers.llm.estimate import Estimate, estimate
from looptool.teachers.llm.ledger import Ledger
from looptool.teachers.llm.voice import Voice
from looptool.work import Progress


class LlmTeacher:
    """Every role, played by a language model.

    Answers are cached in the run, so what was paid for once is never paid again. Raises UserError
    where the endpoint, its key, its model or the budget needs the user.
    """

    def __init__(self, config: LlmTeacherConfig, seed: int, paths: Paths) -> None:
        self.name = "+".join(config.judges or (config.model,))
        self.concurrency = config.concurrency
        self._client = Client(config, CallCache(paths.calls))
        self._voice = Voice(self._client, config, seed)

    @property
    def ledger(self) -> Ledger:
        """What was spent, by role."""
        return self._client.ledger

    def cost(self) -> float:
        """What was spent so far, in the unit of the prices."""
        return self.ledger.total.cost

    async def estimate(self, config: Config, progress: Progress) -> Estimate:
        """What a run of this config will take, from a small sample, which is paid for."""
        return await estimate(self, self.ledger, config, progress)

    async def forecast(self, config: Config, progress: Progress) -> str:
        return (await self.estimate(config, progress)).summary()

    def bill(self) -> Bill | None:
        return self.ledger.bill()

    async def write_tool(self, brief: ToolBrief) -> Tool | None:
        return await writer.write_tool(self._voice, brief)

    async def grow_domain(self, name: str) -> tuple[TreePath, ...]:
        return await writer.grow_domain(self._voice, name)

    async def plan(self, brief: DialogueBrief) -> tuple[Turn, ...]:
        return await simulator.plan(self._voice, brief)

    async def speak(self, scene: Scene) -> str | None:
        return await simulator.speak(self._voice, scene)

    async def move(self, scene: Scene) -> Label | None:
        return await simulator.move(self._voice, scene)

    async def answer(self, scene: Scene, call: ToolCall) -> str:
        return await simulator.answer(self._voice, scene, call)

    async def judge(self, case: Case) -> Judgement:
        return await judge.judge(self._voice, case)

    async def accept(self, sample: Sample) -> str | None:
        return await judge.accept(self._voice, sample)

    async def vary(
        self, failure: Failure, variation: Variation, number: int, seed: int
    ) -> tuple[Sample, ...]:
        return await expander.vary(self._voice, failure, variation, number, seed)
