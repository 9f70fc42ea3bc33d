"""The recovery plan: one text file of stanzas (TSM reference, database 2.3), signed by the server that wrote it.

It is data: nothing in it is ever run by a shell. `begin NAME`, the stanza's lines, `end NAME`; between stanzas lines with
an asterisk. The last stanza is the signature over every byte before it. PLANFILE.KEYS carries the keyring, wrapped by the
recovery code, and the identity, sealed by the keyring: who has the code and the plan is that server again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final, NamedTuple

from farvault.base.errors import RecordDamaged
from farvault.seal.identity import Identity, verify
from farvault.seal.keyring import Keyring

DESCRIPTION: Final = "PLANFILE.DESCRIPTION"
CONTENTS: Final = "PLANFILE.TABLE.OF.CONTENTS"
KEYS: Final = "PLANFILE.KEYS"
SIGNATURE: Final = "PLANFILE.SIGNATURE"
VOLUME_HISTORY: Final = "VOLUME.HISTORY.FILE"
DEVICE_CONFIGURATION: Final = "DEVICE.CONFIGURATION.FILE"
SERVER_OPTIONS: Final = "DSMSERV.OPT.FILE"
PLAN_MOST_BYTES: Final = 256 * 1024 * 1024
"""A larger file is no plan."""
IDENTITY_CONTEXT: Final = "server identity in a volume end"
"""The same as at the end of volumes: it is the same secret, sealed for the same purpose."""
_PURPOSE: Final = b"farvault recovery plan 1\0"
_SEPARATOR: Final = "*" * 64


class PlanKeys(NamedTuple):
    """`identity_key`: the public key that signed. The other two are sealed."""

    identity_key: bytes
    wrapped_keyring: bytes
    sealed_identity: bytes


class Plan(NamedTuple):
    """A plan that was read. `stanzas`: by name, in the order of the file. Proved only after `prove`."""

    stanzas: Mapping[str, str]
    keys: PlanKeys
    signature: bytes
    signed: bytes

    @property
    def description(self) -> dict[str, str]:
        """`Server`, `Instance`, `Created`... of PLANFILE.DESCRIPTION."""
        lines = self.stanzas[DESCRIPTION].split("\n")
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def compose(
    stanzas: Mapping[str, str], identity: Identity, keyring: Keyring, wrapped_keyring: bytes
) -> bytes:
    """The whole file, signed. The description comes first; contents, keys and signature are added here."""
    sealed = keyring.seal_secret(identity.private_pem + identity.certificate_pem, IDENTITY_CONTEXT)
    keys = "\n".join(
        f"{name}: {base64.b64encode(value).decode()}"
        for name, value in zip(
            PlanKeys._fields, (identity.public_key_bytes, wrapped_keyring, sealed), strict=True
        )
    )
    names = [DESCRIPTION, CONTENTS, *(name for name in stanzas if name != DESCRIPTION), KEYS, SIGNATURE]
    whole = {**stanzas, CONTENTS: "\n".join(names), KEYS: keys}
    text = "".join(_stanza(name, whole[name]) for name in names[:-1])
    signed = text.encode()
    return signed + _stanza(SIGNATURE, base64.b64encode(identity.sign(_PURPOSE + signed)).decode()).encode()


def parse(data: bytes, name: str) -> Plan:
    """Cut a plan into its stanzas; `RecordDamaged` where it is none. Nothing is proved yet."""
    at = data.rfind(f"begin {SIGNATURE}\n".encode())
    if at < 0 or len(data) > PLAN_MOST_BYTES:
        raise RecordDamaged(
            "ANR4940E", plan=name, reason="it has no signature: it was cut, or is no plan file"
        )
    try:
        stanzas = _cut(data[:at].decode(), name)
        signature = _cut(data[at:].decode(), name)[SIGNATURE]
        lines = dict(line.split(": ", 1) for line in stanzas[KEYS].split("\n"))
        keys = PlanKeys(*(base64.b64decode(lines[field], validate=True) for field in PlanKeys._fields))
        _ = stanzas[DESCRIPTION]
        return Plan(stanzas, keys, base64.b64decode(signature, validate=True), data[:at])
    except (UnicodeDecodeError, KeyError, ValueError, binascii.Error) as error:
        raise RecordDamaged("ANR4940E", plan=name, reason=f"a part of it cannot be read ({error})") from None


def open_keys(keys: PlanKeys, recovery_code: str) -> tuple[Keyring, Identity]:
    """The keyring and the identity. `BadInput` for a wrong code, `RecordDamaged` where they do not belong together."""
    keyring = Keyring.unwrap(keys.wrapped_keyring, recovery_code)
    pem = keyring.open_secret(keys.sealed_identity, IDENTITY_CONTEXT)
    begin = pem.find(b"-----BEGIN CERTIFICATE-----")
    identity = Identity.from_pem(pem[:begin], pem[begin:])
    if keys.identity_key != identity.public_key_bytes:
        raise RecordDamaged("ANR9803E", reason="the keys in it do not belong together")
    return keyring, identity


def prove(plan: Plan, identity_key: bytes, name: str) -> None:
    """`RecordDamaged` where this server has not signed exactly this text."""
    if not verify(identity_key, plan.signature, _PURPOSE + plan.signed):
        raise RecordDamaged("ANR4941E", plan=name, server=plan.description.get("Server", "unknown"))


def _stanza(name: str, body: str) -> str:
    lines = [f" {line}" if line == f"end {name}" else line for line in body.removesuffix("\n").split("\n")]
    return "\n".join([f"begin {name}", *lines, f"end {name}", _SEPARATOR, ""])


def _cut(text: str, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    inside, lines = "", list[str]()
    for line in text.split("\n"):
        if inside and line == f"end {inside}":
            found[inside] = "\n".join(lines)
            inside, lines = "", []
        elif inside:
            lines.append(line)
        elif line.startswith("begin "):
            inside = line[len("begin ") :]
        elif line.strip("*"):
            raise RecordDamaged("ANR4940E", plan=name, reason="text stands between two stanzas")
    if inside:
        raise RecordDamaged("ANR4940E", plan=name, reason=f"stanza {inside} does not end")
    return found
