r"""Proved bounds on the norm of a zero-padded convolution, by frequency.

Along one axis let output i read the inputs s i + t_j, t_j = d j - p, with
kernel number j; what lies outside 0..n-1 reads zero. Write t_j = s q_j + r_j
with 0 <= r_j < s, and the inputs as blocks X[b, r] = x[s b + r]: then output
i reads X[i + q_j, r_j], a convolution with stride 1 of vectors. Zero padding
makes it a compression of the circular one on N blocks, if N is so large that
no output reads around the corner what it should not. Hence

    ||K||_2 <= max_w ||A(w)||_2,   A(w)[(r, c_in), c_out] =
        sum over j with r_j = r of exp(2 pi i w q_j / N) K[j, c_in, c_out]

over w = 0..N-1, and the same over pairs of frequencies for two axes. Without
a stride, a dilation d only interleaves d convolutions with q_j = j on
n / d points. (Sedghi, Gupta and Long, "The Singular Values of Convolutional
Layers", ICLR 2019, is the circular case.)

What the borders take away makes this too large by O(1 / n^2) for each axis.
Where the matrices are small enough, only columns are taken by frequency, and
rows as they are, which halves the excess.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfcurv import numerics
from tfcurv import solvers

# exp(i a) as computed: the angle, below 2 pi, errs by five roundings, 32 u,
# its cosine and sine by 4 ulp each, 12 u together; the product of two such
# numbers errs by twice that and its own roundings, below 96 u.
_PHASE_ROUNDOFFS = 96

# How many numbers the matrices of a batch may hold: 64 MB, real and imaginary.
_BATCH = 2**22


class Axis(NamedTuple):
    """A convolution along one axis.

    Attributes:
        size: n, the number of inputs.
        kernel: The number of taps.
        stride: s.
        before: p, zeros before the first input.
        after: Zeros after the last.
        dilation: d, the distance of two taps.
    """

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def reach(self) -> int:
        """The distance from the first tap to the last, plus one."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """The number of inputs with the zeros around them."""
        return self.before + self.size + self.after

    @property
    def is_same(self) -> bool:
        """Whether the zeros are those of TensorFlow's padding "SAME"."""
        outputs = -(-self.size // self.stride)
        zeros = max(0, (outputs - 1) * self.stride + self.reach - self.size)
        return (self.before, self.after) == (zeros // 2, zeros - zeros // 2)

    @property
    def outputs(self) -> int:
        """The number of outputs; none, if the kernel does not fit."""
        return max(0, (self.padded - self.reach) // self.stride + 1)


class _Blocks(NamedTuple):
    """What one axis is after its inputs were put into blocks.

    Attributes:
        period: N.
        shifts: `[kernel]` q_j.
        residues: `[kernel]` r_j.
    """

    period: int
    shifts: np.ndarray
    residues: np.ndarray


def _blocks(axis: Axis) -> _Blocks:
    taps = np.arange(axis.kernel)
    if axis.stride == 1:
        # The worst of the interleaved convolutions, which start at 0..d-1.
        blocks = -(-axis.size // axis.dilation)
        before = -(-axis.before // axis.dilation)
        after = -(-axis.after // axis.dilation)
        outside = min(max(before, after), axis.kernel - 1)
        return _Blocks(blocks + outside, taps, np.zeros_like(taps))
    shifts, residues = np.divmod(
        taps * axis.dilation - axis.before, axis.stride
    )
    blocks = -(-axis.size // axis.stride)
    before = max(0, -int(shifts[0]))
    after = max(0, axis.outputs + int(shifts[-1]) - blocks)
    # Outputs further out than the kernel is long read only zeros.
    outside = min(max(before, after), int(shifts[-1] - shifts[0]))
    return _Blocks(blocks + outside, shifts, residues)


def _phases(blocks: _Blocks) -> np.ndarray:
    """Returns exp(2 pi i w q_j / N), `[N, kernel]`."""
    turns = np.outer(np.arange(blocks.period), blocks.shifts) % blocks.period
    angles = 2.0 * np.pi * turns / blocks.period
    return np.cos(angles) + 1j * np.sin(angles)


def _matrices(
    kernel: np.ndarray, rows: _Blocks, columns: _Blocks, groups: int
) -> Iterator[solvers.ComplexMatrices]:
    """Yields A(w) of all groups, for half of the frequencies.

    A(-w) is the complex conjugate of A(w) and has the same norm.
    """
    height, width, inputs, outputs = kernel.shape
    split = kernel.reshape(height, width, inputs, groups, outputs // groups)
    row_phases = _phases(rows)[: rows.period // 2 + 1]
    column_phases = _phases(columns)
    parts = [
        (i, j)
        for r in np.unique(rows.residues)
        for s in np.unique(columns.residues)
        for i, j in [
            (
                np.flatnonzero(rows.residues == r),
                np.flatnonzero(columns.residues == s),
            )
        ]
    ]
    entries = columns.period * kernel.shape[2] * outputs * len(parts)
    step = max(1, _BATCH // entries)
    for start in range(0, len(row_phases), step):
        some = row_phases[start : start + step]
        found = []
        for i, j in parts:
            phases = some[:, np.newaxis, i, np.newaxis]
            phases = phases * column_phases[:, np.newaxis, j]
            taps = split[i][:, j].transpose(0, 1, 3, 2, 4)
            shape = taps.shape[2:]
            taps = taps.reshape(len(i) * len(j), -1)
            phases = phases.reshape(-1, len(taps))
            found.append(
                np.stack([phases.real @ taps, phases.imag @ taps]).reshape(
                    2, -1, *shape
                )
            )
        both = np.concatenate(found, axis=-2)
        both = both.reshape(2, -1, *both.shape[-2:])
        yield solvers.ComplexMatrices(*both)


def _matrices_of_rows(
    kernel: np.ndarray, rows: Axis, columns: _Blocks, groups: int
) -> Iterator[solvers.ComplexMatrices]:
    """Yields, by frequency of the columns, the convolution of the rows."""
    height, width, inputs, outputs = kernel.shape
    split = kernel.reshape(height, width, inputs, groups, outputs // groups)
    taps = split.transpose(1, 0, 3, 2, 4)  # Groups before channels.
    parts = [
        np.flatnonzero(columns.residues == r)
        for r in np.unique(columns.residues)
    ]
    starts = np.arange(rows.outputs) * rows.stride - rows.before
    for phase in _phases(columns)[: columns.period // 2 + 1]:
        both = np.stack([phase.real, phase.imag])
        mixed = np.concatenate(
            [np.tensordot(both[:, j], taps[j], 1) for j in parts], axis=-2
        )
        _, _, _, channels, _ = mixed.shape
        shape = (2, groups, rows.size, channels, rows.outputs, mixed.shape[-1])
        whole = np.zeros(shape)
        for tap in range(height):
            places = starts + tap * rows.dilation
            seen = np.flatnonzero((places >= 0) & (places < rows.size))
            # Both indices move to the front.
            whole[:, :, places[seen], :, seen] = mixed[:, tap]
        flat = whole.reshape(2, groups, rows.size * channels, -1)
        yield solvers.ComplexMatrices(*flat)


def frequency_norm_upper_bound(
    kernel: np.ndarray,
    axes: tuple[Axis, Axis],
    groups: int = 1,
    rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
) -> float:
    """Returns a proved upper bound on the norm of a 2-d convolution.

    Args:
        kernel: `[height, width, inputs / groups, outputs]` finite float64
            array, of numbers about one.
        axes: Its geometry, rows and columns.
        groups: Into how many independent convolutions the channels fall.
        rigor: What the bound rests on.

    Returns:
        The bound. It exceeds the norm itself by what the borders take away,
        and by some 1e-9.
    """
    rows, columns = map(_blocks, axes)
    matrices = _matrices(kernel, rows, columns, groups)
    bound = solvers.largest_norm_upper_bound(matrices, rigor)
    return _with_phase_error(bound, kernel)


def mixed_norm_upper_bound(
    kernel: np.ndarray,
    axes: tuple[Axis, Axis],
    groups: int = 1,
    rigor: solvers.Rigor = solvers.Rigor.VERIFIED,
) -> float:
    """Returns the bound with only the columns taken by frequency.

    Tighter and dearer than `frequency_norm_upper_bound`, see `mixed_work`.

    Args:
        kernel: As there.
        axes: As there.
        groups: As there.
        rigor: As there.
    """
    rows, columns = axes
    matrices = _matrices_of_rows(kernel, rows, _blocks(columns), groups)
    bound = solvers.largest_norm_upper_bound(matrices, rigor)
    return _with_phase_error(bound, kernel)


def mixed_work(
    kernel: np.ndarray, axes: tuple[Axis, Axis], groups: int = 1
) -> int:
    """Returns the sum of the cubes of the sides of the mixed matrices."""
    rows, columns = axes
    blocks = _blocks(columns)
    channels = kernel.shape[2] * len(np.unique(blocks.residues))
    outputs = kernel.shape[3] // groups
    side = min(rows.size * channels, rows.outputs * outputs)
    return groups * (blocks.period // 2 + 1) * side**3


def _with_phase_error(bound: float, kernel: np.ndarray) -> float:
    # Each entry errs by at most 2 gamma times the sum of |K[j]| over its taps,
    # real and imaginary part together. A matrix is a sum over the taps of
    # matrices that hold each number of |K[j]| at most once in a row and in a
    # column of blocks, so that it errs by no more than
    #     2 gamma sum_j ||K[j]||_F.
    count = kernel.shape[0] * kernel.shape[1]
    taps = kernel.reshape(count, -1)
    sizes = sum(solvers.frobenius_norm_upper_bound(tap) for tap in taps)
    error = 2.0 * numerics.gamma(count + _PHASE_ROUNDOFFS) * sizes
    return numerics.round_up(bound + error, count + 4)
