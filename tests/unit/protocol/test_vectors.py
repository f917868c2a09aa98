"""The wire against vectors: the given ones of the RFCs, then our own."""

import json
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.protocol import (
    commitments,
    encoding,
    envelope,
    manifest,
    receipts,
    scoring,
    sheet,
    signed,
    token,
)
from tests.unit.protocol.builders import VECTORS, vectors
from tests.vectors import make_vectors
from tests.vectors import reference as ref

h = bytes.fromhex


def each(name: str, part: str = "vectors") -> list[Any]:
    """Return the entries of one own vector file."""
    return list(vectors(f"fairpatch_{name}")[part])


@pytest.mark.parametrize("name", sorted(make_vectors.texts()))
def test_own_vectors_are_what_their_maker_makes(name: str) -> None:
    assert (VECTORS / name).read_text("utf-8") == make_vectors.texts()[name]


def test_no_own_vector_file_is_without_a_maker() -> None:
    assert {path.name for path in VECTORS.glob("fairpatch_*.json")} == set(make_vectors.texts())


@pytest.mark.parametrize("vector", vectors("rfc9578_type2_go")["vectors"])
def test_rfc_9578_tokens_pass(vector: dict[str, str]) -> None:
    spki, challenge = h(vector["pkS"]), h(vector["token_challenge"])
    assert token.verify(h(vector["token"]), spki=spki, challenge=challenge) == h(vector["nonce"])


@pytest.mark.parametrize("vector", vectors("rfc9578_type2_go")["vectors"])
def test_rfc_9578_key_has_our_one_encoding(vector: dict[str, str]) -> None:
    private = load_pem_private_key(h(vector["skS"]), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert token.encode_key(private.public_key()) == h(vector["pkS"])
    assert token.encode_key(token.decode_key(h(vector["pkS"]))) == h(vector["pkS"])
    # The last byte of the key id is what a TokenRequest names it by (RFC 9578, 6.1).
    assert token.key_id(h(vector["pkS"]))[-1] == h(vector["token_request"])[2]


def test_rfc_9180_vector_opens_with_the_library_and_is_made_by_the_reference() -> None:
    given = vectors("rfc9180_base_p256_sha256_aes128gcm")["vectors"][0]
    first = given["encryptions"][0]
    receiver = ec.derive_private_key(int(given["skRm"], 16), ec.SECP256R1())
    ephemeral = ec.derive_private_key(int(given["skEm"], 16), ec.SECP256R1())
    sealed = ref.hpke_seal(
        h(first["pt"]),
        receiver=h(given["pkRm"]),
        info=h(given["info"]),
        ephemeral=ephemeral,
        aad=h(first["aad"]),
    )
    assert sealed == h(given["enc"]) + h(first["ct"])
    opened = openssl.hpke._decrypt_with_aad(
        envelope.SUITES[1], sealed, receiver, info=h(given["info"]), aad=h(first["aad"])
    )
    assert opened == h(first["pt"])


@pytest.mark.parametrize("vector", each("commitments"))
def test_commitments(vector: dict[str, str]) -> None:
    value = commitments.encode_value(int(vector["value"]))
    assert value.hex() == vector["value_bytes"]
    assert commitments.commit(vector["sheet"], value, h(vector["secret"])).hex() == vector["commitment"]


@pytest.mark.parametrize(
    "tree", each("commitments", "trees"), ids=lambda tree: f"{len(tree['leaves'])} leaves"
)
def test_trees_and_paths(tree: dict[str, Any]) -> None:
    leaves, root = [h(leaf) for leaf in tree["leaves"]], h(tree["root"])
    assert commitments.merkle_root(leaves) == root
    for index, hex_path in enumerate(tree["paths"]):
        path = [h(step) for step in hex_path]
        assert commitments.merkle_path(leaves, index) == path
        commitments.verify_path(leaves[index], index, len(leaves), path, root)


@pytest.mark.parametrize("vector", each("sheets"))
def test_sheets(vector: dict[str, Any]) -> None:
    made = sheet.Sheet(tuple(vector["fields"]), h(vector["value"]), h(vector["secret"]))
    assert made.blank == vector["blank"]
    assert sheet.encode(made, length=vector["length"]).hex() == vector["plaintext"]
    assert sheet.decode(h(vector["plaintext"]), sizes=vector["sizes"], length=vector["length"]) == made


@pytest.mark.parametrize("vector", each("sheets", "refused"), ids=lambda vector: vector["why"])
def test_bad_sheets_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(sheet.InvalidSheet):
        sheet.decode(h(vector["plaintext"]), sizes=vector["sizes"], length=vector["length"])


@pytest.mark.parametrize("vector", each("tokens"))
def test_tokens(vector: dict[str, Any]) -> None:
    manifest_hash, name = h(vector["manifest_hash"]), vector["sheet"]
    assert token.redemption_context(manifest_hash, name).hex() == vector["redemption_context"]
    challenge = token.challenge(manifest_hash, name)
    assert challenge.hex() == vector["challenge"]
    key = rsa.RSAPublicNumbers(vector["exponent"], int(vector["modulus"], 16)).public_key()
    assert token.encode_key(key).hex() == vector["issuer_key"]
    assert token.key_id(h(vector["issuer_key"])).hex() == vector["key_id"]
    assert envelope.nonce(h(vector["public_key"])).hex() == vector["nonce"]
    assert token.parse(h(vector["token"])).input().hex() == vector["token_input"]
    assert token.parse(h(vector["token"])).encode().hex() == vector["token"]
    assert (
        token.verify(h(vector["token"]), spki=h(vector["issuer_key"]), challenge=challenge).hex()
        == vector["nonce"]
    )


@pytest.mark.parametrize("vector", each("envelopes"), ids=["answer", "withdrawal"])
def test_envelopes(vector: dict[str, Any]) -> None:
    data, manifest_hash = h(vector["envelope"]), h(vector["manifest_hash"])
    fields = envelope.parse(data, length=envelope.length(len(h(vector["plaintext"]))), suite=1)
    assert (fields.kind, fields.counter) == (vector["kind"], vector["counter"])
    assert fields.encode() == data
    assert fields.signed_bytes().hex() == vector["signed_bytes"]
    envelope.verify(fields, token_nonce=token.parse(fields.token).nonce)
    info = envelope.info(1, manifest_hash, vector["sheet"], envelope.nonce(fields.public_key))
    assert info.hex() == vector["info"]
    key = ec.derive_private_key(int(vector["opening_private_scalar"], 16), ec.SECP256R1())
    assert ref.point(key).hex() == vector["opening_key"]
    assert envelope.SUITES[1].decrypt(fields.sealed, key, info).hex() == vector["plaintext"]
    assert receipts.receipt_hash(data).hex() == vector["receipt_hash"]


def test_vectors_belong_to_one_cycle() -> None:
    cycle = manifest.parse(vectors("fairpatch_manifest")["manifest"]["document"])
    sent = each("envelopes")[0]
    spec, fields = (
        cycle.sheet(sent["sheet"]),
        envelope.parse(h(sent["envelope"]), length=cycle.envelope_length, suite=1),
    )
    nonce = token.verify(fields.token, spki=spec.spki, challenge=token.challenge(cycle.hash(), spec.name))
    envelope.verify(fields, token_nonce=nonce)
    said = sheet.decode(h(sent["plaintext"]), sizes=spec.sizes, length=cycle.plaintext_length)
    commitment = encoding.b64(commitments.commit(spec.name, said.value, said.secret))
    assert spec.commitments is not None
    assert spec.commitments.index(commitment) == int.from_bytes(said.value, "big")


@pytest.mark.parametrize("vector", each("manifest"))
def test_canonical_json(vector: dict[str, str]) -> None:
    assert encoding.canonical(json.loads(vector["json"])).decode() == vector["canonical"]


@pytest.mark.parametrize("text", each("manifest", "refused"))
def test_data_without_a_canonical_form_are_refused(text: str) -> None:
    with pytest.raises(encoding.InvalidEncoding):
        encoding.canonical(json.loads(text))


def test_manifest_bytes_hash_fingerprint_and_signatures() -> None:
    given = vectors("fairpatch_manifest")["manifest"]
    cycle = manifest.parse(given["document"])
    assert len(cycle.encode()) == given["canonical_length"]
    assert cycle.hash().hex() == given["canonical_sha256"]
    assert cycle.fingerprint() == given["fingerprint"]
    keys = {name: make_vectors.public_identity(name) for name in ("survey", "aggregate")}
    document = signed.SignedDocument(document=given["document"], signatures=given["signatures"])
    signed.check_document(document, "manifest", {"survey": keys["survey"], "aggregate": keys["aggregate"]})


def test_receipts_and_their_list() -> None:
    given = vectors("fairpatch_receipts")
    lines: list[tuple[bytes, receipts.Outcome]] = []
    for vector in given["vectors"]:
        receipt = receipts.receipt_hash(h(vector["envelope"]))
        assert receipt.hex() == vector["receipt_hash"]
        assert receipts.leaf(receipt, vector["outcome"]).hex() == vector["line"]
        signed.check(make_vectors.public_identity("survey"), "receipt", receipt, vector["receipt"])
        lines.append((receipt, vector["outcome"]))
    assert receipts.list_root(lines).hex() == given["list_root"]
    assert receipts.list_root([]).hex() == given["empty_root"]
    for buckets in given["buckets"]:
        digits, roots = buckets["digits"], [h(root) for root in buckets["bucket_roots"]]
        root = receipts.list_root(lines, digits)
        assert root.hex() == buckets["list_root"]
        for prefix in receipts.prefixes(digits):
            inside = [line for line in lines if line[0].hex().startswith(prefix)]
            receipts.check_bucket(inside, prefix=prefix, bucket_roots=roots, root=root)


@pytest.mark.parametrize("vector", each("scoring"))
def test_scoring(vector: dict[str, Any]) -> None:
    instrument = manifest.Instrument.model_validate(vectors("fairpatch_scoring")["instrument"])
    assert scoring.bands(instrument, vector["answers"]) == vector["bands"]


@pytest.mark.parametrize("answers", each("scoring", "refused"))
def test_answers_outside_the_scale_are_refused(answers: dict[str, Any]) -> None:
    instrument = manifest.Instrument.model_validate(vectors("fairpatch_scoring")["instrument"])
    with pytest.raises(ValueError, match="one of 1, 2, 3, 4, 5"):
        scoring.bands(instrument, answers)


@pytest.mark.parametrize("vector", each("signed"), ids=lambda vector: vector["purpose"])
def test_signed_bytes(vector: dict[str, Any]) -> None:
    assert signed.message(vector["purpose"], h(vector["body"])).hex() == vector["message"]
    signed.check(h(vector["public_key"]), vector["purpose"], h(vector["body"]), vector["signature"])
