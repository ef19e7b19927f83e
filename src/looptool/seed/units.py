"""Units of measure: how they are written, read aloud and counted."""

from __future__ import annotations

LONG_UNITS = {
    "kg": "kilograms",
    "g": "grams",
    "mg": "milligrams",
    "km": "kilometers",
    "m": "meters",
    "cm": "centimeters",
    "mm": "millimeters",
    "ml": "milliliters",
    "l": "liters",
    "L": "liters",
    "GB": "gigabytes",
    "MB": "megabytes",
    "kWh": "kilowatt-hours",
    "kW": "kilowatts",
    "W": "watts",
    "lb": "pounds",
    "lbs": "pounds",
    "oz": "ounces",
    "mi": "miles",
    "ft": "feet",
    "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit",
    "km/h": "kilometers per hour",
    "mph": "miles per hour",
    "MHz": "megahertz",
    "kHz": "kilohertz",
    "Hz": "hertz",
    "V": "volts",
}
SIGNS = {
    "$": "$",
    "usd": "$",
    "dollars": "$",
    "us dollars": "$",
    "€": "€",
    "eur": "€",
    "euros": "€",
    "£": "£",
    "gbp": "£",
    "pounds": "£",
    "¥": "¥",
}
_IRREGULAR = {
    "people": "person",
    "children": "child",
    "feet": "foot",
    "men": "man",
    "women": "woman",
    "mice": "mouse",
    "series": "series",
    "lives": "life",
    "shelves": "shelf",
    "loaves": "loaf",
    "leaves": "leaf",
    "knives": "knife",
    "halves": "half",
    "teeth": "tooth",
    "movies": "movie",
    "cookies": "cookie",
    "calories": "calorie",
    "boxes": "box",
    "dishes": "dish",
    "dollars": "dollar",
    "axes": "axis",
    "degrees Celsius": "degree Celsius",
    "news": "news",
    "degrees Fahrenheit": "degree Fahrenheit",
    "hertz": "hertz",
    "horses": "horse",
    "miles per hour": "mile per hour",
    "kilometers per hour": "kilometer per hour",
    "dozens": "dozen",
    "ties": "tie",
    "pies": "pie",
    "zombies": "zombie",
}


def singular(noun: str) -> str:
    """The unit of one: "checked bags" → "checked bag"; symbols stay as they are."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    head, space, last = noun.rpartition(" ")
    if " of " in noun:
        first, of, rest = noun.partition(" of ")
        return singular(first) + of + rest
    if last in _IRREGULAR:
        one = _IRREGULAR[last]
    elif last.endswith("ies"):
        one = last[:-3] + "y"
    elif last.endswith(("sses", "ches", "shes", "xes")):
        one = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 2:
        one = last[:-1]
    else:
        one = last
    return head + space + one


def plain_number(value: float) -> str:
    """2.50 → "2.5", 3.0 → "3"."""
    return str(int(value)) if value == int(value) else repr(round(float(value), 6))


def with_unit(number: str, value: float, unit: str) -> str:
    """The number with its unit: "4.5 kg", "1 passenger", "20%"."""
    if not unit:
        return number
    if unit in ("%", "°", "x"):
        return f"{number}{unit}"
    if SIGNS.get(unit.lower()) and unit in "$€£¥":
        return f"{unit}{number}"
    return f"{number} {singular(unit) if value == 1 else unit}"
