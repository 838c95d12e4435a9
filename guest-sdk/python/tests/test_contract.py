"""The bounds of the test kit are those of the contract, the package carries it, and README and template are true."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import kennel_projection
from kennel_projection.testing import Scenario, document_rules, event, memory

PACKAGE = Path(kennel_projection.__file__).parent
FOLDER = Path(__file__).parent.parent
CONTRACT = re.sub(r"\s*\n\s*///\s*", " ", (PACKAGE / "wit" / "world.wit").read_text())
BOUNDS = [
    (r"name of a collection is 1 to ([\d,]+) bytes", memory.COLLECTION_BYTES_MAX),
    (r"a key 1 to ([\d,]+) bytes", memory.KEY_BYTES_MAX),
    (r"name of the field is 1 to ([\d,]+) bytes", memory.FIELD_BYTES_MAX),
    (r"JSON text of at most ([\d,]+) bytes", document_rules.DOCUMENT_BYTES_MAX),
    (r"at most ([\d,]+) levels deep", document_rules.DEPTH_MAX),
    (r"at most ([\d,]+) digits before", document_rules.DIGITS_BEFORE_MAX),
    (r"and ([\d,]+) behind the decimal point", document_rules.DIGITS_BEHIND_MAX),
    (r"at most ([\d,]+) keys\.", memory.READ_KEYS_MAX),
    (r"at most `limit`, and at most ([\d,]+)", memory.READ_KEYS_MAX),
    (r"touches more than ([\d,]+) collections", memory.EVENT_COLLECTIONS_MAX),
    (r"if it reads more than ([\d,]+) MiB", memory.EVENT_READ_BYTES_MAX >> 20),
    (r"what it changes takes more than ([\d,]+) MiB", memory.EVENT_CHANGE_BYTES_MAX >> 20),
    (r"if the documents have more than ([\d,]+) MiB together", memory.CALL_READ_BYTES_MAX >> 20),
    (r"if keys and documents have more than ([\d,]+) MiB together", memory.CALL_READ_BYTES_MAX >> 20),
]


class ContractTest(unittest.TestCase):
    def test_bounds_are_those_of_the_contract(self) -> None:
        for pattern, bound in BOUNDS:
            found = re.findall(pattern, CONTRACT)
            self.assertEqual([int(number.replace(",", "")) for number in found], [bound] * len(found), pattern)
            self.assertTrue(found, pattern)

    def test_the_package_carries_the_contract_as_it_is(self) -> None:
        contract = FOLDER.parent.parent / "wit" / "world.wit"
        self.assertEqual((PACKAGE / "wit" / "world.wit").read_bytes(), contract.read_bytes())

    def test_the_first_example_of_the_readme_is_short_and_works(self) -> None:
        examples = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
        self.assertLessEqual(len(examples[0].splitlines()), 20)
        names: dict[str, Any] = {"__name__": __name__}
        exec(examples[0], names)
        (
            Scenario(names["Loyalty"])
            .given(event("PointsEarned", {"points": 999}, of="ada"))
            .when(event("PointsEarned", {"points": 1}, of="ada"))
            .then_document("members", "ada", {"points": 1000, "gold": True})
        )

    def test_the_tests_of_a_new_project_pass(self) -> None:
        path = dict(os.environ, PYTHONPATH=str(FOLDER / "src"), PYTHONDONTWRITEBYTECODE="1")
        command = [sys.executable, "-m", "unittest"]
        done = subprocess.run(command, cwd=FOLDER / "template", env=path, capture_output=True, text=True)
        self.assertRegex(done.stderr, r"(?s)Ran 2 tests.*\nOK\n")


if __name__ == "__main__":
    unittest.main()
