"""Strategies like those of Hypothesis, drawn from a seed: to draw costs a tenth.

Hypothesis notes each choice, so that it can make what fails smaller. Of worlds of records and
lists of searches, which a hundred thousand choices make, it need only know what is in the list:
`seeded` makes a strategy of Hypothesis that notes one choice, the seed.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

Draw = Callable[["Drawn"], Any]


class Drawn:
    """What is made of chance; `make` is given a source of it."""

    def __init__(self, make: Callable[[Random], Any], *ways: "Drawn") -> None:
        self.make = make
        self.ways = ways or (self,)

    def __or__(self, other: "Drawn") -> "Drawn":
        return one_of(*self.ways, *other.ways)

    def map(self, change: Callable[[Any], Any]) -> "Drawn":
        make = self.make
        return Drawn(lambda chance: change(make(chance)))

    def flatmap(self, follow: Callable[[Any], "Drawn"]) -> "Drawn":
        make = self.make
        return Drawn(lambda chance: follow(make(chance)).make(chance))

    def filter(self, fits: Callable[[Any], object]) -> "Drawn":
        def make(chance: Random) -> Any:
            while not fits(value := self.make(chance)):
                pass
            return value

        return Drawn(make)

    def seeded(self) -> st.SearchStrategy[Any]:
        """Return the strategy of Hypothesis that draws this."""
        return st.integers(0, 2**64 - 1).map(lambda seed: self.make(Random(seed)))


def one_of(*ways: Drawn) -> Drawn:
    makes = [way.make for way in ways]
    return Drawn(lambda chance: makes[int(chance.random() * len(makes))](chance), *ways)


def sampled_from(values: Sequence[Any]) -> Drawn:
    held = tuple(values)
    assert held
    return Drawn(lambda chance: held[int(chance.random() * len(held))])


def just(value: Any) -> Drawn:
    return Drawn(lambda _: value)


def none() -> Drawn:
    return just(None)


def booleans() -> Drawn:
    return sampled_from((False, True))


def integers(least: int, most: int) -> Drawn:
    return sampled_from(range(least, most + 1))


def lists(of: Drawn, min_size: int, max_size: int, unique: bool = False) -> Drawn:
    def make(chance: Random) -> list[Any]:
        size, made = chance.randint(min_size, max_size), []
        while len(made) < size:
            value = of.make(chance)
            if not unique or value not in made:
                made.append(value)
        return made

    return Drawn(make)


def tuples(*of: Drawn) -> Drawn:
    return Drawn(lambda chance: tuple(one.make(chance) for one in of))


def builds(call: Callable[..., Any], *of: Drawn) -> Drawn:
    return Drawn(lambda chance: call(*(one.make(chance) for one in of)))


def fixed_dictionaries(of: Mapping[str, Drawn]) -> Drawn:
    return Drawn(lambda chance: {name: one.make(chance) for name, one in of.items()})


def composite(work: Callable[..., Any]) -> Callable[..., Drawn]:
    """Return what makes a strategy of a function whose first argument draws."""

    def given(*arguments: Any) -> Drawn:
        return Drawn(lambda chance: work(lambda one: one.make(chance), *arguments))

    return given
