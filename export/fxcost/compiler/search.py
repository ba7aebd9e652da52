"""The choice of what is saved for the backward pass, among what follows from each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from .recompute import Outcome, Saved, Split

# Choices around which a search may look, each a fusion of both passes: the time that compiling may take.
EVALUATIONS = 160
# What a prediction must promise before torch's own choice is left.
GAIN = 0.02
# Of the time, within which a lower peak costs none.
_SLACK = 0.005


class Search:
    """Looks for what to save: at most ``limit`` bytes, with no higher peak of memory than ``theirs`` has, in the least
    time of both passes. Where there is no time to gain: with the lowest peak that takes no more time. What ``theirs``
    keeps is within the limit by definition."""

    def __init__(self, split: Split, theirs: Saved, candidates: Iterable[torch.fx.Node], limit: int) -> None:
        self.split = split
        self.theirs = theirs | split.fixed
        self.reference = split.outcome(self.theirs)
        self.limit = max(limit, self.reference.saved)
        # Equal values of equal layers, the last layer's first: what it keeps is given back first.
        groups: dict[Any, list[torch.fx.Node]] = {}
        for node in split.ordered(set(candidates) - split.fixed)[::-1]:
            groups.setdefault(_kind(node), []).append(node)
        self.groups = list(groups.values())

    def best(self) -> Saved:
        for cost in (self.time, self.memory):
            found = min((self._climbed(start, cost) for start in (self._filled(), self.theirs)), key=self._by(cost))
            if self.pays(self.split.outcome(found)):
                return found
        return self.theirs

    def _by(self, cost: Callable[[Outcome], tuple[float, float]]) -> Callable[[Saved], tuple[float, float]]:
        return lambda saved: cost(self.split.outcome(saved))

    def pays(self, found: Outcome) -> bool:
        if self._excess(found) > 0:
            return False
        if found.seconds < (1 - GAIN) * self.reference.seconds:
            return True
        return self.memory(found) < (0, (1 - GAIN) * self.reference.peak)

    def time(self, found: Outcome) -> tuple[float, float]:
        return self._excess(found), found.seconds

    def memory(self, found: Outcome) -> tuple[float, float]:
        longer = found.seconds / self.reference.seconds - 1
        return max(self._excess(found), longer - _SLACK, 0.0), found.peak

    def _excess(self, found: Outcome) -> float:
        """How much a choice is too large, as a share; 0 for one that fits."""
        saved = found.saved / self.limit - 1 if self.limit > 0 else float(found.saved > 0)
        return max(0.0, saved, found.peak / max(self.reference.peak, 1) - 1)

    def _outcome(self, saved: Saved) -> Outcome:
        return self.split.outcome(saved | self.split.fixed)

    def _filled(self) -> Saved:
        """Kinds in the order of the seconds that a saved byte is worth, as many as the limit has bytes for."""
        order = [node for kind in self._by_worth() for node in kind]
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._outcome(frozenset(order[:middle])).saved <= self.limit
            low, high = (middle, high) if fits else (low, middle - 1)
        return frozenset(order[:low]) | self.split.fixed

    def _by_worth(self) -> list[list[torch.fx.Node]]:
        """By the seconds that a byte of a kind saves, with nothing else kept and with all else; what saves none is left
        out."""
        nothing, everything = Saved(), Saved(itertools.chain(*self.groups))
        none, all_of_it = self._outcome(nothing), self._outcome(everything)
        worth = []
        for kind in self.groups:
            alone, last = self._outcome(Saved(kind)), self._outcome(everything - Saved(kind))
            seconds = none.seconds - alone.seconds + last.seconds - all_of_it.seconds
            taken = alone.saved - none.saved + all_of_it.saved - last.saved
            if seconds > 0:
                worth.append((seconds / max(taken, 1), kind))
        return [kind for _, kind in sorted(worth, key=lambda pair: pair[0], reverse=True)]

    def _climbed(self, start: Saved, cost: Callable[[Outcome], tuple[float, float]]) -> Saved:
        """From a choice to better neighbours, until there is none or it has been long enough."""
        best, found = start, cost(self.split.outcome(start))
        until = self.split.evaluated + EVALUATIONS // 4
        moved = True
        while moved:
            moved = False
            for choice in self._neighbours(best):
                if self.split.evaluated >= until:
                    return best
                outcome = cost(self._outcome(choice))
                if outcome < found:
                    best, found, moved = choice | self.split.fixed, outcome, True
                    break
        return best

    def _neighbours(self, saved: Saved) -> Iterator[Saved]:
        """A kind more or less, one node of a kind more or less, one kind for another, one node for another."""
        inside = [[node for node in kind if node in saved] for kind in self.groups]
        outside = [[node for node in kind if node not in saved] for kind in self.groups]
        for have, lack in zip(inside, outside, strict=True):
            for change in (have, have[-1:]):
                if change:
                    yield saved - Saved(change)
            for change in (lack, lack[:1]):
                if change:
                    yield saved | Saved(change)
        for have, lack in itertools.product(inside, outside):
            if have and lack:
                yield (saved - Saved(have)) | Saved(lack)
                yield (saved - Saved(have[-1:])) | Saved(lack[:1])


def _kind(node: torch.fx.Node) -> Any:
    """Values that cost the same in equal layers."""
    tensors = (value.meta.get("val") for value in (node, *node.all_input_nodes))
    return str(node.target), tuple(str(tuple(value.shape)) for value in tensors if isinstance(value, torch.Tensor))
