"""What the official ACEBench code meets in the place of `eval`."""

from __future__ import annotations

import json

import pytest

from looptool.evaluate.acebench_talk import plain_call


class Lamp:
    def set_level(self, **given: object) -> object:
        return given

    def _secret(self) -> object:
        raise AssertionError("private")


def test_the_official_classes_are_called_with_plain_values() -> None:
    call = plain_call({"x_lamp_instance": Lamp()})
    given = call("x_lamp_instance.set_level(a='it', b=[-1, None, True], c={'d': 2.5})")
    assert given == {"a": "it", "b": [-1, None, True], "c": {"d": 2.5}}


@pytest.mark.parametrize(
    "text",
    [
        "x_lamp_instance.set_level(3)",
        "x_lamp_instance.set_level(a=1 + 1)",
        "x_lamp_instance.set_level(a=print())",
        "x_lamp_instance.set_level(**{'a': 1})",
        "x_lamp_instance.set_level(a={1, 2})",
        "x_lamp_instance.set_level(a=b'x')",
        "x_lamp_instance.set_level(a='\\ud800')",
        "x_lamp_instance.set_level()()",
        "x_lamp_instance._secret()",
        "x_lamp_instance.__init__()",
        "json.x_lamp_instance.set_level()",
        "json.dumps(obj=1)",
        "print()",
        "(lambda: 1)()",
        "[x_lamp_instance.set_level()]",
        "'x'",
    ],
)
def test_nothing_but_a_plain_call_is_run_for_the_official_code(text: str) -> None:
    with pytest.raises(ValueError):
        plain_call({"x_lamp_instance": Lamp(), "json": json})(text)
