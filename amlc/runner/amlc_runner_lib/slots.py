"""What a trial has to wait for, so that not all run at once."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol  # novm: never imported where it runs

    class Slots(Protocol):
        """What trials wait for."""

        def take(self) -> "Slot | None":
            """Return a slot, or None as long as there is none."""

        def give_back(self, slot: "Slot") -> None:
            """Take back the slot of a trial that ended."""


class Slot:
    """What a running trial holds: its CUDA_VISIBLE_DEVICES, and the GPUs to give back.

    visible: the variable's value, None: as it is.
    """

    def __init__(self, visible: "str | None", gpus: "Sequence[str]" = ()) -> None:
        self.visible = visible
        self.gpus = gpus


class OneAtATime:
    """The slots of a job whose trials are not given GPUs: there is one."""

    def __init__(self, visible: "str | None") -> None:
        self._slots = [Slot(visible)]

    def take(self) -> "Slot | None":
        """Return the slot, or None as long as a trial has it."""
        return self._slots.pop() if self._slots else None

    def give_back(self, slot: Slot) -> None:
        """Take back the slot of a trial that ended."""
        self._slots.append(slot)
