"""Any feed-forward graph of affine maps and activations, as a chain.

A value of the graph is an affine function of the input and of what the
activations before it gave. The activations fall into steps: step d holds
those that rest on step d - 1 and on none later. Between two steps stands one
affine map, which computes what the next step bends and carries along,
unchanged, what later steps still need; see `Blocks`.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv import solvers
from tfcurv.networks.chain import Executed
from tfcurv.networks.chain import Network
from tfcurv.networks.functions.side_by_side import Block
from tfcurv.networks.functions.side_by_side import Blocks
from tfcurv.networks.functions.smooth import Activation
from tfcurv.networks.functions.smooth import activation as activation_named
from tfcurv.networks.maps import operator_norms
from tfcurv.networks.maps.affine import Affine
from tfcurv.networks.maps.combined import Composition
from tfcurv.networks.maps.combined import Stack
from tfcurv.networks.maps.combined import Sum
from tfcurv.networks.maps.combined import composed
from tfcurv.networks.maps.combined import flat
from tfcurv.networks.maps.combined import summed
from tfcurv.networks.maps.convolution import Convolution
from tfcurv.networks.maps.elementary import Selection
from tfcurv.networks.maps.linear_map import Identity
from tfcurv.networks.maps.linear_map import LinearMap
from tfcurv.networks.maps.pooling import AveragePooling

_UNDERFLOW = numerics.SUM_UNDERFLOW


class Value(NamedTuple):
    """An affine function of the input and of activations.

    Attributes:
        terms: Maps from atoms, by number: 0 is the input, n the n-th
            activation. At least one.
        bias: `[size]` float64.
        roundings: The exact weights lie within gamma_roundings times the
            absolute ones of those stored.
        bias_error: Bounds the distance of the exact bias.
    """

    terms: Mapping[int, LinearMap]
    bias: np.ndarray
    roundings: int = 0
    bias_error: float = 0.0

    @property
    def size(self) -> int:
        """The number of elements."""
        return len(self.bias)


class _Atom(NamedTuple):
    """The input, or what an activation gives.

    Attributes:
        size: The number of elements.
        step: In which step it is computed; 0 for the input.
        source: What is bent; None for the input.
        activation: By what; None for the input.
    """

    size: int
    step: int
    source: Value | None = None
    activation: Activation | None = None


class Flow:
    """Builds a graph, value by value, and turns it into a `Network`.

    Attributes:
        input: The input as a value.
    """

    def __init__(self, input_size: int):
        """Begins with the input.

        Args:
            input_size: The number of inputs.
        """
        self._atoms = [_Atom(input_size, 0)]
        self.input = self._value_of(0)

    def _value_of(self, atom: int) -> Value:
        size = self._atoms[atom].size
        same = Identity(input_shape=(size,))
        return Value({atom: same}, np.zeros(size))

    def linear(
        self,
        value: Value,
        linear: LinearMap,
        bias: np.ndarray | None = None,
        *,
        roundings: int = 0,
        bias_error: float = 0.0,
    ) -> Value:
        """Returns value K + bias.

        Args:
            value: What the map is applied to.
            linear: K.
            bias: `[outputs]` float64; None for none.
            roundings: The exact weights lie within gamma_roundings |K| of K.
            bias_error: Bounds the distance of the exact bias, in l2.
        """
        terms = {atom: composed(m, linear) for atom, m in value.terms.items()}
        rows = value.bias[np.newaxis]
        carried = operator_norms.on_host(linear.apply, rows)[0]
        return Value(
            terms,
            carried if bias is None else carried + bias,
            value.roundings + roundings,
            _carried_bias_error(value, linear, bias, roundings) + bias_error,
        )

    def activate(self, value: Value, activation: Activation) -> Value:
        """Returns s(value), elementwise."""
        if activation.is_linear:
            return value
        step = 1 + max(self._atoms[atom].step for atom in value.terms)
        self._atoms.append(_Atom(value.size, step, value, activation))
        return self._value_of(len(self._atoms) - 1)

    def add(self, values: Sequence[Value]) -> Value:
        """Returns the sum of values of one size."""
        atoms = sorted({atom for value in values for atom in value.terms})
        terms = {
            atom: summed([v.terms[atom] for v in values if atom in v.terms])
            for atom in atoms
        }
        bias = np.sum([value.bias for value in values], axis=0)
        sizes = sum(
            solvers.frobenius_norm_upper_bound(value.bias) for value in values
        )
        error = sum(value.bias_error for value in values)
        return Value(
            terms,
            bias,
            max(value.roundings for value in values),
            _widened(error, numerics.gamma(len(values)) * sizes),
        )

    def concatenate(
        self,
        values: Sequence[Value],
        shapes: Sequence[tuple[int, ...]],
        axis: int,
    ) -> Value:
        """Returns values side by side.

        Args:
            values: What is put together.
            shapes: Their shapes, without batch.
            axis: Along which axis of the shapes.
        """
        before, placed = 0, []
        total = sum(shape[axis] for shape in shapes)
        for value, shape in zip(values, shapes):
            pairs = [(0, 0)] * len(shape)
            pairs[axis] = (before, total - before - shape[axis])
            before += shape[axis]
            placed.append(self.linear(value, Selection.zero_pad(shape, pairs)))
        return self.add(placed)

    def network(
        self,
        logits: Value,
        *,
        rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
        execution: Executed | None = None,
    ) -> Network:
        """Returns the network that computes a value.

        Args:
            logits: The value.
            rigor: How norms and eigenvalues are bounded.
            execution: Rounding to certify against, see `Network`.
        """
        layout, affines, activations = [0], [], []
        for step in range(1, self._last_step(logits) + 1):
            bent = self._needed(logits, step, step)
            kept = self._kept(logits, step)
            carried = [self._value_of(atom) for atom in kept]
            sources = self._sources(bent)
            affines.append(self._affine(layout, [*carried, *sources]))
            activations.append(self._activation(kept, bent))
            layout = [*kept, *bent]
        affines.append(_written(self._affine(layout, [logits])))
        return Network(affines, activations, rigor=rigor, execution=execution)

    def _last_step(self, value: Value) -> int:
        return max(self._atoms[atom].step for atom in value.terms)

    def _needed(self, logits: Value, first: int, last: int) -> list[int]:
        """Returns the atoms of some steps on which the logits rest."""
        found, pending = set(), [logits]
        while pending:
            for atom in pending.pop().terms:
                if atom not in found:
                    found.add(atom)
                    pending += self._sources([atom])
        steps = range(first, last + 1)
        return sorted(a for a in found if self._atoms[a].step in steps)

    def _sources(self, atoms: Iterable[int]) -> list[Value]:
        """Returns what is bent to give the atoms; the input has none."""
        sources = (self._atoms[atom].source for atom in atoms)
        return [each for each in sources if each is not None]

    def _kept(self, logits: Value, step: int) -> list[int]:
        """Returns the atoms of earlier steps that later ones read."""
        last = self._last_step(logits)
        later = self._needed(logits, step + 1, last)
        readers = [logits, *self._sources(later)]
        read = {atom for reader in readers for atom in reader.terms}
        return sorted(a for a in read if self._atoms[a].step < step)

    def _activation(
        self, kept: list[int], bent: list[int]
    ) -> Activation | Blocks:
        straight = activation_named("linear")
        blocks = [Block(straight, self._atoms[atom].size) for atom in kept]
        for atom in bent:
            kind = self._atoms[atom].activation or straight
            blocks.append(Block(kind, self._atoms[atom].size))
        only = blocks[0].activation
        if not kept and all(each.activation is only for each in blocks):
            return only
        return Blocks(blocks)

    def _affine(self, layout: list[int], values: list[Value]) -> Affine:
        """Returns the map from atoms side by side to values side by side."""
        sizes = [self._atoms[atom].size for atom in layout]
        starts = dict(zip(layout, np.cumsum([0, *sizes])))
        width = sum(sizes)

        def part(atom: int) -> LinearMap:
            start, size = int(starts[atom]), self._atoms[atom].size
            pair = (start, width - start - size)
            return Selection.crop((width,), [pair])

        def whole(value: Value) -> LinearMap:
            if len(layout) == 1:
                return value.terms[layout[0]]
            terms = value.terms.items()
            return summed([composed(part(a), m) for a, m in terms])

        maps = [whole(value) for value in values]
        linear = maps[0]
        if len(maps) > 1:
            linear = Stack(maps=tuple(map(flat, maps)))
        # What stored weights miss, and what writing the map down rounds.
        count = max(value.roundings for value in values) + linear.terms
        growth = operator_norms.underflow_growth(linear)
        size = 0.0
        if _is_rounded(linear) or count > linear.terms:
            size = operator_norms.schur_norm_upper_bound(linear)
        # And what vanished on the way to the product.
        error = numerics.gamma(count) * size + _UNDERFLOW * (growth - 1.0)
        affine = Affine(
            linear=linear,
            bias=np.concatenate([value.bias for value in values]),
            kernel_error=numerics.round_up(error, 4),
            bias_error=sum(value.bias_error for value in values),
        )
        # A matrix is applied sooner than what it is the product of.
        return affine if _moves_windows(linear) else _written(affine)


def _is_rounded(linear: LinearMap) -> bool:
    """Whether weights of the map are products, sums or parts of stored ones."""
    if isinstance(linear, Stack):
        return any(_is_rounded(each) for each in linear.maps)
    if isinstance(linear, Composition):
        weighted = [m for m in linear.maps if _has_weights(m)]
        return len(weighted) > 1 or any(_is_rounded(m) for m in linear.maps)
    return isinstance(linear, Sum | AveragePooling)


def _has_weights(linear: LinearMap) -> bool:
    return type(linear) not in (Identity, Selection)


def _moves_windows(linear: LinearMap) -> bool:
    parts = getattr(linear, "maps", ())
    windowed = isinstance(linear, Convolution | AveragePooling)
    return windowed or any(map(_moves_windows, parts))


def _written(affine: Affine) -> Affine:
    """Returns the map as a matrix."""
    return Affine(
        kernel=affine.kernel,
        bias=affine.bias,
        kernel_error=affine.kernel_error,
        bias_error=affine.bias_error,
    )


def _carried_bias_error(value: Value, linear, bias, roundings: int) -> float:
    """Bounds what a bias suffers on its way through a map."""
    if not np.any(value.bias) and not value.bias_error:
        return 0.0
    size = solvers.frobenius_norm_upper_bound(value.bias)
    absolute = operator_norms.schur_norm_upper_bound(linear)
    own = 0.0
    if bias is not None:
        own = solvers.frobenius_norm_upper_bound(bias)
    gamma = numerics.gamma(linear.terms + roundings + 2)
    error = absolute * value.bias_error * (1.0 + gamma)
    growth = operator_norms.underflow_growth(linear)
    error += _UNDERFLOW * growth * (1.0 + absolute + own)
    return _widened(error, gamma * (absolute * size + own))


def _widened(error: float, rounding: float) -> float:
    return numerics.round_up(error + rounding * (1.0 + 1e-9), 8)
