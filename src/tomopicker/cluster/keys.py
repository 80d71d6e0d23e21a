"""Keys for TLS between driver, scheduler and workers, readable by their owner alone, as they allow running code.

``python -m tomopicker.cluster.keys DIR`` writes a set for a scheduler that a person starts.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tomopicker.errors import TomoPickerError, UsageError

CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
PREFIX = ".keys-"
VALIDITY, MAX_CLOCK_SKEW = timedelta(days=90), timedelta(days=1)


def key_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return the paths of the authority, the certificate (its own authority) and the key of a set."""
    return folder / CA, folder / CERTIFICATE, folder / KEY


@contextmanager
def temporary_keys(parent: Path) -> Iterator[Path]:
    """Write keys to a folder in `parent`, on a disk that workers see, for the duration of a block.

    Keys that a killed run left there are removed.
    """
    for old in parent.glob(f"{PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # Readable by its owner alone.
    try:
        write_keys(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_keys(folder: Path) -> None:
    """Write a new set of keys, each file readable by its owner alone.

    Raises `TomoPickerError` if they cannot be written.
    """
    certificate, key = _generate()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, content in zip(key_files(folder), (certificate, certificate, key), strict=True):
            handle = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
    except OSError as error:
        raise TomoPickerError(f"{folder}: keys cannot be written ({error.strerror}); choose another folder") from error


def check_keys(folder: Path) -> None:
    """Raise `UsageError` if a folder lacks a file of a set, or others can read its key."""
    *_, key = files = key_files(folder)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise UsageError(
            f"--tls {folder}: no {missing[0]} in it; 'python -m tomopicker.cluster.keys {folder}' writes all"
        )
    if key.stat().st_mode & 0o077:
        raise UsageError(f"{key}: others can read it; run 'chmod 600 {key}'")


def _generate() -> tuple[bytes, bytes]:
    """Generate a certificate and its key, as PEM."""
    from cryptography import x509  # noqa: PLC0415  (of an extra)
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tomopicker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - MAX_CLOCK_SKEW)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tomopicker.cluster.keys DIR")
    write_keys(Path(sys.argv[1]))
    print(f"{Path(sys.argv[1])}: {CA}, {CERTIFICATE} and {KEY}, for {VALIDITY.days} days.")
