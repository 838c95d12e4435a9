"""What Schemathesis cannot know of this API: how components are sent, and which digest belongs to which bytes.

Loaded by it as its hooks; tests/tests/api/fuzz.rs starts it. KENNEL_FUZZ_COMPONENTS names files with components that the host can run.
"""

import hashlib
import os
import pathlib
import random

import schemathesis
from schemathesis import GenerationMode
from schemathesis.transport.serialization import Binary

COMPONENTS = [pathlib.Path(file).read_bytes() for file in os.environ["KENNEL_FUZZ_COMPONENTS"].split(os.pathsep)]
# Of its own, so that a seed repeats a run.
chance = random.Random(1)


def as_bytes(body):
    if isinstance(body, bytes):
        return body
    data = getattr(body, "data", body)
    return data if isinstance(data, bytes) else str(data).encode()


@schemathesis.serializer("application/wasm")
def send_component(context, body):
    return as_bytes(body)


@schemathesis.deserializer("application/wasm")
def read_component(context, response):
    return response.content.decode("latin-1")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has half of the components that are sent be such as the host can run, and most have the digest that is theirs."""
    if case.method.upper() != "PUT" or case.body is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if chance.random() < 0.5:
        case.body = Binary(chance.choice(COMPONENTS))
    if chance.random() < 0.7:
        case.path_parameters = {"digest": hashlib.sha256(as_bytes(case.body)).hexdigest()}
