"""A certificate authority of the test's own, and certificates that it signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """PEM files."""

    certificate: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """As arguments of a softphone."""
        return ("--certificate", str(self.certificate), "--key", str(self.key))


class Authority:
    """Signs certificates; files stand in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        folder.mkdir()
        self._authority.cert_pem.write_to_path(self.file)

    def signs(self, *names: str, expired: bool = False) -> Certificate:
        """A certificate for these names and addresses."""
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        signed = self._authority.issue_cert(*names, not_after=until)
        stem = f"{names[0]}{'-expired' if expired else ''}"
        files = Certificate(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        signed.private_key_pem.write_to_path(files.key)
        for blob in signed.cert_chain_pems:
            blob.write_to_path(files.certificate, append=True)
        return files
