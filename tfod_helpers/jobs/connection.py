"""Google's client for Vertex AI, and for the registry that images are in."""

from __future__ import annotations

import http.client
import os
from typing import Any

from tfod_helpers.bucket import names

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = 60  # seconds, for an answer
TRIES = 3  # of a question; a request that starts something is sent once
# gcloud's own variable for another endpoint, such as one of Private Service Connect.
_OTHER_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"


def connect(service: str, version: str, endpoint: str) -> Any:
    """Return the client of one of Google's services, made from the document that google-api-python-client brings.

    Args:
        service: such as ``aiplatform``.
        version: such as ``v1``.
        endpoint: the server's address, where the environment names no other.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: nobody is signed in.
    """
    import google_auth_httplib2
    from google.auth import credentials
    from googleapiclient import discovery

    address = os.environ.get(f"{_OTHER_ENDPOINT}{service.upper()}", endpoint)
    # What has no encryption is a server of this machine, and shall see no password.
    who = credentials.AnonymousCredentials() if address.startswith("http://") else _account()[0]
    sender = google_auth_httplib2.AuthorizedHttp(who, http=_http())
    return discovery.build(
        service, version, http=sender, client_options={"api_endpoint": address}, static_discovery=True
    )


def _http() -> Any:
    """Return what sends requests, each of them once.

    Where a connection breaks before the answer, httplib2 sends a request again by itself, also one that starts a job:
    two would run then, and one of them unknown to anybody. What may be sent again, googleapiclient sends again.
    """
    import httplib2

    def once(kind: Any) -> Any:
        class Once(kind):  # it has no types
            def getresponse(self) -> Any:
                try:
                    return super().getresponse()
                except http.client.BadStatusLine as error:
                    raise ConnectionAbortedError(f"the connection broke before the answer came ({error})") from error

        return Once

    plain, safe = once(httplib2.HTTPConnectionWithTimeout), once(httplib2.HTTPSConnectionWithTimeout)

    class Http(httplib2.Http):  # it has no types
        def request(self, uri: str, *args: Any, **kwargs: Any) -> Any:
            return super().request(uri, *args, **kwargs | {"connection_type": safe if uri[:5] == "https" else plain})

    return Http(timeout=_TIMEOUT)


def vertex(region: str) -> Any:
    """Return Vertex AI's jobs of a region."""
    client = connect("aiplatform", "v1", f"https://{region}-aiplatform.googleapis.com/")
    return client.projects().locations().customJobs()


def project(given: str | None) -> str:
    """Return the id of the project to work in: the given one, that of the environment, or that of the account.

    Raises:
        ValueError: it is no id, or there is none.
    """
    found = given or os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT") or _of_account()
    if not found:
        raise ValueError("project: nothing says which one. Give project='ID', as gcloud projects list shows.")
    return names.project(found)


def _of_account() -> str | None:
    from google.auth import exceptions

    try:
        return _account()[1]
    except exceptions.DefaultCredentialsError:
        return None


def _account() -> tuple[Any, str | None]:
    import google.auth

    return google.auth.default(scopes=[_SCOPE])
