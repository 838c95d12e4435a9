"""The read model as a projection sees it: typed documents above the six functions of the contract.

Nothing is cached here: the host keeps the changes of a batch in memory and serves reads from them. What the host could
not even be asked (text that is no text, numbers beyond 64 bits) raises here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, overload

from . import decoding, encoding
from .collection import Collection
from .encoding import checked_text
from .failure import Reject

T = TypeVar("T")

_INCREMENT_MIN = -(2**63)
_INCREMENT_MAX = 2**63 - 1
_LIMIT_MAX = 2**32 - 1


class ReadModel(ABC):
    """The read model of this deployment: collections of JSON documents, by key.

    A collection is named by its name, which gives plain JSON, or by a :class:`Collection`, which gives documents of
    its type. Reads see the changes that earlier events and this event have made.

    A call that breaks a bound of the contract (text that is not JSON, a key that is too long) does not return: it ends
    the handler call, and the event has failed.
    """

    @overload
    def get(self, collection: Collection[T], key: str) -> T | None: ...
    @overload
    def get(self, collection: str, key: str) -> Any: ...
    def get(self, collection: Collection | str, key: str) -> Any:
        """The document, or none. Raises :class:`Reject` when it does not fit the type."""
        text = self.get_text(collection, key)
        return None if text is None else _decoded(collection, key, text)

    @overload
    def get_many(self, collection: Collection[T], keys: Sequence[str]) -> list[T | None]: ...
    @overload
    def get_many(self, collection: str, keys: Sequence[str]) -> list[Any]: ...
    def get_many(self, collection: Collection | str, keys: Sequence[str]) -> list[Any]:
        """Up to 1,000 documents at once, in the order of the keys, in one round trip at most."""
        pairs = zip(keys, self.get_many_text(collection, keys), strict=True)
        return [None if text is None else _decoded(collection, key, text) for key, text in pairs]

    @overload
    def put(self, collection: Collection[T], key: str, document: T) -> None: ...
    @overload
    def put(self, collection: str, key: str, document: Any) -> None: ...
    def put(self, collection: Collection | str, key: str, document: Any) -> None:
        """Writes a whole document. Raises :class:`Reject` when it has no JSON form."""
        try:
            text = encoding.encode(document)
        except encoding.NoJsonForm as error:
            raise Reject(f"document {_name(collection)}/{key} has no JSON form: {error}") from None
        self.put_text(collection, key, text)

    @overload
    def update(self, collection: Collection[T], key: str) -> AbstractContextManager[T]: ...
    @overload
    def update(self, collection: str, key: str) -> AbstractContextManager[Any]: ...
    @contextmanager
    def update(self, collection: Collection | str, key: str) -> Iterator[Any]:
        """Changes a document that must be there: ``with model.update(ORDERS, key) as order: order.paid = True``.

        It is written when the block ends, unless that raises. Raises :class:`Reject` when there is no document.
        """
        text = self.get_text(collection, key)
        if text is None:
            raise Reject(f"there is no document {_name(collection)}/{key} to change")
        document = _decoded(collection, key, text)
        yield document
        self.put(collection, key, document)

    @overload
    def upsert(self, collection: Collection[T], key: str) -> AbstractContextManager[T]: ...
    @overload
    def upsert(self, collection: str, key: str) -> AbstractContextManager[Any]: ...
    @contextmanager
    def upsert(self, collection: Collection | str, key: str) -> Iterator[Any]:
        """The same, beginning with a new document (``{}``, or the type without arguments) if there is none."""
        text = self.get_text(collection, key)
        if text is not None:
            document = _decoded(collection, key, text)
        else:
            document_type = collection.document if isinstance(collection, Collection) else Any
            document = {} if document_type is Any else document_type()
        yield document
        self.put(collection, key, document)

    @overload
    def scan(
        self, collection: Collection[T], *, after: str | None = None, prefix: str = "", limit: int = 1000
    ) -> list[tuple[str, T]]: ...
    @overload
    def scan(
        self, collection: str, *, after: str | None = None, prefix: str = "", limit: int = 1000
    ) -> list[tuple[str, Any]]: ...
    def scan(
        self, collection: Collection | str, *, after: str | None = None, prefix: str = "", limit: int = 1000
    ) -> list[tuple[str, Any]]:
        """Keys and documents whose key starts with ``prefix`` and sorts after ``after`` (by bytes), in key order.

        At most ``limit``, and at most 1,000. There are no more if fewer are returned.
        """
        rows = self.scan_text(collection, after=after, prefix=prefix, limit=limit)
        return [(key, _decoded(collection, key, text)) for key, text in rows]

    def increment(self, collection: Collection | str, key: str, field: str, by: int = 1) -> None:
        """Adds to a whole-number field at the top of a document.

        A missing document becomes an object, a missing field 0. It needs no read and never conflicts with other
        workers.
        """
        name, key, field = _name(collection), _key(key), checked_text("the name of a field", field)
        if type(by) is not int:
            raise TypeError(f"increment of {field} of {name}/{key}: {by!r} is not an int")
        if not _INCREMENT_MIN <= by <= _INCREMENT_MAX:
            raise OverflowError(f"increment of {field} of {name}/{key}: {by} does not fit 64 bits")
        self._increment(name, key, field, by)

    def delete(self, collection: Collection | str, key: str) -> None:
        """Removes a document. It is no error if there is none."""
        self._delete(_name(collection), _key(key))

    def get_text(self, collection: Collection | str, key: str) -> str | None:
        """The document's JSON text, or none."""
        return self._get(_name(collection), _key(key))

    def get_many_text(self, collection: Collection | str, keys: Sequence[str]) -> list[str | None]:
        """Many documents at once, in the order of the keys; at most 1,000."""
        if isinstance(keys, str):
            raise TypeError("keys have to be a list of text, not text")
        return self._get_many(_name(collection), [_key(key) for key in keys])

    def put_text(self, collection: Collection | str, key: str, document: str) -> None:
        """Writes a whole document: JSON text of at most 1 MiB."""
        self._put(_name(collection), _key(key), checked_text("a document", document))

    def scan_text(
        self, collection: Collection | str, *, after: str | None = None, prefix: str = "", limit: int = 1000
    ) -> list[tuple[str, str]]:
        """As :meth:`scan`, with the text of the documents."""
        if type(limit) is not int or not 0 <= limit <= _LIMIT_MAX:
            raise ValueError(f"the limit of a scan has to be a whole number from 0 to {_LIMIT_MAX}, not {limit!r}")
        after = None if after is None else checked_text("the key after which a scan begins", after)
        return self._scan(_name(collection), after, checked_text("the prefix of a scan", prefix), limit)

    @abstractmethod
    def _get(self, collection: str, key: str) -> str | None: ...

    @abstractmethod
    def _get_many(self, collection: str, keys: list[str]) -> list[str | None]: ...

    @abstractmethod
    def _put(self, collection: str, key: str, document: str) -> None: ...

    @abstractmethod
    def _delete(self, collection: str, key: str) -> None: ...

    @abstractmethod
    def _scan(self, collection: str, after: str | None, prefix: str, limit: int) -> list[tuple[str, str]]: ...

    @abstractmethod
    def _increment(self, collection: str, key: str, field: str, by: int) -> None: ...


def _name(collection: Collection | str) -> str:
    name = collection.name if isinstance(collection, Collection) else collection
    return checked_text("the name of a collection", name)


def _key(key: str) -> str:
    return checked_text("the key of a document", key)


def _decoded(collection: Collection | str, key: str, text: str) -> Any:
    try:
        document = encoding.parse(text)
        if isinstance(collection, Collection):
            return decoding.fit(document, collection.document)
        return document
    except (decoding.Misfit, encoding.NotJson) as error:
        wanted = collection.document if isinstance(collection, Collection) else "JSON"
        shown = getattr(wanted, "__qualname__", wanted)
        raise Reject(f"document {_name(collection)}/{key} does not fit {shown}: {error}") from None
