"""fvcore's tables and annotated model, printed from counts by module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from .tables import tabulate

if TYPE_CHECKING:
    from .fvcore import ActivationCountAnalysis, FlopCountAnalysis

Columns = dict[str, Mapping[str, int]]  # title -> count by name of module or parameter
Cells = dict[str, dict[str, str]]  # name -> title -> text

_UNITS = ((1e14, 1e15, "P"), (1e11, 1e12, "T"), (1e8, 1e9, "G"), (1e5, 1e6, "M"), (1e2, 1e3, "K"))


def parameter_count(model: nn.Module) -> defaultdict[str, int]:
    """Elements of parameters by qualified name: of each parameter, and of each module with everything below it."""
    counts: defaultdict[str, int] = defaultdict(int)
    for name, parameter in model.named_parameters():
        for prefix in _prefixes(name):
            counts[prefix] += parameter.numel()
    return counts


def _prefixes(name: str) -> Iterator[str]:
    """ "", "a", "a.b" of "a.b"."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(len(parts) + 1))


def _size(count: int, digits: int = 3) -> str:
    """fvcore's short numbers: 30.336K, 0.54K from a hundred on, without zeros at the end."""
    for limit, unit, suffix in _UNITS:
        if abs(count) > limit:
            return f"{count / unit:.{digits}f}".rstrip("0").rstrip(".") + suffix
    return str(count)


def _tabulate(rows: list[list[str]], headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="pipe")


def _children(name: str, names: Any) -> list[str]:
    """Names directly below `name`, in order."""
    prefix = f"{name}." if name else ""
    return [other for other in names if other and other.startswith(prefix) and "." not in other[len(prefix) :]]


# ---- parameters -----------------------------------------------------------------------------------------------------


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """A table of parameters by module, down to `max_depth`."""
    counts, shapes = parameter_count(model), {name: tuple(p.shape) for name, p in model.named_parameters()}
    rows: list[list[str]] = [["model", _rough(counts[""])]]

    def add(name: str, level: int) -> None:
        for child in _children(name, counts) if level < max_depth else ():
            indent = " " * (level + 1)
            rows.append([indent + child, indent + str(shapes.get(child, _rough(counts[child])))])
            if child not in shapes:
                add(child, level + 1)

    add("", 0)
    return _tabulate(rows, ["name", "#elements or shape"])


def _rough(count: int) -> str:
    """One decimal, as this table has them."""
    for limit, unit, suffix in _UNITS[2:]:
        if count > limit:
            return f"{count / unit:.1f}{suffix}"
    return str(count)


# ---- the table of counts --------------------------------------------------------------------------------------------


def flop_count_table(
    flops: FlopCountAnalysis,
    max_depth: int = 3,
    activations: ActivationCountAnalysis | None = None,
    show_param_shapes: bool = True,
) -> str:
    """A table of parameters and counts by module: modules without any are left out, an only child with the same
    numbers takes its parent's row."""
    titles = ["#parameters" + (" or shape" if show_param_shapes else ""), "#flops"]
    columns: Columns = {titles[0]: parameter_count(flops._model), titles[1]: _quiet(flops).by_module()}
    uncalled = {titles[1]: flops.uncalled_modules()}
    if activations is not None:
        titles.append("#activations")
        columns[titles[2]] = _quiet(activations).by_module()
        uncalled[titles[2]] = activations.uncalled_modules()
    cells = _cells(columns, uncalled, "")
    for name, parameter in flops._model.named_parameters():
        if show_param_shapes:
            cells[name] = {titles[0]: str(tuple(parameter.shape))}
        else:
            cells.pop(name, None)
    return _tabulate(list(_table_rows(cells, titles, max_depth)), ["module", *titles])


def _quiet(analysis: Any) -> Any:
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")


def _cells(columns: Columns, uncalled: dict[str, set[str]], mark: str, digits: int = 3) -> Cells:
    """Texts by name and title of everything that has a number, or has something below it that has one; in the order
    of the tree from the leaves up, as the rows are then found by name."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    numbers = {name: {title: column[name] for title, column in columns.items() if name in column} for name in names}
    kept = {prefix for name in names if any(numbers[name].values()) for prefix in _prefixes(name)} | {""}
    cells: Cells = {}
    for name in names:
        if name in kept:
            cells[name] = {title: _size(number, digits) for title, number in numbers[name].items()}
            for title, modules in uncalled.items():
                if name in modules and title in cells[name]:
                    cells[name][title] = mark
    return cells


def _table_rows(cells: Cells, titles: list[str], max_depth: int) -> Iterator[list[str]]:
    def row(name: str, level: int) -> list[str]:
        indent = " " * level
        texts = cells[name]
        return [indent + (shown(name) or "model"), *((indent + texts[t]) if t in texts else "" for t in titles)]

    def below(name: str, level: int) -> Iterator[list[str]]:
        for child in _children(name, cells) if level <= max_depth else ():
            last = _only_descendant(child, cells)
            yield row(last, level)
            yield from below(last, level + 1)

    root = _only_descendant("", cells)

    def shown(name: str) -> str:
        return name[len(root) + 1 :] if root and name != root else name

    yield row(root, 0)
    yield from below(root, 1)


def _only_descendant(name: str, cells: Cells) -> str:
    """Follows only children that say the same; their row then has what either says."""
    while True:
        children = _children(name, cells)
        if len(children) != 1 or set(cells[name]) != set(cells[children[0]]):
            return name
        own, other = cells[name], cells[children[0]]
        if any(own[t] != other[t] and own[t] and other[t] for t in own):
            return name
        cells[children[0]] = {title: own[title] or other[title] for title in own}
        name = children[0]


# ---- the annotated model --------------------------------------------------------------------------------------------


def flop_count_str(flops: FlopCountAnalysis, activations: ActivationCountAnalysis | None = None) -> str:
    """The model as it prints itself, with parameters and counts of every module."""
    columns: Columns = {"#params": parameter_count(flops._model), "#flops": _quiet(flops).by_module()}
    uncalled = {"#flops": flops.uncalled_modules()}
    if activations is not None:
        columns["#acts"] = _quiet(activations).by_module()
        uncalled["#acts"] = activations.uncalled_modules()
    modules = dict(flops._model.named_modules())
    columns = {title: {name: column.get(name, 0) for name in modules} for title, column in columns.items()}
    names = [name for name in modules if name == "" or any(column[name] for column in columns.values())]
    cells: Cells = {}
    for name in names:
        cells[name] = {
            title: "N/A" if name in uncalled.get(title, ()) else _size(column[name], 2)
            for title, column in columns.items()
        }
    note = (
        ""
        if not any("N/A" in texts.values() for texts in cells.values())
        else (
            "N/A indicates a possibly missing statistic due to how the module was called. Missing values are still "
            "included in the parent's total.\n"
        )
    )
    return note + "\n".join(_module_lines(flops._model, "", cells))


def _module_lines(module: nn.Module, name: str, cells: Cells) -> list[str]:
    head = module._get_name()
    own = [*module.extra_repr().splitlines()]
    if name in cells:
        own.append(", ".join(f"{title}: {text}" for title, text in cells[name].items()))
    inner = list(own)
    for key, child in module._modules.items():
        if child is None:
            inner.append(f"({key}): None")
            continue
        first, *rest = _module_lines(child, f"{name}.{key}" if name else key, cells)
        inner += [f"({key}): {first}", *rest]
    if not inner:
        return [f"{head}()"]
    if len(own) == 1 == len(inner):
        return [f"{head}({own[0]})"]
    return [f"{head}(", *(f"  {line}" for line in inner), ")"]
