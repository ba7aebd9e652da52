"""Example inputs as the command line names them: ``--input 'x=f32[1,3,224,224]' --input 'ids=i64[1,128]<30522'``."""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import inspect
import re
import types
import typing
from collections import UserDict
from collections.abc import Mapping
from typing import Any

import torch

from .errors import FxcostError, first_line, usage

EXAMPLES = "--input 'x=f32[1,3,224,224]' --input 'ids=i64[1,128]<30522' --input 'batch.mask=bool[1,128]' --input n=3"
_TENSOR = re.compile(r"(?P<dtype>[A-Za-z]\w*)?\[(?P<sizes>[\d\s,]*)\](<(?P<limit>\d+))?")
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_SEED = 0


class Fields(dict[str, Any]):
    """A dictionary whose entries are attributes too: what ``batch.ids`` makes when nothing says which class it is."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def with_inputs(
    specs: list[str], module: torch.nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword inputs: the given ones, with those that ``specs`` name put in or in their place."""
    if not specs:
        return args, dict(kwargs or {})
    signature = inspect.signature(module.forward)
    names = _positional(signature)
    given = dict(zip(names, args, strict=False))
    rest = args[len(given) :]
    named = {**given, **(kwargs or {})}
    tree: dict[str, Any] = {}
    for spec in specs:
        name, value = _parse(spec)
        if not name:
            name = next((free for free in names if free not in tree), "")
        if not name and _is_variadic(signature):
            rest = (*rest, value)
            continue
        if not name or not _takes(signature, name.partition(".")[0]):
            raise usage(f"--input {spec}: {type(module).__name__} has no such input\n  expected: {expected(module)}")
        _place(tree, name.split("."), value, spec)
    hints = _hints(module)
    for name, part in tree.items():
        named[name] = _merged(named[name], part, name) if name in named else _built(part, hints.get(name), name)
    missing = [name for name in _required(signature) if name not in named and not rest]
    if missing:
        raise usage(
            f"--input: {type(module).__name__} also needs {', '.join(missing)}\n  expected: {expected(module)}",
            EXAMPLES,
        )
    if rest:  # *args: what comes before them stays positional
        return (*[named.pop(name) for name in names if name in named], *rest), named
    return (), named


def expected(module: torch.nn.Module, limit: int = 300) -> str:
    """The signature of a model's forward, on one line."""
    try:
        text = str(inspect.signature(module.forward))
    except (TypeError, ValueError):
        text = "(...)"
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text).replace("'", "")
    text = " ".join(text.partition(" -> ")[0].split())
    return f"forward{text}" if len(text) <= limit else f"forward{text[:limit]}…"


# ---- one specification ----------------------------------------------------------------------------------------------


def _parse(spec: str) -> tuple[str, Any]:
    name, equals, text = spec.partition("=")
    if not equals:
        name, text = "", spec
    name, text = name.strip(), text.strip()
    if name and not _NAME.fullmatch(name):
        raise usage(f"--input {spec}: {name!r} is no name of an input", EXAMPLES)
    match = _TENSOR.fullmatch(text)
    if match is None:
        return name, _constant(text, spec)
    sizes = [int(size) for size in match["sizes"].replace(" ", "").split(",") if size]
    return name, tensor(match["dtype"] or "f32", sizes, int(match["limit"]) if match["limit"] else None, spec)


def _constant(text: str, spec: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = ...
    if not isinstance(value, (int, float, str)):
        raise usage(f"--input {spec}: neither DTYPE[SIZES], a number, a quoted text, true, false nor none", EXAMPLES)
    return value


def tensor(dtype: str, sizes: list[int], limit: int | None, spec: str) -> torch.Tensor:
    """Zeros (which take no memory until they are written), or whole numbers below the limit, always the same."""
    from .options import dtype_named

    kind = dtype_named(dtype) or torch.float32
    if limit is not None and (kind.is_floating_point or kind.is_complex or limit < 1):
        raise usage(f"--input {spec}: a limit such as <30522 is for whole numbers, from 1 on", EXAMPLES)
    try:
        if limit is None or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None:
            return torch.ones(sizes, dtype=kind) if kind == torch.bool else torch.zeros(sizes, dtype=kind)
        generator = torch.Generator().manual_seed(_SEED)
        return torch.randint(limit, sizes, generator=generator, dtype=torch.int64).to(kind)
    except (RuntimeError, OverflowError) as error:
        raise usage(f"--input {spec}: no such tensor: {first_line(error)}", EXAMPLES) from None


# ---- nested inputs --------------------------------------------------------------------------------------------------


class _Tree(dict[str, Any]):
    """The parts that dotted names gave, before it is known what they make."""


def _place(tree: dict[str, Any], path: list[str], value: Any, spec: str) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, _Tree())
        if not isinstance(tree, _Tree):
            raise usage(f"--input {spec}: {part!r} is given whole already", EXAMPLES)
    if path[-1] in tree:
        raise usage(f"--input {spec}: it is given twice", EXAMPLES)
    tree[path[-1]] = value


def _hints(module: torch.nn.Module) -> dict[str, Any]:
    try:
        return typing.get_type_hints(type(module).forward)
    except Exception:  # noqa: BLE001  annotations may name what is not there
        return {}


def _built(part: Any, hint: Any, name: str) -> Any:
    """The value for one name: what the annotation says, a list for names that are numbers, else fields."""
    if not isinstance(part, _Tree):
        return part
    hint = _without_none(hint)
    if all(key.isdigit() for key in part):
        return _list(part, hint, name)
    cls = typing.get_origin(hint) or hint
    inner = _hints_of(cls)
    values = {key: _built(value, inner.get(key), f"{name}.{key}") for key, value in part.items()}
    if isinstance(cls, type) and issubclass(cls, Mapping) and cls is not Mapping and not typing.is_typeddict(cls):
        make: Any = Fields if cls is dict else cls
        return make(values)
    if isinstance(cls, type) and (dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")):
        try:
            return cls(**values)
        except TypeError as error:
            raise usage(f"--input {name}: {cls.__name__}: {first_line(error)}", EXAMPLES) from None
    return Fields(values)


def _list(part: _Tree, hint: Any, name: str) -> Any:
    if sorted(map(int, part)) != list(range(len(part))):
        raise usage(f"--input {name}: a list is given as {name}.0, {name}.1 and so on, without gaps", EXAMPLES)
    kinds = typing.get_args(hint)
    items = []
    for index in range(len(part)):
        kind = kinds[min(index, len(kinds) - 1)] if kinds and kinds[0] is not ... else None
        items.append(_built(part[str(index)], None if kind is ... else kind, f"{name}.{index}"))
    return tuple(items) if (typing.get_origin(hint) or hint) is tuple else items


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else None
    return hint


def _hints_of(cls: Any) -> dict[str, Any]:
    with contextlib.suppress(Exception):
        return typing.get_type_hints(cls) if isinstance(cls, type) else {}
    return {}


def _merged(value: Any, part: Any, name: str) -> Any:
    """A given input with the named parts in the place of its own."""
    if not isinstance(part, _Tree):
        return part
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        items = list(value)
        for key, inner in part.items():
            if not key.isdigit() or int(key) >= len(items):
                raise usage(f"--input {name}.{key}: {name} is a list of {len(items)}", EXAMPLES)
            items[int(key)] = _merged(items[int(key)], inner, f"{name}.{key}")
        return type(value)(items)
    if hasattr(value, "_fields"):
        return value._replace(**{key: _merged(getattr(value, key, None), part[key], name) for key in part})
    made = copy.copy(value)
    if isinstance(made, UserDict):
        made.data = dict(made.data)
    for key, inner in part.items():
        if isinstance(made, (dict, UserDict)):
            made[key] = _merged(made.get(key), inner, f"{name}.{key}")
        elif hasattr(made, key):
            object.__setattr__(made, key, _merged(getattr(made, key), inner, f"{name}.{key}"))
        else:
            raise FxcostError(f"--input {name}.{key}: {type(value).__name__} has no {key!r}", status="USAGE")
    return made if value is not None else _built(part, None, name)


# ---- signatures -----------------------------------------------------------------------------------------------------


def _positional(signature: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, parameter in signature.parameters.items() if parameter.kind in kinds]


def _takes(signature: inspect.Signature, name: str) -> bool:
    parameters = signature.parameters
    if name in parameters:
        return parameters[name].kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def _is_variadic(signature: inspect.Signature) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in signature.parameters.values())


def _required(signature: inspect.Signature) -> list[str]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in variable
    ]
