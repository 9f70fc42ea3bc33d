"""The server's master keys, and every key that is derived from them. Immutable; a new key makes a new keyring.

A record's key is PRF(record subkey, record id): 128 random bits a record, one use a key. Secrets in the catalog are
sealed the same way under their own subkey. The keyring leaves the machine only wrapped by the recovery code.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from farvault.base.errors import BadInput, RecordDamaged
from farvault.seal import recovery_code as code_text
from farvault.seal.digest import derive_key, keyed_digest

KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE: Final = bytes(12)
"""Every key here seals one message only, so the nonce is a constant."""

_RECORD_CONTEXT: Final = "farvault volume format 1: record subkey"
_SEALING_CONTEXT: Final = "farvault catalog: secret subkey"
_ROW_CONTEXT: Final = "farvault catalog: row digest key"
_WRAPPED_MAGIC: Final = b"FVKEYS01"
_SECRET_MAGIC: Final = b"\x01"
# The code holds 130 random bits: no guessing succeeds. The cost only has to annoy; it is fixed so that a damaged or
# hostile file cannot ask for a terabyte.
_SCRYPT: Final = {"length": KEY_BYTES, "n": 1 << 15, "r": 8, "p": 1}


class _StoredKey(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    id: Annotated[int, msgspec.Meta(ge=1, lt=2**32)]
    key: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class _StoredKeyring(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    keys: Annotated[list[_StoredKey], msgspec.Meta(min_length=1, max_length=4096)]


class Keyring:
    """Master keys by id. The one with the highest id is current: new records are sealed with it."""

    def __init__(self, master_keys: dict[int, bytes]) -> None:
        self._master = dict(sorted(master_keys.items()))
        self._record = {i: derive_key(_RECORD_CONTEXT, key) for i, key in self._master.items()}
        self.current_id = max(self._master)

    @classmethod
    def create(cls) -> Keyring:
        """A keyring with one new key, number 1."""
        return cls({1: secrets.token_bytes(KEY_BYTES)})

    def with_new_key(self) -> Keyring:
        """All keys of this one and a new current key."""
        return Keyring({**self._master, self.current_id + 1: secrets.token_bytes(KEY_BYTES)})

    @property
    def key_ids(self) -> tuple[int, ...]:
        return tuple(self._master)

    def to_bytes(self) -> bytes:
        """The keys themselves, in the clear: msgpack, for a file only the server may read."""
        keys = [_StoredKey(i, key) for i, key in self._master.items()]
        return msgspec.msgpack.encode(_StoredKeyring(1, keys))

    @classmethod
    def from_bytes(cls, stored: bytes) -> Keyring:
        """`RecordDamaged` where these are not the bytes of a keyring."""
        try:
            keys = msgspec.msgpack.decode(stored, type=_StoredKeyring).keys
        except (msgspec.MsgspecError, ValueError) as error:
            raise RecordDamaged("ANR9803E", reason=f"these are not the bytes of a keyring: {error}") from None
        return cls({each.id: each.key for each in keys})

    def derive_record_key(self, key_id: int, record_id: bytes) -> bytes:
        """The AES-256 key of one record. `RecordDamaged` where the keyring does not have that master key."""
        subkey = self._record.get(key_id)
        if subkey is None:
            raise RecordDamaged("ANR9803E", reason=f"key {key_id} is not in this server's keyring")
        return keyed_digest(subkey, record_id)

    def row_key(self) -> bytes:
        """Key of the catalog's row digests: from the first master key, so that it stays when keys are added."""
        return derive_key(_ROW_CONTEXT, self._master[min(self._master)])

    def seal_secret(self, plain: bytes, context: str) -> bytes:
        """Encipher a small secret (a password, a code). `context` says what it is and is needed to open it."""
        salt = secrets.token_bytes(_SALT_BYTES)
        head = _SECRET_MAGIC + self.current_id.to_bytes(4, "little") + salt
        cipher = AESGCM(self._secret_key(self.current_id, salt))
        return head + cipher.encrypt(_NONCE, plain, head + context.encode())

    def open_secret(self, sealed: bytes, context: str) -> bytes:
        """`RecordDamaged` where it was changed, or sealed for another purpose or by another keyring."""
        end = len(_SECRET_MAGIC) + 4 + _SALT_BYTES
        head, body = sealed[:end], sealed[end:]
        key_id = int.from_bytes(head[1:5], "little")
        if len(head) < end or head[:1] != _SECRET_MAGIC or key_id not in self._master:
            raise RecordDamaged("ANR9803E", reason="a sealed secret is not one of this keyring")
        try:
            return AESGCM(self._secret_key(key_id, head[5:])).decrypt(_NONCE, body, head + context.encode())
        except InvalidTag:
            raise RecordDamaged("ANR9803E", reason="a sealed secret does not open") from None

    def _secret_key(self, key_id: int, salt: bytes) -> bytes:
        return keyed_digest(derive_key(_SEALING_CONTEXT, self._master[key_id]), salt)

    @staticmethod
    def new_recovery_code() -> str:
        """130 random bits to print: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`."""
        return code_text.new_code()

    def wrap(self, recovery_code: str) -> bytes:
        """The keyring enciphered by the recovery code: may lie at the target, in plan files, anywhere."""
        salt = secrets.token_bytes(_SALT_BYTES)
        head = _WRAPPED_MAGIC + salt
        return head + AESGCM(_wrapping_key(recovery_code, salt)).encrypt(_NONCE, self.to_bytes(), head)

    @classmethod
    def unwrap(cls, wrapped: bytes, recovery_code: str) -> Keyring:
        """`BadInput` for a mistyped or a wrong code, `RecordDamaged` where it is no wrapped keyring."""
        end = len(_WRAPPED_MAGIC) + _SALT_BYTES
        head, body = wrapped[:end], wrapped[end:]
        if len(head) < end or not head.startswith(_WRAPPED_MAGIC):
            raise RecordDamaged("ANR9803E", reason="these are not the bytes of a wrapped keyring")
        key = _wrapping_key(recovery_code, head[len(_WRAPPED_MAGIC) :])
        try:
            return cls.from_bytes(AESGCM(key).decrypt(_NONCE, body, head))
        except InvalidTag:
            raise BadInput("ANR9802E") from None


def _wrapping_key(recovery_code: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, **_SCRYPT).derive(code_text.parse_code(recovery_code))
