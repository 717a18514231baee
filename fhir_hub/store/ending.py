"""Ending tasks that work on a store, though one of their cancels may be lost.

PyMongo's asyncio client sends by `asyncio.wait_for`, and that one, in Python 3.11, returns to who
was cancelled in the very turn in which it had its result: the task then goes on as if nothing had
been said, and who waits for its end waits for ever. So it is said again until it is heard.

Spec: https://bugs.python.org/issue42130
"""

import asyncio
from typing import Any

_AGAIN_S = 1.0  # long for what a task does at its end: to give a transaction up, and its locks


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks, and return when all of them are done; what they raised stays in them."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
