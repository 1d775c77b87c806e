"""Where the secrets of each kind of channel go."""

from msgspec import structs

from hongyan.hub import connectors

#: Fields that say where something is sent, and how safely.
PLACES = {"base_url", "host", "port", "tls", "url"}


def test_every_field_that_says_where_is_known_as_that() -> None:
    for kind in connectors.kinds().values():
        fields = {each.name for each in structs.fields(kind.credentials)}
        # the address of Slack's webhook is the secret itself: a new one has nothing of the old
        wanted = fields & PLACES - ({"url"} if kind.name == "slack_webhook" else set())
        assert kind.place & fields == wanted, kind.name
