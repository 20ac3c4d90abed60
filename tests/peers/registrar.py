"""A provider that trunks register with."""

from __future__ import annotations

from typing import Self

from tests.peers.script import Headers, Script


class Registrar(Script):
    """A provider that the gateway registers with."""

    def __init__(self, name: str, user: str, password: str) -> None:
        super().__init__(name)
        self._credentials = f'username="{user}" password="{password}"'

    def challenges(self) -> Self:
        """401, then a REGISTER whose digest is right (RFC 3261 section 22.2)."""
        challenge = 'WWW-Authenticate: Digest realm="provider", algorithm=MD5, nonce="5f1d2c"'
        self.receives("REGISTER").replies(401, "Unauthorized", (challenge,))
        self._steps.append(
            '<recv request="REGISTER"><action>'
            f'<verifyauth assign_to="right" {self._credentials}/>'
            "</action></recv>\n"
            '<nop test="right" next="known"/>'
        )
        self.replies(403, "Forbidden").receives("NOTHING")
        self._steps.append('<label id="known"/>')
        return self

    def is_asked(self, headers: Headers | None = None) -> Self:
        """REGISTER."""
        return self.receives("REGISTER", headers)

    def refuses(self, code: int, reason: str, headers: tuple[str, ...] = ()) -> Self:
        """A final response of 300 and above."""
        return self.replies(code, reason, headers)

    def grants(self, seconds: int) -> Self:
        """200 with the binding (RFC 3261 section 10.3)."""
        return self.replies(200, "OK", ("[last_Contact:]", f"Expires: {seconds}"))
