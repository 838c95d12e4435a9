"""The read model of the test kit: the rules of the host."""

import unittest
from collections.abc import Callable
from typing import Any

from kennel_projection.testing import EventFault, MemoryReadModel
from kennel_projection.testing.document_rules import Unfit, add, check

MIB = 1024 * 1024


def model_of(rows: dict[str, str]) -> MemoryReadModel:
    model = MemoryReadModel()
    for key, document in rows.items():
        model.put_text("c", key, document)
    model.begin()
    return model


class MemoryTest(unittest.TestCase):
    def test_a_roll_back_restores_what_was_there_before_the_event(self) -> None:
        model = model_of({"changed": "1", "deleted": "2"})
        model.put_text("c", "changed", "10")
        model.put_text("c", "changed", "100")
        model.delete("c", "deleted")
        model.put_text("c", "new", "3")
        model.increment("d", "new", "count")
        model.roll_back()
        self.assertEqual(model.documents("c"), {"changed": "1", "deleted": "2"})
        self.assertEqual(model.documents("d"), {})

    def test_a_scan_is_in_the_order_of_bytes(self) -> None:
        # U+FF5E sorts before U+1F436 by code points and by bytes, and after it in UTF-16.
        model = model_of({"b": "1", "a\u00e9": "2", "ab": "3", "aB": "4", "a": "5", "~\U0001f436": "6", "~\uff5e": "7"})
        for after, prefix, limit, expected in [
            (None, "", 9, ["a", "aB", "ab", "a\u00e9", "b", "~\uff5e", "~\U0001f436"]),
            (None, "a", 9, ["a", "aB", "ab", "a\u00e9"]),
            ("aB", "a", 1, ["ab"]),
            ("a", "", 2, ["aB", "ab"]),
            ("A", "b", 9, ["b"]),
            ("z", "a", 9, []),
            (None, "", 0, []),
        ]:
            rows = model.scan_text("c", after=after, prefix=prefix, limit=limit)
            self.assertEqual([key for key, _ in rows], expected, (after, prefix, limit))
        self.assertEqual(model.scan_text("none"), [])
        many = model_of({f"{number:04}": "0" for number in range(1100)})
        self.assertEqual(len(many.scan_text("c", limit=2**32 - 1)), 1000)

    def test_get_many_answers_in_the_order_of_the_keys(self) -> None:
        found = model_of({"a": "1", "b": "2"}).get_many_text("c", ["b", "none", "a", "b"])
        self.assertEqual(found, ["2", None, "1", "2"])

    def test_a_call_that_breaks_a_bound_does_not_return(self) -> None:
        calls: list[tuple[str, Callable[[MemoryReadModel], Any]]] = [
            ("is not JSON", lambda model: model.put_text("c", "k", "{")),
            ("is not JSON", lambda model: model.put_text("c", "k", "")),
            ("has 1048577 bytes", lambda model: model.put_text("c", "k", f'"{"x" * (MIB - 1)}"')),
            ("valid collection name", lambda model: model.delete("", "k")),
            ("valid collection name", lambda model: model.scan_text("c" * 201, limit=1)),
            ("valid document key", lambda model: model.get_text("c", "k" * 1025)),
            ("valid document key", lambda model: model.get_text("c", "\u00e9" * 513)),
            ("valid document key", lambda model: model.get_text("c", "a\0b")),
            ("valid field name", lambda model: model.increment("c", "k", "")),
            ("valid field name", lambda model: model.increment("c", "k", "f" * 1025)),
            ("1001 keys", lambda model: model.get_many_text("c", ["k"] * 1001)),
            ("is not a JSON object", lambda model: model.increment("c", "text", "count")),
            ("is not a whole number", lambda model: model.increment("c", "object", "name")),
            ("leaves the range of 64-bit", lambda model: model.increment("c", "object", "full")),
            ("at most 500 collections", lambda model: [model.get_text(str(n), "k") for n in range(501)]),
        ]
        for expected, call in calls:
            model = model_of({"text": '"x"', "object": '{"name":"x","full":9223372036854775807}'})
            with self.assertRaisesRegex(EventFault, expected) as raised:
                call(model)
            self.assertEqual((raised.exception.kind, model.fault), ("invalid-call", raised.exception))
        model = model_of({})
        model.put_text("c" * 200, "k" * 1024, f'"{"x" * (MIB - 2)}"')
        self.assertIsNone(model.fault)

    def test_one_event_reads_and_changes_a_bounded_amount(self) -> None:
        large = f'"{"x" * (MIB - 2)}"'
        with self.assertRaisesRegex(EventFault, "at most 32 MiB") as raised:
            model_of({str(number): large for number in range(33)})
        self.assertEqual(raised.exception.kind, "memory-limit")
        model = MemoryReadModel()
        for number in range(66):
            model.put_text("c", f"{number:02}", large)
            model.begin()
        for number in range(64):
            model.get_text("c", f"{number:02}")
            model.get_text("c", f"{number:02}")
        with self.assertRaisesRegex(EventFault, "at most 64 MiB"):
            model.get_text("c", "65")
        model.begin()
        with self.assertRaisesRegex(EventFault, "that one call returns"):
            model.scan_text("c", limit=33)

    def test_arguments_that_are_no_text_or_no_number_of_64_bits_raises(self) -> None:
        calls: list[tuple[type, str, Callable[[Any], Any]]] = [
            (TypeError, "has to be text, not int", lambda model: model.get("c", 7)),
            (TypeError, "keys have to be a list", lambda model: model.get_many("c", "abc")),
            (TypeError, "is not an int", lambda model: model.increment("c", "k", "n", 1.0)),
            (TypeError, "is not an int", lambda model: model.increment("c", "k", "n", True)),
            (OverflowError, "does not fit 64 bits", lambda model: model.increment("c", "k", "n", 2**63)),
            (ValueError, "whole number from 0 to 4294967295", lambda model: model.scan("c", limit=-1)),
            (ValueError, "half of a surrogate pair", lambda model: model.put("c", "\ud800", 1)),
            (ValueError, "half of a surrogate pair", lambda model: model.put("c", "k", "\ud800")),
        ]
        for kind, expected, call in calls:
            model = model_of({})
            with self.assertRaisesRegex(kind, expected):
                call(model)
            self.assertIsNone(model.fault)


class DocumentRulesTest(unittest.TestCase):
    def test_json_that_both_databases_keep_is_accepted(self) -> None:
        for text in [
            *("null", '""', "{}", "[]", "-0.0", "1e131071", "1e-16383", "0e400000", "1.5E+10", " [ 1 , { } ] "),
            "[" * 1000 + "]" * 1000,
            '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}],"":0}',
            *(r'"C:\\u0000"', r'{"\\u0000":1}', r'"\ud83d\udc36"', r'"\"[{\","', '"\U0001f436"', r'"\/"'),
        ]:
            check(text)

    def test_json_that_a_database_cannot_keep_is_rejected_with_the_reason(self) -> None:
        for text, expected in [
            (r'{"a":"\u0000"}', "character NUL"),
            (r'{"\u0000":1}', "character NUL"),
            (r'"\ud800"', "surrogate"),
            (r'"\udc36\ud83d"', "surrogate"),
            ("1e131072", "the number `1e131072`"),
            ("[0, -1.5e400000]", "the number `-1.5e400000`"),
            ("1e-16384", "the number `1e-16384`"),
            ("1e99999999999999999999", "the number `1e9999"),
            ("0e2000000000", "the number `0e2"),
            ("[" * 1001 + "]" * 1001, "more than 1000 levels deep"),
            ('{"a":1,"a":2}', "the key `a` more than once"),
            (r'{"a":1,"\u0061":2}', "more than once"),
            ("[" + ",".join(["1e131071"] * 9) + "]", "1179658 bytes once its numbers are written out"),
        ]:
            with self.assertRaisesRegex(Unfit, expected):
                check(text)

    def test_text_that_is_not_json_is_rejected(self) -> None:
        for text in [
            *("", " ", "{", "[", "[1,]", "[,1]", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "{,}", "]", "[}", "1 2"),
            *("NaN", "Infinity", "-", "01", "1.", ".5", "+1", "'a'", '"\n"', r'"\x"', r'"\u12"', '"', "nul"),
            *("\u00a01", "\u0661"),
        ]:
            with self.assertRaisesRegex(Unfit, "is not JSON", msg=text):
                check(text)

    def test_only_the_field_changes(self) -> None:
        precise = '{"owner_id":12345678901234567890123,"balance":0.1234567890123456789,"n":1}'
        self.assertEqual(add(precise, "n", 1), precise.replace('"n":1', '"n":2'))
        for before, after in [
            (' { "a" : 1.50 ,\t"n" : -7 , "z":[ ] }\n', ' { "a" : 1.50 ,\t"n" : -6 , "z":[ ] }\n'),
            (r'{"s":"a\"}{,\\","n":1}', r'{"s":"a\"}{,\\","n":2}'),
            ('{"a":{"n":5},"n":null}', '{"a":{"n":5},"n":1}'),
            ('{"n":3,"a":[{"n":5}]}', '{"n":4,"a":[{"n":5}]}'),
            (r'{"\u006e":4}', r'{"\u006e":5}'),
            ("{}", '{"n":1}'),
            (" { } ", ' {"n":1 } '),
            ('{"a":[1,{}] \n}', '{"a":[1,{}],"n":1 \n}'),
            (None, '{"n":1}'),
            ('{"n":1.0}', '{"n":2}'),
            ('{"n":1.20E+1}', '{"n":13}'),
            ('{"n":-9223372036854775808}', '{"n":-9223372036854775807}'),
            ('{"n":9223372036854775806}', '{"n":9223372036854775807}'),
        ]:
            self.assertEqual(add(before, "n", 1), after)
        self.assertEqual(add("{}", '"\\\n\U0001f436', 1), '{"\\"\\\\\\n\U0001f436":1}')
        for document, expected in [
            ("[1]", "not a JSON object"),
            ('{"n":0.5}', "not a whole number"),
            ('{"n":"1"}', "not a whole number"),
            ('{"n":{}}', "not a whole number"),
            ('{"n":9223372036854775808}', "beyond the range"),
            ('{"n":1e400}', "beyond the range"),
        ]:
            with self.assertRaisesRegex(Unfit, expected):
                add(document, "n", 1)


if __name__ == "__main__":
    unittest.main()
