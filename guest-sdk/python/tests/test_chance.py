"""Random numbers of a component depend on the event alone."""

import os
import random
import secrets
import unittest
import uuid
from unittest import mock

from kennel_projection._chance import Chance


class ChanceTest(unittest.TestCase):
    def test_an_event_has_its_own_random_numbers_whatever_came_before(self) -> None:
        with mock.patch.dict(vars(os)), mock.patch.dict(vars(random)):
            state = random.getstate()
            chance = Chance("names")

            def drawn(position: int) -> list[object]:
                chance.begin(position)
                return [random.random(), os.urandom(4), uuid.uuid4(), secrets.token_hex(4), os.urandom(0)]

            first = drawn(1)
            os.urandom(10)
            random.shuffle([1, 2, 3])
            self.assertNotEqual(drawn(2), first)
            self.assertEqual(drawn(1), first)
            self.assertEqual((len(first[1]), first[4]), (4, b""))  # type: ignore[arg-type]
            random.setstate(state)


if __name__ == "__main__":
    unittest.main()
