"""Where this machine is, as far as Google's metadata server knows, and what is near it."""

from __future__ import annotations

import os
import re
import urllib.request

# The address behind metadata.google.internal: elsewhere than at Google, asking for that name can take half a minute.
_HOST = "169.254.169.254"
_TIMEOUT = 1.0  # seconds; the server is on the same machine
# https://cloud.google.com/storage/docs/locations: two regions each, and the multi-regions with those beside them.
_PAIRS = {
    "asia1": ("asia-northeast1", "asia-northeast2"),
    "eur4": ("europe-north1", "europe-west4"),
    "eur5": ("europe-west1", "europe-west2"),
    "eur7": ("europe-west2", "europe-west3"),
    "eur8": ("europe-west3", "europe-west6"),
    "nam4": ("us-central1", "us-east1"),
}
_CONTINENTS = {"us": "us-", "eu": "europe-", "asia": "asia-"}
_NOT_IN_EU = ("europe-west2", "europe-west6")  # London and Zurich


def region() -> str | None:
    """Return the region of Google's that this machine is in, such as ``us-central1``; None elsewhere.

    ``GCE_METADATA_HOST`` names another metadata server, and ``NO_GCE_CHECK=true`` asks none, as with Google's own
    libraries.
    """
    host = os.environ.get("GCE_METADATA_HOST", "")
    if not host and os.environ.get("NO_GCE_CHECK", "").lower() == "true":
        return None
    address = f"http://{host or _HOST}/computeMetadata/v1/instance/zone"
    request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would answer for its own machine
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            if answer.headers.get("Metadata-Flavor") != "Google":  # other clouds have a server at this address too
                return None
            text = answer.read(1000).decode("utf-8", "replace")
    except (OSError, ValueError):  # HTTPError and URLError are OSErrors
        return None
    zone = re.fullmatch(r"projects/\d+/zones/([a-z]+-[a-z]+\d+)-[a-z]", text.strip())
    return zone[1] if zone else None


def is_near(here: str, location: str, data_locations: list[str] | None) -> bool:
    """Whether a bucket's location holds, or is, a region.

    Args:
        here: the region.
        location: of the bucket, in small letters.
        data_locations: the two regions of a bucket whose owner chose a pair.
    """
    if data_locations:
        return here in [one.lower() for one in data_locations]
    if location == "eu" and here in _NOT_IN_EU:
        return False
    if location in _CONTINENTS:
        return here.startswith(_CONTINENTS[location])
    return here == location or here in _PAIRS.get(location, ())
