"""What ran in all, without its program: of calls that are alike one is counted, as often as they ran.

A count takes of a call its operator, its phase, its numbers, the descriptions of its tensors, and which of its results
are used; a model has far fewer such kinds than calls. A small program has one node for each, inside a repeat, and the
library counts that.
"""

from __future__ import annotations

from typing import Any

from .ending import Ending
from .events import OUTSIDE, Events, Kernel, Ref, refs
from .phases import NO_NUMBER
from .repeats import Fold
from .write import Writer

Event = tuple[Any, ...]


class _Run(Fold):
    """Calls of equally many trips, which follow one another once."""

    @property
    def end(self) -> int:
        return self.start + self.period


class Kinds(Events):
    """One call of each kind, as if it were all that is on the tape; those that ran equally often lie together."""

    def __init__(self, tape: Events) -> None:
        super().__init__()
        self.storages, self.odd = tape.storages, tape.odd
        self._stand_ins: dict[tuple[int, int], Ref] = {}
        self.runs: list[Fold] = []
        self._sort(tape.events)

    def writer(self) -> Writer:
        """With the program written."""
        writer = Writer(self, Ending(alive=[True] * len(self.storages)))
        writer.write(self.runs)
        return writer

    def _sort(self, events: list[Event]) -> None:
        alike = Alike()
        groups: dict[int, list[Event]] = {}
        for event, times in alike.found(events):
            groups.setdefault(times, []).append(event)
        for times, group in groups.items():
            run = _Run(len(self.events), len(group), times, [self._alone(event) for event in group])
            self.events += run.events
            run.operands = run.inputs = list(
                {id(ref): ref for event in run.events for ref in refs(event[1:3])}.values()
            )
            made = [item for event in group if type(event[3]) is list for item in event[3]]
            run.outputs = [(item, item) for item in made if id(item) in alike.used]
            self.runs.append(run)

    def _alone(self, event: Event) -> Event:
        """The call on tensors that nobody made, outside of modules and functions."""
        func, taken, named, result, flags = event[0], event[1], event[2], event[3], event[8]
        named = {key: self._stand_in(arg) for key, arg in named.items()} if named else None
        return func, [self._stand_in(arg) for arg in taken], named, result, -1, None, None, 0, flags, NO_NUMBER

    def _stand_in(self, arg: Any) -> Any:
        if type(arg) is Ref:
            key = (id(arg.key), arg.flags)
            ref = self._stand_ins.get(key)
            if ref is None:
                ref = self._stand_ins[key] = Ref(arg.key, arg.storage, OUTSIDE, -1, arg.flags)
                self.outside.append((ref, len(self.events)))
            return ref
        if type(arg) is list:
            return [self._stand_in(item) for item in arg]
        if type(arg) is dict:
            return {key: self._stand_in(item) for key, item in arg.items()}
        return arg


# ---- which calls are alike ------------------------------------------------------------------------------------------


class Alike:
    """Which calls count alike. ``used`` has the ids of those of several results that somebody took."""

    def __init__(self) -> None:
        self.used: set[int] = set()

    def found(self, events: list[Event]) -> list[tuple[Event, int]]:
        """A call of each kind, and how many there are."""
        times: dict[Any, int] = {}
        first: dict[Any, Event] = {}
        kind = self._kind
        for event in reversed(events):  # whoever takes a result comes before its maker
            func, taken, named, result, _, _, _, _, flags, _ = event
            key: Any = [
                id(arg.key) if type(arg) is Ref and arg.place < 0 and not arg.flags else kind(arg) for arg in taken
            ]
            if named:
                key += [(name, kind(arg)) for name, arg in named.items()]
            gives = id(result.key) if type(result) is Ref else self._gives(result)
            # Each launch of a kernel has a Kernel of its own.
            key = (func if type(func) is Kernel else id(func), flags, gives, *key)
            try:
                times[key] = times.get(key, 0) + 1
            except TypeError:  # a number that is no number yet
                times[key := id(event)] = 1
            first[key] = event
        return [(event, times[key]) for key, event in first.items()]

    def _kind(self, arg: Any) -> Any:
        """Equal for what counts alike. Equal descriptions of a tape are one, but for tensors without a storage."""
        cls = type(arg)
        if cls is Ref:
            if arg.place >= 0:
                self.used.add(id(arg))
            return (id(arg.key), arg.flags) if arg.flags else id(arg.key)
        if cls is list:
            return (cls, *[item if type(item) is int else self._kind(item) for item in arg])
        if cls is dict:
            return (cls, *[(key, self._kind(item)) for key, item in arg.items()])
        return cls, arg

    def _gives(self, result: Any) -> Any:
        """The same of what is no single tensor."""
        if type(result) is not list:
            return type(result)
        return tuple([(id(item.key), id(item) in self.used) if type(item) is Ref else type(item) for item in result])
