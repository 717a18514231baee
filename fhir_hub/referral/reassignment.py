"""Where sessions go that a closed centre cannot hold: one plan for all, and who has no place.

Each session goes to a place of another centre that has room, as near to its own time as can be,
one a day, and so that no two sessions of a patient are further apart than the gap allows, also to
those before and after that stay. Where the nearest places are taken, a session that could go
elsewhere makes room (as in the matching of Kuhn). Pure: the places and sessions come in, the
moves come out.

Spec: DOMAIN 1.3 S19
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Session(NamedTuple):
    """A session that needs another place: its Appointment, its patient, its own time."""

    logical_id: str
    patient: str
    start: datetime


class Place(NamedTuple):
    """A Slot of another centre: when, and how many it can still take."""

    logical_id: str
    start: datetime
    capacity: int


class Plan(NamedTuple):
    """Which place each session goes to, and the sessions that have none."""

    moved: dict[str, Place]
    unplaced: list[Session]


def plan(
    sessions: Sequence[Session],
    kept: Mapping[str, Sequence[datetime]],
    places: Sequence[Place],
    gap: timedelta,
) -> Plan:
    """Return the plan; `kept` is when the sessions are that stay, by patient."""
    board = _Board(sessions, kept, places, gap)
    unplaced = [one for one in sorted(sessions, key=_by_time) if not board.seat(one, set())]
    # who found no place at his turn may find one now that all others sit
    unplaced = [one for one in unplaced if not board.seat(one, set())]
    return Plan(dict(board.seats), unplaced)


def _by_time(session: Session) -> tuple[datetime, str]:
    return session.start, session.logical_id


class _Board:
    """Who sits where while the plan is made."""

    def __init__(
        self,
        sessions: Sequence[Session],
        kept: Mapping[str, Sequence[datetime]],
        places: Sequence[Place],
        gap: timedelta,
    ) -> None:
        self._of = {one.logical_id: one for one in sessions}
        self._theirs: dict[str, list[Session]] = {}
        for one in sorted(sessions, key=_by_time):
            self._theirs.setdefault(one.patient, []).append(one)
        self._kept, self._places, self._gap = kept, places, gap
        self.seats: dict[str, Place] = {}
        self._taken: dict[str, list[str]] = {}

    def seat(self, session: Session, tried: set[str]) -> bool:
        """Give a session a place, letting others make room; say whether it has one.

        `tried` are the places that were asked already for the one who is to be seated.
        """
        wanted = [one for one in self._places if self._fits(session, one)]
        wanted.sort(key=lambda one: (abs(one.start - session.start), one.logical_id))
        for place in wanted:
            if len(self._taken.get(place.logical_id, ())) < place.capacity:
                self._sit(session, place)
                return True
        for place in wanted:
            if place.logical_id in tried:
                continue
            tried.add(place.logical_id)
            for other in list(self._taken.get(place.logical_id, ())):
                if self._gives_way(self._of[other], place, session, tried):
                    return True
        return False

    def _gives_way(self, other: Session, place: Place, session: Session, tried: set[str]) -> bool:
        self._rise(other)
        self._sit(session, place)
        if self.seat(other, tried):
            return True
        self._rise(session)
        self._sit(other, place)
        return False

    def _sit(self, session: Session, place: Place) -> None:
        self.seats[session.logical_id] = place
        self._taken.setdefault(place.logical_id, []).append(session.logical_id)

    def _rise(self, session: Session) -> None:
        place = self.seats.pop(session.logical_id)
        self._taken[place.logical_id].remove(session.logical_id)

    def _fits(self, session: Session, place: Place) -> bool:
        """Say whether a place is near enough to the patient's sessions before and after."""
        days = list(self._kept.get(session.patient, ()))
        for one in self._theirs[session.patient]:
            if one.logical_id != session.logical_id:
                seat = self.seats.get(one.logical_id)
                days.append(seat.start if seat else one.start)
        if any(one.date() == place.start.date() for one in days):
            return False
        before = max((one for one in days if one < place.start), default=None)
        after = min((one for one in days if one > place.start), default=None)
        was_before = max((one for one in days if one < session.start), default=None)
        if (before is None) != (was_before is None):
            return False  # it would change its place in the row of the sessions
        near = before is None or place.start - before <= self._gap
        return near and (after is None or after - place.start <= self._gap)
