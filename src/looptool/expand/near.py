"""Near-duplicates: samples that say and want almost the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from zlib import crc32

from looptool.conversation import moves_made
from looptool.records import Sample

SIMILAR = 0.7
"""Jaccard similarity of the word shingles from which two samples are near-duplicates."""

_SHINGLE = 3
_MASKS = tuple(crc32(f"mask {number}".encode()) for number in range(16))
_BAND = 2
_WORD = re.compile(r"\w+")


class Seen:
    """A set of samples that can be asked whether one more would be almost one of them.

    Words of the user's messages and of the label's calls are cut into shingles; min-hash bands
    find candidates, their exact Jaccard similarity decides. Asking costs the same however many
    samples are in it, and a pair of similarity 0.7 is missed about once in 200 times.
    """

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._ids: set[str] = set()
        self._shingles: list[frozenset[int]] = []
        self._bands: dict[tuple[int, ...], list[int]] = {}
        for sample in samples:
            self.add(sample)

    def add(self, sample: Sample) -> None:
        shingles = _shingles(sample)
        self._ids.add(sample.id)
        for band in _bands(shingles):
            self._bands.setdefault(band, []).append(len(self._shingles))
        self._shingles.append(shingles)

    def has_near(self, sample: Sample) -> bool:
        """Whether the sample, or one much like it, was added."""
        if sample.id in self._ids:
            return True
        shingles = _shingles(sample)
        candidates = {index for band in _bands(shingles) for index in self._bands.get(band, ())}
        return any(_jaccard(shingles, self._shingles[index]) >= SIMILAR for index in candidates)


def _shingles(sample: Sample) -> frozenset[int]:
    said = [message.content for message in sample.context if message.role == "user"]
    wanted = [
        f"{call.name} {json.dumps(call.arguments, sort_keys=True, ensure_ascii=False)}"
        for call in sample.label.calls
    ]
    words = _WORD.findall(" ".join(said + wanted).casefold())
    cut = (words[at : at + _SHINGLE] for at in range(max(1, len(words) - _SHINGLE + 1)))
    step = moves_made(sample.context)  # later steps are other samples
    return frozenset(crc32(" ".join(piece).encode("utf-8", "replace"), step) for piece in cut)


def _bands(shingles: frozenset[int]) -> list[tuple[int, ...]]:
    """Min-hashes in bands (Broder, "On the resemblance and containment of documents", 1997)."""
    least = [min(_mixed(shingle, mask) for shingle in shingles) for mask in _MASKS]
    return [(at, *least[at : at + _BAND]) for at in range(0, len(least), _BAND)]


def _mixed(value: int, mask: int) -> int:
    """Another hash of the same shingle for each mask."""
    return ((value ^ mask) * 0x9E3779B1 & 0xFFFFFFFF) ^ mask


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
