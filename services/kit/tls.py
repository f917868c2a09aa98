"""TLS: what a service shows to its callers, and whom it trusts when it calls. Never below version 1.2."""

import ssl
from pathlib import Path

from services.kit.settings import ServiceSettings
from services.protocol.problems import Problem

MINIMUM = ssl.TLSVersion.TLSv1_2


def server_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """Return how a service answers by TLS; nothing if it has no certificate."""
    if settings.certificate_file is None or settings.tls_key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MINIMUM
    try:
        # An encrypted key would ask a question on the terminal; it is refused instead.
        context.load_cert_chain(settings.certificate_file, settings.tls_key_file, password=lambda: "")
    except (OSError, ValueError):
        raise Problem(
            "input", f"{settings.service}: TLS certificate and key can't be read, or are not a pair."
        ) from None
    return context


def client_trust(settings: ServiceSettings) -> ssl.SSLContext | bool:
    """Return whom internal calls trust: the authority of the settings alone, or those of the system."""
    if settings.authority_file is None:
        return True
    return trusting(settings.authority_file)


def trusting(authority: Path) -> ssl.SSLContext:
    """Return a context that trusts one authority and checks names."""
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ValueError):
        raise Problem("input", f"{authority.name} does not hold a TLS authority's certificate.") from None
    context.minimum_version = MINIMUM
    return context
