"""What desks make of people: the error model, written down before anything was measured.

Each record of a person is made by itself, so two records differ by the mistakes of both. The rates
are of one record; they are meant for a real-name registration desk that mostly reads a card and
sometimes types, and take neither side of the engine that is measured.

| field | mistake | rate |
|---|---|---|
| resident ID | not told (child, foreigner, booked by telephone) | 10 % |
| | one digit wrong / two neighbours exchanged | 1.5 % / 0.4 % |
| | a family member's card | 0.2 % |
| name | another character of the same sound | 1.2 % |
| | another character | 0.5 % |
| | a character missing | 0.2 % |
| | family and given name exchanged | 0.6 % |
| | in pinyin | 0.8 % |
| | traditional characters, full width, blanks | 1.5 % |
| birth date | one digit wrong / two exchanged / day and month exchanged | 0.8 / 0.2 / 0.2 % |
| | the lunar date (over 60: 4 %) | 0.5 % |
| | only the year, or the first of January | 0.4 % |
| | not told | 0.5 % |
| sex | wrong / not told | 0.2 % / 0.5 % |
| telephone | another one of the person's (changed) | 15 % |
| | of a family member | 4 % |
| | a digit wrong | 1 % |
| | not told | 6 % |
| | written with +86, blanks, dashes | 20 % |
| address | moved | 8 % |
| | not told | 12 % |
| | without province and city, or without the town | 30 % |
"""

import random
from typing import Any

from bench.people import Person, Town
from fhir_hub.identity import lunar, resident_id, systems
from fhir_hub.search.kinds.pinyin import syllables

_SAME_SOUND = """
伟玮炜 强墙 军君钧 杰洁 涛滔 明铭鸣 勇永 辉晖徽 建健剑 国帼 志智 鹏朋 文雯 斌彬宾
飞菲 波博 宇雨羽 浩皓 俊峻骏 峰锋丰 刚钢 平萍 磊蕾 鑫欣新心 龙隆 林琳霖 东冬 宏洪红鸿
生胜 成诚城 星兴 芳方 秀绣 英颖瑛 静婧靖 丽莉俐 艳燕彦 玲灵 桂贵 梅玫 兰岚 婷庭
慧惠 珍贞真 佳嘉家 怡仪宜 瑶遥 晨辰 轩萱 睿瑞 子梓紫 一依伊
"""
_SOUNDS = {one: group for group in _SAME_SOUND.split() for one in group if len(group) > 1}
_OTHERS = "伟强军杰涛明超勇辉建芳秀英娜敏静丽艳娟霞燕玲桂红梅兰"
_TRADITIONAL = dict(
    zip(
        "张刘陈杨黄赵吴马许谢华国伟丽强军杰兰凤",
        "張劉陳楊黃趙吳馬許謝華國偉麗強軍傑蘭鳳",
        strict=True,
    )
)


class Desk:
    """Writes records of people, of one institution, with its mistakes."""

    def __init__(self, town: Town, seed: int, facility: str) -> None:
        self._town, self._dice = town, random.Random(seed)
        self._facility = facility
        self._count = 0

    def record(self, person: Person, relative: Person | None = None) -> dict[str, Any]:
        """Return a Patient as this desk writes it; `relative` lives in the same household."""
        self._count += 1
        local = systems.patient_number(self._facility)
        identifiers = [{"system": local, "value": f"{self._facility}{self._count:07}"}]
        identifiers += self._card(person, relative)
        patient: dict[str, Any] = {
            "resourceType": "Patient",
            "identifier": identifiers,
            "name": [self._name(person)],
            "gender": self._gender(person),
            "birthDate": self._birth_date(person),
            "telecom": self._phone(person, relative),
            "address": self._address(person),
        }
        return {name: value for name, value in patient.items() if value}

    def _is(self, percent: float) -> bool:
        return self._dice.random() * 100 < percent

    def _card(self, person: Person, relative: Person | None) -> list[dict[str, Any]]:
        number = person.number
        if self._is(10):
            return []
        if self._is(0.2) and relative is not None:
            number = relative.number
        elif self._is(1.5):
            number = self._digit(number)
        elif self._is(0.4):
            number = self._exchanged(number)
        use = "official" if resident_id.is_valid(number) else "temp"
        return [{"system": systems.RESIDENT_ID, "value": number, "use": use}]

    def _name(self, person: Person) -> dict[str, Any]:
        family, given = person.family, person.given
        place = self._dice.randrange(len(given))
        old = given[place]
        if self._is(1.2) and old in _SOUNDS:
            given = given.replace(old, self._dice.choice(_SOUNDS[old].replace(old, "")))
        elif self._is(0.5):
            given = given.replace(old, self._dice.choice(_OTHERS.replace(old, "")))
        elif self._is(0.2) and len(given) > 1:
            given = given[:-1]
        elif self._is(0.6):
            family, given = given, family
        elif self._is(0.8):
            parts = syllables(family + given)
            length = len(family)
            family, given = "".join(parts[:length]).title(), "".join(parts[length:]).title()
            return {"text": f"{family} {given}", "family": family, "given": [given]}
        elif self._is(1.5):
            written = "".join(_TRADITIONAL.get(one, one) for one in family + given)
            return {"text": self._dice.choice((written, f"{family}　{given}", f"{family} {given}"))}
        if self._is(50):
            return {"text": family + given}
        return {"text": family + given, "family": family, "given": [given]}

    def _gender(self, person: Person) -> str:
        if self._is(0.5):
            return "unknown"
        other = {"male": "female", "female": "male"}
        return other[person.gender] if self._is(0.2) else person.gender

    def _birth_date(self, person: Person) -> str:
        born = person.born.isoformat()
        is_old = person.born.year < 1966
        if self._is(0.5):
            return ""
        if self._is(0.4):
            return self._dice.choice((born[:4], f"{born[:4]}-01-01"))
        if self._is(4 if is_old else 0.5):
            told = lunar.others(born)[-1:]
            return self._valid(born, told[0].replace("-", "")) if told else born
        if self._is(0.8):
            return self._valid(born, self._digit(born.replace("-", ""), 2))
        if self._is(0.2):
            return self._valid(born, self._exchanged(born.replace("-", "")))
        if self._is(0.2):
            return self._valid(born, born[:4] + born[8:] + born[5:7])
        return born

    def _valid(self, born: str, digits: str) -> str:
        """Return the date, as it was if there is none such: a program would have refused it."""
        month, day = digits[4:6], digits[6:]
        fits = "1926" < digits[:4] < "2027" and "01" <= month <= "12" and "01" <= day <= "28"
        return f"{digits[:4]}-{month}-{day}" if fits else born

    def _phone(self, person: Person, relative: Person | None) -> list[dict[str, Any]]:
        phone = person.phone
        if self._is(6):
            return []
        if self._is(15):
            phone = self._town.phone()
        elif self._is(4) and relative is not None:
            phone = relative.phone
        elif self._is(1):
            phone = self._digit(phone)
        if self._is(20):
            phone = self._dice.choice(
                (f"+86 {phone}", f"{phone[:3]}-{phone[3:7]}-{phone[7:]}", f"86{phone}")
            )
        return [{"system": "phone", "value": phone}]

    def _address(self, person: Person) -> list[dict[str, Any]]:
        text = person.address
        if self._is(12):
            return []
        if self._is(8):
            text = self._town.address()[1]
        if self._is(30):
            province = 3 if text.startswith("上海") else text.index("市") + 1
            town = max(text.find("镇"), text.find("街道") + 1) + 1
            district = max(text.find("区"), text.find("县")) + 1
            text = self._dice.choice((text[province:], text[:district] + text[town:]))
        return [{"text": text}]

    def _digit(self, digits: str, first: int = 0) -> str:
        place = self._dice.randrange(first, min(len(digits), 17))
        new = self._dice.choice("0123456789".replace(digits[place], ""))
        return digits[:place] + new + digits[place + 1 :]

    def _exchanged(self, digits: str) -> str:
        places = [p for p in range(min(len(digits), 17) - 1) if digits[p] != digits[p + 1]]
        place = self._dice.choice(places)
        return digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
