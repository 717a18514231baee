"""How often the garbage collector looks for cycles: rarely, for there are next to none.

A transaction makes and drops a hundred thousand small objects, sixteen messages under way hold as
many, and what a hub is built of are a million that stay. To look for cycles after every 700 was a
third of a transaction's time and a fifth of a start's; after every 20,000 a thirtieth of a
message's.
"""

import gc


def collect_rarely() -> None:
    """Look for cycles rarely from now on. Call it before the hub is built."""
    gc.set_threshold(100_000, 10, 10)


def calm_collector() -> None:
    """Leave what there is now to live as long as the process. Call it once the hub is built.

    Nothing is collected before: of the million objects eight were garbage, and to look at all of
    them was a twelfth of a start.
    """
    gc.freeze()
    collect_rarely()
