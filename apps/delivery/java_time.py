"""Java's DateTimeFormatter, as far as object prefixes can use it: its pattern letters for a moment in a time zone.

Source: the documentation of java.time.format.DateTimeFormatter of Java 8, which AWS names, with the weeks and the names of
the United States (AWS's own week numbers elsewhere are those). What would need tables of names that no time zone database
has (v, B, zzzz, localized zone names) is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
QUARTERS = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")
NUMBER_DIGITS_MAX = 19
"""The most letters of one kind that Java takes for a number without another bound."""
PATTERNS_KEPT = 1_000
EPOCH_MODIFIED_JULIAN_DAY = 40_587

Part = Callable[[datetime], str]


def format_time(pattern: str, at_ms: int, zone: str) -> str:
    """The moment (UTC ms) as the pattern writes it. Raises ValueError with a sentence."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return "".join(part(moment.astimezone(zone_of(zone))) for part in compiled(pattern))


def instants(text: str, zone: str) -> list[int]:
    """The moments (UTC ms) that yyyy-MM-dd-HH-mm-ss stands for in a zone: two where clocks are set back; none if it is no
    time."""
    try:
        wall = datetime.strptime(text, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=zone_of(zone))
    except ValueError:
        return []
    return sorted({int(wall.replace(fold=fold).timestamp()) * 1000 for fold in (0, 1)})


@lru_cache(maxsize=PATTERNS_KEPT)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; empty: UTC. Raises ValueError with a sentence."""
    try:
        return ZoneInfo(name or "UTC")
    except (OSError, ValueError, KeyError) as error:  # a folder; a path that leads elsewhere; none of that name
        raise ValueError(f"There is no time zone {name!r}.") from error


@lru_cache(maxsize=PATTERNS_KEPT)
def compiled(pattern: str) -> tuple[Part, ...]:
    """The parts of a pattern. Raises ValueError with a sentence."""
    if not pattern:
        raise ValueError("A timestamp expression needs a pattern.")
    parts: list[Part] = []
    at, depth, pad = 0, 0, 0
    while at < len(pattern):
        letter = pattern[at]
        if pad and not letter.isalpha():
            break
        if letter == "'":
            text, at = _quoted(pattern, at)
            parts.append(_constant(text))
        elif letter.isascii() and letter.isalpha():
            count = len(pattern) - at - len(pattern[at:].lstrip(letter))
            at += count
            if letter == "p":
                pad = count
                continue
            parts.append(_padded(_part(letter, count), pad))
            pad = 0
        elif letter in "[]":
            depth += 1 if letter == "[" else -1
            if depth < 0:
                raise ValueError("Pattern invalid as it contains ] without previous [.")
            at += 1
        elif letter in "{}#":
            raise ValueError(f"Pattern includes reserved character: {letter!r}.")
        else:
            parts.append(_constant(letter))
            at += 1
    if pad:
        raise ValueError("Pad letter 'p' must be followed by a pattern letter.")
    return tuple(parts)


def _quoted(pattern: str, start: int) -> tuple[str, int]:
    """The literal that begins with the quote at start, and where it ends; two quotes are one."""
    text, at = "", start + 1
    while at < len(pattern):
        if pattern[at] != "'":
            text += pattern[at]
            at += 1
        elif pattern[at + 1 : at + 2] == "'":
            text += "'"
            at += 2
        else:
            return text or "'", at + 1
    raise ValueError("Pattern ends with an incomplete string literal.")


def _constant(text: str) -> Part:
    return lambda _moment: text


def _padded(part: Part, width: int) -> Part:
    def padded(moment: datetime) -> str:
        text = part(moment)
        if len(text) > width:
            raise ValueError(f"{text!r} has more than the {width} characters of its padding.")
        return text.rjust(width)

    return padded if width else part


def _part(letter: str, count: int) -> Part:
    if letter in YEARS:
        return _year(YEARS[letter], _at_most(letter, count, NUMBER_DIGITS_MAX))
    if letter in NUMBERS:
        value, most = NUMBERS[letter]
        return _number(value, _at_most(letter, count, most))
    if letter in TEXTS:
        return _text(letter, count)
    if letter == "S":
        _at_most(letter, count, 9)
        return lambda moment: f"{moment.microsecond:06d}000"[:count]
    if letter in "xXZO":
        return _offset(letter, count)
    if letter == "z":
        _at_most(letter, count, 3)
        return _short_zone
    if letter == "V":
        if count != 2:
            raise ValueError("Pattern letter count must be 2: V.")
        return lambda moment: str(moment.tzinfo)
    raise ValueError(f"Unknown pattern letter: {letter}.")


def _at_most(letter: str, count: int, most: int) -> int:
    if count > most:
        raise ValueError(f"Too many pattern letters: {letter}.")
    return count


def _sunday_weekday(moment: date) -> int:
    """1 is Sunday, as in the United States."""
    return moment.isoweekday() % 7 + 1


def _week_year(moment: datetime) -> int:
    saturday = moment.date() + timedelta(days=7 - _sunday_weekday(moment))
    return saturday.year


def _week_of_year(moment: datetime) -> int:
    """Weeks begin on Sundays, and the first is the one with 1 January."""
    first = date(_week_year(moment), 1, 1)
    return ((moment.date() - first).days + _sunday_weekday(first) - 1) // 7 + 1


def _week_of_month(moment: datetime) -> int:
    return (moment.day + _sunday_weekday(moment.date().replace(day=1)) - 2) // 7 + 1


def _milli_of_day(moment: datetime) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000


YEARS: dict[str, Callable[[datetime], int]] = {"u": lambda m: m.year, "y": lambda m: m.year, "Y": _week_year}

NUMBERS: dict[str, tuple[Callable[[datetime], int], int]] = {
    "D": (lambda m: m.timetuple().tm_yday, 3),
    "d": (lambda m: m.day, 2),
    "w": (_week_of_year, 2),
    "W": (_week_of_month, 1),
    "F": (lambda m: (m.day - 1) % 7 + 1, 1),
    "h": (lambda m: (m.hour + 11) % 12 + 1, 2),
    "K": (lambda m: m.hour % 12, 2),
    "k": (lambda m: m.hour or 24, 2),
    "H": (lambda m: m.hour, 2),
    "m": (lambda m: m.minute, 2),
    "s": (lambda m: m.second, 2),
    "A": (_milli_of_day, NUMBER_DIGITS_MAX),
    "n": (lambda m: m.microsecond * 1000, NUMBER_DIGITS_MAX),
    "N": (lambda m: _milli_of_day(m) * 1_000_000, NUMBER_DIGITS_MAX),
    "g": (lambda m: m.toordinal() - date(1970, 1, 1).toordinal() + EPOCH_MODIFIED_JULIAN_DAY, NUMBER_DIGITS_MAX),
}
"""What a letter's number is, and how many of the letter may stand together."""

TEXTS: dict[str, tuple[Callable[[datetime], int], tuple[str, ...], tuple[str, ...]]] = {
    "M": (lambda m: m.month, MONTHS, tuple(name[:3] for name in MONTHS)),
    "Q": (lambda m: (m.month + 2) // 3, QUARTERS, ("Q1", "Q2", "Q3", "Q4")),
    "E": (lambda m: m.isoweekday(), DAYS, tuple(name[:3] for name in DAYS)),
    "G": (lambda _: 1, ("Anno Domini",), ("AD",)),
    "a": (lambda m: m.hour // 12 + 1, (), ("AM", "PM")),
}
TEXTS |= {"L": TEXTS["M"], "q": TEXTS["Q"], "e": TEXTS["E"], "c": TEXTS["E"]}
"""Of letters that write names: which one of them it is (from 1), the full and the short names."""


def _year(value: Callable[[datetime], int], count: int) -> Part:
    if count == 2:
        return lambda moment: f"{value(moment) % 100:02d}"
    return lambda moment: f"{value(moment):0{count}d}"


def _number(value: Callable[[datetime], int], count: int) -> Part:
    return lambda moment: f"{value(moment):0{count}d}"


def _text(letter: str, count: int) -> Part:
    value, full, short = TEXTS[letter]
    _at_most(letter, count, 1 if letter == "a" else 5)
    if count <= 2 and letter not in "EGa":
        if letter == "c" and count == 2:
            raise ValueError('Invalid pattern "cc".')
        number = (lambda m: _sunday_weekday(m.date())) if letter in "ec" else value
        return _number(number, count)
    names = full if count == 4 else short
    if count == 5:
        names = tuple(str(n) for n in range(1, 5)) if letter in "Qq" else tuple(name[0] for name in short)
    return lambda moment: names[value(moment) - 1]


def _short_zone(moment: datetime) -> str:
    name = moment.tzname() or ""
    if not name.isalpha():
        raise ValueError(f"The time zone {moment.tzinfo} has no short name.")
    return name


def _offset(letter: str, count: int) -> Part:
    """O: GMT+9, OOOO: GMT+09:00; X and x: with Z for zero and without; Z: +0900, ZZZZ as OOOO, ZZZZZ as XXXXX."""
    if letter == "O" and count not in {1, 4}:
        raise ValueError("Pattern letter count must be 1 or 4: O.")
    _at_most(letter, count, 5)
    if letter == "O" or (letter == "Z" and count == 4):
        return lambda moment: _localized(moment, short=count == 1)
    if letter == "Z":
        zero, shape = ("+0000", 2) if count < 4 else ("Z", 5)
    else:
        zero, shape = ("Z" if letter == "X" else ("+00", "+0000", "+00:00", "+0000", "+00:00")[count - 1]), count
    return lambda moment: _signed(moment, shape) if _offset_s(moment) else zero


def _offset_s(moment: datetime) -> int:
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _signed(moment: datetime, shape: int) -> str:
    """shape: 1 +HHmm, 2 +HHMM, 3 +HH:MM, 4 +HHMMss, 5 +HH:MM:ss; what is written small only if it is not zero."""
    offset_s = _offset_s(moment)
    minutes, seconds = divmod(abs(offset_s), 60)
    hours, minutes = divmod(minutes, 60)
    colon = ":" if shape in {3, 5} else ""
    text = f"{'-' if offset_s < 0 else '+'}{hours:02d}"
    if shape > 1 or minutes:
        text += f"{colon}{minutes:02d}"
    return f"{text}{colon}{seconds:02d}" if shape >= 4 and seconds else text


def _localized(moment: datetime, *, short: bool) -> str:
    if not _offset_s(moment):
        return "GMT"
    if not short:
        return "GMT" + _signed(moment, 5)
    sign, hours, rest = (text := _signed(moment, 5))[0], text[1:3], text[3:]
    return f"GMT{sign}{int(hours)}{'' if rest == ':00' else rest}"
