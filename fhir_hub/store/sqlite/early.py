"""What the writer's process knows of messages that are not durable yet (`store/groups.py`).

Their numbers are given in memory, so what ends one must not end another message of that number.
"""


class Early:
    """Messages that went on before they were durable, by number.

    The end of those that are `coming` is about to be written. Those that are `lost` have no row:
    their group was given up, or the number is that of a message that another process received.
    """

    __slots__ = ("coming", "lost")

    def __init__(self) -> None:
        self.coming: set[int] = set()
        self.lost: set[int] = set()
