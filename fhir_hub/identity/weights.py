"""The stated weights of the match: how often fields agree in one person, and in two by chance.

For each field and each degree of agreement `m` is how often two true records of one person show
it, `u` how often those of two persons do; what it says is `log2(m / u)` bits. `PRIOR` is what any
two records begin with: one in a million. Frequencies are of published counts where there are
any (family names: the Ministry of Public Security's reports), the rest is estimated and told as
such. `docs/identity.md` shows these tables; a test holds the page to them.

Spec: Fellegi and Sunter (1969), A Theory for Record Linkage, JASA 64:328
"""

from collections.abc import Mapping
from math import log2
from types import MappingProxyType
from typing import NamedTuple


class Level(NamedTuple):
    """A degree of agreement: how often in one person (`m`), by chance (`u`), and what it means."""

    m: float
    u: float
    meaning: str

    @property
    def bits(self) -> float:
        """What this agreement says for one person (above 0) or against (below)."""
        return log2(self.m / self.u)


PRIOR = -20.0
CERTAIN = 0.999  # the least probability of each grade
ALONE = 0.9999  # what name, birth date and sex need where nothing else is known: a rare name
PROBABLE = 0.9
POSSIBLE = 0.05

FIELDS: Mapping[str, Mapping[str, Level]] = MappingProxyType(
    {
        "name": {
            "same": Level(0.85, 0.00001, "the same characters; u is that of the name itself"),
            "sound": Level(0.05, 0.00005, "other characters, the same sound; u of the name"),
            "swapped": Level(0.02, 0.00001, "family and given name have changed places"),
            "family-differs": Level(0.01, 0.0002, "the given name of two characters is the same"),
            "near": Level(0.04, 0.002, "one character of three or more differs or is missing"),
            "family": Level(0.01, 0.025, "only the family name is the same"),
            "different": Level(0.02, 0.97, "another name"),
        },
        "birthDate": {
            "same": Level(0.93, 0.00004, "the same day"),
            "lunar": Level(0.015, 0.00008, "one is the lunar date of the other"),
            "typo": Level(0.03, 0.001, "one digit, two neighbours, or day and month exchanged"),
            "part": Level(0.008, 0.014, "one is the year (or its first of January) of the other"),
            "year": Level(0.002, 0.014, "another day of the same year"),
            "different": Level(0.015, 0.97, "another day"),
        },
        "gender": {
            "same": Level(0.995, 0.5, "the same"),
            "different": Level(0.005, 0.5, "the other"),
        },
        "phone": {
            "same": Level(0.65, 0.0001, "a shared number (of a family, too)"),
            "different": Level(0.35, 0.9999, "both have numbers, none is shared"),
        },
        "address": {
            "same": Level(0.55, 0.0002, "the same road, house and room"),
            "road": Level(0.2, 0.004, "the same road"),
            "district": Level(0.15, 0.1, "the same district"),
            "different": Level(0.1, 0.896, "another district"),
        },
        "residentId": {
            "near": Level(0.9, 0.00001, "one digit or two neighbours differ, and one is not valid"),
            "different": Level(0.1, 0.99999, "they differ more, and one is not valid"),
        },
    }
)

# Beside a shared phone the same household says little more: a family has both.
HOUSEHOLD_BITS = 3.0

# Percent of the people who have the family name.
_FAMILIES_TEXT = """
王7.2 李7.0 张6.7 刘5.3 陈4.5 杨3.1 黄2.3 赵2.1 吴2.0 周1.9 徐1.4 孙1.4 马1.3 朱1.3
胡1.2 郭1.1 何1.1 林1.1 高1.0 罗1.0 郑0.9 梁0.9 谢0.8 宋0.7 唐0.7 许0.7 邓0.6 韩0.6
冯0.6 曹0.6 彭0.6 曾0.6 肖0.6 田0.5 董0.5 潘0.5 袁0.5 蔡0.5 蒋0.5 余0.5 于0.5 杜0.4
叶0.4 程0.4 魏0.4 苏0.4 吕0.4 丁0.4 任0.4 沈0.4 姚0.4 卢0.4 姜0.4 崔0.3 钟0.3 谭0.3
陆0.3 汪0.3 范0.3 金0.3 石0.3 廖0.3 贾0.3 夏0.3 韦0.3 付0.3 方0.3 白0.3
"""
FAMILIES = {pair[0]: float(pair[1:]) / 100 for pair in _FAMILIES_TEXT.split()}
OTHER_FAMILY = 0.001
ONE_CHARACTER, TWO_CHARACTERS = 0.002, 0.0002  # how many of a family name have one given name


def name_level(level: str, family: str, given: str) -> Level:
    """Return a level of names with the chance that fits how frequent this name is.

    >>> name_level("same", "王", "伟").bits < name_level("same", "沈", "桂芳").bits
    True
    """
    stated = FIELDS["name"][level]
    if level not in ("same", "sound") or not family or not given:
        return stated
    share = FAMILIES.get(family, OTHER_FAMILY)
    chance = share * (ONE_CHARACTER if len(given) == 1 else TWO_CHARACTERS)
    if level == "sound":
        chance *= 5
    return stated._replace(u=chance)
