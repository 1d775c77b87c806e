"""What a channel keeps for an app of Slack: checked when it is given, its secrets never shown."""

from hongyan.hub.connectors.credentials import Credentials

#: Where Slack is.
BASE = "https://slack.com"


class SlackCredentials(Credentials, frozen=True):
    """`bot_token` is the app's (xoxb-…). With `signing_secret` it can be told what happens; with `app_token` (xapp-…)
    it hears that by a connection of our own instead. If token rotation is on for the app, `refresh_token`, `client_id`
    and `client_secret` renew the bot's token.
    """

    bot_token: str = ""
    signing_secret: str = ""
    app_token: str = ""
    refresh_token: str = ""
    client_id: str = ""
    client_secret: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        rotation = (self.refresh_token, self.client_id, self.client_secret)
        if any(rotation) and not all(rotation):
            raise ValueError("`refresh_token`, `client_id` and `client_secret` are given together")
        if not self.bot_token and not self.refresh_token:
            raise ValueError("`bot_token` is needed: xoxb-…")
        if self.app_token and not self.app_token.startswith("xapp-"):
            raise ValueError("`app_token` is an app-level token: xapp-…")
