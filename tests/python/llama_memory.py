"""Memory of a Llama in closed form, written down from its architecture; what tests and bench hold fxcost against."""

from __future__ import annotations

import bisect
import dataclasses

from fxcost.binding import Analysis, Program
from fxcost.models import load
from fxcost.options import Options


@dataclasses.dataclass(frozen=True)
class Llama:
    """Sizes of a Llama 3 in bfloat16."""

    hidden: int
    layers: int
    heads: int
    inner: int
    kv_heads: int = 8
    vocabulary: int = 128256

    @property
    def depth(self) -> int:
        return self.hidden // self.heads

    @property
    def weights(self) -> int:
        """Bytes: embedding and head; per layer queries and output, keys and values, three of the MLP, two norms."""
        kv = self.kv_heads * self.depth
        layer = 2 * self.hidden**2 + 2 * self.hidden * kv + 3 * self.hidden * self.inner + 2 * self.hidden
        return 2 * (2 * self.vocabulary * self.hidden + self.layers * layer + self.hidden)

    @property
    def buffers(self) -> int:
        """Inverse frequencies of the rotary embedding in float32, and the copy that transformers keeps of them."""
        return 2 * 4 * self.depth // 2

    def sequence(self, seq: int) -> int:
        """Bytes of one sequence at the peak: at the head, or, where it is long, in attention.

        Head: numbers of the tokens, hidden states, logits. Attention: numbers of the tokens, the residual, queries,
        keys and values repeated for all heads, their result, the rotary embedding's sines and cosines, a float32 for
        each query and head, and the mask, of booleans and as numbers."""
        head = seq * (8 + 2 * self.hidden + 2 * self.vocabulary)
        attention = seq * (8 + 5 * 2 * self.hidden + 2 * 2 * self.depth + 4 * self.heads) + seq**2 * (1 + 2)
        return max(head, attention)

    def peak(self, batch: int, seq: int) -> int:
        return self.weights + self.buffers + batch * self.sequence(seq)

    @property
    def cache_token(self) -> int:
        """Bytes of keys and values a token."""
        return 2 * self.layers * self.kv_heads * self.depth * 2

    def program(self) -> Program:
        settings = {
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.inner,
            "vocab_size": self.vocabulary,
        }
        options = Options(batch=2, seq=128, dtype="bf16", dynamic=["batch,seq"], settings=settings)
        return Program.from_bytes(load("hf:llama", options).capture().to_bytes())


LLAMA_8B = Llama(hidden=4096, layers=32, heads=32, inner=14336)
LLAMA_70B = Llama(hidden=8192, layers=80, heads=64, inner=28672)
SLACK = 64  # bytes of index tensors of a few elements


def analysis_at(program: Program, batch: int, seq: int, **options: str) -> Analysis:
    return Analysis(program, **{"dim.batch": str(batch), "dim.seq": str(seq)}, **options)


def disagreements(model: Llama, program: Program, devices: dict[str, float]) -> list[str]:
    """What differs over a sweep of sizes and devices (bytes of memory by name); each a line."""
    found = []
    for batch in (1, 2, 7, 32):
        for seq in (128, 1000, 4096, 16384):
            expected = model.peak(batch, seq)
            got = analysis_at(program, batch, seq).memory().peak_bytes
            if not 0 <= got - expected <= SLACK:
                found.append(f"{batch} x {seq}: {got:,}, closed form {expected:,}")
    for device, capacity in devices.items():
        for seq in (512, 8192):
            analysis = analysis_at(program, 1, seq, device=device)
            fit, room = analysis.fits(), capacity - model.weights - model.buffers
            if fit.fits != (model.peak(1, seq) + SLACK <= capacity) or fit.token_bytes != model.cache_token:
                found.append(f"{device}, {seq}: fits {fit.fits}, {fit.token_bytes} a token")
            batch, slack = max(0, int(room // model.sequence(seq))), max(0, int((room - SLACK) // model.sequence(seq)))
            if analysis.largest("batch") not in (batch, slack):
                found.append(f"{device}, {seq}: batch {analysis.largest('batch')}, closed form {batch}")
        longest = analysis.largest("seq")
        most = bisect.bisect_right(range(1 << 22), room, key=model.sequence) - 1
        if not max(0, most - 1) <= longest <= max(0, most):
            found.append(f"{device}: seq {longest}, closed form {most}")
    return found
