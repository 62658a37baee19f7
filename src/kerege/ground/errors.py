"""Errors people can act on: a stable code, what was expected, what came and where, what to do next.

Every room has children of `KeregeError` in its `errors.py`. Codes are `room.snake_case`, never reused, and each stands in
docs/reference/errors.md (a test holds that). HTTP statuses and protocol faults are added only at the edge that speaks them.
Personal data never goes into an error: name the file, row and field, not the value, when the field is about a person.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kerege.ground.text import Said, filled


class KeregeError(Exception):
    """Base of every error Kerege raises on purpose.

    A child sets three class attributes, the two texts being templates (`text.filled`) over the keyword parameters:

    code     stable, `room.snake_case`
    message  what was expected, what came, where: "{file}, row {row}, column {column}: expected ..., got ..."
    hint     what to do next; may name a command
    """

    code: ClassVar[str] = ""
    message: ClassVar[str] = ""
    hint: ClassVar[str] = ""

    _by_code: ClassVar[dict[str, type[KeregeError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        code = cls.__dict__.get("code", "")
        if not code:  # an intermediate class, only for `except`
            return
        if not cls.message or not cls.hint:
            raise TypeError(f"{cls.__name__}: an error needs a message and a hint")
        other = KeregeError._by_code.get(code)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__}: the code {code} already belongs to {other.__name__}")
        KeregeError._by_code[code] = cls

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """What happened, one sentence or two, in English."""
        return filled(self.message, self.params)

    @property
    def said(self) -> Said:
        """The sentence with the error's code, for a page that says it in its own language."""
        return Said("error", "{text}", text=self.text, error=self.code)

    @property
    def next_step(self) -> str:
        """What to do about it."""
        return filled(self.hint, self.params)

    def __str__(self) -> str:
        return f"{self.text} {self.next_step} [{self.code}]"

    def as_dict(self) -> dict[str, str]:
        """For JSON answers and logs: `code`, `message`, `hint`."""
        return {"code": self.code, "message": self.text, "hint": self.next_step}

    @staticmethod
    def catalogue() -> dict[str, type[KeregeError]]:
        """Every error class by its code, of the rooms imported so far."""
        return dict(KeregeError._by_code)
