"""The text of an exception for the host."""

import sys
import unittest
from collections.abc import Callable

from kennel_projection import Reject, Retry
from kennel_projection.failure import reason


def of(call: Callable[[], object]) -> str:
    try:
        call()
    except BaseException as error:
        return reason(error)
    raise AssertionError("nothing was raised")


def inner() -> None:
    raise ValueError("number 7")


def outer() -> None:
    inner()


def chained() -> None:
    try:
        inner()
    except ValueError as error:
        raise LookupError("nothing there") from error


def silenced() -> None:
    try:
        inner()
    except ValueError:
        raise LookupError("nothing there") from None


def while_handling() -> None:
    try:
        inner()
    except ValueError:
        dict[str, int]()["missing"]


def endless(depth: int) -> int:
    return endless(depth + 1) + 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class FailureTest(unittest.TestCase):
    def test_type_message_and_stack_come_in_this_order(self) -> None:
        lines = of(outer).splitlines()
        self.assertEqual(lines[0], "ValueError: number 7")
        self.assertRegex(lines[1], r'^  at .*test_failure\.py:\d+ in inner: raise ValueError\("number 7"\)$')
        self.assertRegex(lines[2], r"^  at .*test_failure\.py:\d+ in outer: inner\(\)$")

    def test_causes_follow(self) -> None:
        self.assertRegex(of(chained), r"(?s)^LookupError: nothing there\n  at .*\nbecause of ValueError: number 7\n")
        self.assertRegex(of(while_handling), r"(?s)^KeyError: 'missing'\n  at .*\nbecause of ValueError: number 7\n")
        self.assertNotIn("ValueError", of(silenced))

    def test_a_deliberate_failure_is_its_message(self) -> None:
        def reject() -> None:
            raise Reject("order o-1 has not been placed")

        def retry() -> None:
            try:
                inner()
            except ValueError as error:
                raise Retry("later") from error

        self.assertEqual(of(reject), "order o-1 has not been placed")
        self.assertRegex(of(retry), r"^later\nbecause of ValueError: number 7\n  at ")

    def test_endless_recursion_is_reported_briefly(self) -> None:
        text = of(lambda: endless(0))
        self.assertRegex(text, r"^RecursionError: maximum recursion depth exceeded")
        self.assertRegex(text, r"\(\d{3} more of the same\)")
        self.assertLess(len(text), 1000)

    def test_a_group_names_its_members(self) -> None:
        def several() -> None:
            raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])

        self.assertRegex(of(several), r"(?s)^ExceptionGroup: several .*\nwith ValueError: one\nwith KeyError: 'two'$")

    def test_long_texts_are_cut_and_circles_end(self) -> None:
        def long() -> None:
            raise ValueError("x" * 20_000_000)

        def rejected_at_length() -> None:
            raise Reject("é" * 20_000_000)

        def circle() -> None:
            first, second = ValueError("first"), ValueError("second")
            first.__cause__, second.__cause__ = second, first
            raise first

        self.assertTrue(of(long).startswith("ValueError: xxx"))
        self.assertLessEqual(len(of(long)), 4096)
        self.assertEqual(len(of(rejected_at_length)), 4096)
        self.assertEqual(of(circle).count("because of"), 1)

    def test_memory_that_ran_out_is_free_again_for_the_text(self) -> None:
        released: list[bool] = []

        class Block:
            def __del__(self) -> None:
                released.append(True)

        def hungry() -> None:
            block = Block()
            raise MemoryError(type(block).__name__)

        self.assertTrue(of(hungry).startswith("MemoryError: Block"))
        self.assertTrue(released)

    def test_any_exception_has_a_text_that_the_host_can_take(self) -> None:
        def speechless() -> None:
            raise Unspeakable

        def lone() -> None:
            raise ValueError("\ud800")

        def badly_noted() -> None:
            error = ValueError("noted")
            error.__notes__ = [7, "a note"]  # type: ignore[list-item]
            raise error

        self.assertIn("Unspeakable: (no text: RuntimeError)\n", of(speechless))
        self.assertTrue(of(badly_noted).startswith("ValueError: noted\na note\n  at "))
        self.assertTrue(of(lone).startswith("ValueError: ?\n"))
        self.assertTrue(of(lambda: sys.exit(3)).startswith("SystemExit: 3"))


if __name__ == "__main__":
    unittest.main()
