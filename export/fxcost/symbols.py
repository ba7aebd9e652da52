"""Symbolic sizes: torch's sympy expressions as postfix tokens, and the table of the symbols in them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .columns import Columns, float_bits
from .enums import bits, enum

if TYPE_CHECKING:
    import sympy

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

# sympy's and torch's class names where they differ from the token's text.
_TOKEN_OF_CLASS = {
    "CleanDiv": "FloorDiv",
    "PowByNatural": "Pow",
    "FloatPow": "Pow",
    "Equality": "Eq",
    "Unequality": "Ne",
    "StrictLessThan": "Lt",
    "LessThan": "Le",
    "StrictGreaterThan": "Gt",
    "GreaterThan": "Ge",
    "floor": "FloorToInt",
    "ceiling": "CeilToInt",
    "OpaqueUnaryFn_sqrt": "Sqrt",
}
_ARITY = {
    "Not": 1, "Abs": 1, "Sqrt": 1, "ToFloat": 1, "CeilToInt": 1, "FloorToInt": 1, "TruncToInt": 1, "RoundToInt": 1,
    "FloorDiv": 2, "Mod": 2, "PythonMod": 2, "IntTrueDiv": 2, "FloatTrueDiv": 2, "Pow": 2,
    "Eq": 2, "Ne": 2, "Lt": 2, "Le": 2, "Gt": 2, "Ge": 2, "ModularIndexing": 3, "Where": 3,
}  # fmt: skip
# The example's values of symbols, under the names that torch versions give the table.
_HINTS = ("backed_var_to_val", "var_to_val")
_FOLDED = frozenset({"Add", "Mul", "Min", "Max", "And", "Or"})


class Symbols:
    """Interns symbols and expressions of one program."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.shape_env: Any = None
        self._rows: dict[Any, int] = {}
        self._codes: dict[Any, int] = {}
        self._dims: dict[str, str] | None = None
        self._token = enum("token")
        self._const, self._float, self._symbol = self._token["const"], self._token["float"], self._token["symbol"]

    def symint(self, value: Any) -> int:
        """A size, stride or offset as the format's symint: itself, or -1 - expression."""
        if type(value) is int:
            return value
        node = getattr(value, "node", None)
        if node is None:
            return int(value)
        raw = node._expr if hasattr(node, "_expr") else None
        code = self._codes.get(raw) if raw is not None else None
        if code is None:
            expr = self._expr_of(node)
            constant = _as_int(expr)
            code = constant if constant is not None and constant >= 0 else -1 - self.expression(expr)
            if raw is not None:
                self._codes[raw] = code
        return code

    def symbolic(self, value: Any) -> int:
        """The expression row of a SymInt, SymFloat or SymBool."""
        return self.expression(self._expr_of(value.node))

    def _expr_of(self, node: Any) -> Any:
        if self.shape_env is None:
            self.shape_env = getattr(node, "shape_env", None)
        expr = getattr(node, "expr", None)
        if expr is not None:
            return expr
        import sympy  # a constant or nested-int node has no expression

        for method in ("maybe_as_int", "maybe_as_float", "maybe_as_bool"):
            constant = getattr(node, method, lambda: None)()
            if constant is not None:
                return sympy.sympify(constant)
        return None

    def expression(self, expr: sympy.Basic | None) -> int:
        tokens: list[tuple[int, int]] = []
        if expr is None or not self._emit(expr, tokens):
            # An operation without a token makes the whole expression unknown: never a wrong number.
            tokens = [(self._token["opaque"], 0)]
        return self.columns.expr_row(tokens)

    def _emit(self, root: sympy.Basic, out: list[tuple[int, int]]) -> bool:
        """Postfix by an explicit stack, since sums can be long: entries are expressions still to do or tokens."""
        stack: list[Any] = [root]
        while stack:
            item = stack.pop()
            if type(item) is tuple:
                out.append(item)
                continue
            leaf = self._leaf(item)
            if leaf is not None:
                out.append(leaf)
                continue
            name = type(item).__name__
            name = _TOKEN_OF_CLASS.get(name, name)
            args = item.args
            if name == "Identity" and len(args) == 1:
                stack.append(args[0])
            elif name == "Rational" or getattr(item, "is_Rational", False):
                stack += [(self._token["FloatTrueDiv"], 0), _integer(item.q), _integer(item.p)]
            elif name in _FOLDED and len(args) >= 2:
                token = (self._token[name], 0)
                for arg in reversed(args[1:]):
                    stack += [token, arg]
                stack.append(args[0])
            elif _ARITY.get(name) == len(args):
                stack.append((self._token[name], 0))
                stack.extend(reversed(args))
            else:
                return False
        return True

    def _leaf(self, expr: Any) -> tuple[int, int] | None:
        if expr.is_Symbol:
            return self._symbol, self.symbol(expr)
        if expr.is_Integer:
            value = int(expr)
            return (self._const, value) if INT_MIN <= value <= INT_MAX else None
        if getattr(expr, "is_Float", False):
            return self._float, float_bits(float(expr))
        name = type(expr).__name__
        if name in ("BooleanTrue", "BooleanFalse"):
            return self._const, int(name == "BooleanTrue")
        return None

    def symbol(self, symbol: sympy.Symbol) -> int:
        row = self._rows.get(symbol)
        if row is not None:
            return row
        flag, env = bits("symbol_flag"), self.shape_env
        name = str(symbol)
        hint = low = high = None
        flags = 0
        if env is not None:
            hint = _as_int(_lookup(env, _HINTS, symbol))
            ranges = getattr(env, "var_to_range", {}).get(symbol)
            low, high = _bounds(ranges)
            if name.startswith(("u", "zuf")):
                flags |= flag["unbacked"]
        if symbol.is_integer is not True:
            flags |= flag["float"]
        for mask, value in (("hint", hint), ("min", low), ("max", high)):
            flags |= flag[mask] if value is not None else 0
        row = self._rows[symbol] = self.columns.add(
            "symbol",
            name=self.columns.string(name),
            dim=self.columns.string(self._dim_name(symbol)),
            flags=flags,
            hint=hint or 0,
            min=low or 0,
            max=high or 0,
        )
        return row

    def trips(self, loop: str) -> int:
        """The expression row of a new symbol, LOOP_trips: how often a loop runs, which only data or the user say."""
        name = f"{loop}_trips"
        for number in itertools.count(1):
            if name not in self._rows:
                break
            name = f"{loop}_trips_{number}"
        flag, string = bits("symbol_flag"), self.columns.string
        flags = flag["unbacked"] | flag["min"]
        row = self._rows[name] = self.columns.add(
            "symbol", name=string(name), dim=string(name), flags=flags, hint=0, min=0, max=0
        )
        return self.columns.expr_row([(self._symbol, row)])

    def _dim_name(self, symbol: sympy.Symbol) -> str:
        """The name the user gave to this Dim, if any: the shape environment knows it by the symbol's source."""
        env = self.shape_env
        if env is None:
            return ""
        names = getattr(env, "source_name_to_debug_name", {})
        for source in getattr(env, "var_to_sources", {}).get(symbol, ()):
            text = source.name if isinstance(source.name, str) else source.name()
            if text in names:
                return str(names[text])
        return ""

    def text(self, size: Any) -> str:
        """A size for people: 128, batch=4, 2*batch, u0."""
        if isinstance(size, int):
            return str(size)
        expr = self._expr_of(size.node)
        if expr is None:
            return "?"
        names = {symbol: self._dim_name(symbol) or str(symbol) for symbol in expr.free_symbols}
        hint = _as_int(_lookup(self.shape_env, _HINTS, expr)) if expr.is_Symbol and self.shape_env is not None else None
        text = names[expr] if expr.is_Symbol else str(expr)
        if not expr.is_Symbol:
            for symbol, name in names.items():
                text = text.replace(str(symbol), name)
        return text if hint is None else f"{text}={hint}"

    def constraints(self, ranges: dict[Any, Any]) -> None:
        """Range constraints of an exported program: they narrow symbols, and may bound whole expressions."""
        flag, rows = bits("symbol_flag"), self.columns.rows
        for subject, interval in ranges.items():
            low, high = _bounds(interval)
            flags = (flag["min"] if low is not None else 0) | (flag["max"] if high is not None else 0)
            if subject.is_Symbol:
                row = self.symbol(subject)
                rows["symbol_flags"][row] = rows["symbol_flags"][row] & ~(flag["min"] | flag["max"]) | flags
                rows["symbol_min"][row], rows["symbol_max"][row] = low or 0, high or 0
            else:
                self.columns.add("constraint", expr=self.expression(subject), flags=flags, min=low or 0, max=high or 0)


def _integer(value: Any) -> Any:
    import sympy

    return sympy.Integer(value)


def _lookup(env: Any, attributes: tuple[str, ...], symbol: Any) -> Any:
    for attribute in attributes:
        table = getattr(env, attribute, None)
        if table is not None and symbol in table:
            return table[symbol]
    return None


def _as_int(value: Any) -> int | None:
    """An integer that fits in 64 bits, else nothing (infinities included)."""
    if value is None or not (isinstance(value, int) or getattr(value, "is_Integer", False)):
        return None
    number = int(value)
    return number if INT_MIN <= number <= INT_MAX else None


def _bounds(interval: Any) -> tuple[int | None, int | None]:
    if interval is None:
        return None, None
    low, high = _as_int(interval.lower), _as_int(interval.upper)
    # torch writes "no upper bound" as an infinity, or as the largest size that Python indexes.
    return (None if low == INT_MIN else low), (None if high is not None and high >= INT_MAX - 1 else high)
