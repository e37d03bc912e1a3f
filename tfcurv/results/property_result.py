"""What was found out about a property."""

import dataclasses

import numpy as np


# eq=False: the generated `==` would compare arrays and have no truth value.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PropertyResult:
    """A verdict on a property of a model.

    Attributes:
        verdict: "holds": proved, of the real-valued function. "violated": an
            input was found, at which this function, and the model as Keras
            executes it, have an unsafe output. "unknown": none of both.
        witness: That input, of the shape that the model takes, float64
            numbers; None unless violated.
        outputs: What the model gives there, `[outputs]`; or None.
        model_name: Name of the model.
        seconds: Wall time.
    """

    verdict: str
    witness: np.ndarray | None
    outputs: np.ndarray | None
    model_name: str
    seconds: float

    @property
    def counterexample(self) -> str:
        """The file of a witness, as VNN-COMP asks for it; "unsat" where none.

        Raises:
            ValueError: Nothing is known.
        """
        if self.verdict == "unknown":
            raise ValueError(
                "Nothing was found out. Received: verdict='unknown'. "
                "Remedy: more seconds."
            )
        if self.witness is None or self.outputs is None:
            return "unsat\n"
        values = [(f"X_{i}", x) for i, x in enumerate(self.witness.ravel())]
        values += [(f"Y_{j}", y) for j, y in enumerate(self.outputs)]
        lines = "\n".join(
            f"({name} {float(value)!r})" for name, value in values
        )
        return f"sat\n({lines})\n"

    def __str__(self) -> str:
        """Returns the verdict, and the witness below it."""
        if self.witness is None:
            return self.verdict
        return f"{self.verdict}\n{self.counterexample.partition(chr(10))[2]}"
