"""A fault that tests/mutants.py plants."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutant:
    """A fault, as a replacement in one source file.

    Attributes:
        name: Short and unique.
        fault: What it stands for, in one sentence.
        file: The source, from the root of the project.
        old: Text that occurs in it exactly once.
        new: What takes its place.
        tests: Test files, or classes of them, of which one must fail.
    """

    name: str
    fault: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def planted_in(self, source: str) -> str:
        """Returns the source with the fault in it.

        Args:
            source: The text of `file`.

        Raises:
            ValueError: The old text does not occur exactly once.
        """
        if (count := source.count(self.old)) != 1:
            raise ValueError(
                f"The text to replace must occur once in {self.file}. "
                f"Received: old={self.old!r}, which occurs {count} times."
            )
        return source.replace(self.old, self.new)
