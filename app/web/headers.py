"""What every page tells the browser: load nothing foreign, keep nothing, be in no frame."""

from collections.abc import Mapping
from types import MappingProxyType

# No inline script and no inline style: pages take both from /static alone.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
COMMON: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # A page's address names models; other sites are told none of it. Own forms send an Origin.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
)
PAGE: Mapping[str, str] = MappingProxyType(
    {
        **COMMON,
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        # What a page shows is for whoever is signed in now.
        "Cache-Control": "no-store",
        "Vary": "Cookie",
    }
)
