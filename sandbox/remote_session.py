"""Calls between two processes: one asks, the other answers, and may ask back before it does.

The same class serves both sides. The `guarded` side is the trusted one: it shows of its own objects
only what a called function needs (`shown_objects`), checks what it reads, and ends with `Broken`
when the other side does not keep to the protocol and with `Gone` when it left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Container
from typing import Any

from exact_reading import Decoder, write_back
from exact_values import Encoder
from frames import Broken, Channel, Gone
from object_table import ObjectTable
from remote_objects import OWN, Remote, trust
from shown_objects import is_shown
from special_methods import apply_special

ROOT = 0
"""Number of the namespace of the program."""

_ASK, _ANSWER, _RAISED, _STATUS = b"?", b"=", b"!", b"#"
_MAX_LABEL_CHARS = 60


def _refuse(_: Decoder, __: bytes, ___: int) -> object:
    raise ValueError("a status is plain data")


class Session:
    """One end: asks for things to be done to the other side's objects, and does them to its own."""

    def __init__(self, descriptor: int, *, guarded: bool) -> None:
        self.guarded = guarded
        self.channel = Channel(descriptor)
        self.objects = ObjectTable(self)
        self.classes: set[int] = set()
        """Numbers of the remote classes whose instances are the test's own."""

        self.functions: set[int] = set()
        """Numbers of what is tested and is no class."""

        self.known: Container[str] = ()
        """Words of the trusted source, and the special methods of its classes."""

        self.stops_loops = True
        """Whether a function that is tested may raise StopIteration."""

        self._last_call: tuple[str, bytes] | None = None
        self._labels: dict[int, str] = {}
        self._owner = os.getpid()
        """The process that answers; its forked children do not."""

        self._lock = threading.RLock()
        self._n_open = 0

    def adopt(self, descriptor: int) -> None:
        """Go on in this process, with this socket; so a session can be made before a fork."""
        self.channel.descriptor, self._owner = descriptor, os.getpid()

    def send_status(self, value: object) -> None:
        """Send plain data that answers nothing.

        Raises:
            Gone: if nobody reads it.
        """
        encoder = Encoder(self.objects.write)
        encoder.add(value)
        self.channel.send(_STATUS, encoder.data())

    def receive_status(self) -> object:
        """Return what the other side's `send_status` was given.

        Raises:
            Gone: if there is none to come.
            Broken: if something else comes.
        """
        kind, data = self.channel.receive()
        if kind != _STATUS:
            raise self.channel.fail(Broken(f"a frame {kind!r} out of turn"))
        decoder = Decoder(data, _refuse)
        try:
            value = decoder.take()
            decoder.end()
        except ValueError as error:
            raise self.channel.fail(Broken(f"not a frame of ours: {error}")) from None
        return value

    # asking

    def request(self, operation: str, number: int, *arguments: object) -> object:
        """Have something done to an object of the other side, and return what comes back.

        Mutable arguments that were changed there are changed here in the same way.

        Raises:
            Gone, Broken: see the class.
            Exception: what was raised there, as its class here or the next best one.
        """
        if self.channel.failure is not None:
            raise self.channel.failure
        with self._lock:
            if not self.guarded and (self._n_open == 0 or os.getpid() != self._owner):
                raise RuntimeError("the tests can only be asked while they wait for an answer")
            encoder = Encoder(self.objects.write, opaque_keys=self.guarded)
            encoder.add((operation, number, arguments, self.objects.take_dropped()))
            data = encoder.data()
            if operation == "call":
                self._last_call = self._labels.get(number, "function"), data
            self.channel.send(_ASK, data)
            try:
                found = self._answer_to(encoder.containers)
            except StopIteration as error:
                if self.stops_loops or operation != "call" or number not in self.functions:
                    raise
                # it would end a loop of the tests as if all had been looked at; as PEP 479 does
                raise RuntimeError("the function raised StopIteration") from error
        if self.guarded and isinstance(found, Remote):
            if operation == "call" and number in self.classes - self.functions:
                trust(found, OWN)
            self._label(found, operation, number, arguments)
        return found

    def _label(
        self, found: Remote, operation: str, number: int, arguments: tuple[object, ...]
    ) -> None:
        """Note how the test came by an object, for the report."""
        label = self._labels.get(number, "")
        if operation == "getattr":
            label = f"{label}.{arguments[0]}" if label else str(arguments[0])
        elif operation == "call":
            label += "(...)"
        if 0 < len(label) <= _MAX_LABEL_CHARS:
            self._labels.setdefault(found._remote_number, label)

    def _answer_to(self, containers: list[object]) -> object:
        while True:
            kind, data = self.channel.receive()
            if kind == _ASK:
                self._serve(data)
                continue
            if kind not in {_ANSWER, _RAISED}:
                raise self.channel.fail(Broken(f"a frame {kind!r} out of turn"))
            try:
                value = self._read_reply(data, containers)
            except (ValueError, TypeError) as error:
                raise self.channel.fail(Broken(f"not a frame of ours: {error}")) from None
            if kind == _ANSWER:
                return value
            if not isinstance(value, BaseException):
                raise self.channel.fail(Broken("raised what is no exception"))
            raise value

    def _read_reply(self, data: bytes, containers: list[object]) -> object:
        decoder = Decoder(data, self.objects.read, containers)
        changed = []
        if decoder.take() is True:
            changed = [(container, decoder.take_content()) for container in containers]
        value = decoder.take()
        decoder.end()
        for container, content in changed:
            write_back(container, content)
        return value

    def last_call(self) -> tuple[str, tuple[object, ...], dict[str, object]] | None:
        """Return name, arguments and keywords of the last call, as they were then."""
        if self._last_call is None:
            return None
        label, data = self._last_call
        sent: Any = Decoder(data, self.objects.sent_object).take()
        return (label, *sent[2])

    def drop(self, number: int) -> None:
        """Note that an object of the other side is not needed any more."""
        self.objects.drop(number)
        self._labels.pop(number, None)

    # answering

    def serve(self, root: object) -> None:
        """Answer until the other side leaves.

        Args:
            root: the object that the other side knows without being told.

        Raises:
            Broken: if the other side asks for what means nothing.
        """
        self.objects.own[ROOT] = root
        while True:
            try:
                kind, data = self.channel.receive()
            except Gone:
                return
            if kind != _ASK:
                raise self.channel.fail(Broken(f"a frame {kind!r} out of turn"))
            self._serve(data)

    def _serve(self, data: bytes) -> None:
        decoder = Decoder(data, self.objects.read)
        self._n_open += 1
        try:
            request = decoder.take()
            decoder.end()
        except ValueError as error:
            raise self.channel.fail(Broken(f"not a frame of ours: {error}")) from None
        if type(request) is not tuple or list(map(type, request)) != [str, int, tuple, tuple]:
            raise self.channel.fail(Broken("not a request"))
        operation, number, arguments, dropped = request
        self.objects.forget(dropped)
        if number not in self.objects.own:
            raise self.channel.fail(Broken("a request for nothing"))
        kind = _ANSWER
        try:
            value = self._do(operation, self.objects.own[number], arguments)
        except (Gone, Broken):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the other side's to see
            kind, value = _RAISED, error
        if os.getpid() != self._owner:
            os._exit(0)  # a child that the program forked has come back from the call
        with self._lock:
            self._reply(kind, value, request, decoder.containers, data)
            self._n_open -= 1

    def _do(self, operation: str, target: object, arguments: tuple[object, ...]) -> object:
        if self.guarded and not is_shown(operation, target, arguments):
            raise AttributeError(f"the tests do not show {operation} of {type(target).__name__!r}")
        if operation == "call":
            positional, keywords = arguments
            return target(*positional, **keywords)  # type: ignore[operator,misc,arg-type]
        if operation == "getattr":
            return getattr(target, *arguments)  # type: ignore[call-overload]
        if operation == "setattr":
            setattr(target, *arguments)  # type: ignore[arg-type]
            return None
        if operation == "delattr":
            delattr(target, *arguments)  # type: ignore[arg-type]
            return None
        if operation == "run":
            import asyncio

            return asyncio.run(target)  # type: ignore[arg-type]
        return apply_special(operation, target, arguments)

    def _reply(
        self, kind: bytes, value: object, request: object, containers: list[object], data: bytes
    ) -> None:
        try:
            reply = self._write_reply(value, request, containers, data)
        except (Gone, Broken):
            raise
        except BaseException as error:  # noqa: BLE001 - too large, too deep, or its own methods raise
            reason = str(error) if type(error) is ValueError else type(error).__name__
            kind, failure = _RAISED, RuntimeError(f"the answer cannot be handed over: {reason}")
            reply = self._write_reply(failure, request, [], b"")
        self.channel.send(kind, reply)

    def _write_reply(
        self, value: object, request: object, containers: list[object], data: bytes
    ) -> bytes:
        changed = False
        if containers:
            again = Encoder(self.objects.write, opaque_keys=self.guarded)
            again.add(request)
            changed = again.data() != data
        encoder = Encoder(self.objects.write, containers, opaque_keys=self.guarded)
        encoder.add(changed)
        if changed:
            for container in containers:
                encoder.add_content(container)
        encoder.add(value)
        return encoder.data()
