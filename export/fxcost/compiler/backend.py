"""torch.compile(model, backend="fxcost"): analyses what Dynamo hands over, then lets another backend compile it."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ..compiling import program_of
from ..errors import FxcostError, usage
from ..exporter import Capture, ambient
from ..lowered import caught, copied, unrun
from .hooks import seam
from .program import CompiledGraph, CompiledProgram, DynamoGraph

DELEGATES = ("inductor", "aot_eager", "eager")
_OWN = ("delegate", "callback", "cache")
# Catching a graph replaces an attribute of torch for a moment: one thread at a time.
_CATCHING = threading.RLock()


class Backend:
    """A backend for torch.compile that analyses every graph and delegates its compilation::

        backend = fxcost.compiler.Backend()
        torch.compile(model, backend=backend)(x)
        print(backend.report())

    ``delegate`` is inductor, aot_eager or eager. ``callback`` is called with a :class:`CompiledGraph` whenever one
    has been compiled. Torch's caches of compiled graphs are passed by, because a graph that comes out of them is
    not seen; with ``cache`` they are used, and what came out of them is analysed as it went in. Other keyword
    arguments are options of Inductor.
    """

    def __init__(
        self,
        delegate: str = "inductor",
        callback: Callable[[CompiledGraph], Any] | None = None,
        cache: bool = False,
        **options: Any,
    ) -> None:
        if delegate not in DELEGATES:
            raise usage(f"delegate {delegate!r} of the backend fxcost", " or ".join(DELEGATES))
        if options and delegate != "inductor":
            raise usage(f"options {', '.join(options)} with delegate {delegate!r}", "delegate='inductor'")
        self.__name__ = "fxcost"
        self.delegate, self.callback, self.cache, self.options = delegate, callback, cache, options
        self._seen: list[DynamoGraph] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: Sequence[Any], **kwargs: Any) -> Any:
        """Called by Dynamo."""
        if kwargs.get("mode") or kwargs.get("options"):
            return self._with(kwargs).__call__(graph, inputs)
        unit = DynamoGraph.of(graph, self.delegate)
        self._seen.append(unit)
        start = time.perf_counter()
        try:
            return getattr(self, f"_{self.delegate}")(unit, graph, inputs)
        finally:
            unit.compile_seconds += time.perf_counter() - start

    def report(self) -> CompiledProgram:
        """Everything that was compiled since the beginning, or since :meth:`forget`."""
        return CompiledProgram(list(self._seen))

    def forget(self) -> None:
        self._seen.clear()

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _with(self, kwargs: dict[str, Any]) -> Backend:
        """This backend with what torch.compile was given; what it sees is seen here."""
        options = dict(kwargs.get("options") or {})
        own = {name: options.pop(name) for name in _OWN if name in options}
        delegate = own.get("delegate", self.delegate)
        if kwargs.get("mode"):
            if delegate != "inductor":
                raise usage(f"mode={kwargs['mode']!r} with delegate {delegate!r}", "delegate='inductor'")
            options = {**torch._inductor.list_mode_options(kwargs["mode"]), **options}
        settings = {"delegate": delegate, "callback": self.callback, "cache": self.cache, **own}
        other = Backend(**settings, **{**self.options, **options})
        other._seen = self._seen
        return other

    def _eager(self, unit: DynamoGraph, graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> Any:
        with unit.counting():
            copy = unrun(graph, copied(graph.graph))
            part = "forward" if unit.training else "inference"
            self._add(unit, part, functools.partial(_traced, copy, part, unit.label, ambient()))
        return graph.forward

    def _aot_eager(self, unit: DynamoGraph, graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> Any:
        delegate = seam("torch._dynamo.backends.debugging", "aot_eager", "backend='fxcost' with delegate aot_eager")
        stock = seam("torch._dynamo.backends.debugging", "boxed_nop", "backend='fxcost' with delegate aot_eager")
        state = ambient()

        def compiler(part: str) -> Callable[..., Any]:
            def compile_part(module: torch.fx.GraphModule, example_inputs: Any) -> Any:
                with unit.counting():
                    copy = unrun(module, copied(module.graph))
                    self._converted(unit, copy, part, state, "captured")
                return stock(module, example_inputs)

            return compile_part

        forward = compiler("forward" if unit.training else "inference")
        return delegate(graph, inputs, fw_compiler=forward, bw_compiler=compiler("backward"))

    def _inductor(self, unit: DynamoGraph, graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> Any:
        from torch._functorch import config as functorch_config

        compile_fx = seam("torch._inductor.compile_fx", "compile_fx", "backend='fxcost' with delegate inductor")
        stock = seam("torch._inductor.compile_fx", "compile_fx_inner", "backend='fxcost' with delegate inductor")
        state = ambient()

        def inner(module: torch.fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
            part = "backward" if kwargs.get("is_backward") else "forward"
            part = "inference" if kwargs.get("is_inference") else part
            later = part == "backward" and not unit.compiling
            start = time.perf_counter()
            with unit.counting():
                copy = unrun(module, copied(module.graph))
            try:
                with _CATCHING, caught(stop=False) as found, self._uncached():
                    result = stock(module, *args, **kwargs)
                with unit.counting():
                    if found:
                        self._converted(unit, found[-1].module, part, state, "lowered")
                    else:
                        self._converted(unit, copy, part, state, "captured")
                return result
            finally:
                if later:
                    unit.compile_seconds += time.perf_counter() - start

        settings = {} if self.cache else {"enable_autograd_cache": False}
        with functorch_config.patch(settings), unit.at_work():
            return compile_fx(graph, inputs, inner_compile=inner, config_patches=self.options or None)

    @contextlib.contextmanager
    def _uncached(self) -> Iterator[None]:
        from torch._inductor import config

        settings = {} if self.cache else {"fx_graph_cache": False, "fx_graph_remote_cache": False}
        with config.patch(settings):
            yield

    def _converted(
        self, unit: DynamoGraph, module: torch.fx.GraphModule, part: str, state: dict[str, Any], view: str
    ) -> None:
        program = program_of(module, part, f"{unit.label} {part}", state, view)
        self._add(unit, part, lambda: program)

    def _add(self, unit: DynamoGraph, part: str, program: Callable[[], Capture]) -> None:
        graph = CompiledGraph(unit, part, program)
        unit.graphs.append(graph)
        if self.callback is not None:
            self.callback(graph)


def _traced(graph: torch.fx.GraphModule, part: str, label: str, state: dict[str, Any]) -> Capture:
    """The program of a graph of Dynamo's, whose nodes are functions of torch: traced to operators on fake tensors."""
    from torch.fx.experimental.proxy_tensor import make_fx

    placeholders = graph.graph.find_nodes(op="placeholder")
    fakes = [node.meta.get("val", node.meta.get("example_value")) for node in placeholders]
    mode = torch._guards.detect_fake_mode(fakes)
    try:
        with mode or contextlib.nullcontext(), torch.fx.traceback.preserve_node_meta():
            module = make_fx(lambda *values: torch.fx.Interpreter(graph).run(*values))(*fakes)
    except Exception as error:
        raise FxcostError(
            f"graph {label} of delegate eager\n  expected: functions that run on fake tensors\n"
            f"  found: {type(error).__name__}: {error}\n  try: delegate aot_eager"
        ) from error
    return program_of(module, part, f"{label} {part}", state, "captured")


_default = Backend()


def fxcost(graph: torch.fx.GraphModule, inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The backend of this name: ``torch.compile(model, backend="fxcost", options={"delegate": "aot_eager"})``."""
    return _default(graph, inputs, **kwargs)


def report() -> CompiledProgram:
    """What was compiled with ``backend="fxcost"`` in this process since the last :func:`forget`."""
    return _default.report()


def forget() -> None:
    """Begins a new report. What is compiled stays compiled: ``torch.compiler.reset()`` forgets that."""
    _default.forget()


def register() -> None:
    """Makes the name known to torch.compile. An installed fxcost has an entry point besides."""
    registry: dict[str, Any] = seam("torch._dynamo.backends.registry", "_COMPILER_FNS", "backend='fxcost'")
    if "fxcost" not in registry:
        torch._dynamo.register_backend(fxcost, name="fxcost")
