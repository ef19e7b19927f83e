"""The teacher of a run: loaded when it is first needed, measured before it is trusted, billed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from looptool.errors import UserError
from looptool.records import Sample
from looptool.runs.run import Run
from looptool.runs.store import read_records
from looptool.teachers import load_teacher
from looptool.teachers.base import Bill, Judge, Teacher
from looptool.verify.calibrate import Calibration, calibrate
from looptool.verify.trust import Distrusted
from looptool.work import complete

Trusted = Callable[[], Sequence[Sample]]
"""Gives samples whose labels are right."""


class Teaching:
    """What a run asks of its teacher, and what it keeps of that."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._config = run.config

    @cached_property
    def teacher(self) -> Teacher:
        return load_teacher(self._config, self._run.paths)

    def forecast(self) -> None:
        """Say once what the run is likely to cost, where anything is paid."""
        if not self._run.has("forecast"):
            line = complete(lambda: self.teacher.forecast(self._config, self._run.progress))
            if line is not None:
                self._run.say(self._run.once("forecast", str, lambda: line))

    def settle(self) -> None:
        """Keep the teacher's bill, and say it, if it has changed."""
        if "teacher" not in vars(self):
            return  # nobody has asked it for anything
        bill = self.teacher.bill()
        path = self._run.paths.value("bill")
        if bill is not None and not (path.exists() and read_records(path, Bill) == [bill]):
            self._run.put("bill", bill)
            self._run.say(bill.summary())

    def judge(self, trusted: Trusted) -> Judge:
        """The teacher's judge, measured before it is trusted: below a floor it corrects nothing."""
        config = self._config.verify
        if not (config.enabled and config.calibration_samples):
            return self.teacher
        failing = self.calibration(trusted).failing(config)
        return Distrusted(self.teacher, failing) if failing else self.teacher

    def calibration(self, trusted: Trusted) -> Calibration:
        """How the teacher's judge does on errors planted into trusted samples.

        UserError where the config has it trusted unmeasured.
        """
        if not self._config.verify.calibration_samples:
            raise UserError(
                "verify.calibration_samples = 0 trusts the judge unmeasured; raise it to measure"
            )

        def calibrated() -> Calibration:
            config, teacher = self._config.verify, self.teacher
            made = calibrate(
                teacher,
                trusted(),
                config.calibration_samples,
                self._config.seed,
                self._run.work,
                "calibration",
                teacher.concurrency,
            )
            self._run.say(made.summary())
            if failing := made.failing(config):
                self._run.say(
                    "the judge corrects no labels in this run, and what it would have called the "
                    f"model's failure is not expanded: {failing}"
                )
            return made

        try:
            return self._run.once("calibration", Calibration, calibrated)
        finally:
            self.settle()
