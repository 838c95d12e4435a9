"""A collection of documents: the type of its documents, and the columns and indexes that are declared of it.

The host checks a declaration when the component is deployed, stores and shows it; tables with these columns and indexes
are made by a later version of the host.
"""

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    # ``Collection`` alone has plain JSON. Python itself has defaults since 3.13.
    from typing_extensions import TypeVar as TypeVarWithDefault

    T = TypeVarWithDefault("T", default=Any)
else:
    T = TypeVar("T")


class ColumnType(Enum):
    """What a column holds. A field that is missing from a document, or null, leaves it empty."""

    TEXT = "text"
    """A JSON string."""
    INTEGER = "integer"
    """A JSON number that is whole and fits 64 bits."""
    DECIMAL = "decimal"
    """A JSON number with all its digits."""
    BOOLEAN = "boolean"
    """``true`` or ``false``."""
    TIMESTAMP = "timestamp"
    """A JSON string with a date and a time as RFC 3339 writes them."""
    JSON = "json"
    """Any JSON value. No index may name the column."""


class Column:
    """A value that the documents of a collection have.

    The path is the names of the fields that lead to the value from the top of the document, joined by dots: that of
    the column's own name unless it is given. A name of other characters than letters of ASCII, digits, ``_`` and
    ``-`` is written as a JSON string: ``prices."net.eur"``.
    """

    __slots__ = ("data_type", "name", "path")

    def __init__(self, name: str, data_type: ColumnType, path: str | None = None) -> None:
        self.name = name
        self.data_type = data_type
        self.path = name if path is None else path


class Index:
    """Columns by which documents are looked up or sorted, the most significant first.

    If it is unique, no two documents may have the same values in them.
    """

    __slots__ = ("columns", "unique")

    def __init__(self, *columns: str, unique: bool = False) -> None:
        self.columns = columns
        self.unique = unique


class Collection(Generic[T]):
    """A collection by its name, with the type of its documents: ``Collection("orders", Order)``.

    Pass it to the calls of the read model. Only one with columns has to be named in the projection's ``collections``.
    """

    __slots__ = ("columns", "document", "indexes", "name")

    @overload
    def __init__(
        self, name: str, document: type[T], *, columns: Iterable[Column] = (), indexes: Iterable[Index] = ()
    ) -> None: ...
    @overload
    def __init__(
        self: "Collection[Any]",
        name: str,
        document: Any = Any,
        *,
        columns: Iterable[Column] = (),
        indexes: Iterable[Index] = (),
    ) -> None: ...
    def __init__(
        self,
        name: str,
        document: Any = Any,
        *,
        columns: Iterable[Column] = (),
        indexes: Iterable[Index] = (),
    ) -> None:
        self.name = name
        self.document = document
        self.columns = tuple(columns)
        self.indexes = tuple(indexes)

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"
