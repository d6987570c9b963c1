"""What did not come along, named and counted: nothing is dropped in silence."""

from __future__ import annotations

from annoseq.errors import FormatError


class Losses:
    """Counts what is lost, by kind, with the first place of each.

    Where `format_name` is given, a loss is an error that says so: the format cannot hold what is
    to be written, and nobody has agreed to lose it.
    """

    def __init__(self, *, format_name: str | None = None) -> None:
        self._format_name = format_name
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, *, where: str, count: int = 1) -> None:
        """Count a loss. `kind` reads after a number: "scores left out".

        Raises:
            FormatError: losses were not agreed to.
        """
        if self._format_name:
            raise FormatError(
                f"{where}: {self._format_name} cannot hold this: {kind}. Choose a format that can, "
                "or add --lossy to accept such losses and count them."
            )
        before, first = self._found.get(kind, (0, where))
        self._found[kind] = before + count, first

    def __len__(self) -> int:
        return sum(count for count, _ in self._found.values())

    def lines(self) -> list[str]:
        """Say how many of each kind there were, and where the first was."""
        return [
            f"{count:,} {kind} (first: {where})" for kind, (count, where) in self._found.items()
        ]
