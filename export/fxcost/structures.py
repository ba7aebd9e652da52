"""Inputs and results of classes that torch.export does not know: packed for the capture, whole again for the model.

torch.export takes containers that are registered as pytrees. Nothing of the user's is registered here: a value of any
other class goes in as a :class:`Packed`, which holds its tensors, and a hook on the model makes the value again.
"""

from __future__ import annotations

import contextlib
import copy
from collections import UserDict
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch.utils import _pytree as pytree

from .errors import FxcostError

_BASIC: tuple[type, ...] = (
    torch.Tensor,
    int,
    float,
    bool,
    str,
    type(None),
    torch.SymInt,
    torch.SymFloat,
    torch.SymBool,
)
_BASIC += (torch.ScriptObject,)
_WHOLE = (torch.nn.Module, type, FunctionType, ModuleType)  # what is handed on as it is
_DEEPEST = 8


class Recipe:
    """How a value is made from its parts: a copy of the original with the parts put in."""

    __slots__ = ("original", "names")

    def __init__(self, original: Any, names: tuple[Any, ...]) -> None:
        self.original, self.names = original, names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and type(self.original) is type(other.original) and (self.names == other.names)

    __hash__ = None  # type: ignore[assignment]

    def make(self, parts: list[Any]) -> Any:
        original = self.original
        if not self.names:
            return original
        if isinstance(original, tuple):
            items = list(original)
            for index, part in zip(self.names, parts, strict=True):
                items[index] = part
            return tuple.__new__(type(original), items)
        made = _copy(original)
        for name, part in zip(self.names, parts, strict=True):
            if isinstance(original, UserDict):
                made.data[name] = part
            elif isinstance(original, dict):
                dict.__setitem__(made, name, part)
            elif isinstance(original, list):
                list.__setitem__(made, name, part)
            else:
                object.__setattr__(made, name, part)  # frozen dataclasses too
        return made


def _copy(value: Any) -> Any:
    try:
        made = copy.copy(value)
    except Exception:  # noqa: BLE001  a class may refuse to be copied
        made = object.__new__(type(value))
        made.__dict__.update(vars(value))
    if isinstance(value, UserDict) and made.data is value.data:
        made.data = dict(value.data)
    return made


class Packed:
    """The parts of a value that hold tensors, and how to make it again."""

    __slots__ = ("parts", "recipe")

    def __init__(self, parts: list[Any], recipe: Recipe) -> None:
        self.parts, self.recipe = parts, recipe


pytree.register_pytree_node(
    Packed,
    lambda packed: (packed.parts, packed.recipe),
    lambda parts, recipe: Packed(list(parts), recipe),
    serialized_type_name="fxcost.Packed",
    flatten_with_keys_fn=lambda packed: (
        [(pytree.MappingKey(name), part) for name, part in zip(packed.recipe.names, packed.parts, strict=True)],
        packed.recipe,
    ),
)


def members(value: Any) -> dict[Any, Any]:
    """What a value of an unregistered class holds, by key, index or attribute."""
    if isinstance(value, _WHOLE):
        return {}
    if isinstance(value, (UserDict, dict)):
        return dict(value.items())
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    found = {}
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            with contextlib.suppress(AttributeError):
                found[name] = getattr(value, name)
    found.pop("__dict__", None)
    return found | getattr(value, "__dict__", {})


def pack(tree: Any, above: tuple[int, ...] = ()) -> Any:
    """A tree in which every value of an unknown class is a :class:`Packed`."""
    return pytree.tree_map(lambda leaf: leaf if isinstance(leaf, _BASIC) else _packed(leaf, above), tree)


def _packed(value: Any, above: tuple[int, ...]) -> Packed:
    names, parts = [], []
    if id(value) not in above and len(above) < _DEEPEST:
        for name, member in members(value).items():
            if isinstance(member, _BASIC) and not isinstance(member, torch.Tensor):
                continue
            part = pack(member, (*above, id(value)))
            if any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(part)):
                names.append(name)
                parts.append(part)
    return Packed(parts, Recipe(value, tuple(names)))


def unpack(tree: Any) -> Any:
    """The tree with its values made again."""

    def whole(leaf: Any) -> Any:
        return leaf.recipe.make([unpack(part) for part in leaf.parts]) if isinstance(leaf, Packed) else leaf

    return pytree.tree_map(whole, tree, is_leaf=lambda node: isinstance(node, Packed))


def is_plain(tree: Any) -> bool:
    return all(isinstance(leaf, _BASIC) for leaf in pytree.tree_leaves(tree))


def refuse_nested(args: Any, kwargs: Any) -> None:
    """torch.export cannot trace sizes of nested tensors; torch's own words for that name no input."""
    for path, leaf in pytree.tree_flatten_with_path((args, kwargs or {}))[0]:
        if isinstance(leaf, torch.Tensor) and leaf.is_nested:
            raise FxcostError(
                f"input {pytree.keystr(path[1:])} is a nested tensor\n"
                f"  expected: tensors with one size per dimension\n"
                f"  found: layout {leaf.layout}, whose sizes torch.export cannot trace\n"
                f"  try: pass its values and its offsets as two inputs (attention over them is "
                f"torch.nn.attention.varlen.varlen_attn)"
            )


@contextlib.contextmanager
def packing(
    model: torch.nn.Module, args: Any, kwargs: Any, strict: bool = False
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Inputs that torch.export takes, while the model gets what it expects and its result is packed. Strict mode reads
    the code of hooks too, and understands no such classes: there the inputs stay as they are."""
    args, kwargs = tuple(args), dict(kwargs or {})
    if strict:
        yield args, kwargs
        return
    with contextlib.ExitStack() as stack:
        if not is_plain((args, kwargs)):
            args, kwargs = pack((args, kwargs))

            def whole(module: Any, given: Any, named: Any) -> Any:
                return unpack(given), unpack(named)

            stack.callback(model.register_forward_pre_hook(whole, with_kwargs=True, prepend=True).remove)

        def packed(module: Any, given: Any, result: Any) -> Any:
            return None if is_plain(result) else pack(result)

        stack.callback(model.register_forward_hook(packed).remove)
        yield args, kwargs


def nested(value: Any) -> Iterator[Any]:
    """The members of a container that people pass between modules; nothing for a tensor or any other value."""
    if isinstance(value, Packed):
        yield from value.parts
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (list, tuple)):
        yield from value
    elif is_dataclass(value) and not isinstance(value, type):
        yield from vars(value).values() if hasattr(value, "__dict__") else members(value).values()
