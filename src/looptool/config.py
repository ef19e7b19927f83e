"""The configuration of a run: TOML by hand, resolved JSON by machine; unknown keys are errors."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from looptool.errors import UserError
from looptool.records import Scenario

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class PolicyConfig(_Section):
    """The model in training."""

    model: str = "smollm2-135m"
    """`smollm2-135m` (the embedded one), a Hugging Face id, or a local folder."""
    format: Literal["hermes", "native"] = "hermes"
    """How tools, messages and calls become text."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """The type of the computation; `auto` measures which is faster. Weights are kept in fp32."""
    max_prompt_tokens: Positive = 2048
    """Longer prompts are left out, and counted."""
    max_new_tokens: Positive = 320
    """Where a completion is cut; samples with a longer label are left out, and counted."""


class OfflineTeacherConfig(_Section):
    """The teacher without a model: trees, grammars, value samplers and a rule judge."""

    type: Literal["offline"] = "offline"


class LlmTeacherConfig(_Section):
    """A teacher behind any OpenAI-compatible endpoint. The key is read from the environment."""

    type: Literal["llm"] = "llm"
    base_url: str
    """Where the endpoint is, up to and with /v1."""
    model: str
    """The model that plays every role."""
    judges: tuple[str, ...] = ()
    """Models that judge; empty: `model` alone."""
    votes: Positive = 1
    """How often each judge votes in each order."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    concurrency: Positive = 32
    """How many calls may be in flight."""
    timeout: float = Field(default=120, gt=0)
    """Seconds after which a call is tried again."""
    retries: Count = 6
    """How often a call that failed for a passing reason is tried again."""
    max_tokens: Positive = 2048
    """The longest answer."""
    temperature: float = Field(default=1.0, ge=0)
    """For writing; judges use 0 for the first vote."""
    max_budget: float | None = Field(default=None, gt=0)
    """Stop cleanly when the money (in the unit of the prices) is spent."""
    max_budget_tokens: Positive | None = None
    """Stop cleanly when so many tokens are used."""
    price_in: float = Field(default=0, ge=0)
    """Price of a million prompt tokens."""
    price_out: float = Field(default=0, ge=0)
    """Price of a million completion tokens."""


TeacherConfig = Annotated[OfflineTeacherConfig | LlmTeacherConfig, Field(discriminator="type")]


def _default_shares() -> dict[Scenario, float]:
    return {
        Scenario.SINGLE: 0.34,
        Scenario.PARALLEL: 0.18,
        Scenario.SEQUENTIAL: 0.12,
        Scenario.MULTI_TURN: 0.12,
        Scenario.MISSING_PARAMETER: 0.08,
        Scenario.IRRELEVANT: 0.12,
        Scenario.CHAT: 0.04,
    }


class SeedConfig(_Section):
    """The seed step: tools, dialogues, noise, held-out set."""

    tools: Positive = 300
    """How many tools to write, held-out branches included."""
    tools_file: str | None = None
    """A JSON file with a list of your own tools; no others are written then."""
    domains: tuple[str, ...] = ()
    """Grow the Context Tree from these domains; empty: the vocabulary's. Offline: some of those."""
    samples: Positive = 2000
    """How many training samples the dialogues are to give."""
    held_out_samples: Positive = 200
    """How many samples of branches that training never sees."""
    held_out_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the branches that are held out."""
    distractors: tuple[Count, Count] = (0, 4)
    """The least and the most tools beside the needed ones; `[0, 0]`: none."""
    dialogues_per_toolset: Positive = 2
    """How many training dialogues are held over one list of tools."""
    shares: dict[Scenario, Share] = Field(default_factory=_default_shares)
    """The share of each scenario among the samples; they sum to 1."""
    label_noise: Share = 0.0
    """Share of the training labels that are spoilt on purpose, to be found again."""
    tool_errors: Share = 0.08
    """Share of tool answers that are errors."""
    decontaminate: bool = True
    """Drop training samples that share a tool or question with BFCL or ACEBench, if at hand."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(sum(self.shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares sum to {sum(self.shares.values()):.3f}; they must sum to 1")
        if self.distractors[0] > self.distractors[1]:
            raise ValueError("distractors: the least comes before the most")
        if len({name.strip().casefold() for name in self.domains} - {""}) < len(self.domains):
            raise ValueError("domains: a name is empty or stands twice")
        if self.domains and self.tools_file:
            raise ValueError("domains: tools_file gives the tools; leave one of the two out")
        return self


class LoraConfig(_Section):
    """Low-rank adapters on all linear layers."""

    rank: Positive = 16
    """Rank of the adapters."""
    alpha: Positive = 32
    """Scaling numerator."""


class SupervisedConfig(_Section):
    """Supervised training on labels."""

    epochs: Positive = 1
    """Passes over them."""
    batch_tokens: Positive = 4096
    """Tokens in one optimiser step."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate, after a linear warm-up, before a linear decay."""
    lora: LoraConfig | None = None
    """Adapters instead of full training."""


class WarmStartConfig(SupervisedConfig):
    """Supervised training before the first round, for a model with no tool skill."""

    when_below: Share = 0.2
    """Skipped when the base model is right on at least this share of the held-out calls."""
    samples: Count = 600
    """How many seed samples it uses."""
    reuse: bool = True
    """Whether the loop trains on these samples too; false: on the rest of the seed alone."""


class TrainConfig(_Section):
    """GRPO, with ToolMatch as the only reward."""

    steps: Count = 40
    """Optimiser steps a round; 0 leaves training out."""
    prompts_per_step: Positive = 8
    """Prompts (groups) whose completions make one batch."""
    group_size: Annotated[int, Field(ge=2)] = 16
    """Completions a prompt (G)."""
    mini_batches: Positive = 1
    """Parts of a batch of completions, with an optimiser step each."""
    num_iterations: Positive = 1
    """How often a batch of completions is learned from; with importance ratios from 2 on."""
    learning_rate: float = Field(default=1e-5, gt=0)
    """Peak of a round, after a linear warm-up, before a linear decay. The paper's 1e-6 is for 8B
    models."""
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each round's peak is this share of the one before it."""
    warmup_steps: Count = 2
    """Steps of the warm-up."""
    clip_low: float = Field(default=0.2, gt=0)
    """Epsilon below 1 of the importance ratio."""
    clip_high: float = Field(default=0.28, gt=0)
    """Epsilon above 1 (DAPO, arXiv 2503.14476)."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of the rollouts."""
    max_completion_tokens: Positive = 192
    """Where a rollout is cut; samples with a longer label take no part in GRPO, only in
    supervised training."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradient clipping."""
    lora: LoraConfig | None = None
    """Adapters instead of full training."""
    shared_prefix: bool = True
    """Forward each prompt once a group; false takes TRL's plain path."""
    choose_prompts: bool = True
    """Prefer prompts whose groups are likely to be neither all right nor all wrong."""
    labels: SupervisedConfig | None = None
    """Supervised training on the labels of the round's dataset, before its GRPO, which has nothing
    to say about what a small policy never does right by itself (ReLIFT, arXiv 2506.07527)."""
    validation_samples: Count = 0
    """Seed samples that are never trained on. After training on `labels` a round goes all, half, a
    quarter or an eighth of the way from where it began, for as long as their labels get likelier
    (Lookahead, arXiv 1907.08610). A round's policy whose accuracy on them lies below the 95 %
    interval of the best before it is not taken (AlphaGo Zero, doi 10.1038/nature24270)."""
    vllm: bool = False
    """Rollouts by vLLM, through TRL and on the same GPU, in place of LoopTool's engine. A training
    that was killed then goes on with other draws than it would have had."""
    checkpoint_every: Positive = 5
    """Optimiser steps between checkpoints."""
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """Tracker, by TRL's own switch."""

    def in_round(self, round: int) -> TrainConfig:
        """These settings with the learning rates of a round, which count from 1."""
        share = self.learning_rate_decay ** (round - 1)
        update: dict[str, Any] = {"learning_rate": self.learning_rate * share}
        if self.labels:
            lower = {"learning_rate": self.labels.learning_rate * share}
            update["labels"] = self.labels.model_copy(update=lower)
        return self.model_copy(update=update)

    @property
    def steps_per_batch(self) -> int:
        """Optimiser steps that share one batch of completions."""
        return self.mini_batches * self.num_iterations


class ProbeConfig(_Section):
    """Greedy Capability Probing (GCP)."""

    batch_size: Positive = 64
    """Rows decoded together, by the measurements on held-out samples too."""


class VerifyConfig(_Section):
    """Judgement-Guided Label Verification (JGLV).

    A judge that misses one of the three floors is not trusted: all that it judges is undecided, so
    that it corrects no label and, of all failures, only unparsable outputs are expanded.
    """

    enabled: bool = True
    """False: no label is corrected (the paper's ablation)."""
    min_sensitivity: Share = 0.5
    """Errors found: below this on its calibration set, or for one error type where it decides, a
    judge is not trusted."""
    min_specificity: Share = 0.8
    """Right labels accepted: below this a judge is not trusted."""
    max_order_flips: Share = 0.3
    """Above this share of verdicts that follow the order, a judge is not trusted."""
    calibration_samples: Count = 60
    """Size of the set on which a run measures its judge; 0 trusts it unmeasured."""


class ExpandConfig(_Section):
    """Error-Driven Data Expansion (EDDE)."""

    enabled: bool = True
    """False: failures are not expanded (ablation)."""
    samples_per_error: Positive = 3
    """New samples asked for each verified failure."""
    max_failures: Positive | None = None
    """At most so many failures are expanded a round."""


class MergeConfig(_Section):
    """D(j+1) = ES ∪ EE ∪ HPPL ∪ Seed-new."""

    static: bool = False
    """True: every round trains on the first dataset (the paper's static baseline)."""
    high_perplexity_share: Share = 0.5
    """Share of the mastered samples, highest perplexity first, that stay; 0 switches it off."""
    seed_new_share: Share = 0.25
    """Share of the seed that is held back and dealt out, equally, over the later rounds."""


class Config(_Section):
    """One run."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of everything random."""
    rounds: Positive = 3
    """Turns of the loop."""
    policy: PolicyConfig = PolicyConfig()
    teacher: TeacherConfig = OfflineTeacherConfig()
    data: SeedConfig = SeedConfig()
    warm_start: WarmStartConfig = WarmStartConfig()
    train: TrainConfig = TrainConfig()
    probe: ProbeConfig = ProbeConfig()
    verify: VerifyConfig = VerifyConfig()
    expand: ExpandConfig = ExpandConfig()
    merge: MergeConfig = MergeConfig()

    @model_validator(mode="after")
    def _leaves_the_loop_something(self) -> Self:
        taken = 0 if self.warm_start.reuse else self.warm_start.samples
        taken += self.train.validation_samples
        if taken >= self.data.samples:
            raise ValueError(
                f"warm_start.samples (without reuse) and train.validation_samples: {taken} leave "
                f"the loop none of data.samples = {self.data.samples}; raise data.samples"
            )
        return self


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply `section.key=value` overrides, and check everything.

    A file with `extends = "other.toml"` (from where it stands) changes keys of the other one.
    Raises UserError naming the key and what is wrong with it.
    """
    return check_config(_read(path), str(path), overrides)


def _read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tables of a file laid over those that it extends; `above` are the files that led here."""
    if path.resolve() in above:
        raise UserError(f"{path}: extends itself; remove the circle")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such config; configs/quickstart.toml is one") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: not readable as TOML: {error}") from None
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise UserError(f"{path}: extends: the path of another config is wanted")
    return _laid_over(_read(path.parent / base, (*above, path.resolve())), raw)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _laid_over(below[key], above[key])
        for key in below.keys() & above.keys()
        if isinstance(below[key], dict) and isinstance(above[key], dict)
    }
    return below | above | both


def check_config(raw: dict[str, Any], source: str, overrides: Sequence[str] = ()) -> Config:
    """The Config that `raw` with `overrides` describes; UserError names the first wrong key."""
    for override in overrides:
        _apply(raw, override)
    try:
        # Strict, so that "3" is no number; as JSON, in which a list may be a tuple all the same.
        return Config.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        first, *others = error.errors()
        key = ".".join(str(part) for part in first["loc"] if part not in ("offline", "llm"))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key; docs/configuration.md lists the known ones"
        more = f" (and {len(others)} more)" if others else ""
        raise UserError(f"{source}: {f'{key}: ' if key else ''}{message}{more}") from None


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"-o {override}: write it as section.key=value")
    try:
        value, *others = tomllib.loads(f"value = {text}").values()
        value = text if others else value
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *sections, last = key.strip().split(".")
    for section in sections:
        if raw.get(section) is None:  # as a resolved config writes a section that is not set
            raw[section] = {}
        raw = raw[section]
        if not isinstance(raw, dict):
            raise UserError(f"-o {override}: {section} is a value, not a section")
    raw[last] = value
