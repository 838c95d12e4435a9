"""A read model in memory that keeps the host's rules. It does not persist, and it has one user."""

from bisect import bisect_left, bisect_right

from ..read_model import ReadModel
from . import document_rules

COLLECTION_BYTES_MAX = 200
KEY_BYTES_MAX = 1024
FIELD_BYTES_MAX = 1024
READ_KEYS_MAX = 1000
EVENT_COLLECTIONS_MAX = 500
CALL_READ_BYTES_MAX = 32 * 1024 * 1024
EVENT_READ_BYTES_MAX = 64 * 1024 * 1024
EVENT_CHANGE_BYTES_MAX = 32 * 1024 * 1024


class EventFault(BaseException):
    """A call broke a rule: on the host it does not return, so no ``except Exception`` of a handler sees it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """``invalid-call`` or ``memory-limit``."""


class MemoryReadModel(ReadModel):
    """A read model in memory. A call that breaks a bound raises :class:`EventFault`, also if a handler catches it."""

    def __init__(self) -> None:
        self._collections: dict[str, dict[str, str]] = {}
        self.begin()

    def begin(self) -> None:
        """Keeps the changes that were made since, and begins another event."""
        # What the documents were before the event changed them.
        self._undo: dict[tuple[str, str], str | None] = {}
        self._changed_bytes = 0
        self._read: set[tuple[str, str]] = set()
        self._read_bytes = 0
        self._touched: set[str] = set()
        self._fault: EventFault | None = None

    def roll_back(self) -> None:
        """Undoes the changes of the event."""
        for (collection, key), document in self._undo.items():
            self._set(collection, key, document)
        self.begin()

    @property
    def fault(self) -> EventFault | None:
        """The rule that the event has broken, if any."""
        return self._fault

    def documents(self, collection: str) -> dict[str, str]:
        """The texts of a whole collection, in key order."""
        documents = self._collections.get(collection, {})
        return {key: documents[key] for key in sorted(documents, key=str.encode)}

    def _get(self, collection: str, key: str) -> str | None:
        self._admit(collection, key)
        document = self._at(collection, key)
        self._count_read([(collection, key, document)])
        return document

    def _get_many(self, collection: str, keys: list[str]) -> list[str | None]:
        if len(keys) > READ_KEYS_MAX:
            raise self._invalid(f"{len(keys)} keys in one read; at most {READ_KEYS_MAX} are allowed")
        for key in keys:
            self._admit(collection, key)
        found = [(collection, key, self._at(collection, key)) for key in keys]
        self._count_read(found)
        return [document for _, _, document in found]

    def _put(self, collection: str, key: str, document: str) -> None:
        self._admit(collection, key)
        self._write(collection, key, document)

    def _delete(self, collection: str, key: str) -> None:
        self._admit(collection, key)
        self._change(collection, key, None)

    def _scan(self, collection: str, after: str | None, prefix: str, limit: int) -> list[tuple[str, str]]:
        self._admit(collection)
        # The order of UTF-8 is that of code points, which is how Python compares text.
        keys = sorted(self._collections.get(collection, {}))
        first = bisect_left(keys, prefix)
        if after is not None:
            first = max(first, bisect_right(keys, after))
        found: list[tuple[str, str, str | None]] = []
        for key in keys[first : first + min(limit, READ_KEYS_MAX)]:
            if not key.startswith(prefix):
                break
            found.append((collection, key, self._collections[collection][key]))
        self._count_read(found)
        return [(key, document) for _, key, document in found if document is not None]

    def _increment(self, collection: str, key: str, field: str, by: int) -> None:
        self._admit(collection, key)
        self._check_name("field name", field, FIELD_BYTES_MAX)
        try:
            document = document_rules.add(self._at(collection, key), field, by)
        except document_rules.Unfit as unfit:
            raise self._invalid(f"increment of field `{field}` of {collection}/{key}: {unfit}") from None
        self._write(collection, key, document)

    def _at(self, collection: str, key: str) -> str | None:
        return self._collections.get(collection, {}).get(key)

    def _write(self, collection: str, key: str, document: str) -> None:
        try:
            document_rules.check(document)
        except document_rules.Unfit as unfit:
            raise self._invalid(f"document {collection}/{key} {unfit}") from None
        self._change(collection, key, document)

    def _change(self, collection: str, key: str, document: str | None) -> None:
        before = self._at(collection, key)
        if (collection, key) not in self._undo:
            self._undo[collection, key] = before
            self._changed_bytes += _bytes(collection) + _bytes(key) + _bytes(before)
        else:
            self._changed_bytes -= _bytes(before)
        self._changed_bytes += _bytes(document)
        self._set(collection, key, document)
        if self._changed_bytes > EVENT_CHANGE_BYTES_MAX:
            raise self._too_much("the changes of one event, with what they replace, may take at most 32 MiB")

    def _set(self, collection: str, key: str, document: str | None) -> None:
        if document is not None:
            self._collections.setdefault(collection, {})[key] = document
        elif collection in self._collections:
            self._collections[collection].pop(key, None)

    def _count_read(self, found: list[tuple[str, str, str | None]]) -> None:
        returned = 0
        for collection, key, document in found:
            size = _bytes(document)
            returned += size
            if (collection, key) not in self._read:
                self._read.add((collection, key))
                self._read_bytes += size
        if returned > CALL_READ_BYTES_MAX:
            raise self._too_much("the documents are larger than the 32 MiB that one call returns at most")
        if self._read_bytes > EVENT_READ_BYTES_MAX:
            raise self._too_much("one event may read at most 64 MiB of documents: read fewer or smaller ones")

    def _admit(self, collection: str, key: str | None = None) -> None:
        if self._fault is not None:
            raise self._fault
        self._check_name("collection name", collection, COLLECTION_BYTES_MAX)
        self._touched.add(collection)
        if len(self._touched) > EVENT_COLLECTIONS_MAX:
            raise self._invalid(f"one event may touch at most {EVENT_COLLECTIONS_MAX} collections")
        if key is not None:
            self._check_name("document key", key, KEY_BYTES_MAX)

    def _check_name(self, what: str, name: str, bytes_max: int) -> None:
        if not 1 <= len(name.encode()) <= bytes_max or "\0" in name:
            raise self._invalid(f"{name[:60]!r} is not a valid {what}: use 1 to {bytes_max} bytes of text without NUL")

    def _invalid(self, message: str) -> EventFault:
        self._fault = EventFault("invalid-call", message)
        return self._fault

    def _too_much(self, message: str) -> EventFault:
        self._fault = EventFault("memory-limit", message)
        return self._fault


def _bytes(text: str | None) -> int:
    return len(text.encode()) if text else 0
