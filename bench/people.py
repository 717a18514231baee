"""A made town: households of people with names as frequent as they are, twins, shared telephones.

Nothing is taken from the engine that is measured: family names have published shares, given names
are drawn character by character from lists ordered by how usual they are (so that namesakes and
namesakes born on one day exist), numbers are made by the rule of GB 11643. Two runs with one
seed make the same town.

What is stated: 1.6 % of births are twins; four of five pairs of twins share the first character
of their given names; children and half of those over 75 have a family member's telephone; one
household in nine lives in the street of another at another number, as many streets as 400.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from fhir_hub.identity.resident_id import check_character

TODAY = date(2026, 1, 1)
# per mille of the people; the ministry's reports, rounded
_FAMILIES = """
王72 李70 张67 刘53 陈45 杨31 黄23 赵21 吴20 周19 徐14 孙14 马13 朱13
胡12 郭11 何11 林11 高10 罗10 郑9 梁9 谢8 宋7 唐7 许7 邓6 韩6
冯6 曹6 彭6 曾6 肖6 田5 董5 潘5 袁5 蔡5 蒋5 余5 于5 杜4
叶4 程4 魏4 苏4 吕4 丁4 任4 沈4 姚4 卢4 姜4 崔3 钟3 谭3
陆3 汪3 范3 金3 石3 廖3 贾3 夏3 韦3 付3 方3 白3 邹3 孟3
熊3 秦3 邱3 江3 尹2 薛2 闫2 段2 雷2 侯2 龙2 史2 陶2 黎2
贺2 顾2 毛2 郝2 龚2 邵2 万2 钱2 严2 覃2 武2 戴2 莫2 孔2
向2 汤2 温1 俞1 施1 翁1 单1 查1 仇1 费1 柏1 欧阳1 司马1 上官1
诸葛1 令狐1 尉迟1
"""
_MEN = (
    "伟强军杰涛明超勇辉建国华志鹏文斌飞波宇浩俊峰刚健平凯磊鑫龙林海东亮博宏洪庆生成康星光天达安岩"
    "中茂进有坚和彪诚先敬震振壮会思群豪心邦承乐绍功松善厚裕河哲江超亨宝荣新泽晨轩睿子嘉梓铭瑞一"
)
_WOMEN = (
    "芳秀英娜敏静丽艳娟霞燕玲桂红梅兰萍莉婷雪琳华慧巧美淑惠珠翠雅芝玉凤洁琼勤珍贞莲真环荣爱妹香"
    "月莺媛瑞凡佳嘉叶璧璐娅琦晶妍茜秋珊莎锦黛青倩婉娴瑾颖露瑶怡婵雁蓓仪荷丹蓉眉君琴蕊薇菁梦欣雨子"
)
_STREETS = [
    f"{first}{second}路"
    for first in "青松朱家华新公园城中淀山湖盈港浦练塘金泽白鹤重固徐泾"[:20]
    for second in "东南西北中安民和平兴业福寿康宁新明光华春"
]
_PLACES = (  # division, and what an address begins with
    ("310118", "上海市青浦区"),
    ("310118", "上海市青浦区"),
    ("310112", "上海市闵行区"),
    ("320509", "江苏省苏州市吴江区"),
    ("330421", "浙江省嘉兴市嘉善县"),
)
_TOWNS = ("朱家角镇", "盈浦街道", "华新镇", "徐泾镇", "金泽镇", "练塘镇")


@dataclass(slots=True)
class Person:
    """The truth of one person. `number` is the resident ID, `household` who lives together."""

    family: str
    given: str
    gender: str
    born: date
    number: str
    phone: str
    address: str
    household: int
    is_twin: bool = False


class Town:
    """Makes people, a household at a time; `twins` are of births, twice that of children."""

    def __init__(self, seed: int, twins: float = 0.008) -> None:
        self._random, self._twins = random.Random(seed), twins
        pairs = _FAMILIES.split()
        self._families = [pair.rstrip("0123456789") for pair in pairs]
        self._shares = [int(pair.lstrip("".join(self._families))) for pair in pairs]
        self._sequences: dict[str, int] = {}
        self._households = 0

    def people(self, count: int) -> Iterator[Person]:
        """Yield so many people, households whole where they fit."""
        made = 0
        while made < count:
            for person in self._household()[: count - made]:
                made += 1
                yield person

    def name(self, gender: str, born: int, generation: str = "") -> str:
        """Return a given name; of twins and brothers the `generation` character comes first."""
        dice, usual = self._random, _MEN if gender == "male" else _WOMEN
        # a rank is drawn as 1/rank falls: the first characters are many times as usual
        ranks = [usual[min(len(usual) - 1, int(len(usual) ** dice.random()) - 1)] for _ in "12"]
        if generation:
            return generation + ranks[0]
        is_short = dice.random() < (0.35 if 1965 <= born <= 1995 else 0.1)
        return ranks[0] if is_short else "".join(ranks)

    def family(self) -> str:
        """Return a family name."""
        return self._random.choices(self._families, self._shares)[0]

    def phone(self) -> str:
        """Return a mobile number."""
        return f"1{self._random.choice('35789')}{self._random.randrange(10**9):09}"

    def address(self) -> tuple[str, str]:
        """Return the division and the text of a home."""
        dice = self._random
        division, place = dice.choice(_PLACES)
        house, room = dice.randrange(1, 400), dice.randrange(1, 7) * 100 + dice.randrange(1, 5)
        street = dice.choice(_STREETS)
        return division, f"{place}{dice.choice(_TOWNS)}{street}{house}号{room}室"

    def number(self, division: str, born: date, gender: str) -> str:
        """Return the resident ID that comes next for a place, a day and a sex."""
        prefix = f"{division}{born:%Y%m%d}"
        start = self._sequences.get(prefix + gender, self._random.randrange(0, 60) * 2)
        self._sequences[prefix + gender] = start + 2
        sequence = (start + (1 if gender == "male" else 0)) % 1000
        first_17 = f"{prefix}{sequence:03}"
        return first_17 + check_character(first_17)

    def _household(self) -> list[Person]:
        dice = self._random
        self._households += 1
        division, address = self.address()
        father = self._family_name_and_age(25, 60)
        people = [self._person(*father, "male", division, address)]
        if dice.random() < 0.85:
            age = max(20, father[1] + dice.randrange(-6, 4))
            people.append(self._person(self.family(), age, "female", division, address))
        if dice.random() < 0.25:
            age, gender = father[1] + dice.randrange(22, 35), dice.choice(("male", "female"))
            family = father[0] if gender == "male" else self.family()
            people.append(self._person(family, min(age, 99), gender, division, address))
        for _ in range(dice.choices((0, 1, 2, 3), (30, 45, 22, 3))[0]):
            people += self._birth(father, division, address)
        for person in people:
            years = TODAY.year - person.born.year
            if years < 14 or (years > 75 and dice.random() < 0.5):
                person.phone = people[0].phone
        return people

    def _family_name_and_age(self, least: int, most: int) -> tuple[str, int]:
        return self.family(), self._random.randrange(least, most)

    def _birth(self, father: tuple[str, int], division: str, address: str) -> list[Person]:
        dice = self._random
        age = max(0, father[1] - dice.randrange(22, 36))
        first = self._person(father[0], age, dice.choice(("male", "female")), division, address)
        if dice.random() > self._twins:
            return [first]
        gender = first.gender if dice.random() < 0.67 else dice.choice(("male", "female"))
        second = self._person(father[0], age, gender, division, address)
        second.born = first.born
        second.number = self.number(division, first.born, gender)
        if dice.random() < 0.8:
            second.given = self.name(gender, first.born.year, first.given[0])
        while second.given == first.given:
            second.given = self.name(gender, first.born.year, first.given[0])
        first.is_twin = second.is_twin = True
        return [first, second]

    def _person(self, family: str, age: int, gender: str, division: str, address: str) -> Person:
        born = date(TODAY.year - 1 - age, 1, 1) + timedelta(self._random.randrange(365))
        issued = division if self._random.random() < 0.7 else self._random.choice(_ELSEWHERE)
        return Person(
            family,
            self.name(gender, born.year),
            gender,
            born,
            self.number(issued, born, gender),
            self.phone(),
            address,
            self._households,
        )


_ELSEWHERE = ("340123", "410122", "320382", "360121", "330726", "510722", "421022", "310229")
