"""What nobody in their right mind sends over a live socket, made from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from websockets.frames import Frame, Opcode

MALFORMED, UNKNOWN, TOO_OFTEN, TOO_LARGE, NO_WEBSOCKET, NO_TEXT = 4400, 4404, 4420, 1009, 1002, 1007
LARGEST = 64 * 1024
FLOOD = 260


@dataclass(frozen=True)
class Shot:
    """Something to send, and what may become of it.

    Attributes:
        payload: text, a binary message, or with ``wire`` bytes for the connection below WebSocket.
        codes: what the socket may be closed with for it; none if it must be answered or ignored.
        certain: it is closed for it at the latest.
        count: how many frames it is, a line each.
    """

    kind: str
    payload: str | bytes
    codes: frozenset[int] = frozenset()
    certain: bool = False
    wire: bool = False
    count: int = 1


def bad(kind: str, payload: str | bytes, *codes: int, wire: bool = False) -> Shot:
    return Shot(kind, payload, frozenset(codes or (MALFORMED,)), certain=True, wire=wire)


def unsure(kind: str, payload: str) -> Shot:
    """A frame that may still be a good one."""
    return Shot(kind, payload, frozenset((MALFORMED, UNKNOWN)))


class Fuzz:
    """Frames without end.

    Args:
        random: where they come from.
        scopes: names to ask for, those of others among them.
        epoch: of the log that the server follows.
    """

    def __init__(self, random: Random, *, scopes: Sequence[str], epoch: str) -> None:
        self._random = random
        self._scopes = scopes
        self._epoch = epoch
        self._makers = (
            self._question,
            self._question,
            self._question,
            self._signal,
            self._noise,
            self._binary,
            self._cut_off,
            self._mutated,
            self._mutated,
            self._wrong_type,
            self._wrong_type,
            self._huge_number,
            self._nested,
            self._surrogate,
            self._second_hello,
            self._unknown_type,
            self._no_object,
            self._large,
            self._wire,
        )

    def shots(self) -> Iterator[Shot]:
        """What one socket sends after its hello, a flood now and then."""
        if self._random.random() < 0.01:
            yield self._flood()
        for _ in range(self._random.randrange(1, 9)):
            yield self._random.choice(self._makers)()

    def first(self) -> Shot:
        """What a socket sends in place of a good hello."""
        if self._random.random() < 0.3:
            shot = self._random.choice((self._noise, self._binary, self._nested, self._no_object, self._large))()
            return shot if shot.codes else bad("no hello", "{}")
        if self._random.random() < 0.3:
            return bad("no hello first", self._encoded(self._load()))
        broken: list[Any] = [[], "x", 7, {}, {"epoch": 1, "seq": 1}, {"epoch": "e"}, {"epoch": "e", "seq": -1}]
        return bad("cursor of a wrong kind", self._encoded({"type": "hello", "cursor": self._random.choice(broken)}))

    def hello(self) -> str:
        """One with a forged cursor, or none, that must be answered by a snapshot."""
        seqs = (0, 1, self._random.getrandbits(40), 2**63 - 1)
        forged = (
            None,
            {"epoch": "forged", "seq": self._random.choice(seqs)},
            {"epoch": self._epoch[::-1] + "x", "seq": self._random.choice(seqs)},
            {"epoch": self._epoch, "seq": 2**63 - 1 - self._random.getrandbits(8)},
        )
        return self._encoded({"type": "hello", "cursor": self._random.choice(forged)})

    # -- frames ------------------------------------------------------------------------------------------------------

    def _question(self) -> Shot:
        frame = self._random.choice((self._load, self._page))()
        return Shot("question", self._encoded(frame))

    def _signal(self) -> Shot:
        name = self._random.choice(("typing", "nothing", "x" * 200, "__class__"))
        return unsure("signal", self._encoded({**self._load(), "type": "signal", "signal": name}))

    def _load(self) -> dict[str, Any]:
        return {"type": "load", "id": self._random.getrandbits(20), "scope": self._random.choice(self._scopes)}

    def _page(self) -> dict[str, Any]:
        before = [self._random.getrandbits(30), self._random.getrandbits(30)]
        entity = self._random.choice(("message", "chat", "nothing", "__proto__", "' OR 1=1 --"))
        return {**self._load(), "type": "page", "entity": entity, "before": before}

    def _noise(self) -> Shot:
        length = self._random.choice((0, 1, 7, 300, 5000))
        text = "".join(chr(self._random.choice((10, 34, 65, 123, 228, 8364, 128512))) for _ in range(length))
        return bad("noise", "x" + text)

    def _binary(self) -> Shot:
        return bad("binary", self._random.randbytes(self._random.choice((0, 1, 20, 4000))))

    def _cut_off(self) -> Shot:
        text = self._encoded(self._page())
        return bad("cut off", text[: self._random.randrange(len(text))])

    def _mutated(self) -> Shot:
        letters = list(self._encoded(self._page()))
        for _ in range(self._random.randrange(1, 4)):
            letters[self._random.randrange(len(letters))] = chr(self._random.randrange(32, 127))
        return unsure("mutated", "".join(letters))

    def _wrong_type(self) -> Shot:
        frame = self._page()
        field = self._random.choice(("id", "scope", "entity", "before"))
        wrong: list[Any] = [
            None,
            True,
            1.5,
            -1,
            "",
            "x" * 201,
            {},
            [],
            [[]],
            [1],
            [1, 2, 3],
            ["a", "b"],
            "\0",
            [1, None],
        ]
        frame[field] = self._random.choice(wrong)
        return bad("wrong type", self._encoded(frame))

    def _huge_number(self) -> Shot:
        number = self._random.choice(("1" + "0" * 400, "1e999", "-1e999", "NaN", "Infinity", str(2**63), "9" * 5000))
        place = self._random.choice(
            (
                '{{"type":"load","id":{},"scope":"everyone"}}',
                '{{"type":"page","id":1,"scope":"everyone","entity":"message","before":[{},1]}}',
            )
        )
        return bad("huge number", place.format(number))

    def _nested(self) -> Shot:
        depth = self._random.choice((10, 900, 5000, 30_000))
        opening, closing = self._random.choice((("[", "]"), ('{"a":', "}")))
        depth = min(depth, LARGEST // (len(opening) + 1) - 10)
        inside = opening * depth + "1" + (closing * depth if self._random.random() < 0.7 else "")
        return bad("nested", inside)

    def _surrogate(self) -> Shot:
        scope = self._random.choice((r"\ud800", r"chat:\udfff", r"\udc00\ud800", r"chat:1\u0000"))
        return bad("surrogate", f'{{"type":"load","id":1,"scope":"{scope}"}}')

    def _second_hello(self) -> Shot:
        return bad("second hello", self.hello())

    def _unknown_type(self) -> Shot:
        return bad("unknown type", self._encoded({**self._load(), "type": self._random.choice(TYPES)}), UNKNOWN)

    def _no_object(self) -> Shot:
        return bad("no object", self._random.choice(("[]", "null", "7", '"hello"', '[{"type":"hello"}]', "{}", "true")))

    def _large(self) -> Shot:
        over = self._random.choice((1, 100, 50_000))
        return bad("large", self._encoded({**self._load(), "more": "x" * (LARGEST + over)}), TOO_LARGE)

    def _wire(self) -> Shot:
        frame = self._random.choice(
            (
                (Frame(Opcode.TEXT, b'{"type":"\xff\xfe"}').serialize(mask=True), NO_TEXT),
                (Frame(Opcode.TEXT, b"\xc3", fin=True).serialize(mask=True), NO_TEXT),
                (Frame(Opcode.CONT, b"of nothing").serialize(mask=True), NO_WEBSOCKET),
                (b"\xc1\x82\0\0\0\0{}", NO_WEBSOCKET),
                (Frame(Opcode.TEXT, b"{}").serialize(mask=False), NO_WEBSOCKET),
                (b"\x83\x80\0\0\0\0", NO_WEBSOCKET),
                (b"\x89\xfe\x01\x00" + bytes(260), NO_WEBSOCKET),
                (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(8), NO_WEBSOCKET),
            )
        )
        return bad("wire", frame[0], NO_WEBSOCKET, NO_TEXT, TOO_LARGE, wire=True)

    def _flood(self) -> Shot:
        frames = "\n".join(self._encoded(self._load()) for _ in range(FLOOD))
        return Shot("flood", frames, frozenset((TOO_OFTEN,)), certain=True, count=FLOOD)

    def _encoded(self, frame: dict[str, Any]) -> str:
        return json.dumps(frame, ensure_ascii=self._random.random() < 0.5)


TYPES = ("dance", "", "HELLO", "welcome", "snapshot", "event", "heartbeat", "scope", "__class__", "\u0000", "x" * 3000)
