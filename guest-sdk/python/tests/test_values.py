"""Values to JSON and back: every type, exact numbers, and errors that name the place."""

import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

from kennel_projection import Misfit, Timestamp
from kennel_projection.decoding import fit, reader
from kennel_projection.encoding import NoJsonForm, NotJson, checked_text, encode, parse


class Color(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


Sku = NewType("Sku", str)


@dataclass
class Price:
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Item:
    sku: Sku
    price: Price
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    parts: "list[Item]" = field(default_factory=list)
    unit_count: int = field(default=1, metadata={"json": "unitCount"})


@dataclass
class Optional:
    value: int | None


def read(text: str, data_type: Any) -> Any:
    return fit(parse(text), data_type)


class EncodingTest(unittest.TestCase):
    def test_text_is_compact_and_in_the_order_of_fields(self) -> None:
        item = Item(Sku("s"), Price(Decimal("1.10")), ["é\x01\u2028"], parts=[Item(Sku("t"), Price(Decimal(2)))])
        self.assertEqual(
            encode(item),
            '{"sku":"s","price":{"amount":1.10,"currency":"EUR"},"tags":["é\\u0001\u2028"],"note":null,"parts":['
            '{"sku":"t","price":{"amount":2,"currency":"EUR"},"tags":[],"note":null,"parts":[],"unitCount":1}'
            '],"unitCount":1}',
        )
        noon = datetime(2026, 3, 1, 12, 0, 0, 500_000, timezone(timedelta(hours=1)))
        for value, text in [
            ({"a": (1, 2.5), "b": {2: None, True: "x"}}, '{"a":[1,2.5],"b":{"2":null,"true":"x"}}'),
            ([Color.RED, Size.SMALL], '["red",1]'),
            ([noon, date(2026, 3, 1)], '["2026-03-01T11:00:00.500Z","2026-03-01"]'),
            (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
            ({1: Decimal("1E+3"), "k": [Color.RED, (True, None)]}, '{"1":1E+3,"k":["red",[true,null]]}'),
        ]:
            self.assertEqual(encode(value), text)

    def test_a_value_without_a_form_is_rejected(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        for value, expected in [
            (float("nan"), "not JSON compliant"),
            (Decimal("Infinity"), "Infinity is not JSON"),
            ({"a", "b"}, "a set has no order"),
            (object(), "a value of type object"),
            (b"x", "a value of type bytes"),
            (datetime(2026, 3, 1), "no time zone"),
            ({(1, 2): Decimal(1)}, "keys must be str"),
            ([Decimal(1), float("nan")], "not JSON compliant"),
            ([Decimal(1), datetime(2026, 3, 1)], "no time zone"),
            (loop, "Circular"),
        ]:
            with self.assertRaisesRegex(NoJsonForm, expected):
                encode(value)


class TextTest(unittest.TestCase):
    def test_text_that_the_host_cannot_take_is_named(self) -> None:
        for value, error, expected in [
            (7, TypeError, "a key has to be text, not int"),
            ("a\ud800", ValueError, "a key has half of a surrogate pair"),
            ("x" * 3_000_000, ValueError, "a key has 3000000 characters"),
        ]:
            with self.assertRaisesRegex(error, expected):
                checked_text("a key", value)


class ExactNumbersTest(unittest.TestCase):
    def test_numbers_keep_their_value(self) -> None:
        for text in ["9007199254740993", "-123456789012345678901234567890", "0.1", "19.99", "1e-7", "2.5", "-0.0"]:
            self.assertEqual(Decimal(encode(parse(text))), Decimal(text))
        for text in ["0.1234567890123456789", "9007199254740993.5", "1e400", "123456789.123456789"]:
            self.assertEqual(Decimal(encode(parse(text))), Decimal(text))
        self.assertEqual(type(parse("0.1234567890123456789")), Decimal)
        self.assertEqual(type(parse("123456789.123456")), float)

    def test_a_number_that_its_type_cannot_keep_is_rejected(self) -> None:
        self.assertEqual(read("[1, 2.5]", list[float]), [1.0, 2.5])
        self.assertEqual(read("[1, 2.5, 0.1234567890123456789]", list[Decimal])[2], Decimal("0.1234567890123456789"))
        self.assertEqual(read("0.1", Decimal), Decimal("0.1"))
        for text, data_type, expected in [
            ("9007199254740993", float, "more digits than a float keeps: use int or Decimal"),
            ("1" * 400, float, "more digits than a float keeps"),
            ("0.1234567890123456789", float, "more digits than a float keeps: use Decimal"),
            ("1.0", int, "expected a whole number, found the number 1.0"),
            ("true", int, "expected a whole number, found true"),
            ('"1"', int, "expected a whole number, found text '1'"),
        ]:
            with self.assertRaisesRegex(Misfit, expected):
                read(text, data_type)
        for text in ["NaN", "Infinity", "{", "[" * 100_000, "1" * 5000, "1.5e99999999999999999999"]:
            with self.assertRaises(NotJson):
                parse(text)


class DecodingTest(unittest.TestCase):
    def test_every_type_is_read(self) -> None:
        text = '{"sku":"s","price":{"amount":1.5},"unitCount":3,"more":0,"parts":[{"sku":"t","price":{"amount":2}}]}'
        parts = [Item(Sku("t"), Price(Decimal(2)))]
        self.assertEqual(read(text, Item), Item(Sku("s"), Price(Decimal("1.5")), parts=parts, unit_count=3))
        for text, data_type, expected in [
            ("null", None, None),
            ("[1]", Any, [1]),
            ('["a",1,2]', tuple[str, int, int], ("a", 1, 2)),
            ("[1,2]", tuple[int, ...], (1, 2)),
            ("[1]", Sequence[int], [1]),
            ('{"7":"x","-1":"y","0":"z"}', dict[int, str], {7: "x", -1: "y", 0: "z"}),
            ('{"a":null}', Mapping[str, int | None], {"a": None}),
            ('"a"', int | str, "a"),
            ('"red"', Color, Color.RED),
            ("1", Size, Size.SMALL),
            ("2", Literal[1, 2], 2),
            ("5", Annotated[int, "pieces"], 5),
            ("{}", Optional, Optional(None)),
            ('"2026-03-01"', date, date(2026, 3, 1)),
            ('"2026-03-01T10:30:00.25+01:00"', datetime, datetime(2026, 3, 1, 9, 30, 0, 250_000, UTC)),
            ('"2026-03-01T09:30:00.123456789Z"', Timestamp, Timestamp(1_772_357_400, 123_456_789)),
            ('"00000000-0000-0000-0000-000000000001"', UUID, UUID(int=1)),
        ]:
            self.assertEqual(read(text, data_type), expected, data_type)

    def test_an_error_names_the_place(self) -> None:
        for text, data_type, expected in [
            ('{"sku":"s","price":{"amount":"1"}}', Item, "price.amount: expected a number, found text '1'"),
            ('{"sku":"s","price":{"amount":1},"tags":["a",2]}', Item, r"tags\[1\]: expected text, found the number 2"),
            ('{"a":[{"b":null}]}', dict[str, list[dict[str, int]]], r"a\[0\].b: expected a whole number, found null"),
            ('{"sku":"s"}', Item, r"the field price is missing \(Item\)"),
            ("[]", Item, r"expected an object \(Item\), found a list"),
            ('"blue"', Color, "expected one of 'red', found text 'blue'"),
            ("true", Size, "expected one of 1, found true"),
            ("true", Literal[1], "expected one of 1, found true"),
            ("[]", int | str, "expected int or str, found a list"),
            ("[1]", tuple[int, int], "expected a list of 2, found a list"),
            ('{"x":1}', dict[int, int], "expected whole numbers as keys"),
            ('{"1":1,"01":2}', dict[int, int], "expected whole numbers as keys"),
            ('{"-0":1}', dict[int, int], "expected whole numbers as keys"),
            ('"2026-03-01T09:30:00.123456789Z"', datetime, "finer than a datetime keeps: use Timestamp"),
            ('"2026-03-01"', Timestamp, "is no date and time as RFC 3339"),
            ('"2026-02-30T00:00:00Z"', Timestamp, "is no day of the calendar"),
            ('"2026-03-01T24:00:00Z"', Timestamp, "is no time of a day"),
            ('"2016-12-31T23:59:60Z"', Timestamp, "is no time of a day"),
            ('"2026-03-01T09:30:00+24:00"', Timestamp, "is no time of a day"),
            ('"2026-03-01T09:30:00.1234567891Z"', Timestamp, "to the nanosecond at most"),
            ('"10000-01-01T00:00:00Z"', Timestamp, "is no date and time as RFC 3339"),
            ('"-292277022657-01-27T08:29:51Z"', Timestamp, "is beyond the moments that events can have"),
            ('"+10000-01-01T00:00:00Z"', datetime, "not in the years 1 to 9999 of datetime: use Timestamp"),
        ]:
            with self.assertRaisesRegex(Misfit, expected):
                read(text, data_type)
        for data_type in (set[int], bytes, dict[float, int], complex):
            with self.assertRaisesRegex(TypeError, "cannot be read as"):
                reader(data_type)


class TimestampTest(unittest.TestCase):
    def test_times_are_exact(self) -> None:
        for text, seconds, nanoseconds in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2026-03-01T09:30:00.123456789Z", 1_772_357_400, 123_456_789),
            ("1969-12-31T23:59:59.500Z", -1, 500_000_000),
            ("1970-01-01T00:00:00.000010Z", 0, 10_000),
            ("2000-02-29T00:00:00Z", 951_782_400, 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("0000-02-29T23:59:59Z", -62_162_035_201, 0),
            ("-0001-12-31T23:59:59Z", -62_167_219_201, 0),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
            ("+10000-01-01T00:00:00Z", 253_402_300_800, 0),
            ("+292277026596-12-04T15:30:07.999999999Z", 2**63 - 1, 999_999_999),
            ("-292277022657-01-27T08:29:52Z", -(2**63), 0),
        ]:
            moment = Timestamp(seconds, nanoseconds)
            self.assertEqual((str(moment), Timestamp.parse(text)), (text, moment))
            self.assertEqual(moment.unix_nanoseconds, seconds * 10**9 + nanoseconds)
            self.assertEqual(moment.unix_milliseconds, moment.unix_nanoseconds // 10**6)
        self.assertLess(Timestamp(-1, 999_999_999), Timestamp(0))

    def test_other_ways_to_write_a_time_are_read(self) -> None:
        for text, expected in [
            ("1970-01-01t02:00:01.0000001+02:00", Timestamp(1, 100)),
            ("1970-01-01 00:00:01-00:30", Timestamp(1801)),
            ("+1970-01-01T00:00:00z", Timestamp(0)),
        ]:
            self.assertEqual(Timestamp.parse(text), expected)

    def test_a_datetime_keeps_microseconds_and_says_where_it_ends(self) -> None:
        moment = Timestamp(-1, 123_456_789)
        self.assertEqual(moment.to_datetime(), datetime(1969, 12, 31, 23, 59, 59, 123_456, UTC))
        self.assertEqual(Timestamp.from_datetime(moment.to_datetime()), Timestamp(-1, 123_456_000))
        for seconds in (253_402_300_800, -62_135_596_801, 2**63 - 1, -(2**63)):
            with self.assertRaisesRegex(OverflowError, "not in the years 1 to 9999"):
                Timestamp(seconds).to_datetime()


if __name__ == "__main__":
    unittest.main()
