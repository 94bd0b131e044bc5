"""A second reader of Strongroom's formats, written from docs/formats.md alone: opens what is sealed, so that data can be read
without the program that wrote it. Needs Python 3.9 and `cryptography`. Standard input: a JSON list of steps, each an object with
`open` (what it is), its fields in hexadecimal, and for a key either the bytes or, as {"step": n}, what an earlier step
has opened. Standard output: a JSON list of what each step opened, in hexadecimal, or null if it does not open."""

import hmac as compare
import json
import sys
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding


class DoesNotOpen(Exception):
    pass


def need(condition):
    if not condition:
        raise DoesNotOpen


def hkdf(key, salt, info, length):
    return HKDF(hashes.SHA256(), length, salt, info).derive(key)


def context(label, *fields):
    return label.encode() + b"\0" + b"".join(fields)


def uid(text):
    return UUID(text).bytes


def u32(number):
    return number.to_bytes(4, "big")


def unwrap(key, wrapped, info):
    """Wrapped key: salt (32), commitment (32), ciphertext, tag (16)."""
    salt, commitment, body = wrapped[:32], wrapped[32:64], wrapped[64:]
    okm = hkdf(key, salt, info, 64)
    need(compare.compare_digest(okm[32:], commitment))
    return AESGCM(okm[:32]).decrypt(bytes(12), body, info)


def master_id(s):
    """The ID of a master key."""
    return hkdf(s["key"], b"", b"strongroom/master-id/v1", 8)


def root(s):
    """A root key from its reference, format 1 or 2, by a master key."""
    ref, key_uid, version = s["blob"], uid(s["keyUid"]), u32(s["version"])
    kind, master = ref[:1], ref[1:9]
    need(master == master_id(s))
    if kind == b"\1":
        return unwrap(s["key"], ref[9:], context("strongroom/root/v1", kind, master, key_uid, version))
    need(kind == b"\2" and len(ref) == 9 + 2 * 112)
    pepper = unwrap(s["key"], ref[9:121], context("strongroom/pepper/v1", kind, master, key_uid, version))
    material = unwrap(s["key"], ref[121:], context("strongroom/material/v1", kind, master, key_uid, version))
    return hkdf(material, pepper, context("strongroom/imported/v1", key_uid, version), 32)


def scope(s):
    """A scope key by its root key."""
    need(s["blob"][:1] == b"\1")
    fields = uid(s["keyUid"]), u32(s["version"]), uid(s["scopeUid"]), uid(s["instanceUid"]), u32(s["scopeVersion"])
    return unwrap(s["key"], s["blob"][1:], context("strongroom/scope/v2", *fields))


def dek(s):
    """A data-encryption key, format 1 or 2, by the version of its scope key that has wrapped it."""
    kind, more = s["blob"][:1], s.get("additionalData", b"")
    fields = uid(s["scopeUid"]), uid(s["instanceUid"]), uid(s["resourceUid"]), u32(s["version"])
    if kind == b"\1":
        need(not more)
        return unwrap(s["key"], s["blob"][1:], context("strongroom/dek/v1", kind, *fields))
    need(kind == b"\2")
    fields = s["blob"][1:5], *fields, u32(len(more)), more
    return unwrap(s["key"], s["blob"][5:], context("strongroom/dek/v2", kind, *fields))


def payload(s):
    """A secret's value by its data-encryption key."""
    blob = s["blob"]
    need(blob[:1] == b"\1")
    aad = context("strongroom/payload/v1", b"\1", uid(s["instanceUid"]), uid(s["secretUid"]), u32(s["version"]))
    return AESGCM(s["key"]).decrypt(blob[1:13], blob[13:], aad)


def import_key(s):
    """The private key of an import job, PKCS#8 in DER, by a master key."""
    blob = s["blob"]
    need(blob[:1] == b"\1" and blob[1:9] == master_id(s))
    return unwrap(s["key"], blob[9:], context("strongroom/import-key/v1", blob[:9], uid(s["jobUid"])))


def material(s):
    """Material as a customer sends it, by the private key of the job; its proof is checked."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    private = serialization.load_der_private_key(s["key"], None)
    key = aes_key_unwrap_with_padding(private.decrypt(s["blob"][:512], oaep), s["blob"][512:])
    message = context("strongroom/import-proof/v1", s["jobName"].encode(), b"\0", s["nonce"])
    need(compare.compare_digest(compare.digest(key, message, sha256), s["proof"]))
    return key


def check_value(s):
    """By which the same material is known."""
    return compare.digest(s["key"], b"strongroom/check-value/v1", sha256)


OPEN = {f.__name__: f for f in (master_id, root, scope, dek, payload, import_key, material, check_value)}
BYTES = ("key", "blob", "nonce", "proof", "additionalData")


def main():
    opened = []
    for step in json.load(sys.stdin):
        if isinstance(step["key"], dict):
            step["key"] = opened[step["key"]["step"]]
        fields = {name: bytes.fromhex(value) if name in BYTES else value for name, value in step.items() if value is not None}
        try:
            opened.append(OPEN[step["open"]](fields).hex())
        except (DoesNotOpen, InvalidTag, InvalidUnwrap, ValueError, KeyError):
            opened.append(None)
    json.dump(opened, sys.stdout)


main()
